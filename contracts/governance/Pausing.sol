// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../interfaces/IPausing.sol";
import {Owned} from "./Owned.sol";

/// @title Implementation of IPausing
/// @dev Documented in IPausing. Every pause is kept, so the seconds that any deadline stood still are known exactly.
/// Since two pauses are PAUSE_GAP_S apart, looking back from now passes few of them.
abstract contract Pausing is IPausing, Owned {
    /// @dev A pause lasts from `since` (inclusive) to `until` (exclusive).
    struct Pause {
        uint64 since;
        uint64 until;
    }

    /// @custom:storage-location erc7201:qnet.Pausing
    struct PausingStore {
        address guardian;
        Pause[] pauses;
    }

    uint64 private constant PAUSE_MAX_S = 14 days;
    uint64 private constant PAUSE_GAP_S = 30 days;
    // keccak256(abi.encode(uint256(keccak256("qnet.Pausing")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant PAUSING_STORE = 0xdfe8770634b1852643f1a3f2ba4ace6af4d2957d0d3de9e722268a186074b200;

    modifier whenNotPaused() {
        _checkNotPaused();
        _;
    }

    /// @inheritdoc IPausing
    function pause(uint64 until) external override {
        PausingStore storage store = _pausingStore();
        if (msg.sender != store.guardian) revert NotGuardian(msg.sender);
        uint64 since = uint64(block.timestamp);
        if (until <= since || until > since + PAUSE_MAX_S) revert InvalidPause(until, since + PAUSE_MAX_S);
        uint64 last = pausedUntil();
        if (last != 0 && since < last + PAUSE_GAP_S) revert PausedTooRecently(last + PAUSE_GAP_S);
        store.pauses.push(Pause(since, until));
        emit Paused(since, until);
    }

    /// @inheritdoc IPausing
    function unpause() external override {
        PausingStore storage store = _pausingStore();
        if (msg.sender != store.guardian && msg.sender != owner) revert NotGuardian(msg.sender);
        uint64 oldUntil = pausedUntil();
        uint64 until = uint64(block.timestamp);
        if (until >= oldUntil) revert NotPaused();
        store.pauses[store.pauses.length - 1].until = until;
        emit Unpaused(oldUntil, until);
    }

    /// @inheritdoc IPausing
    function setGuardian(address newGuardian) external override onlyOwner {
        _initPausing(newGuardian);
    }

    /// @inheritdoc IPausing
    function guardian() external view override returns (address) {
        return _pausingStore().guardian;
    }

    /// @inheritdoc IPausing
    function isPaused() external view override returns (bool) {
        return block.timestamp < pausedUntil();
    }

    /// @inheritdoc IPausing
    function pausedUntil() public view override returns (uint64) {
        Pause[] storage pauses = _pausingStore().pauses;
        return pauses.length == 0 ? 0 : pauses[pauses.length - 1].until;
    }

    /// @inheritdoc IPausing
    function pausedSince(uint256 timestamp) public view override returns (uint256 total) {
        Pause[] storage pauses = _pausingStore().pauses;
        for (uint256 i = pauses.length; i > 0; --i) {
            Pause memory past = pauses[i - 1];
            uint256 end = past.until < block.timestamp ? past.until : block.timestamp;
            if (end <= timestamp) break;
            total += end - (past.since > timestamp ? past.since : timestamp);
        }
    }

    /// @dev Appoint the guardian, in a constructor or an initialiser.
    function _initPausing(address guardian_) internal {
        PausingStore storage store = _pausingStore();
        emit GuardianSet(store.guardian, guardian_);
        store.guardian = guardian_;
    }

    function _checkNotPaused() private view {
        uint64 until = pausedUntil();
        if (block.timestamp < until) revert IsPaused(until);
    }

    function _pausingStore() private pure returns (PausingStore storage store) {
        assembly ("memory-safe") {
            store.slot := PAUSING_STORE
        }
    }
}
