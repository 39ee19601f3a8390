// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract ExpireDemandTest is OracleTest {
    function test_AWithheldLeafDisablesTheReport() external {
        bytes32 hash = _reported(0);
        _demand(0, 1);
        (,, uint64 deadline) = oracle.demandOf(0, 1);
        uint256 before = token.balanceOf(carol);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.DemandPending.selector, deadline));
        oracle.expireDemand(0, 1);
        vm.warp(deadline + 1);
        vm.expectEmit(address(oracle));
        emit IReportOracle.DemandUnanswered(0, 1, carol);
        vm.expectEmit(address(oracle));
        emit IReportOracle.ReportDisabled(0, hash);
        vm.expectEmit(address(oracle));
        emit IReportOracle.DemandReturned(0, 1, carol, BOND);
        vm.prank(mallory);
        oracle.expireDemand(0, 1);
        _expectStatus(0, IReportOracle.Status.Disabled);
        vm.assertEq(token.balanceOf(carol) - before, BOND);
    }

    function test_WhatFollowsIsDisabledToo() external {
        _reported(0);
        vm.warp(oracle.windowEnd(0) - DAY);
        _reported(1);
        _reported(2);
        vm.warp(oracle.windowEnd(1) - DAY);
        _demand(1, 1);
        (,, uint64 deadline) = oracle.demandOf(1, 1);
        vm.warp(deadline + 1);
        oracle.expireDemand(1, 1);
        _expectStatus(0, IReportOracle.Status.Submitted);
        _expectStatus(2, IReportOracle.Status.Disabled);
    }

    function test_OtherwiseDisabledTheBondJustGoesBack() external {
        _reported(0);
        _demand(0, 1);
        _demand(0, 2);
        _disable(0);
        uint256 before = token.balanceOf(carol);
        oracle.expireDemand(0, 1);
        _reportedAgain(0);
        oracle.expireDemand(0, 2);
        vm.assertEq(token.balanceOf(carol) - before, 2 * BOND);
        _expectStatus(0, IReportOracle.Status.Submitted);
        vm.assertEq(oracle.attemptOf(0), 1);
        _finalize(0);
    }

    function test_OnceAndOnlyIfDemanded() external {
        _reported(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.NotDemanded.selector, 0, 1));
        oracle.expireDemand(0, 1);
        _demand(0, 1);
        _disable(0);
        oracle.expireDemand(0, 1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.NotDemanded.selector, 0, 1));
        oracle.expireDemand(0, 1);
    }

    function test_ItIsNeverPausedButStandsStillWithTheCourt() external {
        _reported(0);
        _demand(0, 1);
        (,, uint64 deadline) = oracle.demandOf(0, 1);
        vm.startPrank(owner);
        oracle.pause(uint64(block.timestamp + 10 * DAY));
        court.pause(uint64(block.timestamp + DAY));
        vm.stopPrank();
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.DemandPending.selector, deadline + DAY));
        oracle.expireDemand(0, 1);
        vm.warp(deadline + DAY + 1);
        oracle.expireDemand(0, 1);
    }
}
