// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IPausing} from "../../interfaces/IPausing.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {Pausing} from "../governance/Pausing.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title What the report oracle keeps, and how a report is disabled
/// @dev Documented in IReportOracle.
abstract contract ReportStore is IReportOracle, Pausing, EIP712 {
    /// @dev What happened to a report, in one slot. `attempt` counts how often the epoch was disabled.
    struct Course {
        uint96 totalReward;
        uint32 attempt;
        uint32 previousPlusOne;
        uint40 submittedAt;
        uint40 disabledAt;
        Status status;
    }

    /// @dev What stands elsewhere is not stored again: the epoch is the key, its parameter hash and node count are in
    /// Epochs, the hash of the predecessor in the predecessor's entry.
    struct Entry {
        bytes32 hash;
        bytes32 nodesRoot;
        bytes32 evidenceRoot;
        bytes32 auditRoot;
        bytes32 dataHash;
        Course course;
        uint32 openDemands;
    }

    /// @dev A demand counts for one attempt; it waits while it has a demander.
    struct Demand {
        address demander;
        uint40 demandedAt;
        uint40 deadline;
        uint32 attempt;
        uint128 bond;
    }

    /// @dev Where reporting stands, in one slot.
    struct Cursor {
        uint32 next;
        uint32 lastPlusOne;
        uint32 unfinished;
        uint32 finalThrough;
    }

    /// @custom:storage-location erc7201:qnet.ReportOracle
    struct Store {
        mapping(uint32 epoch => Entry) entries;
        Cursor cursor;
        mapping(uint32 epoch => mapping(uint32 node => Demand)) demands;
    }

    uint8 internal constant NODE_LEAF = 1;
    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "EpochReport(uint32 epoch,uint32 attempt,bytes32 paramsHash,bytes32 nodesRoot,bytes32 evidenceRoot,"
        "bytes32 auditRoot,uint128 totalReward,uint32 nodeCount,bytes32 dataHash,bytes32 prevReportHash)"
    );
    // keccak256(abi.encode(uint256(keccak256("qnet.ReportOracle")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0x4e3f6e118058961a2584c51ef60f331cc36b36188d811b4beb4e956da927dc00;

    /// @inheritdoc IReportOracle
    IParameters public immutable override parameters;
    /// @inheritdoc IReportOracle
    IEpochs public immutable override epochs;
    /// @inheritdoc IReportOracle
    IPausing public immutable override court;

    constructor(IParameters parameters_, IEpochs epochs_, IPausing court_) EIP712("QNet", "1") {
        if (address(court_) == address(0)) revert ZeroAddress();
        parameters = parameters_;
        epochs = epochs_;
        court = court_;
    }

    /// @inheritdoc IReportOracle
    function domainSeparator() external view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IReportOracle
    function reportDigest(EpochReport calldata r) external view override returns (bytes32) {
        return _digest(r);
    }

    /// @inheritdoc IReportOracle
    function leafHash(NodeLeaf calldata leaf) public view override returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(NODE_LEAF, block.chainid, address(this), leaf))));
    }

    /// @inheritdoc IReportOracle
    /// @dev It stands still while nobody can prove (the court is paused) or demand (this contract is).
    function windowEnd(uint32 epoch) public view override returns (uint256) {
        uint256 from = _store().entries[epoch].course.submittedAt;
        if (from == 0) return 0;
        return from + parameters.get(ParameterKeys.CHALLENGE_WINDOW_S) + court.pausedSince(from) + pausedSince(from);
    }

    /// @dev Disable a submitted report and all that follow it. Demands of theirs are void: their bonds go back.
    function _disable(uint32 epoch) internal {
        Store storage store = _store();
        uint32 last = store.cursor.lastPlusOne;
        while (last > epoch) {
            Entry storage entry = store.entries[last - 1];
            entry.course.status = Status.Disabled;
            entry.course.disabledAt = uint40(block.timestamp);
            entry.openDemands = 0;
            ++entry.course.attempt;
            --store.cursor.unfinished;
            emit ReportDisabled(last - 1, entry.hash);
            last = entry.course.previousPlusOne;
        }
        store.cursor.lastPlusOne = last;
        store.cursor.next = epoch;
    }

    function _checkSubmitted(uint32 epoch, Entry storage entry) internal view {
        Status status = entry.course.status;
        if (status != Status.Submitted) revert WrongStatus(epoch, status);
    }

    function _digest(EpochReport memory r) internal view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REPORT_TYPEHASH, r)));
    }

    function _store() internal pure returns (Store storage store) {
        assembly ("memory-safe") {
            store.slot := STORE
        }
    }
}
