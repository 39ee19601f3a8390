// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RewardFormula} from "../../../contracts/libraries/RewardFormula.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {Test} from "../support/Test.sol";

/// @title Stake, reward, split and reputation
contract RewardsTest is Test {
    uint256 private constant M = 1_000_000;
    uint256 private constant Z = 100_000 ether;

    function _work(uint256 bond, uint256 stake, uint256 p, uint256 w)
        private
        pure
        returns (RewardFormula.Work memory)
    {
        return RewardFormula.Work(60_000 ether, 2500, bond, stake, Z, 300_000, p, w);
    }

    function test_ThePoolCountsUpToTheFactor() external pure {
        vm.assertEq(RewardFormula.counted(100, 899, 9), 999);
        vm.assertEq(RewardFormula.counted(100, 900, 9), 1000);
        vm.assertEq(RewardFormula.counted(100, 901, 9), 1000);
        vm.assertEq(RewardFormula.counted(0, 901, 9), 0);
        vm.assertEq(RewardFormula.counted(1 << 200, 1 << 254, type(uint256).max), (1 << 200) + (1 << 254));
    }

    function test_ShareSaturatesAtOne() external pure {
        vm.assertEq(RewardFormula.shareOf(0, Z), 0);
        vm.assertEq(RewardFormula.shareOf(Z - 1, Z), M - 1);
        vm.assertEq(RewardFormula.shareOf(Z, Z), M);
        vm.assertEq(RewardFormula.shareOf(type(uint256).max, Z), M);
    }

    function test_AFullNodeEarnsAFullSlot() external pure {
        vm.assertEq(RewardFormula.reward(_work(Z, Z, M, M)), 24 ether);
    }

    function test_PCountsTwice() external pure {
        vm.assertEq(RewardFormula.reward(_work(Z, Z, M / 2, M)), 6 ether);
    }

    function test_OwnBondIsWorthAlphaMore() external pure {
        uint256 without = RewardFormula.reward(_work(0, Z, M, M));
        vm.assertEq(without, uint256(24 ether) * 10 / 13);
    }

    function test_NothingComesOfNothing() external pure {
        vm.assertEq(RewardFormula.reward(_work(0, 0, M, M)), 0);
        vm.assertEq(RewardFormula.reward(_work(Z, Z, 0, M)), 0);
        vm.assertEq(RewardFormula.reward(_work(Z, Z, M, 0)), 0);
    }

    function test_ExtremesDoNotOverflow() external pure {
        RewardFormula.Work memory work = _work(type(uint256).max, type(uint256).max, M, M);
        work.budget = type(uint256).max;
        work.alpha = type(uint64).max;
        work.slots = 1;
        vm.assertEq(RewardFormula.reward(work), type(uint256).max);
        work.slots = type(uint32).max;
        vm.assertEq(RewardFormula.reward(work), type(uint256).max / type(uint32).max);
    }

    function test_CostComesFirstThenMarginThenBond() external pure {
        RewardFormula.Terms memory terms = RewardFormula.Terms(10, 100, 200_000, 100_000);
        (uint256 operator, uint256 pool) = RewardFormula.split(1010, M, M, terms, 1, 4);
        vm.assertEq(operator, 10 + 200 + 200);
        vm.assertEq(pool, 600);
    }

    function test_CostAndMarginAreClamped() external pure {
        RewardFormula.Terms memory terms = RewardFormula.Terms(1000, 10, 0, 100_000);
        (uint256 operator,) = RewardFormula.split(1010, M, M, terms, 0, 4);
        vm.assertEq(operator, 10 + 100);
        terms.margin = 2 * M;
        (operator,) = RewardFormula.split(1010, M, M, terms, 0, 4);
        vm.assertEq(operator, 1010);
    }

    function test_CostShrinksWithPAndWAndNeverExceedsTheReward() external pure {
        RewardFormula.Terms memory terms = RewardFormula.Terms(100, 100, 0, 0);
        (uint256 operator,) = RewardFormula.split(1000, M / 2, M, terms, 0, 1);
        vm.assertEq(operator, 50);
        (operator,) = RewardFormula.split(1000, M / 2, M / 5, terms, 0, 1);
        vm.assertEq(operator, 10);
        (operator,) = RewardFormula.split(7, M, M, terms, 0, 1);
        vm.assertEq(operator, 7);
    }

    function test_NoRewardNeedsNoStake() external pure {
        (uint256 operator, uint256 pool) =
            RewardFormula.split(0, M, M, RewardFormula.Terms(1, 1, M, M), 0, 0);
        vm.assertEq(operator + pool, 0);
    }

    function testFuzz_TheSplitAddsUp(
        uint256 whole,
        uint256 p,
        uint256 w,
        uint256 cost,
        uint256 margin,
        uint256 bond,
        uint256 stake
    ) external pure {
        stake = _bound(stake, 1, type(uint256).max);
        bond = _bound(bond, 0, stake);
        p = _bound(p, 0, M);
        w = _bound(w, 0, M);
        (uint256 operator, uint256 pool) =
            RewardFormula.split(whole, p, w, RewardFormula.Terms(cost, cost, margin, 0), bond, stake);
        vm.assertLe(operator, whole);
        vm.assertEq(operator + pool, whole);
    }

    function test_ReputationRisesSlowlyAndFallsFast() external pure {
        RewardFormula.Pace memory pace = RewardFormula.Pace(250_000, 30, 6);
        INodeRegistry.State active = INodeRegistry.State.Active;
        vm.assertEq(RewardFormula.nextReputation(250_000, M, M, active, pace), 275_000);
        vm.assertEq(RewardFormula.nextReputation(250_000, 0, M, active, pace), 250_000 - 41_666);
        vm.assertEq(RewardFormula.nextReputation(M, M, M, active, pace), M);
        vm.assertEq(RewardFormula.nextReputation(type(uint32).max, 0, 0, active, pace), 3_579_139_413);
    }

    function test_StatesCapIt() external pure {
        RewardFormula.Pace memory pace = RewardFormula.Pace(250_000, 30, 6);
        vm.assertEq(RewardFormula.nextReputation(900_000, M, M, INodeRegistry.State.Jailed, pace), 250_000);
        vm.assertEq(RewardFormula.nextReputation(9, M, M, INodeRegistry.State.Jailed, pace), 9);
        vm.assertEq(RewardFormula.nextReputation(9, M, M, INodeRegistry.State.Registered, pace), 9);
        vm.assertEq(RewardFormula.nextReputation(9, M, M, INodeRegistry.State.None, pace), 9);
        vm.assertEq(RewardFormula.nextReputation(9, M, M, INodeRegistry.State.Retired, pace), 0);
        vm.assertEq(RewardFormula.nextReputation(9, M, M, INodeRegistry.State.Tombstoned, pace), 0);
    }
}
