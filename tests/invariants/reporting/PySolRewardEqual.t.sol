// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {RewardFormula} from "../../../contracts/libraries/RewardFormula.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {Test} from "../../forge/support/Test.sol";

/// @title The contracts and the ledger service compute the same integers
/// @dev The cases, with what Python makes of them, come from tests/ledger/domain/reward_cases.py.
contract PySolRewardEqual is Test {
    /// @dev Inputs, then results; all are words for the sake of the decoder.
    struct Case {
        uint256 slotP;
        uint256 slots;
        uint256 budget;
        uint256 weight;
        uint256 paidSlots;
        uint256 stakeReference;
        uint256 alpha;
        uint256 bondStart;
        uint256 poolStart;
        uint256 bondEnd;
        uint256 poolEnd;
        uint256 factor;
        uint256 w;
        uint256 cost;
        uint256 costMax;
        uint256 margin;
        uint256 marginMin;
        uint256 rho;
        uint256 state;
        uint256 start;
        uint256 rise;
        uint256 fall;
        uint256 p;
        uint256 roleBudget;
        uint256 stake;
        uint256 reward;
        uint256 forOperator;
        uint256 forPool;
        uint256 rhoAfter;
    }

    uint256 private constant BATCH = 5_000;

    /// forge-config: default.fuzz.runs = 20
    function testFuzz_PySolRewardEqual(uint64 seed) external {
        string[] memory command = new string[](5);
        command[0] = string.concat(vm.projectRoot(), "/.venv/bin/python");
        command[1] = "-m";
        command[2] = "tests.ledger.domain.reward_cases";
        command[3] = vm.toString(seed);
        command[4] = vm.toString(BATCH);
        Case[] memory cases = abi.decode(vm.ffi(command), (Case[]));
        vm.assertEq(cases.length, BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            _check(cases[i]);
        }
    }

    function _check(Case memory c) private pure {
        uint256 p = RewardFormula.epochPerformance(c.slotP, c.slots);
        vm.assertEq(p, c.p, "P");
        uint256 budget = RewardFormula.roleBudget(c.budget, c.weight);
        vm.assertEq(budget, c.roleBudget, "budget");
        uint256 bond = Math.min(c.bondStart, c.bondEnd);
        uint256 stake = Math.min(
            RewardFormula.counted(c.bondStart, c.poolStart, c.factor),
            RewardFormula.counted(c.bondEnd, c.poolEnd, c.factor)
        );
        vm.assertEq(stake, c.stake, "stake");
        uint256 reward = RewardFormula.reward(
            RewardFormula.Work(budget, c.paidSlots, bond, stake, c.stakeReference, c.alpha, p, c.w)
        );
        vm.assertEq(reward, c.reward, "reward");
        RewardFormula.Terms memory terms = RewardFormula.Terms(c.cost, c.costMax, c.margin, c.marginMin);
        (uint256 forOperator, uint256 forPool) = RewardFormula.split(reward, p, c.w, terms, bond, stake);
        vm.assertEq(forOperator, c.forOperator, "operator");
        vm.assertEq(forPool, c.forPool, "pool");
        RewardFormula.Pace memory pace = RewardFormula.Pace(c.start, c.rise, c.fall);
        uint256 rho = RewardFormula.nextReputation(c.rho, p, c.w, INodeRegistry.State(c.state), pace);
        vm.assertEq(rho, c.rhoAfter, "reputation");
    }
}
