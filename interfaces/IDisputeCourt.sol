// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICommittee} from "./ICommittee.sol";
import {IEpochs} from "./IEpochs.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IParameters} from "./IParameters.sol";
import {IPausing} from "./IPausing.sol";
import {IReportJudge} from "./IReportJudge.sol";
import {IReportOracle} from "./IReportOracle.sol";
import {ISlasher} from "./ISlasher.sol";
import {IStakeHub} from "./IStakeHub.sol";

/// @title One-step proofs against nodes, members and reports
/// @notice Whoever can prove an offence first commits to the proof with a bond, then shows it. What is shown is decided
/// at once: a proof that holds takes effect and returns the bond, one that does not is refused.
/// @dev A commitment binds the proof to its challenger, so nobody can take a proof from the mempool and be first. It is
/// keccak256(abi.encode(challenger, salt, selector, keccak256(arguments after id and salt))). Source:
/// docs/spec/disputes.md.
interface IDisputeCourt is IPausing {
    /// @notice A receipt of one side of a link for one slot; signed by `from` (side 0) or `to` (side 1).
    struct LinkReceipt {
        uint32 epoch;
        uint16 slot;
        uint32 nodeFrom;
        uint32 nodeTo;
        uint8 side;
        uint64 packets;
        bytes32 sampleRoot;
    }

    /// @notice Traffic of one direction of a pair in one slot, as a report counts it (leaf kind 2).
    /// @param sent Packets in the sender's receipt.
    /// @param received Packets in the receiver's receipt.
    /// @param matched What counts.
    /// @param sentProof keccak256(digest, signature) of the sender's receipt, in 32 and 65 bytes.
    /// @param receivedProof The same of the receiver's.
    struct LinkLeaf {
        uint32 epoch;
        uint16 slot;
        uint32 nodeFrom;
        uint32 nodeTo;
        uint64 sent;
        uint64 received;
        uint64 matched;
        bytes32 sentProof;
        bytes32 receivedProof;
    }

    /// @notice All results of one target in one slot that counted, as a report lists them (leaf kind 3).
    /// @param auditors Members, ascending.
    /// @param sent Probes that counted, per auditor.
    /// @param returned Those that came back, per auditor.
    struct AuditLeaf {
        uint32 epoch;
        uint16 slot;
        uint32 target;
        uint32[] auditors;
        uint32[] sent;
        uint32[] returned;
    }

    /// @notice A node leaf of a report with its Merkle proof. An empty one (epoch and node 0, no proof) says that there
    /// is no leaf of this node in the report before.
    struct ProvenLeaf {
        IReportOracle.NodeLeaf leaf;
        bytes32[] proof;
    }

    enum LeafKind {
        None,
        Node,
        Link,
        Audit
    }

    enum ChallengeState {
        None,
        Open,
        Proven,
        Expired
    }

    /// @param openedAt In Unix seconds; the proof may follow in a later block.
    /// @param deadline Last moment for the proof, before pauses are added.
    struct Challenge {
        address challenger;
        uint40 openedAt;
        uint40 deadline;
        ChallengeState state;
        uint256 bond;
        bytes32 commitment;
    }

    /// @notice A challenger committed to a proof.
    event ChallengeOpened(
        uint256 indexed id, address indexed challenger, bytes32 commitment, uint256 bond, uint64 deadline
    );
    /// @notice A proof held; `moot` if somebody had proven the same before. The bond was returned.
    event ChallengeProven(uint256 indexed id, address indexed challenger, bytes32 evidence, bool moot);
    /// @notice No proof came in time; the bond was burned.
    event ChallengeExpired(uint256 indexed id, address indexed challenger, uint256 burned);
    /// @notice A report was proven wrong. `disabled` unless it was final or disabled before.
    event ReportProvenWrong(uint32 indexed epoch, bytes32 indexed hash, address indexed challenger, bool disabled);
    /// @notice Signers of a wrong report were charged.
    event SignersCharged(bytes32 indexed hash, uint256 bitmap, uint256 count);

    /// @notice The challenge is not open.
    error NotOpen(uint256 id, ChallengeState state);
    /// @notice Someone else committed to the proof.
    error NotChallenger(uint256 id, address caller);
    /// @notice A proof may follow from the next block on.
    error TooEarly(uint256 id);
    /// @notice The proof, or its expiry, came at the wrong side of the deadline.
    error WrongTime(uint256 id, uint256 deadline);
    /// @notice The proof is not the one committed to.
    error WrongCommitment(bytes32 expected, bytes32 got);
    /// @notice The evidence is older than evidence_s.
    error StaleEvidence(uint256 until);
    /// @notice The two statements are about different things, or are the same.
    error NoContradiction();
    /// @notice A signature is not of the key it must be of.
    error BadSignature(address expected);
    /// @notice There is no such link, slot, or epoch as yet.
    error ImpossibleReceipt(uint32 epoch, uint16 slot);
    /// @notice What a node signs of an epoch in which it was not Active means nothing.
    error NotActiveThen(uint32 index, uint32 epoch);
    /// @notice No report with this hash counts, or counted, for the epoch.
    error UnknownReport(uint32 epoch);
    /// @notice The leaf is not part of the report.
    error InvalidProof(LeafKind kind);
    /// @notice The leaf of the report before belongs to another node or epoch, or there is one although none was given.
    error WrongPredecessorLeaf();
    /// @notice The values are not the parameters of the epoch.
    error WrongParameters(bytes32 expected, bytes32 got);
    /// @notice Nothing is wrong with what was shown.
    error NothingWrong();
    /// @notice The report was not proven wrong.
    error NotProvenWrong(bytes32 hash);
    /// @notice The leaves do not show 5 bad epochs within 7, after the last jail of the node.
    error NotBadEnough(uint32 index);
    /// @notice The token moved another amount than it was told to.
    error WrongTransfer(uint256 expected, uint256 got);

