// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {IRewardVault} from "../../interfaces/IRewardVault.sol";
import {Owned} from "../governance/Owned.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title Implementation of IEpochs
/// @dev Documented in IEpochs.
contract Epochs is IEpochs, Owned {
    struct Info {
        bytes32 paramsHash;
        bytes32 reveal;
        uint96 budget;
        uint40 startedAt;
        uint32 nodeCount;
        bool skipped;
    }

    /// @inheritdoc IEpochs
    IParameters public immutable override parameters;
    /// @inheritdoc IEpochs
    INodeRegistry public immutable override registry;
    /// @inheritdoc IEpochs
    IReportOracle public immutable override oracle;
    /// @inheritdoc IEpochs
    IRewardVault public immutable override vault;
    /// @inheritdoc IEpochs
    uint64 public immutable override genesis;
    /// @inheritdoc IEpochs
    uint64 public immutable override slotSeconds;
    /// @inheritdoc IEpochs
    uint64 public immutable override slotsPerEpoch;

    /// @inheritdoc IEpochs
    uint32 public override nextEpoch;
    /// @inheritdoc IEpochs
    bytes32 public override beaconAnchor;
    /// @inheritdoc IEpochs
    bytes32 public override beaconHead;

    mapping(uint32 epoch => Info) private _infos;

    constructor(
        address owner_,
        IParameters parameters_,
        INodeRegistry registry_,
        IReportOracle oracle_,
        IRewardVault vault_,
        uint64 genesis_,
        bytes32 anchor
    ) Owned(owner_) {
        if (address(registry_) == address(0) || address(oracle_) == address(0) || address(vault_) == address(0)) {
            revert ZeroAddress();
        }
        parameters = parameters_;
        registry = registry_;
        oracle = oracle_;
        vault = vault_;
        genesis = genesis_;
        slotSeconds = _pinned(parameters_, ParameterKeys.SLOT_S);
        slotsPerEpoch = _pinned(parameters_, ParameterKeys.SLOTS_PER_EPOCH);
        _setAnchor(anchor);
    }

    /// @inheritdoc IEpochs
    function startEpoch(uint32 epoch, bytes32 reveal) external override {
        if (epoch != nextEpoch) revert EpochOutOfOrder(nextEpoch, epoch);
        if (block.timestamp < epochStart(epoch)) revert EpochInFuture(epoch, epochStart(epoch));
        bytes32 head = reveal;
        for (uint256 i = 0; i < slotsPerEpoch; ++i) {
            head = keccak256(bytes.concat(head));
        }
        if (head != beaconHead) revert BadReveal(epoch, beaconHead, head);

        beaconHead = reveal;
        nextEpoch = epoch + 1;
        Info storage info = _infos[epoch];
        info.paramsHash = parameters.recordHash();
        info.reveal = reveal;
        info.startedAt = uint40(block.timestamp);
        info.nodeCount = registry.count();
        info.budget = SafeCast.toUint96(vault.fund(epoch, parameters.get(ParameterKeys.EMISSION_WEI)));
        emit EpochStarted(epoch, info.paramsHash, reveal, info.budget, info.nodeCount);
    }

    /// @inheritdoc IEpochs
    function skipEpoch(uint32 epoch) external override {
        Info storage info = _infos[epoch];
        if (info.startedAt == 0 || info.skipped) revert NotSkippable(epoch);
        info.skipped = true;
        emit EpochSkipped(epoch, info.budget);
        oracle.markSkipped(epoch);
        vault.release(epoch, 0);
    }

    /// @inheritdoc IEpochs
    function closeEpoch(uint32 epoch, uint256 totalReward) external override {
        if (msg.sender != address(oracle)) revert NotOracle(msg.sender);
        emit EpochClosed(epoch, _infos[epoch].budget, totalReward);
        vault.release(epoch, totalReward);
    }

    /// @inheritdoc IEpochs
    function setBeaconAnchor(bytes32 anchor) external override onlyOwner {
        _setAnchor(anchor);
    }

    /// @inheritdoc IEpochs
    function epochInfo(uint32 epoch)
        external
        view
        override
        returns (bytes32 paramsHash, bytes32 reveal, uint256 budget, uint64 startedAt, bool skipped)
    {
        Info storage info = _infos[epoch];
        return (info.paramsHash, info.reveal, info.budget, info.startedAt, info.skipped);
    }

    /// @inheritdoc IEpochs
    function reportTerms(uint32 epoch)
        external
        view
        override
        returns (bytes32 paramsHash, uint256 budget, uint32 nodeCount, bool open)
    {
        Info storage info = _infos[epoch];
        return (info.paramsHash, info.budget, info.nodeCount, info.startedAt != 0 && !info.skipped);
    }

    /// @inheritdoc IEpochs
    function nodeCountOf(uint32 epoch) external view override returns (uint32) {
        return _infos[epoch].nodeCount;
    }

    /// @inheritdoc IEpochs
    function currentEpoch() external view override returns (uint32) {
        if (block.timestamp < genesis) return 0;
        return SafeCast.toUint32((block.timestamp - genesis) / (slotSeconds * slotsPerEpoch));
    }

    /// @inheritdoc IEpochs
    function epochStart(uint32 epoch) public view override returns (uint256) {
        return genesis + uint256(epoch) * slotSeconds * slotsPerEpoch;
    }

    /// @inheritdoc IEpochs
    function epochEnd(uint32 epoch) external view override returns (uint256) {
        return epochStart(epoch) + uint256(slotSeconds) * slotsPerEpoch;
    }

    function _setAnchor(bytes32 anchor) private {
        emit BeaconAnchorSet(beaconAnchor, anchor, nextEpoch);
        beaconAnchor = anchor;
        beaconHead = anchor;
    }

    function _pinned(IParameters source, bytes32 key) private view returns (uint64) {
        (uint256 min, uint256 max) = source.bounds(key);
        if (min != max || min == 0) revert CalendarNotPinned(key, min, max);
        return SafeCast.toUint64(min);
    }
}
