// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {Owned} from "./Owned.sol";

/// @title Implementation of IParameters
/// @dev Documented in IParameters.
contract Parameters is IParameters, Owned {
    using Checkpoints for Checkpoints.Trace208;

    /// @dev A key is known if it has a history.
    struct Entry {
        uint128 min;
        uint128 max;
        Checkpoints.Trace208 history;
    }

    bytes32[] private _keys;
    /// @dev Empty from a change until it is recorded: a vote is not to pay for hashing the whole set.
    bytes32 private _hash;
    mapping(bytes32 key => Entry) private _entries;

    /// @param owner_ The timelock.
    /// @param keys_ In declared order.
    /// @param values_ First values, each within its bounds.
    /// @param mins Least values.
    /// @param maxs Greatest values, below 2^128.
    constructor(
        address owner_,
        bytes32[] memory keys_,
        uint256[] memory values_,
        uint256[] memory mins,
        uint256[] memory maxs
    ) Owned(owner_) {
        uint256 count = keys_.length;
        if (values_.length != count || mins.length != count || maxs.length != count) revert LengthMismatch();
        for (uint256 i = 0; i < count; ++i) {
            bytes32 key = keys_[i];
            Entry storage entry = _entries[key];
            if (key == bytes32(0) || entry.history.length() != 0) revert InvalidKey(key);
            entry.min = SafeCast.toUint128(mins[i]);
            entry.max = SafeCast.toUint128(maxs[i]);
            _push(entry, key, values_[i]);
        }
        _keys = keys_;
        recordHash();
    }

    /// @inheritdoc IParameters
    function set(bytes32 key, uint256 value) external override onlyOwner {
        Entry storage entry = _entry(key);
        uint256 oldValue = entry.history.latest();
        _push(entry, key, value);
        delete _hash;
        emit ParameterSet(key, oldValue, value);
    }

    /// @inheritdoc IParameters
    function get(bytes32 key) external view override returns (uint256) {
        (bool known,, uint208 value) = _entries[key].history.latestCheckpoint();
        if (!known) revert UnknownParameter(key);
        return value;
    }

    /// @inheritdoc IParameters
    function getPast(bytes32 key, uint256 timepoint) external view override returns (uint256) {
        uint48 clock = Time.timestamp();
        if (timepoint >= clock) revert FutureLookup(timepoint, clock);
        return _entry(key).history.upperLookupRecent(SafeCast.toUint48(timepoint));
    }

    /// @inheritdoc IParameters
    function bounds(bytes32 key) external view override returns (uint256 min, uint256 max) {
        Entry storage entry = _entry(key);
        return (entry.min, entry.max);
    }

    /// @inheritdoc IParameters
    function keys() external view override returns (bytes32[] memory) {
        return _keys;
    }

    /// @inheritdoc IParameters
    function recordHash() public override returns (bytes32 recorded) {
        if (_hash != bytes32(0)) return _hash;
        recorded = paramsHash();
        _hash = recorded;
        emit HashRecorded(recorded);
    }

    /// @inheritdoc IParameters
    function paramsHash() public view override returns (bytes32) {
        return _hash != bytes32(0) ? _hash : keccak256(abi.encode(_keys, values()));
    }

    /// @inheritdoc IParameters
    function values() public view override returns (uint256[] memory all) {
        uint256 count = _keys.length;
        all = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            all[i] = _entries[_keys[i]].history.latest();
        }
    }

    function _push(Entry storage entry, bytes32 key, uint256 value) private {
        if (value < entry.min || value > entry.max) revert OutOfBounds(key, value, entry.min, entry.max);
        entry.history.push(Time.timestamp(), uint208(value));
    }

    function _entry(bytes32 key) private view returns (Entry storage entry) {
        entry = _entries[key];
        if (entry.history.length() == 0) revert UnknownParameter(key);
    }
}
