// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICommittee} from "./ICommittee.sol";
import {IEpochs} from "./IEpochs.sol";
import {IParameters} from "./IParameters.sol";
import {IPausing} from "./IPausing.sol";

/// @title Reports of epochs
/// @notice Takes one quorum-signed report per epoch, lets a challenge window pass, and then makes it final for good.
/// @dev Trust: a quorum of the committee. The contract checks order, time, budget, parameters and signatures; the court
/// checks the rewards of those leaves that somebody brings before it. The owner and the court can disable a report while
/// its window is open. Source: docs/spec/disputes.md.
interface IReportOracle is IPausing {
    /// @notice What the committee states about an epoch. Roots are of OpenZeppelin-standard Merkle trees.
    /// @dev `attempt` counts how often the epoch was reported and disabled before: a second report of one attempt is
    /// equivocation, a report of the next attempt is not.
    struct EpochReport {
        uint32 epoch;
        uint32 attempt;
        bytes32 paramsHash;
        bytes32 nodesRoot;
        bytes32 evidenceRoot;
        bytes32 auditRoot;
        uint128 totalReward;
        uint32 nodeCount;
        bytes32 dataHash;
        bytes32 prevReportHash;
    }

    /// @notice What a report says about a node; the leaf itself settles its rewards.
    /// @dev Amounts in wei. `slotP` packs 24 values of 10 bits, slot 0 lowest. `w` and `rho` in millionths.
    /// `cumOperator` and `cumPool` are the sums of all rewards since registration.
    struct NodeLeaf {
        uint32 epoch;
        uint32 node;
        uint256 bond;
        uint256 stake;
        uint256 slotP;
        uint32 w;
        uint32 rho;
        uint256 reward;
        uint256 cumOperator;
        uint256 cumPool;
    }

    enum Status {
        None,
        Submitted,
        Final,
        Disabled
    }

    /// @notice A report was taken. `hash` is its EIP-712 digest, which the committee signed.
    event ReportSubmitted(uint32 indexed epoch, bytes32 hash, uint256 bitmap, address submitter);
    /// @notice A report became final.
    event ReportFinalized(uint32 indexed epoch, bytes32 hash);
    /// @notice A report was disabled, by itself or because it follows a disabled one.
    event ReportDisabled(uint32 indexed epoch, bytes32 hash);

    /// @notice Somebody wants to see the leaf of a node; its answer is due at `deadline`.
    event LeafDemanded(uint32 indexed epoch, uint32 indexed node, address indexed demander, uint256 bond, uint64 deadline);
    /// @notice The leaf of a node was shown; the bond went to who showed it.
    event LeafAnswered(uint32 indexed epoch, uint32 indexed node, address indexed answerer, IReportOracle.NodeLeaf leaf);
    /// @notice The leaf of a node was not shown in time; the report was disabled.
    event DemandUnanswered(uint32 indexed epoch, uint32 indexed node, address indexed demander);
    /// @notice A demander got its bond back: the leaf was not shown, or the report was disabled for another reason.
    event DemandReturned(uint32 indexed epoch, uint32 indexed node, address indexed demander, uint256 bond);

    /// @notice The report counts another number of attempts.
    error WrongAttempt(uint32 expected, uint32 got);
    /// @notice Only the owner and the court disable.
    error NotCourt(address caller);
    /// @notice The node has no leaf in the report.
    error NoSuchLeaf(uint32 epoch, uint32 node);
    /// @notice The leaf is not the one demanded, or not part of the report.
    error InvalidProof(uint32 epoch, uint32 node);
    /// @notice The leaf was demanded before.
    error AlreadyDemanded(uint32 epoch, uint32 node);
    /// @notice The leaf was not demanded, or the demand was settled.
    error NotDemanded(uint32 epoch, uint32 node);
    /// @notice An answer would come too late for the challenge window.
    error TooLateToDemand(uint256 latest);
    /// @notice The demand is due at `deadline`: earlier it cannot expire, later it cannot be answered.
    error DemandPending(uint256 deadline);
    /// @notice See DemandPending.
    error DemandOver(uint256 deadline);
    /// @notice Demands of the report wait for their answers.
    error DemandsOpen(uint32 epoch, uint32 count);
    /// @notice The token moved another amount than it was told to.
    error WrongTransfer(uint256 expected, uint256 got);
    /// @notice The epoch was never started.
    error EpochNotStarted(uint32 epoch);
    /// @notice The epoch lasts until `end`.
    error EpochNotOver(uint32 epoch, uint256 end);
    /// @notice The epoch has a live report.
    error AlreadyReported(uint32 epoch);
    /// @notice Reports come one epoch after the other, skipped ones left out.
    error ReportOutOfOrder(uint32 expected, uint32 got);
    /// @notice The report came after its deadline.
    error DeadlinePassed(uint32 epoch, uint256 deadline);
    /// @notice The deadline for the report is not over.
    error DeadlineNotPassed(uint32 epoch, uint256 deadline);
    /// @notice Too many reports wait to become final.
    error TooManyUnfinished(uint256 max);
    /// @notice The rewards exceed the budget of the epoch.
    error BudgetExceeded(uint256 totalReward, uint256 budget);
    /// @notice The report does not name exactly the nodes registered when the epoch was started.
    error WrongNodeCount(uint32 expected, uint32 got);
    /// @notice The report was computed with other parameters.
    error WrongParameters(bytes32 expected, bytes32 got);
    /// @notice The report does not follow the last live report.
    error WrongPredecessor(bytes32 expected, bytes32 got);
    /// @notice The report is not in the state the call needs.
    error WrongStatus(uint32 epoch, Status status);
    /// @notice The challenge window is open until `until`.
    error WindowOpen(uint256 until);
    /// @notice The report before this one is not final.
    error PredecessorNotFinal(uint32 epoch);
    /// @notice Only Epochs skips epochs.
    error NotEpochs(address caller);

