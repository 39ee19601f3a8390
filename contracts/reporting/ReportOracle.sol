// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {Owned} from "../governance/Owned.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title Implementation of IReportOracle
/// @dev Documented in IReportOracle.
contract ReportOracle is IReportOracle, Initializable, UUPSUpgradeable, Owned, EIP712 {
    /// @dev What stands elsewhere is not stored again: the epoch is the key, its parameter hash is in Epochs, the hash
    /// of the predecessor in the predecessor's entry.
    struct Entry {
        bytes32 hash;
        bytes32 nodesRoot;
        bytes32 evidenceRoot;
        bytes32 auditRoot;
        bytes32 dataHash;
        uint96 totalReward;
        uint32 nodeCount;
        uint32 previousPlusOne;
        uint40 submittedAt;
        uint40 disabledAt;
        Status status;
    }

    /// @custom:storage-location erc7201:qnet.ReportOracle
    struct Store {
        mapping(uint32 epoch => Entry) entries;
        uint32 next;
        uint32 lastPlusOne;
        uint32 unfinished;
    }

    uint256 private constant UNFINISHED_MAX = 8;
    uint8 private constant NODE_LEAF = 1;
    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "EpochReport(uint32 epoch,bytes32 paramsHash,bytes32 nodesRoot,bytes32 evidenceRoot,bytes32 auditRoot,"
        "uint128 totalReward,uint32 nodeCount,bytes32 dataHash,bytes32 prevReportHash)"
    );
    // keccak256(abi.encode(uint256(keccak256("qnet.ReportOracle")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0x4e3f6e118058961a2584c51ef60f331cc36b36188d811b4beb4e956da927dc00;

    /// @inheritdoc IReportOracle
    IParameters public immutable override parameters;
    /// @inheritdoc IReportOracle
    IEpochs public immutable override epochs;
    /// @inheritdoc IReportOracle
    ICommittee public immutable override committee;

    constructor(address owner_, IParameters parameters_, IEpochs epochs_, ICommittee committee_)
        Owned(owner_)
        EIP712("QNet", "1")
    {
        parameters = parameters_;
        epochs = epochs_;
        committee = committee_;
        _disableInitializers();
    }

    /// @notice Set up the proxy, once.
    function initialize() external initializer {}

    /// @inheritdoc IReportOracle
    function submit(EpochReport calldata r, uint256 bitmap, bytes calldata signatures) external override {
        Store storage store = _store();
        Entry storage entry = store.entries[r.epoch];
        _checkTime(r.epoch, entry);
        _checkOrder(store, r);
        _checkBody(r);

        bytes32 digest = reportDigest(r);
        entry.hash = digest;
        entry.nodesRoot = r.nodesRoot;
        entry.evidenceRoot = r.evidenceRoot;
        entry.auditRoot = r.auditRoot;
        entry.dataHash = r.dataHash;
        entry.totalReward = SafeCast.toUint96(r.totalReward);
        entry.nodeCount = r.nodeCount;
        entry.previousPlusOne = store.lastPlusOne;
        entry.submittedAt = uint40(block.timestamp);
        entry.status = Status.Submitted;
        store.next = r.epoch + 1;
        store.lastPlusOne = r.epoch + 1;
        ++store.unfinished;
        emit ReportSubmitted(r.epoch, digest, bitmap, msg.sender);
        committee.checkQuorum(digest, bitmap, signatures);
    }

    /// @inheritdoc IReportOracle
    function finalize(uint32 epoch) external override {
        Store storage store = _store();
        Entry storage entry = store.entries[epoch];
        if (entry.status != Status.Submitted) revert WrongStatus(epoch, entry.status);
        uint256 until = entry.submittedAt + parameters.get(ParameterKeys.CHALLENGE_WINDOW_S);
        if (block.timestamp < until) revert WindowOpen(until);
        uint32 previous = entry.previousPlusOne;
        if (previous != 0 && store.entries[previous - 1].status != Status.Final) {
            revert PredecessorNotFinal(previous - 1);
        }
        entry.status = Status.Final;
        --store.unfinished;
        emit ReportFinalized(epoch, entry.hash);
        epochs.closeEpoch(epoch, entry.totalReward);
    }

    /// @inheritdoc IReportOracle
    function disable(uint32 epoch) external override onlyOwner {
        Store storage store = _store();
        Status status = store.entries[epoch].status;
        if (status != Status.Submitted) revert WrongStatus(epoch, status);
        uint32 cursor = store.lastPlusOne;
        while (cursor > epoch) {
            Entry storage entry = store.entries[cursor - 1];
            entry.status = Status.Disabled;
            entry.disabledAt = uint40(block.timestamp);
            --store.unfinished;
            emit ReportDisabled(cursor - 1, entry.hash);
            cursor = entry.previousPlusOne;
        }
        store.lastPlusOne = cursor;
        store.next = epoch;
    }

    /// @inheritdoc IReportOracle
    function markSkipped(uint32 epoch) external override {
        if (msg.sender != address(epochs)) revert NotEpochs(msg.sender);
        Store storage store = _store();
        Status status = store.entries[epoch].status;
        if (status == Status.Submitted || status == Status.Final) revert AlreadyReported(epoch);
        uint256 deadline = reportDeadline(epoch);
        if (block.timestamp <= deadline) revert DeadlineNotPassed(epoch, deadline);
        uint32 expected = _skipTo(store.next, epoch);
        if (expected != epoch) revert ReportOutOfOrder(expected, epoch);
        store.next = epoch + 1;
    }

    /// @inheritdoc IReportOracle
    function report(uint32 epoch)
        external
        view
        override
        returns (EpochReport memory r, bytes32 hash, uint64 submittedAt, Status status)
    {
        Store storage store = _store();
        Entry storage entry = store.entries[epoch];
        status = entry.status;
        if (status == Status.None) return (r, bytes32(0), 0, status);
        r.epoch = epoch;
        (r.paramsHash,,,,) = epochs.epochInfo(epoch);
        r.nodesRoot = entry.nodesRoot;
        r.evidenceRoot = entry.evidenceRoot;
        r.auditRoot = entry.auditRoot;
        r.totalReward = entry.totalReward;
        r.nodeCount = entry.nodeCount;
        r.dataHash = entry.dataHash;
        uint32 previous = entry.previousPlusOne;
        if (previous != 0 && status != Status.Disabled) r.prevReportHash = store.entries[previous - 1].hash;
        return (r, entry.hash, entry.submittedAt, status);
    }

    /// @inheritdoc IReportOracle
    function isFinal(uint32 epoch) external view override returns (bool) {
        return _store().entries[epoch].status == Status.Final;
    }

    /// @inheritdoc IReportOracle
    function nodesRoot(uint32 epoch) external view override returns (bytes32) {
        return _store().entries[epoch].nodesRoot;
    }

    /// @inheritdoc IReportOracle
    function reportDeadline(uint32 epoch) public view override returns (uint256) {
        return _deadline(epochs.epochEnd(epoch), _store().entries[epoch].disabledAt);
    }

    /// @inheritdoc IReportOracle
    function nextEpoch() external view override returns (uint32) {
        return _skipTo(_store().next, type(uint32).max);
    }

    /// @inheritdoc IReportOracle
    function lastReportHash() public view override returns (bytes32) {
        uint32 last = _store().lastPlusOne;
        return last == 0 ? bytes32(0) : _store().entries[last - 1].hash;
    }

    /// @inheritdoc IReportOracle
    function unfinished() external view override returns (uint32) {
        return _store().unfinished;
    }

    /// @inheritdoc IReportOracle
    function reportDigest(EpochReport calldata r) public view override returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REPORT_TYPEHASH, r)));
    }

    /// @inheritdoc IReportOracle
    function leafHash(NodeLeaf calldata leaf) external view override returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(NODE_LEAF, block.chainid, address(this), leaf))));
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    function _checkTime(uint32 epoch, Entry storage entry) private view {
        uint256 end = epochs.epochEnd(epoch);
        if (block.timestamp < end) revert EpochNotOver(epoch, end);
        if (entry.status == Status.Submitted || entry.status == Status.Final) revert AlreadyReported(epoch);
        uint256 deadline = _deadline(end, entry.disabledAt);
        if (block.timestamp > deadline) revert DeadlinePassed(epoch, deadline);
    }

    function _deadline(uint256 end, uint256 disabledAt) private view returns (uint256) {
        return Math.max(end, disabledAt) + parameters.get(ParameterKeys.REPORT_DEADLINE_S);
    }

    function _checkOrder(Store storage store, EpochReport calldata r) private view {
        uint32 expected = _skipTo(store.next, r.epoch);
        if (r.epoch != expected) revert ReportOutOfOrder(expected, r.epoch);
        if (store.unfinished >= UNFINISHED_MAX) revert TooManyUnfinished(UNFINISHED_MAX);
        bytes32 last = lastReportHash();
        if (r.prevReportHash != last) revert WrongPredecessor(last, r.prevReportHash);
    }

    function _checkBody(EpochReport calldata r) private view {
        (bytes32 paramsHash, uint256 budget, uint32 registered, bool open) = epochs.reportTerms(r.epoch);
        if (!open) revert EpochNotStarted(r.epoch);
        if (r.paramsHash != paramsHash) revert WrongParameters(paramsHash, r.paramsHash);
        if (r.totalReward > budget) revert BudgetExceeded(r.totalReward, budget);
        if (r.nodeCount > registered) revert TooManyNodes(r.nodeCount, registered);
    }

    /// @dev First epoch from `cursor` on that was not skipped, not beyond `limit`.
    function _skipTo(uint32 cursor, uint32 limit) private view returns (uint32) {
        while (cursor < limit) {
            (,,,, bool skipped) = epochs.epochInfo(cursor);
            if (!skipped) break;
            ++cursor;
        }
        return cursor;
    }

    function _store() private pure returns (Store storage store) {
        assembly ("memory-safe") {
            store.slot := STORE
        }
    }
}
