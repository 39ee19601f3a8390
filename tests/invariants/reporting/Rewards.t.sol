// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RewardFormula} from "../../../contracts/libraries/RewardFormula.sol";
import {Test} from "../../forge/support/Test.sol";

/// @title A network of any stakes and results, and what its rewards come to
/// @dev Nodes come and take slots of a role while there are any, as in the registry.
contract RewardsHandler is Test {
    uint256 private constant M = 1_000_000;
    uint256 private constant ROLES = 4;
    uint256 private constant Z = 100_000 ether;

    uint256 public budget = 240_000 ether;
    uint256 public alpha = 300_000;
    /// @dev Rewards of all nodes, and the largest of a role against its cap.
    uint256 public sum;
    uint256[4] public weights = [250_000, 250_000, 200_000, 300_000];
    uint256[4] public slots = [5, 4, 3, 2];
    uint256[4] public taken;
    uint256[4] public largest;
    /// @dev The most that splitting a stake gained.
    uint256 public profit;

    function changeEpoch(uint256 newBudget, uint256 newAlpha, uint256[4] calldata parts) external {
        budget = _bound(newBudget, 0, 1e27);
        alpha = _bound(newAlpha, 0, M);
        uint256 left = M;
        for (uint256 role = 0; role < ROLES; ++role) {
            weights[role] = _bound(parts[role], 0, left);
            left -= weights[role];
            (taken[role], largest[role]) = (0, 0);
        }
        sum = 0;
    }

    function addNode(uint256 role, uint256 bond, uint256 pool, uint256 p, uint256 w) external {
        role %= ROLES;
        if (taken[role] == slots[role]) return;
        ++taken[role];
        bond = _bound(bond, 0, 4 * Z);
        uint256 stake = RewardFormula.counted(bond, _bound(pool, 0, 40 * Z), 9);
        uint256 reward = _reward(role, bond, stake, _bound(p, 0, M), _bound(w, 0, M));
        sum += reward;
        if (reward > largest[role]) largest[role] = reward;
    }

    /// @dev One stake of up to Z against the same in two nodes.
    function split(uint256 role, uint256 whole, uint256 part, uint256 p, uint256 w) external {
        role %= ROLES;
        whole = _bound(whole, 2, Z);
        part = _bound(part, 1, whole - 1);
        (p, w) = (_bound(p, 0, M), _bound(w, 0, M));
        uint256 apart = _reward(role, part, part, p, w) + _reward(role, whole - part, whole - part, p, w);
        uint256 together = _reward(role, whole, whole, p, w);
        if (apart > together && apart - together > profit) profit = apart - together;
    }

    function capOf(uint256 role) external view returns (uint256) {
        return RewardFormula.roleBudget(budget, weights[role]) / slots[role];
    }

    function _reward(uint256 role, uint256 bond, uint256 stake, uint256 p, uint256 w) private view returns (uint256) {
        uint256 part = RewardFormula.roleBudget(budget, weights[role]);
        return RewardFormula.reward(RewardFormula.Work(part, slots[role], bond, stake, Z, alpha, p, w));
    }
}

contract RewardInvariants is Test {
    RewardsHandler private handler;

    function setUp() external {
        handler = new RewardsHandler();
        bytes4[] memory actions = new bytes4[](3);
        actions[0] = handler.changeEpoch.selector;
        actions[1] = handler.addNode.selector;
        actions[2] = handler.split.selector;
        _target(address(handler), actions);
    }

    function invariant_RewardLeCap() external view {
        for (uint256 role = 0; role < 4; ++role) {
            vm.assertLe(handler.largest(role), handler.capOf(role));
        }
    }

    function invariant_SumRewardLeBudget() external view {
        vm.assertLe(handler.sum(), handler.budget());
    }

    function invariant_SplitNoProfit() external view {
        vm.assertEq(handler.profit(), 0);
    }
}
