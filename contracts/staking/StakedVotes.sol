// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IStakedVotes} from "../../interfaces/IStakedVotes.sol";

/// @title Implementation of IStakedVotes
/// @dev Documented in IStakedVotes.
abstract contract StakedVotes is IStakedVotes {
    using Checkpoints for Checkpoints.Trace208;

    /// @custom:storage-location erc7201:qnet.StakedVotes
    struct VotesStore {
        mapping(address account => uint256) principal;
        mapping(address account => address) delegatee;
        mapping(address account => Checkpoints.Trace208) votes;
        Checkpoints.Trace208 total;
    }

    // keccak256(abi.encode(uint256(keccak256("qnet.StakedVotes")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant VOTES_STORE = 0x3f1b67e6ead6df0105a045d0c577f3d1ff844973782be4a80e43114b58425d00;

    /// @inheritdoc IStakedVotes
    function delegate(address delegatee) external override {
        if (delegatee == address(0)) revert EmptyDelegate();
        VotesStore storage store = _votesStore();
        address before = delegates(msg.sender);
        store.delegatee[msg.sender] = delegatee;
        emit DelegateChanged(msg.sender, before, delegatee);
        if (before == delegatee) return;
        uint208 amount = SafeCast.toUint208(store.principal[msg.sender]);
        _change(before, amount, false);
        _change(delegatee, amount, true);
    }

    /// @inheritdoc IStakedVotes
    function getVotes(address account) external view override returns (uint256) {
        return _votesStore().votes[account].latest();
    }

    /// @inheritdoc IStakedVotes
    function getPastVotes(address account, uint256 timepoint) external view override returns (uint256) {
        return _votesStore().votes[account].upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc IStakedVotes
    function getPastTotalSupply(uint256 timepoint) external view override returns (uint256) {
        return _votesStore().total.upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc IStakedVotes
    function delegates(address account) public view override returns (address) {
        address chosen = _votesStore().delegatee[account];
        return chosen == address(0) ? account : chosen;
    }

    /// @inheritdoc IStakedVotes
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @inheritdoc IStakedVotes
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() external pure override returns (string memory) {
        return "mode=timestamp";
    }

    function _addVotes(address account, uint256 amount) internal {
        VotesStore storage store = _votesStore();
        uint208 units = SafeCast.toUint208(amount);
        store.principal[account] += amount;
        store.total.push(clock(), store.total.latest() + units);
        _change(delegates(account), units, true);
    }

    function _removeVotes(address account, uint256 amount) internal {
        VotesStore storage store = _votesStore();
        uint208 units = SafeCast.toUint208(amount);
        store.principal[account] -= amount;
        store.total.push(clock(), store.total.latest() - units);
        _change(delegates(account), units, false);
    }

    function _totalVotes() internal view returns (uint256) {
        return _votesStore().total.latest();
    }

    function _past(uint256 timepoint) internal view returns (uint48) {
        uint48 current = clock();
        if (timepoint >= current) revert FutureLookup(timepoint, current);
        return uint48(timepoint);
    }

    function _change(address account, uint208 amount, bool up) private {
        if (amount == 0) return;
        Checkpoints.Trace208 storage trace = _votesStore().votes[account];
        uint208 before = trace.latest();
        uint208 afterwards = up ? before + amount : before - amount;
        trace.push(clock(), afterwards);
        emit DelegateVotesChanged(account, before, afterwards);
    }

    function _votesStore() private pure returns (VotesStore storage store) {
        assembly ("memory-safe") {
            store.slot := VOTES_STORE
        }
    }
}
