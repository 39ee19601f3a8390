// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";
import {Bonds} from "./Bonds.sol";

/// @title The pools of delegated tokens: shares, what they are worth, and the rewards that stream to them
/// @dev Virtual shares stand against one virtual wei, so the first to come cannot be robbed by rounding. Every division
/// is in favour of those who stay.
abstract contract Pools is Bonds {
    using Checkpoints for Checkpoints.Trace208;

    /// @inheritdoc IStakeHub
    function poolOf(uint32 index) external view override returns (uint256) {
        return _available(_stake(index));
    }

    /// @inheritdoc IStakeHub
    function poolAt(uint32 index, uint48 timestamp) external view override returns (uint256) {
        return _stake(index).pool.upperLookup(_past(timestamp));
    }

    /// @inheritdoc IStakeHub
    function stakeOf(uint32 index) external view override returns (uint256) {
        uint256 own = bondOf(index);
        return own + Math.min(_stake(index).pool.latest(), _poolMax(own));
    }

    /// @inheritdoc IStakeHub
    function sharesOf(uint32 index) external view override returns (uint256) {
        return _stake(index).shares;
    }

    /// @inheritdoc IStakeHub
    function streamOf(uint32 index) external view override returns (uint256 unstreamed, uint64 endsAt) {
        return (_unstreamed(_stake(index)), _stake(index).streamUntil);
    }

    /// @inheritdoc IStakeHub
    function positionOf(address account, uint32 index)
        external
        view
        override
        returns (uint256 shares, uint256 principal, uint256 worth)
    {
        Position storage position = _store().positions[account][index];
        return (position.shares, position.principal, _worth(_stake(index), position.shares));
    }

    /// @dev Put tokens of an account into a pool that takes them.
    function _enter(uint32 index, address account, uint256 amount, uint256 minShares)
        internal
        returns (uint256 shares)
    {
        if (amount == 0) revert ZeroAmount();
        Stake storage stake = _stake(index);
        uint256 available = _available(stake);
        _checkOpen(index, stake, available + amount);
        uint256 before = stake.shares;
        shares = amount * (before + VIRTUAL_SHARES) / (available + 1);
        if (shares == 0) revert ZeroAmount();
        if (shares < minShares) revert TooFewShares(shares, minShares);
        stake.assets = SafeCast.toUint112(stake.assets + amount);
        stake.shares = SafeCast.toUint112(before + shares);
        Position storage position = _store().positions[account][index];
        position.shares += uint128(shares);
        position.principal += uint128(amount);
        _checkpoint(stake);
    }

    /// @dev Take shares of an account, of which `bound` are not free, out of a pool.
    /// @return amount What they are worth.
    /// @return principal The part of the principal that leaves with them.
    function _exit(uint32 index, address account, uint256 shares, uint256 bound)
        internal
        returns (uint256 amount, uint256 principal)
    {
        if (shares == 0) revert ZeroAmount();
        Position storage position = _store().positions[account][index];
        uint256 held = position.shares;
        if (shares > held - bound) revert InsufficientShares(index, account, shares, held - bound);
        principal = shares * position.principal / held;
        position.shares = uint128(held - shares);
        position.principal -= uint128(principal);
        Stake storage stake = _stake(index);
        amount = _burnShares(stake, shares);
        if (amount == 0) revert ZeroAmount();
        _checkpoint(stake);
    }

    /// @dev Take shares out of a pool for what they are worth. What the last one leaves behind, rewards that still
    /// stream and rounding, goes to the operator: it belongs to nobody else.
    function _burnShares(Stake storage stake, uint256 shares) internal returns (uint256 amount) {
        amount = _worth(stake, shares);
        uint256 assets = stake.assets - amount;
        uint256 left = stake.shares - shares;
        if (left == 0) {
            stake.owed = SafeCast.toUint112(stake.owed + assets);
            stake.streaming = 0;
            assets = 0;
        }
        stake.assets = uint112(assets);
        stake.shares = uint112(left);
    }

    /// @dev Bring the voting principal of a delegation down to what it is worth.
    function _trim(address account, uint32 index) internal {
        Position storage position = _store().positions[account][index];
        uint256 principal = position.principal;
        uint256 worth = _worth(_stake(index), position.shares);
        if (worth >= principal) return;
        position.principal = uint128(worth);
        emit Poked(index, account, principal, worth);
        _changeVotes(account, int256(worth) - int256(principal));
    }

    function _checkpoint(Stake storage stake) internal {
        stake.pool.push(Time.timestamp(), uint208(_available(stake)));
    }

    /// @dev Assets without those that still stream.
    function _available(Stake storage stake) internal view returns (uint256) {
        return stake.assets - _unstreamed(stake);
    }

    /// @dev Rounded up.
    function _unstreamed(Stake storage stake) internal view returns (uint256) {
        uint256 until = stake.streamUntil;
        if (block.timestamp >= until) return 0;
        return Math.ceilDiv(stake.streaming * (until - block.timestamp), until - stake.streamFrom);
    }

    function _worth(Stake storage stake, uint256 shares) private view returns (uint256) {
        return shares * (_available(stake) + 1) / (stake.shares + VIRTUAL_SHARES);
    }

    /// @dev Refuse delegations to a node in a wrong state, with too little bond, or with rewards to settle first.
    function _checkOpen(uint32 index, Stake storage stake, uint256 newPool) private view {
        INodeRegistry.State state = _stateOf(index);
        if (state != INodeRegistry.State.Active && state != INodeRegistry.State.Registered) {
            revert NotBondable(index, state);
        }
        uint256 max = _poolMax(stake.bond.latest());
        if (newPool > max) revert Oversubscribed(index, newPool, max);
        uint32 settled = stake.settledThrough;
        uint32 finalThrough = oracle.finalThrough();
        if (settled < finalThrough && index <= epochs.nodeCountOf(finalThrough - 1)) {
            revert NotSettled(index, settled, finalThrough);
        }
    }

    function _poolMax(uint256 ownBond) private view returns (uint256) {
        return ownBond * _parameter(ParameterKeys.DELEGATION_FACTOR);
    }
}
