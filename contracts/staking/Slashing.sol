// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {Pools} from "./Pools.sol";

/// @title What the slasher takes, and the tickets it freezes meanwhile
abstract contract Slashing is Pools {
    using ExactTransfers for IERC20;

    /// @dev Wei taken, and how much more may be.
    struct Taken {
        uint256 left;
        uint256 fromBond;
        uint256 fromPool;
        uint256[2] fromTickets;
    }

    uint256 private constant BOND = 0;
    uint256 private constant POOL = 1;

    /// @inheritdoc IStakeHub
    function slash(uint32 index, uint32 epoch, uint32 ppm, uint256 maxAmount)
        external
        override
        onlySlasher
        nonReentrant
        returns (uint256 amount)
    {
        uint256 rate = Math.min(ppm, M);
        uint256 sum = _sum(index, epoch, rate, M, POOL_SCALE);
        if (sum > maxAmount) rate = rate * maxAmount / sum;
        if (rate == 0) return 0;
        Taken memory taken = _take(index, epoch, rate, maxAmount);
        amount = maxAmount - taken.left;
        _stake(index).slashes.push(PastSlash(epoch, uint32(rate)));
        emit Slashed(index, epoch, taken.fromBond, taken.fromPool, taken.fromTickets[BOND], taken.fromTickets[POOL]);
        if (taken.fromBond != 0) {
            _changeVotes(_ownerOf(index), -int256(taken.fromBond));
            _setBond(index, bondOf(index) - taken.fromBond);
        }
        token.pay(slasher, amount);
    }

    /// @inheritdoc IStakeHub
    function freeze(uint32 index) external override onlySlasher {
        uint256 freezes = freezesOf(index);
        _setFreezes(index, freezes, freezes + 1);
    }

    /// @inheritdoc IStakeHub
    function unfreeze(uint32 index) external override onlySlasher {
        uint256 freezes = freezesOf(index);
        if (freezes == 0) revert NotFrozen(index);
        _setFreezes(index, freezes, freezes - 1);
    }

    /// @inheritdoc IStakeHub
    function slashableOf(uint32 index, uint32 epoch) external view override returns (uint256) {
        return _sum(index, epoch, 1, 1, 1);
    }

    /// @inheritdoc IStakeHub
    function slashCountOf(uint32 index) external view override returns (uint256) {
        return _stake(index).slashes.length;
    }

    /// @inheritdoc IStakeHub
    function freezesOf(uint32 index) public view override returns (uint256) {
        return _stake(index).freezes;
    }

    function _setFreezes(uint32 index, uint256 oldFreezes, uint256 freezes) private {
        emit FreezesChanged(index, oldFreezes, freezes);
        _stake(index).freezes = uint32(freezes);
    }

    /// @dev Take `rate` of everything, the bond and its tickets first, but never more than `max`: many parts rounded
    /// down can come to more than their sum cut down and rounded down. The bond itself is left to the caller.
    function _take(uint32 index, uint32 epoch, uint256 rate, uint256 max) private returns (Taken memory taken) {
        Stake storage stake = _stake(index);
        taken.left = max;
        taken.fromBond = _part(taken, bondOf(index), rate, M);
        for (uint256 kind = BOND; kind <= POOL; ++kind) {
            uint256 scale = kind == BOND ? M : POOL_SCALE;
            if (kind == POOL) taken.fromPool = _part(taken, _available(stake), rate, POOL_SCALE);
            uint32 cursor = _newest(stake, kind == BOND);
            while (cursor > epoch) {
                Bucket storage bucket = stake.buckets[kind == BOND][cursor - 1];
                uint256 part = _part(taken, bucket.assets, rate, scale);
                bucket.assets -= uint112(part);
                taken.fromTickets[kind] += part;
                cursor = bucket.previous;
            }
        }
        stake.assets -= uint112(taken.fromPool);
        _checkpoint(stake);
    }

    function _part(Taken memory taken, uint256 base, uint256 rate, uint256 scale) private pure returns (uint256 part) {
        part = Math.min(base * rate / scale, taken.left);
        taken.left -= part;
    }

    /// @dev `rate / scale` of the bond and of its tickets since `epoch`, `rate / poolScale` of the pool and its tickets.
    function _sum(uint32 index, uint32 epoch, uint256 rate, uint256 scale, uint256 poolScale)
        private
        view
        returns (uint256 sum)
    {
        Stake storage stake = _stake(index);
        sum = bondOf(index) * rate / scale + _available(stake) * rate / poolScale;
        for (uint256 kind = BOND; kind <= POOL; ++kind) {
            uint32 cursor = _newest(stake, kind == BOND);
            while (cursor > epoch) {
                Bucket storage bucket = stake.buckets[kind == BOND][cursor - 1];
                sum += bucket.assets * rate / (kind == BOND ? scale : poolScale);
                cursor = bucket.previous;
            }
        }
    }
}
