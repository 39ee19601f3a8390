// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Arrays} from "@openzeppelin/contracts/utils/Arrays.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";

/// @title Rewards in integers: performance, stake, reward, split, reputation
/// @dev Multiply first, divide once, round down. A product that could exceed 256 bits is divided in 512 (`mulDiv`), so
/// every floor is the one of the rule. Nothing overflows for ratios up to one, any amounts in wei, alpha below 2^64 and
/// fewer than 2^32 slots. Mirrors: ledger/domain/{audits,rewards,reputation}.py. Source: docs/spec/rewards.md, by rule.
library RewardFormula {
    /// @dev One, in millionths.
    uint256 internal constant M = 1_000_000;
    /// @dev P of a slot in which every counted probe returned, in thousandths.
    uint256 internal constant P_ONE = 1_000;
    /// @dev Most that a slot without enough results carries, in thousandths.
    uint256 internal constant P_CARRY = 900;
    /// @dev Fewer results do not make a median.
    uint256 internal constant RESULTS_MIN = 3;

    uint256 private constant SLOT_BITS = 10;
    uint256 private constant SLOT_MASK = (1 << SLOT_BITS) - 1;
    uint256 private constant SLOTS_PER_DROP = 12;

    /// @dev What a node's reward follows from. `budget` is the role's part of the epoch's.
    struct Work {
        uint256 budget;
        uint256 slots;
        uint256 bond;
        uint256 stake;
        uint256 stakeReference;
        uint256 alpha;
        uint256 p;
        uint256 w;
    }

    /// @dev What a reward is split by.
    struct Terms {
        uint256 cost;
        uint256 costMax;
        uint256 margin;
        uint256 marginMin;
    }

    /// @dev How reputation moves.
    struct Pace {
        uint256 start;
        uint256 rise;
        uint256 fall;
    }

    /// @dev P of a slot, in thousandths (QN-REW-070).
    function slotAt(uint256 slotP, uint256 slot) internal pure returns (uint256) {
        return (slotP >> (slot * SLOT_BITS)) & SLOT_MASK;
    }

    /// @dev Whether `slots` values of at most P_ONE are packed, and nothing else.
    function isPacked(uint256 slotP, uint256 slots) internal pure returns (bool) {
        for (uint256 i = 0; i < slots; ++i) {
            if (slotAt(slotP, i) > P_ONE) return false;
        }
        return slotP >> (slots * SLOT_BITS) == 0;
    }

    /// @dev Epoch P in millionths: the mean of all but the worst slots (QN-REW-045).
    function epochPerformance(uint256 slotP, uint256 slots) internal pure returns (uint256) {
        uint256[] memory values = new uint256[](slots);
        for (uint256 i = 0; i < slots; ++i) {
            values[i] = slotAt(slotP, i);
        }
        Arrays.sort(values);
        uint256 dropped = slots / SLOTS_PER_DROP;
        uint256 sum;
        for (uint256 i = dropped; i < slots; ++i) {
            sum += values[i];
        }
        return sum * (M / P_ONE) / (slots - dropped);
    }

    /// @dev Lower median of the shares of probes that came back, in thousandths (QN-REW-043, 044). The lists are of
    /// one length above zero; no `sent` is zero.
    function medianOf(uint32[] memory sent, uint32[] memory returned) internal pure returns (uint256) {
        uint256[] memory values = new uint256[](sent.length);
        for (uint256 i = 0; i < sent.length; ++i) {
            values[i] = returned[i] * P_ONE / sent[i];
        }
        Arrays.sort(values);
        return values[(values.length - 1) / 2];
    }

    /// @dev Stake that counts at a moment (QN-REW-002).
    function counted(uint256 bond, uint256 pool, uint256 factor) internal pure returns (uint256) {
        return bond + Math.min(pool, Math.saturatingMul(factor, bond));
    }

    /// @dev A role's part of an epoch's budget (QN-REW-003).
    function roleBudget(uint256 budget, uint256 weight) internal pure returns (uint256) {
        return Math.mulDiv(budget, weight, M);
    }

    /// @dev Sigma or lambda: an amount against Z, at most one (QN-REW-010).
    function shareOf(uint256 amount, uint256 stakeReference) internal pure returns (uint256) {
        return amount >= stakeReference ? M : Math.mulDiv(amount, M, stakeReference);
    }

    /// @dev Reward of a paid node (QN-REW-050). The factor is at most the divisor over the slots, so the quotient fits.
    function reward(Work memory work) internal pure returns (uint256) {
        uint256 sigma = shareOf(work.stake, work.stakeReference);
        uint256 lambda = shareOf(work.bond, work.stakeReference);
        uint256 factor = sigma * (M * M + work.alpha * lambda) * work.p * work.p * work.w;
        uint256 divisor = work.slots * M * (M * M + work.alpha * M) * M * M * M;
        return Math.mulDiv(work.budget, factor, divisor);
    }

    /// @dev Operator's and delegators' part of a reward (QN-REW-052). The bond is at most the stake; p and w are at most M.
    function split(uint256 whole, uint256 p, uint256 w, Terms memory terms, uint256 bond, uint256 stake)
        internal
        pure
        returns (uint256 operator, uint256 pool)
    {
        if (whole == 0) return (0, 0);
        uint256 earned = Math.mulDiv(Math.mulDiv(Math.min(terms.cost, terms.costMax), p, M), w, M);
        uint256 cost = Math.min(whole, earned);
        uint256 margin = Math.min(Math.max(terms.margin, terms.marginMin), M);
        uint256 forMargin = Math.mulDiv(whole - cost, margin, M);
        uint256 forBond = Math.mulDiv(whole - cost - forMargin, bond, stake);
        operator = cost + forMargin + forBond;
        pool = whole - operator;
    }

    /// @dev Reputation after an epoch that a node began in a state; Active ones must have taken part (QN-REW-060, 061).
    function nextReputation(uint256 rho, uint256 p, uint256 w, INodeRegistry.State state, Pace memory pace)
        internal
        pure
        returns (uint256)
    {
        if (state == INodeRegistry.State.Tombstoned || state == INodeRegistry.State.Retired) return 0;
        if (state == INodeRegistry.State.Jailed) return Math.min(rho, pace.start);
        if (state != INodeRegistry.State.Active) return rho;
        uint256 quality = p * w / M;
        if (quality > rho) return rho + (quality - rho) / pace.rise;
        return rho - (rho - quality) / pace.fall;
    }
}