    function parameters() external view returns (IParameters);
    function epochs() external view returns (IEpochs);
    function committee() external view returns (ICommittee);
    function token() external view returns (IERC20);
    /// @notice The contract in which reports are challenged: while it is paused, challenge windows stand still.
    function court() external view returns (IPausing);

    /// @notice EIP-712 domain of reports and of link receipts: QNet, version 1, this contract.
    function domainSeparator() external view returns (bytes32);

    /// @notice Digest the committee signs: EIP-712, domain QNet, version 1, this contract. It is the report's hash.
    function reportDigest(EpochReport calldata r) external view returns (bytes32);

    /// @notice keccak256(keccak256(abi.encode(uint8(1), chain id, this contract, the leaf's fields in order))).
    function leafHash(NodeLeaf calldata leaf) external view returns (bytes32);

    /// @notice Submit the report of an ended epoch with the signatures of a quorum. Anyone.
    /// @param bitmap Bit i stands for member i of the committee.
    /// @param signatures 65 bytes r, s, v each, in the order of the members.
    function submit(EpochReport calldata r, uint256 bitmap, bytes calldata signatures) external;

    /// @notice Make a report final after its challenge window. Anyone, in order of epochs.
    function finalize(uint32 epoch) external;

    /// @notice Disable a report that is not final and all that follow it; they can be reported anew. Only the owner and
    /// the court.
    function disable(uint32 epoch) external;

    /// @notice Demand to see the leaf of a node, with a bond of challenge_bond_wei. An answer is due within
    /// demand_answer_s, which must fit into the challenge window.
    function demandLeaf(uint32 epoch, uint32 node) external;

    /// @notice Show a demanded leaf; the bond goes to the caller. Never paused.
    function answerLeaf(NodeLeaf calldata leaf, bytes32[] calldata proof) external;

    /// @notice Disable a report whose leaf was not shown in time; the bond goes back. Anyone. If the report was
    /// disabled for another reason, only the bond goes back. Never paused.
    function expireDemand(uint32 epoch, uint32 node) external;

    /// @notice Record that an epoch stays without a report. Only Epochs, after the deadline.
    function markSkipped(uint32 epoch) external;

    /// @notice The latest report of an epoch, its hash, when it came, and its status.
    /// @dev `prevReportHash` is left empty once the predecessor has been reported anew, which takes that this report is
    /// disabled: nothing of it can be held against its predecessor any more.
    function report(uint32 epoch)
        external
        view
        returns (EpochReport memory r, bytes32 hash, uint64 submittedAt, Status status);

    /// @notice Times the report of an epoch was disabled: the attempt of its next report.
    function attemptOf(uint32 epoch) external view returns (uint32);

    /// @notice Last epoch whose report is final, plus one; 0 if there is none.
    function finalThrough() external view returns (uint32);

    /// @notice Epoch of the report before that of an epoch, plus one; 0 if there is none.
    function predecessorOf(uint32 epoch) external view returns (uint32);

    /// @notice Moment from which a submitted report can be finalized; 0 if there never was one.
    function windowEnd(uint32 epoch) external view returns (uint256);

    /// @notice A demand that waits: who pays, how much, and until when an answer is due, pauses of the court included;
    /// all zero if there is none.
    function demandOf(uint32 epoch, uint32 node)
        external
        view
        returns (address demander, uint256 bond, uint64 deadline);

    /// @notice Whether the report of an epoch is final.
    function isFinal(uint32 epoch) external view returns (bool);

    /// @notice Root over the node leaves of an epoch's latest report.
    function nodesRoot(uint32 epoch) external view returns (bytes32);

    /// @notice Moment until which the report of an epoch is taken.
    function reportDeadline(uint32 epoch) external view returns (uint256);

    /// @notice The epoch whose report comes next.
    function nextEpoch() external view returns (uint32);

    /// @notice Hash of the last live report: the predecessor of the next; 0 before the first.
    function lastReportHash() external view returns (bytes32);

    /// @notice Reports that wait to become final.
    function unfinished() external view returns (uint32);
}
