// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IStakedVotes} from "../../interfaces/IStakedVotes.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {HubStore} from "./HubStore.sol";

/// @title Implementation of IStakedVotes
/// @dev Documented in IStakedVotes.
abstract contract StakedVotes is HubStore {
    using Checkpoints for Checkpoints.Trace208;

    /// @inheritdoc IStakedVotes
    function delegateVotes(address delegatee) external override {
        if (delegatee == address(0)) revert EmptyDelegate();
        Store storage store = _store();
        address before = delegates(msg.sender);
        store.delegatees[msg.sender] = delegatee;
        store.accounts[msg.sender].delegating = true;
        emit DelegateChanged(msg.sender, before, delegatee);
        if (before == delegatee) return;
        int256 principal = int256(uint256(store.accounts[msg.sender].principal));
        _changeTrace(before, -principal);
        _changeTrace(delegatee, principal);
    }

    /// @inheritdoc IStakeHub
    function totalBonded() external view override returns (uint256) {
        return _store().totalVotes;
    }

    /// @inheritdoc IStakedVotes
    function getVotes(address account) external view override returns (uint256) {
        return _store().votes[account].latest();
    }

    /// @inheritdoc IStakedVotes
    function getPastVotes(address account, uint256 timepoint) external view override returns (uint256) {
        return _store().votes[account].upperLookup(_past(timepoint));
    }

    /// @inheritdoc IStakedVotes
    function delegates(address account) public view override returns (address) {
        Store storage store = _store();
        return store.accounts[account].delegating ? store.delegatees[account] : account;
    }

    /// @inheritdoc IStakedVotes
    function clock() external view override returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc IStakedVotes
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() external pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @dev An account stakes so much more, or less.
    function _changeVotes(address account, int256 delta) internal {
        Store storage store = _store();
        Account storage entry = store.accounts[account];
        entry.principal = SafeCast.toUint128(_shift(entry.principal, delta));
        store.totalVotes = _shift(store.totalVotes, delta);
        _changeTrace(delegates(account), delta);
    }

    function _changeTrace(address delegatee, int256 delta) private {
        if (delta == 0) return;
        Checkpoints.Trace208 storage trace = _store().votes[delegatee];
        uint256 before = trace.latest();
        uint256 afterwards = _shift(before, delta);
        trace.push(Time.timestamp(), SafeCast.toUint208(afterwards));
        emit DelegateVotesChanged(delegatee, before, afterwards);
    }

    function _shift(uint256 value, int256 delta) private pure returns (uint256) {
        return SafeCast.toUint256(SafeCast.toInt256(value) + delta);
    }
}
