// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";
import {HubStore} from "./HubStore.sol";

/// @title Tokens that left a bond or a pool and wait, still slashable
/// @dev Buckets of one kind form a list from the newest to the oldest, so a slash visits those that exist, not every
/// epoch. A ticket's slot is not cleared when it is paid out, only its bit: the next one of that number costs less.
abstract contract Tickets is HubStore {
    using ExactTransfers for IERC20;

    /// @inheritdoc IStakeHub
    function withdraw(uint8 number) external override nonReentrant returns (uint256 amount) {
        Store storage store = _store();
        uint32 index;
        bool fromBond;
        uint32 epoch;
        uint64 until;
        (index, fromBond, epoch, amount, until) = ticketOf(msg.sender, number);
        if (index == 0) revert NoTicket(msg.sender, number);
        if (block.timestamp < until) revert StillUnbonding(msg.sender, number, until);
        Stake storage stake = _stake(index);
        if (stake.freezes != 0) revert Frozen(index);

        store.accounts[msg.sender].tickets ^= uint16(1 << number);
        Bucket storage bucket = stake.buckets[fromBond][epoch];
        bucket.assets -= uint112(amount);
        bucket.shares -= store.tickets[msg.sender][number].shares;
        emit Withdrawn(msg.sender, number, amount);
        token.pay(msg.sender, amount);
    }

    /// @inheritdoc IStakeHub
    function ticketOf(address account, uint8 number)
        public
        view
        override
        returns (uint32 index, bool fromBond, uint32 epoch, uint256 amount, uint64 unlocksAt)
    {
        Store storage store = _store();
        if (number >= TICKETS_MAX || (store.accounts[account].tickets >> number) & 1 == 0) return (0, false, 0, 0, 0);
        Ticket memory entry = store.tickets[account][number];
        Bucket storage bucket = _stake(entry.index).buckets[entry.fromBond][entry.epoch];
        amount = uint256(entry.shares) * bucket.assets / bucket.shares;
        unlocksAt = uint64(_ripeAt(entry.epoch, entry.unlocksAt));
        return (entry.index, entry.fromBond, entry.epoch, amount, unlocksAt);
    }

    /// @inheritdoc IStakeHub
    function ticketsOf(address account) external view override returns (uint256 bitmap) {
        return _store().accounts[account].tickets;
    }

    /// @dev Let tokens of the caller wait, in a ticket of which node and kind are given.
    function _openTicket(Ticket memory ticket, uint256 amount)
        internal
        returns (uint8 number, uint40 unlocksAt)
    {
        Store storage store = _store();
        Account storage account = store.accounts[msg.sender];
        number = _freeNumber(account.tickets);
        account.tickets |= uint16(1 << number);
        (ticket.epoch, unlocksAt) = _term();
        Stake storage stake = _stake(ticket.index);
        Bucket storage bucket = stake.buckets[ticket.fromBond][ticket.epoch];
        uint256 assets = bucket.assets;
        uint256 shares = bucket.shares;
        if (shares == 0) _link(stake, bucket, ticket.fromBond, ticket.epoch);
        uint256 minted = shares == 0 || assets == 0 ? amount : amount * shares / assets;
        bucket.assets = SafeCast.toUint112(assets + amount);
        bucket.shares = SafeCast.toUint112(shares + minted);
        ticket.unlocksAt = unlocksAt;
        ticket.shares = uint112(minted);
        store.tickets[msg.sender][number] = ticket;
    }

    /// @dev The running epoch, the last one in which what leaves now counts, and when it is free.
    function _term() internal view returns (uint32 epoch, uint40 unlocksAt) {
        epoch = _currentEpoch();
        unlocksAt = SafeCast.toUint40(_epochEnd(epoch) + _parameter(ParameterKeys.UNBOND_S));
    }

    /// @dev When something is free that counted until `epoch`: the seconds since in which nobody could bring evidence
    /// are added. What is free before a pause stays so, as each of its seconds moves this moment by one.
    function _ripeAt(uint32 epoch, uint40 unlocksAt) internal view returns (uint256) {
        return unlocksAt + court.pausedSince(_epochEnd(epoch));
    }

    /// @dev Last epoch, plus one, of the newest bucket of a kind; 0 if there is none.
    function _newest(Stake storage stake, bool fromBond) internal view returns (uint32) {
        return fromBond ? stake.lastBondBucket : stake.lastPoolBucket;
    }

    /// @dev Put a bucket at the head of the list of its kind, unless it is there: it is of the running epoch.
    function _link(Stake storage stake, Bucket storage bucket, bool fromBond, uint32 epoch) private {
        uint32 newest = _newest(stake, fromBond);
        if (newest == epoch + 1) return;
        bucket.previous = newest;
        if (fromBond) stake.lastBondBucket = epoch + 1;
        else stake.lastPoolBucket = epoch + 1;
    }
}
