// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../../interfaces/IParameters.sol";
import {IReportJudge} from "../../../interfaces/IReportJudge.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Pausing} from "../../governance/Pausing.sol";
import {ExactTransfers} from "../../libraries/ExactTransfers.sol";
import {ParameterKeys} from "../../libraries/ParameterKeys.sol";
import {Signatures} from "../../libraries/Signatures.sol";
import {ReportJudge} from "../ReportJudge.sol";

/// @title Commitments to proofs, and their bonds
/// @dev Documented in IDisputeCourt. Every proof is a function whose first arguments are a challenge and a salt; what
/// follows them in the call's data is what was committed to.
abstract contract Challenges is IDisputeCourt, Pausing, ReentrancyGuardTransient {
    using ExactTransfers for IERC20;

    /// @dev Who proved a report wrong, its epoch, and what of the loss nobody was charged with yet.
    struct WrongReport {
        address challenger;
        uint32 epoch;
        uint256 refill;
        uint256 uncharged;
    }

    /// @custom:storage-location erc7201:qnet.DisputeCourt
    struct Store {
        uint256 count;
        mapping(uint256 id => Challenge) challenges;
        mapping(bytes32 hash => WrongReport) wrong;
        mapping(uint32 index => uint32 epoch) jailedUntilEpoch;
    }

    /// @dev Selector, number of the challenge and salt stand before what was committed to.
    uint256 private constant ARGUMENTS_OFFSET = 68;
    // keccak256(abi.encode(uint256(keccak256("qnet.DisputeCourt")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0x5f58718b2db8809afb22bc526cd450f3a1eb9c319825f82cb54167263163e600;

    /// @inheritdoc IDisputeCourt
    IERC20 public immutable override token;
    /// @inheritdoc IDisputeCourt
    IParameters public immutable override parameters;
    /// @inheritdoc IDisputeCourt
    IEpochs public immutable override epochs;
    /// @inheritdoc IDisputeCourt
    INodeRegistry public immutable override registry;
    /// @inheritdoc IDisputeCourt
    IStakeHub public immutable override hub;
    /// @inheritdoc IDisputeCourt
    IReportOracle public immutable override oracle;
    /// @inheritdoc IDisputeCourt
    ICommittee public immutable override committee;
    /// @inheritdoc IDisputeCourt
    ISlasher public immutable override slasher;
    /// @inheritdoc IDisputeCourt
    IReportJudge public immutable override judge;

    constructor(
        IERC20 token_,
        IParameters parameters_,
        IEpochs epochs_,
        INodeRegistry registry_,
        IStakeHub hub_,
        IReportOracle oracle_,
        ICommittee committee_,
        ISlasher slasher_
    ) {
        if (address(slasher_) == address(0)) revert ZeroAddress();
        token = token_;
        parameters = parameters_;
        epochs = epochs_;
        registry = registry_;
        hub = hub_;
        oracle = oracle_;
        committee = committee_;
        slasher = slasher_;
        judge = new ReportJudge(parameters_, epochs_, registry_, hub_, oracle_);
    }

    /// @dev The one way to bring a proof: by who committed to exactly this call, in time. The challenge counts as proven
    /// before the proof is looked at; one that does not hold reverts.
    modifier proving(uint256 id, bytes32 salt) {
        _present(id, salt);
        _;
    }

    /// @inheritdoc IDisputeCourt
    function open(bytes32 commitment) external override nonReentrant whenNotPaused returns (uint256 id) {
        uint256 bond = parameters.get(ParameterKeys.CHALLENGE_BOND_WEI);
        uint40 deadline = SafeCast.toUint40(block.timestamp + parameters.get(ParameterKeys.CHALLENGE_OPEN_S));
        id = ++_store().count;
        _store().challenges[id] =
            Challenge(msg.sender, uint40(block.timestamp), deadline, ChallengeState.Open, bond, commitment);
        emit ChallengeOpened(id, msg.sender, commitment, bond, deadline);
        token.take(msg.sender, bond);
    }

    /// @inheritdoc IDisputeCourt
    function expire(uint256 id) external override nonReentrant {
        Challenge storage challenge = _open(id);
        uint256 deadline = _deadline(challenge);
        if (block.timestamp <= deadline) revert WrongTime(id, deadline);
        challenge.state = ChallengeState.Expired;
        emit ChallengeExpired(id, challenge.challenger, challenge.bond);
        ERC20Burnable(address(token)).burn(challenge.bond);
    }

    /// @inheritdoc IDisputeCourt
    function challengeOf(uint256 id) external view override returns (Challenge memory) {
        return _store().challenges[id];
    }

    /// @inheritdoc IDisputeCourt
    function count() external view override returns (uint256) {
        return _store().count;
    }

    /// @dev A proof held: the bond goes back. Whatever the token does meanwhile, the challenge is over and what was
    /// proven has taken effect.
    function _conclude(uint256 id, bytes32 evidence, bool moot) internal nonReentrant {
        emit ChallengeProven(id, msg.sender, evidence, moot);
        token.pay(msg.sender, _store().challenges[id].bond);
    }

    /// @dev Refuse evidence of something that is over for too long; pauses of this contract are added.
    function _checkFresh(uint256 since) internal view {
        uint256 kept = Math.min(parameters.get(ParameterKeys.EVIDENCE_S), parameters.get(ParameterKeys.UNBOND_S));
        uint256 until = since + kept + pausedSince(since);
        if (block.timestamp > until) revert StaleEvidence(until);
    }

    /// @dev The latest report of an epoch. It can be proven wrong at any time before it is final; then, and for reports
    /// that are not on chain, evidence ages from the end of the epoch, or from when its last report came if that is
    /// later.
    function _freshReport(uint32 epoch) internal view returns (bytes32 hash, IReportOracle.Status status) {
        uint64 submittedAt;
        (, hash, submittedAt, status) = oracle.report(epoch);
        if (status != IReportOracle.Status.Submitted) _checkFresh(Math.max(epochs.epochEnd(epoch), submittedAt));
    }

    function _checkSigned(bytes32 digest, bytes calldata signature, address expected) internal pure {
        if (!Signatures.isBy(digest, signature, expected)) revert BadSignature(expected);
    }

    function _store() internal pure returns (Store storage store) {
        assembly ("memory-safe") {
            store.slot := STORE
        }
    }

    function _present(uint256 id, bytes32 salt) private whenNotPaused {
        Challenge storage challenge = _open(id);
        if (challenge.challenger != msg.sender) revert NotChallenger(id, msg.sender);
        if (block.timestamp <= challenge.openedAt) revert TooEarly(id);
        uint256 deadline = _deadline(challenge);
        if (block.timestamp > deadline) revert WrongTime(id, deadline);
        bytes32 got = keccak256(abi.encode(msg.sender, salt, msg.sig, keccak256(msg.data[ARGUMENTS_OFFSET:])));
        if (got != challenge.commitment) revert WrongCommitment(challenge.commitment, got);
        challenge.state = ChallengeState.Proven;
    }

    function _open(uint256 id) private view returns (Challenge storage challenge) {
        challenge = _store().challenges[id];
        if (challenge.state != ChallengeState.Open) revert NotOpen(id, challenge.state);
    }

    function _deadline(Challenge storage challenge) private view returns (uint256) {
        return challenge.deadline + pausedSince(challenge.openedAt);
    }
}
