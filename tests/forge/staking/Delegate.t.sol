// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {IStakedVotes} from "../../../interfaces/IStakedVotes.sol";
import {StakingTest} from "./StakingTest.sol";

contract DelegateTest is StakingTest {
    function test_MintsSharesAndVotes() external {
        uint256 amount = 50 * QNET;
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(bob, 0, amount);
        vm.expectEmit(address(hub));
        emit IStakeHub.Delegated(node, bob, amount, amount * VIRTUAL_SHARES, amount);
        vm.assertEq(_delegate(bob, node, amount), amount * VIRTUAL_SHARES);
        vm.assertEq(hub.poolOf(node), amount);
        vm.assertEq(hub.sharesOf(node), amount * VIRTUAL_SHARES);
        (uint256 shares, uint256 principal, uint256 worth) = hub.positionOf(bob, node);
        vm.assertEq(shares, amount * VIRTUAL_SHARES);
        vm.assertEq(principal, amount);
        vm.assertEq(worth, amount);
        vm.assertEq(hub.getVotes(bob), amount);
        vm.assertEq(hub.totalBonded(), 2 * BOND + amount);
        vm.assertEq(hub.stakeOf(node), BOND + amount);
        vm.assertEq(token.balanceOf(address(hub)), 2 * BOND + amount);
    }

    function test_AddsToWhatIsThere() external {
        _delegate(bob, node, 10);
        _delegate(carol, node, 20);
        _delegate(bob, node, 30);
        vm.assertEq(_shares(bob, node), 40 * VIRTUAL_SHARES);
        vm.assertEq(_principal(bob, node), 40);
        vm.assertEq(_worth(carol, node), 20);
        vm.assertEq(hub.poolOf(node), 60);
    }

    function test_TakesDust() external {
        vm.assertEq(_delegate(bob, node, 1), VIRTUAL_SHARES);
        vm.assertEq(_worth(bob, node), 1);
    }

    function test_IsAFactOfTheSecondItHappenedIn() external {
        vm.warp(GENESIS + 10);
        _delegate(bob, node, 7);
        uint48 current = uint48(vm.getBlockTimestamp());
        vm.expectRevert(abi.encodeWithSelector(IStakedVotes.FutureLookup.selector, current, current));
        hub.poolAt(node, current);
        vm.warp(current + 1);
        vm.assertEq(hub.poolAt(node, current - 1), 0);
        vm.assertEq(hub.poolAt(node, current), 7);
        vm.assertEq(hub.getPastVotes(bob, current), 7);
        vm.assertEq(hub.getPastVotes(bob, current - 1), 0);
    }

    function test_RefusesFewerSharesThanWanted() external {
        vm.startPrank(bob);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.TooFewShares.selector, 7 * VIRTUAL_SHARES, 7 * VIRTUAL_SHARES + 1)
        );
        hub.delegate(node, 7, 7 * VIRTUAL_SHARES + 1);
        vm.assertEq(hub.delegate(node, 7, 7 * VIRTUAL_SHARES), 7 * VIRTUAL_SHARES);
        vm.stopPrank();
    }

    function test_RefusesNothing() external {
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        _delegate(bob, node, 0);
    }

    function test_RefusesWhatIsWorthNoShare() external {
        _delegate(carol, node, 1);
        _settle(_leaf(0, node, 0, 1000 * QNET, M), 1000 * QNET);
        vm.warp(block.timestamp + STREAM);
        vm.assertEq(hub.poolOf(node), 1000 * QNET + 1);
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        _delegate(bob, node, QNET / 2);
        vm.assertEq(_delegate(bob, node, QNET), 1);
    }

    function test_FillsThePoolToItsLimit() external {
        vm.prank(holder);
        token.transfer(bob, 9 * BOND);
        uint256 max = 9 * BOND;
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Oversubscribed.selector, node, max + 1, max));
        _delegate(bob, node, max + 1);
        _delegate(bob, node, max);
        vm.assertEq(hub.stakeOf(node), 10 * BOND);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Oversubscribed.selector, node, max + 1, max));
        _delegate(carol, node, 1);
    }

    function test_CountsNoMoreThanTheLimitWhenTheBondShrinks() external {
        _delegate(bob, node, 9 * 10_000 * QNET);
        _unbond(BOND - 5_000 * QNET);
        vm.assertEq(hub.stakeOf(node), 50_000 * QNET);
        vm.assertEq(hub.poolOf(node), 90_000 * QNET);
    }

    function test_TakesNothingWithoutABond() external {
        uint32 index = _register(dave, INodeRegistry.Role.Mix);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Oversubscribed.selector, index, 1, 0));
        _delegate(bob, index, 1);
        vm.prank(dave);
        hub.bond(index, 1);
        _delegate(bob, index, 9);
    }

    function test_RefusesRetiredJailedAndTombstonedNodes() external {
        _retire(other);
        _expectNotBondable(other, INodeRegistry.State.Retired);
        _jail(node);
        _expectNotBondable(node, INodeRegistry.State.Jailed);
        _tombstone(node);
        _expectNotBondable(node, INodeRegistry.State.Tombstoned);
    }

    function test_RefusesUnknownNodes() external {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 99));
        _delegate(bob, 99, 1);
    }

    function test_WaitsUntilAllFinalEpochsAreSettled() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 3, 4, M);
        _report(leaf, 7);
        _delegate(bob, node, 1);
        _finalize(0);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotSettled.selector, node, 0, 1));
        _delegate(bob, node, 1);
        hub.settleNode(leaf, new bytes32[](0));
        _delegate(bob, node, 1);
    }

    function test_NeedsNoSettlementOfANodeWithoutALeaf() external {
        _passEpoch(0);
        uint32 late = _node(dave, INodeRegistry.Role.Mix, BOND);
        _submit(0, keccak256("root"), 0);
        _report(_leaf(1, node, 0, 0, M), 0);
        _finalize(0);
        _delegate(bob, late, 1);
        _finalize(1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotSettled.selector, late, 0, 2));
        _delegate(bob, late, 1);
    }

    function test_RefusesWithoutAllowance() external {
        vm.prank(bob);
        token.approve(address(hub), 4);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(hub), 4, 5)
        );
        _delegate(bob, node, 5);
    }

    function test_RefusesMoreThanTheAccountHas() external {
        _set("delegation_factor", 1000);
        uint256 have = token.balanceOf(bob);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, bob, have, have + 1)
        );
        _delegate(bob, node, have + 1);
        uint256 most = type(uint256).max;
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Oversubscribed.selector, node, most, 1000 * BOND));
        _delegate(bob, node, most);
    }

    function test_StopsWhilePaused() external {
        uint64 until = _pause(hub, 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        _delegate(bob, node, 1);
        vm.warp(until);
        _delegate(bob, node, 1);
    }

    function _expectNotBondable(uint32 index, INodeRegistry.State state) private {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotBondable.selector, index, state));
        _delegate(bob, index, 1);
    }
}
