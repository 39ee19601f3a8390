// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {Pools} from "./Pools.sol";

/// @title What delegators do, and the liens on what they moved
/// @dev A lien is slashed when somebody touches its delegation, from the list of the source's slashes: the same shares
/// go as if every slash had reached it at once.
abstract contract Delegation is Pools {
    using ExactTransfers for IERC20;

    /// @inheritdoc IStakeHub
    function delegate(uint32 index, uint256 amount, uint256 minShares)
        external
        override
        returns (uint256 shares)
    {
        return _delegate(index, amount, minShares);
    }

    /// @inheritdoc IStakeHub
    function delegateWithPermit(
        uint32 index,
        uint256 amount,
        uint256 minShares,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external override returns (uint256 shares) {
        _permit(amount, deadline, v, r, s);
        return _delegate(index, amount, minShares);
    }

    /// @inheritdoc IStakeHub
    function undelegate(uint32 index, uint256 shares)
        external
        override
        nonReentrant
        returns (uint8 ticket, uint256 amount)
    {
        (uint256 bound, uint256 slashed) = _settleLiens(msg.sender, index);
        uint256 principal;
        (amount, principal) = _exit(index, msg.sender, shares, bound);
        _changeVotes(msg.sender, -int256(principal));
        uint40 unlocksAt;
        (ticket, unlocksAt) = _openTicket(Ticket(index, 0, false, 0, 0), amount);
        emit Undelegated(index, msg.sender, ticket, shares, amount, _available(_stake(index)), unlocksAt);
        _burn(slashed);
    }

    /// @inheritdoc IStakeHub
    function redelegate(uint32 source, uint32 target, uint256 shares, uint256 minShares)
        external
        override
        whenNotPaused
        nonReentrant
        returns (uint256 minted)
    {
        if (source == target) revert SameNode(source);
        if (_stake(source).freezes != 0) revert Frozen(source);
        (uint256 bound, uint256 slashed) = _settleLiens(msg.sender, source);
        (uint256 amount, uint256 principal) = _exit(source, msg.sender, shares, bound);
        minted = _enter(target, msg.sender, amount, minShares);
        _changeVotes(msg.sender, int256(amount) - int256(principal));
        uint40 unlocksAt = _bind(source, target, minted);
        emit Redelegated(source, target, msg.sender, amount, shares, minted, unlocksAt);
        _burn(slashed);
    }

    /// @inheritdoc IStakeHub
    function poke(address account, uint32 index) external override nonReentrant {
        (, uint256 slashed) = _settleLiens(account, index);
        _trim(account, index);
        _checkpoint(_stake(index));
        _burn(slashed);
    }

    /// @inheritdoc IStakeHub
    function liensOf(address account) external view override returns (Lien[] memory liens) {
        Store storage store = _store();
        uint256 bitmap = store.accounts[account].liens;
        liens = new Lien[](TICKETS_MAX);
        uint256 found;
        for (uint256 number = 0; number < TICKETS_MAX; ++number) {
            if ((bitmap >> number) & 1 != 0) liens[found++] = store.liens[account][number];
        }
        assembly ("memory-safe") {
            mstore(liens, found)
        }
    }

    function _delegate(uint32 index, uint256 amount, uint256 minShares)
        private
        whenNotPaused
        nonReentrant
        returns (uint256 shares)
    {
        shares = _enter(index, msg.sender, amount, minShares);
        _changeVotes(msg.sender, int256(amount));
        emit Delegated(index, msg.sender, amount, shares, _available(_stake(index)));
        token.take(msg.sender, amount);
    }

    /// @dev Bind shares of the caller to the node they moved to.
    function _bind(uint32 source, uint32 target, uint256 shares) private returns (uint40 unlocksAt) {
        Store storage store = _store();
        Account storage account = store.accounts[msg.sender];
        uint8 number = _freeNumber(account.liens);
        account.liens |= uint16(1 << number);
        uint32 epoch;
        (epoch, unlocksAt) = _term();
        uint32 slashesSeen = uint32(_stake(source).slashes.length);
        store.liens[msg.sender][number] = Lien(source, target, epoch, slashesSeen, unlocksAt, uint128(shares));
    }

    /// @dev Slash the liens on a delegation for what their sources did, and lift those that are over.
    /// @return bound Shares that stay bound.
    /// @return slashed Wei that left the pool, to be burned.
    function _settleLiens(address account, uint32 target) private returns (uint256 bound, uint256 slashed) {
        Account storage entry = _store().accounts[account];
        uint16 bitmap = entry.liens;
        if (bitmap == 0) return (0, 0);
        uint16 kept = bitmap;
        for (uint256 number = 0; number < TICKETS_MAX; ++number) {
            if ((bitmap >> number) & 1 == 0) continue;
            Lien storage lien = _store().liens[account][number];
            if (lien.target != target) continue;
            slashed += _slashLien(account, lien);
            if (_isOver(lien)) kept ^= uint16(1 << number);
            else bound += lien.shares;
        }
        if (kept != bitmap) entry.liens = kept;
        if (slashed != 0) _trim(account, target);
    }

    /// @dev Take what slashes of the source since the last look take from a lien.
    function _slashLien(address account, Lien storage lien) private returns (uint256 amount) {
        PastSlash[] storage slashes = _stake(lien.source).slashes;
        uint256 count = slashes.length;
        uint256 seen = lien.slashesSeen;
        if (seen == count) return 0;
        uint256 shares = lien.shares;
        for (; seen < count; ++seen) {
            PastSlash memory past = slashes[seen];
            if (past.epoch <= lien.epoch) shares -= shares * past.ppm / POOL_SCALE;
        }
        uint256 taken = lien.shares - shares;
        lien.slashesSeen = uint32(count);
        lien.shares = uint128(shares);
        if (taken == 0) return 0;
        uint32 target = lien.target;
        _store().positions[account][target].shares -= uint128(taken);
        Stake storage stake = _stake(target);
        amount = _burnShares(stake, taken);
        _checkpoint(stake);
        emit RedelegationSlashed(lien.source, target, account, amount);
    }

    function _isOver(Lien storage lien) private view returns (bool) {
        return _stake(lien.source).freezes == 0 && block.timestamp >= _ripeAt(lien.epoch, lien.unlocksAt);
    }

    function _burn(uint256 amount) private {
        if (amount == 0) return;
        uint256 before = token.held(address(this));
        ERC20Burnable(address(token)).burn(amount);
        ExactTransfers.expect(amount, token.held(address(this)), before);
    }
}
