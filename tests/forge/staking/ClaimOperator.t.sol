// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {StakingTest} from "./StakingTest.sol";

contract ClaimOperatorTest is StakingTest {
    function setUp() public override {
        super.setUp();
        _settle(_leaf(0, node, 30, 0, M), 30);
    }

    function test_PaysWhatIsOwed() external {
        uint256 before = token.balanceOf(alice);
        vm.expectEmit(address(hub));
        emit IStakeHub.OperatorClaimed(node, alice, 30);
        vm.prank(carol);
        hub.claimOperator(node);
        vm.assertEq(token.balanceOf(alice) - before, 30);
        vm.assertEq(hub.owed(node), 0);
    }

    function test_PaysToThePayoutAddress() external {
        vm.prank(alice);
        registry.setPayout(node, address(0xbeef));
        hub.claimOperator(node);
        vm.assertEq(token.balanceOf(address(0xbeef)), 30);
    }

    function test_RefusesThatTheHubPaysItself() external {
        vm.prank(alice);
        registry.setPayout(node, address(hub));
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.WrongTransfer.selector, 30, 0));
        hub.claimOperator(node);
        vm.assertEq(hub.owed(node), 30);
    }

    function test_PaysOnce() external {
        hub.claimOperator(node);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NothingToClaim.selector, node));
        hub.claimOperator(node);
    }

    function test_RefusesNodesThatEarnedNothing() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NothingToClaim.selector, other));
        hub.claimOperator(other);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NothingToClaim.selector, 99));
        hub.claimOperator(99);
    }

    function test_IsOpenToTombstonedNodes() external {
        _tombstone(node);
        hub.claimOperator(node);
        vm.assertEq(hub.owed(node), 0);
    }

    function test_StopsWhilePaused() external {
        uint64 until = _pause(hub, 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        hub.claimOperator(node);
        vm.warp(until);
        hub.claimOperator(node);
    }
}
