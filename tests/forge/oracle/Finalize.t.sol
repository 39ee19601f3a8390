// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract FinalizeTest is OracleTest {
    function test_AfterTheWindowAReportIsFinal() external {
        bytes32 hash = _reported(0);
        uint256 end = block.timestamp + WINDOW;
        vm.assertEq(oracle.windowEnd(0), end);
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WindowOpen.selector, end));
        oracle.finalize(0);
        vm.warp(end);
        vm.expectEmit(address(oracle));
        emit IReportOracle.ReportFinalized(0, hash);
        vm.prank(mallory);
        oracle.finalize(0);
        vm.assertTrue(oracle.isFinal(0));
        vm.assertEq(oracle.finalThrough(), 1);
        vm.assertEq(oracle.unfinished(), 0);
    }

    function test_WhatWasNotEarnedReturnsToThePool() external {
        _reported(0);
        _reported(1);
        (IReportOracle.EpochReport memory r,,,) = oracle.report(1);
        vm.assertGt(r.totalReward, 0);
        _finalize(0);
        _finalize(1);
        vm.assertEq(vault.fundedOf(0), 0);
        vm.assertEq(vault.fundedOf(1), r.totalReward);
    }

    function test_OnlySubmittedReports() external {
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.None));
        oracle.finalize(0);
        _reported(0);
        _disable(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.Disabled));
        oracle.finalize(0);
        _reportedAgain(0);
        _finalize(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.Final));
        oracle.finalize(0);
    }

    function test_InOrder() external {
        _reported(0);
        _reported(1);
        vm.warp(oracle.windowEnd(1));
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.PredecessorNotFinal.selector, 0));
        oracle.finalize(1);
        oracle.finalize(0);
        oracle.finalize(1);
        vm.assertEq(oracle.finalThrough(), 2);
    }

    function test_NotWhileDemandsAreOpen() external {
        _reported(0);
        _demand(0, 1);
        _demand(0, 2);
        vm.warp(oracle.windowEnd(0));
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.DemandsOpen.selector, 0, 2));
        oracle.finalize(0);
    }

    function test_NotWhilePaused() external {
        _reported(0);
        vm.warp(oracle.windowEnd(0));
        uint64 until = uint64(block.timestamp + 1);
        vm.prank(owner);
        oracle.pause(until);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        oracle.finalize(0);
    }

    function test_TheWindowStandsStillWhileNobodyCanProve() external {
        _reported(0);
        uint256 end = oracle.windowEnd(0);
        vm.warp(end - 1);
        vm.prank(owner);
        court.pause(uint64(end + 14 * DAY - 1));
        vm.warp(end + 14 * DAY - 1);
        vm.assertEq(oracle.windowEnd(0), end + 14 * DAY);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WindowOpen.selector, end + 14 * DAY));
        oracle.finalize(0);
        vm.warp(end + 14 * DAY);
        oracle.finalize(0);
    }

    function test_TheWindowStandsStillWhileNobodyCanDemand() external {
        _reported(0);
        uint256 end = oracle.windowEnd(0);
        vm.prank(owner);
        oracle.pause(uint64(block.timestamp + 5 * DAY));
        vm.warp(block.timestamp + 5 * DAY);
        vm.assertEq(oracle.windowEnd(0), end + 5 * DAY);
        _demand(0, 1);
    }

    function test_APauseBeforeTheReportDoesNotMatter() external {
        vm.prank(owner);
        court.pause(uint64(block.timestamp + 3600));
        _reported(0);
        vm.assertEq(oracle.windowEnd(0), block.timestamp + WINDOW);
    }

    function test_WithoutAReportThereIsNoWindow() external view {
        vm.assertEq(oracle.windowEnd(7), 0);
    }
}
