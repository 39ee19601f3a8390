// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOwned} from "./IOwned.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IParameters} from "./IParameters.sol";
import {IReportOracle} from "./IReportOracle.sol";
import {IRewardVault} from "./IRewardVault.sol";

/// @title The calendar of epochs, their budgets and the beacon
/// @notice Epoch e lasts from genesis + e * epochSeconds (inclusive) to the start of e + 1 (exclusive).
/// @dev The beacon is a hash chain committed in advance: h(-1) is the anchor and keccak256(h(n)) = h(n - 1), one value
/// per slot. The reveal of an epoch is the value of its last slot. Whoever holds the seed knows all values in advance:
/// it makes draws reproducible and unchangeable, not unknown to its holder.
interface IEpochs is IOwned {
    /// @notice An epoch was started: its parameters, beacon and budget are fixed from here on.
    event EpochStarted(
        uint32 indexed epoch, bytes32 paramsHash, bytes32 reveal, uint256 budget, uint32 nodeCount
    );
    /// @notice An epoch ended without a report; its budget returned to the pool.
    event EpochSkipped(uint32 indexed epoch, uint256 budget);
    /// @notice The report of an epoch became final; what it did not earn returned to the pool.
    event EpochClosed(uint32 indexed epoch, uint256 budget, uint256 totalReward);
    /// @notice A new hash chain was committed; it counts from `fromEpoch` on.
    event BeaconAnchorSet(bytes32 oldAnchor, bytes32 newAnchor, uint32 fromEpoch);

    /// @notice Epochs are started one after the other.
    error EpochOutOfOrder(uint32 expected, uint32 got);
    /// @notice The epoch begins at `startsAt`, later than now.
    error EpochInFuture(uint32 epoch, uint256 startsAt);
    /// @notice The value does not lead back to the last known value of the chain.
    error BadReveal(uint32 epoch, bytes32 expected, bytes32 got);
    /// @notice The epoch was not started, or was skipped before.
    error NotSkippable(uint32 epoch);
    /// @notice Only the report oracle closes epochs.
    error NotOracle(address caller);
    /// @notice Slot length and slots per epoch must be pinned in the parameters (minimum = maximum).
    error CalendarNotPinned(bytes32 key, uint256 min, uint256 max);

    function parameters() external view returns (IParameters);
    function registry() external view returns (INodeRegistry);
    function oracle() external view returns (IReportOracle);
    function vault() external view returns (IRewardVault);

    /// @notice Start of epoch 0, in Unix seconds.
    function genesis() external view returns (uint64);
    /// @notice Length of a slot, in seconds.
    function slotSeconds() external view returns (uint64);
    /// @notice Slots in an epoch.
    function slotsPerEpoch() external view returns (uint64);
    /// @notice Epoch of this moment; 0 before genesis.
    function currentEpoch() external view returns (uint32);
    /// @notice First second of an epoch.
    function epochStart(uint32 epoch) external view returns (uint256);
    /// @notice First second after an epoch.
    function epochEnd(uint32 epoch) external view returns (uint256);
    /// @notice The epoch that `startEpoch` takes next.
    function nextEpoch() external view returns (uint32);
    /// @notice Anchor of the hash chain in force.
    function beaconAnchor() external view returns (bytes32);
    /// @notice Last known value of the chain: the next reveal must lead back to it.
    function beaconHead() external view returns (bytes32);

    /// @notice What was fixed when the epoch was started; `startedAt` is 0 if it was not.
    function epochInfo(uint32 epoch)
        external
        view
        returns (bytes32 paramsHash, bytes32 reveal, uint256 budget, uint64 startedAt, bool skipped);

    /// @notice What a report of the epoch must keep to; `open` once it was started, unless it was skipped.
    function reportTerms(uint32 epoch)
        external
        view
        returns (bytes32 paramsHash, uint256 budget, uint32 nodeCount, bool open);

    /// @notice Registered nodes when the epoch was started.
    function nodeCountOf(uint32 epoch) external view returns (uint32);

    /// @notice Start an epoch: fix its parameter hash, beacon, node count, and budget. Anyone, from its first second on.
    /// @param reveal Hashed slotsPerEpoch times it must equal `beaconHead`.
    function startEpoch(uint32 epoch, bytes32 reveal) external;

    /// @notice Give up an epoch whose report did not come in time. Anyone, after the oracle's deadline for it.
    function skipEpoch(uint32 epoch) external;

    /// @notice Record that a report became final. Only the oracle.
    function closeEpoch(uint32 epoch, uint256 totalReward) external;

    /// @notice Commit a new hash chain, for the epochs not started yet. Only the owner.
    function setBeaconAnchor(bytes32 anchor) external;
}