    function token() external view returns (IERC20);
    function parameters() external view returns (IParameters);
    function epochs() external view returns (IEpochs);
    function registry() external view returns (INodeRegistry);
    function hub() external view returns (IStakeHub);
    function oracle() external view returns (IReportOracle);
    function committee() external view returns (ICommittee);
    function slasher() external view returns (ISlasher);
    /// @notice Tells whether proofs against reports hold; made by this contract when it is constructed.
    function judge() external view returns (IReportJudge);

    /// @notice Commit to a proof, with a bond of challenge_bond_wei.
    /// @return id Number of the challenge, from 1.
    function open(bytes32 commitment) external returns (uint256 id);

    /// @notice Burn the bond of a challenge whose proof did not come in time. Anyone.
    function expire(uint256 id) external;

    /// @notice A node signed two receipts for one tuple: slash_receipts_ppm and tombstone.
    function proveReceipts(
        uint256 id,
        bytes32 salt,
        LinkReceipt calldata a,
        bytes calldata signatureA,
        LinkReceipt calldata b,
        bytes calldata signatureB
    ) external;

    /// @notice A member signed two reports of one attempt of one epoch: its whole bond.
    function proveReports(
        uint256 id,
        bytes32 salt,
        uint256 member,
        IReportOracle.EpochReport calldata a,
        bytes calldata signatureA,
        IReportOracle.EpochReport calldata b,
        bytes calldata signatureB
    ) external;

    /// @notice A member signed two consensuses for one moment: its whole bond.
    function proveConsensuses(
        uint256 id,
        bytes32 salt,
        uint256 member,
        uint64 validAfter,
        bytes32 hashA,
        bytes calldata signatureA,
        bytes32 hashB,
        bytes calldata signatureB
    ) external;

    /// @notice A node leaf does not follow from the chain, the parameters and the leaf before: the report is wrong.
    /// @param values All parameters of the epoch in the order of `Parameters.keys()`.
    function proveBadLeaf(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        ProvenLeaf calldata current,
        ProvenLeaf calldata previous,
        uint256[] calldata values
    ) external;

    /// @notice A link leaf contradicts itself, the registry or the receipts it names: the report is wrong.
    /// @param sent The sender's receipt and its signature, if the leaf is to be held against them; else empty.
    /// @param received The receiver's, likewise.
    function proveBadLink(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        LinkLeaf calldata leaf,
        bytes32[] calldata proof,
        LinkReceipt calldata sent,
        bytes calldata sentSignature,
        LinkReceipt calldata received,
        bytes calldata receivedSignature
    ) external;

    /// @notice An audit leaf contradicts itself, or the node leaf's P of its slot is not what follows: the report is
    /// wrong.
    /// @param previous The node's leaf in the report before, needed only where slot 0 is carried.
    function proveBadMedian(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        AuditLeaf calldata audit,
        bytes32[] calldata proof,
        ProvenLeaf calldata current,
        ProvenLeaf calldata previous
    ) external;

    /// @notice Two node leaves are of one node: the report is wrong.
    function proveDuplicateNode(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        ProvenLeaf calldata a,
        ProvenLeaf calldata b
    ) external;

    /// @notice Two link leaves are of one tuple: the report is wrong.
    function proveDuplicateLink(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        LinkLeaf calldata a,
        bytes32[] calldata proofA,
        LinkLeaf calldata b,
        bytes32[] calldata proofB
    ) external;

    /// @notice Two audit leaves are of one target and slot: the report is wrong.
    function proveDuplicateAudit(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        AuditLeaf calldata a,
        bytes32[] calldata proofA,
        AuditLeaf calldata b,
        bytes32[] calldata proofB
    ) external;

    /// @notice A node's sums fell from one report to the next: the later report is wrong.
    function proveRegression(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        ProvenLeaf calldata current,
        ProvenLeaf calldata previous
    ) external;

    /// @notice Charge the signers of a report that was proven wrong: each loses its whole bond. Anyone; the reward goes
    /// to the challenger who proved it.
    /// @param bitmap Bit i stands for member i.
    /// @param signatures 65 bytes r, s, v each, in the order of the members.
    function charge(uint32 epoch, bytes32 hash, uint256 bitmap, bytes calldata signatures) external;

    /// @notice Jail a node for jail_s whose P was below one half in 5 of 7 epochs, shown by its leaves of final
    /// reports in ascending order. Anyone, without a bond or a reward.
    function jail(ProvenLeaf[5] calldata leaves) external;

    /// @notice A challenge.
    function challengeOf(uint256 id) external view returns (Challenge memory);
    /// @notice Challenges opened so far; numbers start at 1.
    function count() external view returns (uint256);
    /// @notice Who proved a report wrong, by its hash; empty if nobody did.
    function wrongReportOf(bytes32 hash) external view returns (address challenger, uint256 refill);
    /// @notice The node leaf that follows for a node from what a leaf claims about P and W: bond, stake, reputation,
    /// reward and sums are recomputed. Slots, W and the leaf before are taken as given.
    function expectedLeaf(
        IReportOracle.NodeLeaf calldata claimed,
        IReportOracle.NodeLeaf calldata previous,
        uint256[] calldata values
    ) external view returns (IReportOracle.NodeLeaf memory);
}
