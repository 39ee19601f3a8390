// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IPausing} from "../../interfaces/IPausing.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {Owned} from "../governance/Owned.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";
import {LeafDemands} from "./LeafDemands.sol";
import {ReportStore} from "./ReportStore.sol";

/// @title Implementation of IReportOracle
/// @dev Documented in IReportOracle.
contract ReportOracle is LeafDemands, Initializable, UUPSUpgradeable {
    /// @dev Epochs of the longest pause, twice if court and oracle are paused, and of the window, at main values.
    uint256 private constant UNFINISHED_MAX = 32;

    /// @inheritdoc IReportOracle
    ICommittee public immutable override committee;

    /// @dev Least report_deadline_s that can ever be set: a report that comes within it is in time whatever it is.
    uint256 private immutable _deadlineMin;

    constructor(
        address owner_,
        IParameters parameters_,
        IEpochs epochs_,
        ICommittee committee_,
        IERC20 token_,
        IPausing court_
    ) Owned(owner_) ReportStore(parameters_, epochs_, court_) LeafDemands(token_) {
        committee = committee_;
        (_deadlineMin,) = parameters_.bounds(ParameterKeys.REPORT_DEADLINE_S);
        _disableInitializers();
    }

    /// @notice Set up the proxy, once.
    function initialize() external initializer {
        _initPausing(owner);
    }

    /// @inheritdoc IReportOracle
    function submit(EpochReport calldata r, uint256 bitmap, bytes calldata signatures)
        external
        override
        whenNotPaused
    {
        Store storage store = _store();
        Entry storage entry = store.entries[r.epoch];
        Course memory course = entry.course;
        Cursor memory cursor = store.cursor;
        _checkTime(r.epoch, course);
        _checkOrder(cursor, r);
        _checkBody(r, course.attempt);

        bytes32 digest = _digest(r);
        entry.hash = digest;
        entry.nodesRoot = r.nodesRoot;
        entry.evidenceRoot = r.evidenceRoot;
        entry.auditRoot = r.auditRoot;
        entry.dataHash = r.dataHash;
        course.totalReward = SafeCast.toUint96(r.totalReward);
        course.previousPlusOne = cursor.lastPlusOne;
        course.submittedAt = uint40(block.timestamp);
        course.status = Status.Submitted;
        entry.course = course;
        store.cursor = Cursor(r.epoch + 1, r.epoch + 1, cursor.unfinished + 1, cursor.finalThrough);
        emit ReportSubmitted(r.epoch, digest, bitmap, msg.sender);
        committee.checkQuorum(digest, bitmap, signatures);
    }

    /// @inheritdoc IReportOracle
    function finalize(uint32 epoch) external override whenNotPaused {
        Store storage store = _store();
        Entry storage entry = store.entries[epoch];
        _checkSubmitted(epoch, entry);
        uint256 until = windowEnd(epoch);
        if (block.timestamp < until) revert WindowOpen(until);
        if (entry.openDemands != 0) revert DemandsOpen(epoch, entry.openDemands);
        uint32 previous = entry.course.previousPlusOne;
        if (previous > store.cursor.finalThrough) revert PredecessorNotFinal(previous - 1);
        entry.course.status = Status.Final;
        store.cursor.finalThrough = epoch + 1;
        --store.cursor.unfinished;
        emit ReportFinalized(epoch, entry.hash);
        epochs.closeEpoch(epoch, entry.course.totalReward);
    }

    /// @inheritdoc IReportOracle
    function disable(uint32 epoch) external override {
        if (msg.sender != owner && msg.sender != address(court)) revert NotCourt(msg.sender);
        _checkSubmitted(epoch, _store().entries[epoch]);
        _disable(epoch);
    }

    /// @inheritdoc IReportOracle
    function markSkipped(uint32 epoch) external override {
        if (msg.sender != address(epochs)) revert NotEpochs(msg.sender);
        Store storage store = _store();
        Status status = store.entries[epoch].course.status;
        if (status == Status.Submitted || status == Status.Final) revert AlreadyReported(epoch);
        uint256 deadline = reportDeadline(epoch);
        if (block.timestamp <= deadline) revert DeadlineNotPassed(epoch, deadline);
        uint32 expected = _skipTo(store.cursor.next, epoch);
        if (expected != epoch) revert ReportOutOfOrder(expected, epoch);
        store.cursor.next = epoch + 1;
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
        Course memory course = entry.course;
        status = course.status;
        if (status == Status.None) return (r, bytes32(0), 0, status);
        r.epoch = epoch;
        r.attempt = status == Status.Disabled ? course.attempt - 1 : course.attempt;
        (r.paramsHash,, r.nodeCount,) = epochs.reportTerms(epoch);
        r.nodesRoot = entry.nodesRoot;
        r.evidenceRoot = entry.evidenceRoot;
        r.auditRoot = entry.auditRoot;
        r.totalReward = course.totalReward;
        r.dataHash = entry.dataHash;
        hash = entry.hash;
        uint32 previous = course.previousPlusOne;
        if (previous != 0) {
            r.prevReportHash = store.entries[previous - 1].hash;
            if (_digest(r) != hash) r.prevReportHash = bytes32(0);
        }
        return (r, hash, course.submittedAt, status);
    }

    /// @inheritdoc IReportOracle
    function isFinal(uint32 epoch) external view override returns (bool) {
        return _store().entries[epoch].course.status == Status.Final;
    }

    /// @inheritdoc IReportOracle
    function nodesRoot(uint32 epoch) external view override returns (bytes32) {
        return _store().entries[epoch].nodesRoot;
    }

    /// @inheritdoc IReportOracle
    function attemptOf(uint32 epoch) external view override returns (uint32) {
        return _store().entries[epoch].course.attempt;
    }

    /// @inheritdoc IReportOracle
    function finalThrough() external view override returns (uint32) {
        return _store().cursor.finalThrough;
    }

    /// @inheritdoc IReportOracle
    function predecessorOf(uint32 epoch) external view override returns (uint32) {
        return _store().entries[epoch].course.previousPlusOne;
    }

    /// @inheritdoc IReportOracle
    function reportDeadline(uint32 epoch) public view override returns (uint256) {
        return _deadline(epochs.epochEnd(epoch), _store().entries[epoch].course.disabledAt);
    }

    /// @inheritdoc IReportOracle
    function nextEpoch() external view override returns (uint32) {
        return _skipTo(_store().cursor.next, type(uint32).max);
    }

    /// @inheritdoc IReportOracle
    function lastReportHash() external view override returns (bytes32) {
        return _hashOf(_store().cursor.lastPlusOne);
    }

    /// @inheritdoc IReportOracle
    function unfinished() external view override returns (uint32) {
        return _store().cursor.unfinished;
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    function _checkTime(uint32 epoch, Course memory course) private view {
        uint256 end = epochs.epochEnd(epoch);
        if (block.timestamp < end) revert EpochNotOver(epoch, end);
        if (course.status == Status.Submitted || course.status == Status.Final) revert AlreadyReported(epoch);
        if (block.timestamp <= Math.max(end, course.disabledAt) + _deadlineMin) return;
        uint256 deadline = _deadline(end, course.disabledAt);
        if (block.timestamp > deadline) revert DeadlinePassed(epoch, deadline);
    }

    /// @dev The time to report starts with the end of the epoch, or when its last report was disabled, and stands still
    /// while reports cannot be submitted.
    function _deadline(uint256 end, uint256 disabledAt) private view returns (uint256) {
        uint256 from = Math.max(end, disabledAt);
        return from + parameters.get(ParameterKeys.REPORT_DEADLINE_S) + pausedSince(from);
    }

    function _checkOrder(Cursor memory cursor, EpochReport calldata r) private view {
        uint32 expected = _skipTo(cursor.next, r.epoch);
        if (r.epoch != expected) revert ReportOutOfOrder(expected, r.epoch);
        if (cursor.unfinished >= UNFINISHED_MAX) revert TooManyUnfinished(UNFINISHED_MAX);
        bytes32 last = _hashOf(cursor.lastPlusOne);
        if (r.prevReportHash != last) revert WrongPredecessor(last, r.prevReportHash);
    }

    function _checkBody(EpochReport calldata r, uint32 attempt) private view {
        (bytes32 paramsHash, uint256 budget, uint32 nodeCount, bool open) = epochs.reportTerms(r.epoch);
        if (!open) revert EpochNotStarted(r.epoch);
        if (r.attempt != attempt) revert WrongAttempt(attempt, r.attempt);
        if (r.paramsHash != paramsHash) revert WrongParameters(paramsHash, r.paramsHash);
        if (r.totalReward > budget) revert BudgetExceeded(r.totalReward, budget);
        if (r.nodeCount != nodeCount) revert WrongNodeCount(nodeCount, r.nodeCount);
    }

    function _hashOf(uint32 epochPlusOne) private view returns (bytes32) {
        return epochPlusOne == 0 ? bytes32(0) : _store().entries[epochPlusOne - 1].hash;
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
}
