// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {IStakedVotes} from "../../../interfaces/IStakedVotes.sol";
import {StakingTest} from "./StakingTest.sol";

contract BondTest is StakingTest {
    function test_MovesTokensAndVotes() external {
        uint256 before = token.balanceOf(alice);
        uint256 held = token.balanceOf(address(hub));
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(alice, BOND, BOND + 5);
        vm.expectEmit(address(hub));
        emit IStakeHub.Bonded(node, alice, 5, BOND + 5);
        vm.prank(alice);
        hub.bond(node, 5);
        vm.assertEq(hub.bondOf(node), BOND + 5);
        vm.assertEq(hub.getVotes(alice), BOND + 5);
        vm.assertEq(hub.totalBonded(), 2 * BOND + 5);
        vm.assertEq(before - token.balanceOf(alice), 5);
        vm.assertEq(token.balanceOf(address(hub)) - held, 5);
    }

    function test_ActivatesFromTheLeastBondOn() external {
        uint32 index = _register(bob, INodeRegistry.Role.Exit);
        uint256 least = parameters.get("min_bond_wei");
        vm.startPrank(bob);
        hub.bond(index, least - 1);
        vm.assertFalse(registry.isActive(index));
        hub.bond(index, 1);
        vm.assertTrue(registry.isActive(index));
        vm.stopPrank();
    }

    function test_IsAFactOfTheSecondItHappenedIn() external {
        vm.warp(GENESIS + 10);
        vm.prank(alice);
        hub.bond(node, 7);
        uint48 current = uint48(vm.getBlockTimestamp());
        vm.expectRevert(abi.encodeWithSelector(IStakedVotes.FutureLookup.selector, current, current));
        hub.bondAt(node, current);
        vm.warp(current + 1);
        vm.assertEq(hub.bondAt(node, current - 1), BOND);
        vm.assertEq(hub.bondAt(node, current), BOND + 7);
        vm.assertEq(hub.bondAt(node, uint48(GENESIS - 1)), 0);
    }

    function test_IsOpenToAJailedNode() external {
        _jail(node);
        vm.prank(alice);
        hub.bond(node, 1);
        vm.assertEq(hub.bondOf(node), BOND + 1);
        vm.assertFalse(registry.isActive(node));
    }

    function test_TakesAllThatThereIs() external {
        uint256 most = token.balanceOf(holder);
        vm.prank(holder);
        token.transfer(alice, most);
        most = token.balanceOf(alice);
        vm.prank(alice);
        hub.bond(node, most);
        vm.assertEq(hub.bondOf(node), BOND + most);
        vm.assertEq(token.balanceOf(alice), 0);
    }

    function test_RefusesOtherPeople() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotNodeOwner.selector, node, bob));
        vm.prank(bob);
        hub.bond(node, 1);
    }

    function test_RefusesUnknownNodes() external {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 99));
        vm.prank(alice);
        hub.bond(99, 1);
    }

    function test_RefusesRetiredNodes() external {
        _retire(node);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.NotBondable.selector, node, INodeRegistry.State.Retired)
        );
        vm.prank(alice);
        hub.bond(node, 1);
    }

    function test_RefusesTombstonedNodes() external {
        _tombstone(node);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.NotBondable.selector, node, INodeRegistry.State.Tombstoned)
        );
        vm.prank(alice);
        hub.bond(node, 1);
    }

    function test_RefusesNothing() external {
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        vm.prank(alice);
        hub.bond(node, 0);
    }

    function test_RefusesMoreThanCanBeCounted() external {
        vm.startPrank(alice);
        uint256 amount = 1 << 255;
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintToInt.selector, amount + BOND - BOND));
        hub.bond(node, amount);
        amount = (1 << 128) - BOND;
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 128, 1 << 128));
        hub.bond(node, amount);
        vm.stopPrank();
    }

    function test_RefusesWithoutAllowance() external {
        vm.startPrank(alice);
        token.approve(address(hub), 4);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(hub), 4, 5)
        );
        hub.bond(node, 5);
        vm.stopPrank();
    }

    function test_RefusesMoreThanTheOwnerHas() external {
        uint256 have = token.balanceOf(alice);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, have, have + 1)
        );
        vm.prank(alice);
        hub.bond(node, have + 1);
    }

    function test_StopsWhilePausedToTheSecond() external {
        uint64 until = _pause(hub, 14 days);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        vm.prank(alice);
        hub.bond(node, 1);
        vm.warp(until);
        vm.prank(alice);
        hub.bond(node, 1);
        vm.assertEq(hub.bondOf(node), BOND + 1);
    }
}
