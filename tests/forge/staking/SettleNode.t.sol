// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {StakingTest} from "./StakingTest.sol";

contract SettleNodeTest is StakingTest {
    uint256 private constant AMOUNT = 100 * QNET;
    bytes32[] private _none;

    function test_PaysOperatorAndPool() external {
        _delegate(bob, node, AMOUNT);
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 3 * QNET, 7 * QNET, 300_000);
        _report(leaf, 10 * QNET);
        _finalize(0);
        uint256 before = token.balanceOf(address(vault));
        uint256 held = token.balanceOf(address(hub));
        vm.expectEmit(address(hub));
        emit IStakeHub.NodeSettled(node, 0, 3 * QNET, 7 * QNET, 0, 300_000);
        hub.settleNode(leaf, _none);
        vm.assertEq(hub.owed(node), 3 * QNET);
        vm.assertEq(before - token.balanceOf(address(vault)), 10 * QNET);
        vm.assertEq(token.balanceOf(address(hub)) - held, 10 * QNET);
        vm.assertEq(hub.settledThrough(node), 1);
        (uint256 cumOperator, uint256 cumPool) = hub.settledCum(node);
        vm.assertEq(cumOperator, 3 * QNET);
        vm.assertEq(cumPool, 7 * QNET);
        vm.assertEq(hub.reputationOf(node), 300_000);
    }

    function test_StreamsThePoolsPartEvenly() external {
        _delegate(bob, node, AMOUNT);
        _settle(_leaf(0, node, 0, 7 * QNET, M), 7 * QNET);
        uint256 start = vm.getBlockTimestamp();
        _expectStream(7 * QNET, start + STREAM);
        vm.assertEq(hub.poolOf(node), AMOUNT);
        vm.warp(start + 1);
        uint256 first = 7 * QNET / STREAM;
        vm.assertEq(hub.poolOf(node), AMOUNT + first, "unstreamed rounds up");
        vm.warp(start + STREAM / 7);
        vm.assertEq(hub.poolOf(node), AMOUNT + QNET);
        vm.warp(start + STREAM - 1);
        vm.assertEq(hub.poolOf(node), AMOUNT + 7 * QNET - first - 1);
        vm.warp(start + STREAM);
        vm.assertEq(hub.poolOf(node), AMOUNT + 7 * QNET);
        _expectStream(0, start + STREAM);
    }

    function test_AddsToWhatStillStreams() external {
        _delegate(bob, node, AMOUNT);
        IReportOracle.NodeLeaf memory second = _leaf(1, node, 0, 21 * QNET, M);
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 0, 14 * QNET, M);
        _report(leaf, 14 * QNET);
        _report(second, 7 * QNET);
        _finalize(0);
        hub.settleNode(leaf, _none);
        vm.warp(block.timestamp + STREAM / 2);
        _finalize(1);
        hub.settleNode(second, _none);
        _expectStream(14 * QNET, block.timestamp + STREAM);
        vm.assertEq(hub.poolOf(node), AMOUNT + 7 * QNET);
    }

    function test_LeavesTheStreamAloneWithoutAnythingForThePool() external {
        _delegate(bob, node, AMOUNT);
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 0, 14 * QNET, M);
        IReportOracle.NodeLeaf memory second = _leaf(1, node, 9, 14 * QNET, M);
        _report(leaf, 14 * QNET);
        _report(second, 9);
        _finalize(0);
        hub.settleNode(leaf, _none);
        uint256 end = vm.getBlockTimestamp() + STREAM;
        vm.warp(block.timestamp + STREAM / 2);
        _finalize(1);
        hub.settleNode(second, _none);
        _expectStream(7 * QNET, end);
        vm.assertEq(hub.owed(node), 9);
    }

    function test_GivesThePoolsPartOfAnEmptyPoolToTheOperator() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 3, 7, M);
        _report(leaf, 10);
        _finalize(0);
        vm.expectEmit(address(hub));
        emit IStakeHub.NodeSettled(node, 0, 10, 0, 0, M);
        hub.settleNode(leaf, _none);
        vm.assertEq(hub.owed(node), 10);
        vm.assertEq(hub.poolOf(node), 0);
        (, uint256 cumPool) = hub.settledCum(node);
        vm.assertEq(cumPool, 7);
    }

    function test_SettlesAllBeforeALaterLeaf() external {
        IReportOracle.NodeLeaf memory first = _leaf(0, node, 3, 0, 1);
        IReportOracle.NodeLeaf memory second = _leaf(1, node, 8, 0, 2);
        _report(first, 3);
        _report(second, 5);
        _finalize(0);
        _finalize(1);
        hub.settleNode(second, _none);
        vm.assertEq(hub.owed(node), 8);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NothingToSettle.selector, node, 0));
        hub.settleNode(first, _none);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NothingToSettle.selector, node, 1));
        hub.settleNode(second, _none);
        vm.assertEq(hub.reputationOf(node), 2);
    }

    function test_SettlesALeafThatAddsNothing() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 0, 0, 5);
        _report(leaf, 0);
        _finalize(0);
        vm.expectEmit(address(hub));
        emit IStakeHub.NodeSettled(node, 0, 0, 0, 0, 5);
        hub.settleNode(leaf, _none);
        vm.assertEq(hub.settledThrough(node), 1);
    }

    function test_SettlesWithAProofInALargerTree() external {
        _settleBoth(_leaf(0, node, 1, 0, M), _leaf(0, other, 2, 0, M), 3);
        vm.assertEq(hub.owed(node), 1);
        vm.assertEq(hub.owed(other), 2);
    }

    function test_RefusesAReportThatIsNotFinal() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 3, 0, M);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotFinal.selector, 0));
        hub.settleNode(leaf, _none);
        _report(leaf, 3);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotFinal.selector, 0));
        hub.settleNode(leaf, _none);
        vm.prank(owner);
        oracle.disable(0);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotFinal.selector, 0));
        hub.settleNode(leaf, _none);
    }

    function test_RefusesAnotherLeafOrProof() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 3, 0, M);
        _report(leaf, 3);
        _finalize(0);
        bytes memory expected = abi.encodeWithSelector(IStakeHub.InvalidProof.selector, node, 0);
        bytes32[] memory proof = new bytes32[](1);
        vm.expectRevert(expected);
        hub.settleNode(leaf, proof);
        leaf.cumOperator = 4;
        vm.expectRevert(expected);
        hub.settleNode(leaf, _none);
        leaf.cumOperator = 3;
        leaf.node = other;
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InvalidProof.selector, other, 0));
        hub.settleNode(leaf, _none);
    }

    function test_RefusesSumsThatFell() external {
        IReportOracle.NodeLeaf memory first = _leaf(0, node, 3, 5, M);
        IReportOracle.NodeLeaf memory second = _leaf(1, node, 2, 9, M);
        IReportOracle.NodeLeaf memory third = _leaf(2, node, 3, 4, M);
        _report(first, 8);
        _report(second, 3);
        _report(third, 0);
        _finalize(0);
        hub.settleNode(first, _none);
        _finalize(1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.CumulativeRegression.selector, node, 3, 2));
        hub.settleNode(second, _none);
        _finalize(2);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.CumulativeRegression.selector, node, 5, 4));
        hub.settleNode(third, _none);
    }

    function test_StopsWhilePaused() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(0, node, 3, 0, M);
        _report(leaf, 3);
        _finalize(0);
        uint64 until = _pause(hub, 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        hub.settleNode(leaf, _none);
        vm.warp(until);
        hub.settleNode(leaf, _none);
    }

    function test_ReputationIsCappedInJailAndLostForGood() external {
        vm.assertEq(hub.reputationOf(node), 0);
        _settleBoth(_leaf(0, node, 0, 0, 900_000), _leaf(0, other, 0, 0, 100_000), 0);
        vm.assertEq(hub.reputationOf(node), 900_000);
        _jail(node);
        _jail(other);
        vm.assertEq(hub.reputationOf(node), 250_000);
        vm.assertEq(hub.reputationOf(other), 100_000);
        _tombstone(node);
        vm.assertEq(hub.reputationOf(node), 0);
        vm.warp(block.timestamp + 8 days);
        vm.startPrank(dave);
        registry.unjail(other);
        vm.assertEq(hub.reputationOf(other), 100_000);
        registry.retire(other);
        vm.stopPrank();
        vm.assertEq(hub.reputationOf(other), 0);
    }

    function _expectStream(uint256 unstreamed, uint256 endsAt) private view {
        (uint256 got, uint64 end) = hub.streamOf(node);
        vm.assertEq(got, unstreamed);
        vm.assertEq(end, endsAt);
    }
}
