// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {StakedVotes} from "./StakedVotes.sol";
import {Tickets} from "./Tickets.sol";

/// @title What owners put down for their own nodes
abstract contract Bonds is StakedVotes, Tickets {
    using Checkpoints for Checkpoints.Trace208;
    using ExactTransfers for IERC20;

    /// @inheritdoc IStakeHub
    function bond(uint32 index, uint256 amount) external override {
        _bond(index, amount);
    }

    /// @inheritdoc IStakeHub
    function bondWithPermit(uint32 index, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        override
    {
        _permit(amount, deadline, v, r, s);
        _bond(index, amount);
    }

    /// @inheritdoc IStakeHub
    function unbond(uint32 index, uint256 amount) external override nonReentrant returns (uint8 ticket) {
        _checkNodeOwner(index);
        if (amount == 0) revert ZeroAmount();
        uint256 before = bondOf(index);
        if (amount > before) revert InsufficientBond(index, amount, before);
        uint256 newBond = before - amount;
        _changeVotes(msg.sender, -int256(amount));
        uint40 unlocksAt;
        (ticket, unlocksAt) = _openTicket(Ticket(index, 0, true, 0, 0), amount);
        emit Unbonded(index, msg.sender, ticket, amount, newBond, unlocksAt);
        _setBond(index, newBond);
    }

    /// @inheritdoc IStakeHub
    function bondOf(uint32 index) public view override returns (uint256) {
        return _stake(index).bond.latest();
    }

    /// @inheritdoc IStakeHub
    function bondAt(uint32 index, uint48 timestamp) external view override returns (uint256) {
        return _stake(index).bond.upperLookup(_past(timestamp));
    }

    /// @dev Change a bond, and tell the registry, which is trusted.
    function _setBond(uint32 index, uint256 amount) internal {
        _stake(index).bond.push(Time.timestamp(), SafeCast.toUint208(amount));
        registry.onBondChanged(index, amount);
    }

    /// @dev A permit that someone else sent in first, or a token without permits, does no harm: the allowance decides.
    function _permit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) internal {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
    }

    function _checkNodeOwner(uint32 index) internal view {
        if (_ownerOf(index) != msg.sender) revert NotNodeOwner(index, msg.sender);
    }

    function _bond(uint32 index, uint256 amount) private whenNotPaused nonReentrant {
        _checkNodeOwner(index);
        INodeRegistry.State state = _stateOf(index);
        if (state == INodeRegistry.State.Retired || state == INodeRegistry.State.Tombstoned) {
            revert NotBondable(index, state);
        }
        if (amount == 0) revert ZeroAmount();
        uint256 newBond = bondOf(index) + amount;
        _changeVotes(msg.sender, SafeCast.toInt256(amount));
        emit Bonded(index, msg.sender, amount, newBond);
        _setBond(index, newBond);
        token.take(msg.sender, amount);
    }
}
