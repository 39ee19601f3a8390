// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {IStakedVotes} from "../../../interfaces/IStakedVotes.sol";
import {StakingTest} from "./StakingTest.sol";

contract UnbondTest is StakingTest {
    function test_OpensATicketAndTakesVotesAway() external {
        uint64 unlocksAt = uint64(GENESIS + DAY + UNBOND);
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(alice, BOND, BOND - 30);
        vm.expectEmit(address(hub));
        emit IStakeHub.Unbonded(node, alice, 0, 30, BOND - 30, unlocksAt);
        vm.assertEq(_unbond(30), 0);
        vm.assertEq(hub.bondOf(node), BOND - 30);
        vm.assertEq(hub.getVotes(alice), BOND - 30);
        vm.assertEq(hub.totalBonded(), 2 * BOND - 30);
        vm.assertEq(hub.ticketsOf(alice), 1);
        (uint32 index, bool fromBond, uint32 epoch, uint256 amount, uint64 until) = hub.ticketOf(alice, 0);
        vm.assertEq(index, node);
        vm.assertTrue(fromBond);
        vm.assertEq(epoch, 0);
        vm.assertEq(amount, 30);
        vm.assertEq(until, unlocksAt);
    }

    function test_CountsUntilTheEndOfTheRunningEpoch() external {
        vm.warp(GENESIS + 2 * DAY - 1);
        _unbond(1);
        vm.warp(GENESIS + 2 * DAY);
        _unbond(1);
        vm.assertEq(_unlocksAt(alice, 0), GENESIS + 2 * DAY + UNBOND);
        vm.assertEq(_unlocksAt(alice, 1), GENESIS + 3 * DAY + UNBOND);
    }

    function test_CountsInEpochZeroBeforeGenesis() external {
        _set("register_fee_wei", 0); // the token keeps its history from genesis on
        vm.warp(GENESIS - 5 * DAY);
        uint32 index = _register(bob, INodeRegistry.Role.Exit);
        vm.startPrank(bob);
        hub.bond(index, 10);
        hub.unbond(index, 10);
        vm.stopPrank();
        vm.assertEq(_unlocksAt(bob, 0), GENESIS + DAY + UNBOND);
    }

    function test_KeepsTheWaitAskedForAtItsTime() external {
        _unbond(1);
        _set("unbond_s", 30 days);
        _unbond(1);
        vm.assertEq(_unlocksAt(alice, 0), GENESIS + DAY + UNBOND);
        vm.assertEq(_unlocksAt(alice, 1), GENESIS + DAY + 30 days);
    }

    function test_DeactivatesBelowTheLeastBond() external {
        uint256 least = parameters.get("min_bond_wei");
        _unbond(BOND - least);
        vm.assertTrue(registry.isActive(node));
        _unbond(1);
        vm.assertFalse(registry.isActive(node));
    }

    function test_TakesAll() external {
        _unbond(BOND);
        vm.assertEq(hub.bondOf(node), 0);
        vm.assertEq(hub.getVotes(alice), 0);
        vm.assertEq(_ticketAmount(alice, 0), BOND);
    }

    function test_IsOpenWhilePaused() external {
        _pause(hub, 14 days);
        _unbond(1);
        vm.assertEq(hub.bondOf(node), BOND - 1);
    }

    function test_IsOpenToJailedRetiredAndTombstonedNodes() external {
        _jail(node);
        _unbond(1);
        _tombstone(node);
        _unbond(2);
        vm.assertEq(hub.bondOf(node), BOND - 3);
        _retire(other);
        vm.prank(dave);
        hub.unbond(other, BOND);
        vm.assertEq(hub.bondOf(other), 0);
    }

    function test_FillsTheLowestFreeNumber() external {
        _unbond(1);
        _unbond(2);
        _unbond(3);
        vm.warp(GENESIS + DAY + UNBOND);
        vm.prank(alice);
        hub.withdraw(1);
        vm.assertEq(hub.ticketsOf(alice), 5);
        vm.assertEq(_unbond(4), 1);
        vm.assertEq(_ticketAmount(alice, 1), 4);
        vm.assertEq(_unbond(5), 3);
    }

    function test_RefusesTheSeventeenthTicket() external {
        for (uint256 i = 0; i < 16; ++i) {
            vm.assertEq(_unbond(1), i);
        }
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.TooManyTickets.selector, alice, 16));
        _unbond(1);
    }

    function test_RefusesMoreThanIsBonded() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InsufficientBond.selector, node, BOND + 1, BOND));
        _unbond(BOND + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.InsufficientBond.selector, node, type(uint256).max, BOND)
        );
        _unbond(type(uint256).max);
    }

    function test_RefusesNothing() external {
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        _unbond(0);
    }

    function test_RefusesOtherPeople() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotNodeOwner.selector, node, bob));
        vm.prank(bob);
        hub.unbond(node, 1);
    }
}
