// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract MarkSkippedTest is OracleTest {
    function test_OnlyEpochsSkips() external {
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.NotEpochs.selector, mallory));
        vm.prank(mallory);
        oracle.markSkipped(0);
    }

    function test_AReportedEpochIsNotSkipped() external {
        _reported(0);
        vm.warp(block.timestamp + DAY);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.AlreadyReported.selector, 0));
        epochs.skipEpoch(0);
        _finalize(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.AlreadyReported.selector, 0));
        epochs.skipEpoch(0);
    }

    function test_NotBeforeTheDeadlineHasPassed() external {
        _over(0);
        uint256 deadline = oracle.reportDeadline(0);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.DeadlineNotPassed.selector, 0, deadline));
        epochs.skipEpoch(0);
        vm.warp(deadline + 1);
        epochs.skipEpoch(0);
        vm.assertEq(oracle.nextEpoch(), 1);
    }

    function test_InOrder() external {
        _over(0);
        _over(1);
        vm.warp(oracle.reportDeadline(1) + 1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.ReportOutOfOrder.selector, 0, 1));
        epochs.skipEpoch(1);
    }

    function test_APauseOfReportsPutsItOff() external {
        _over(0);
        vm.prank(owner);
        oracle.pause(uint64(block.timestamp + 2 * DAY));
        vm.warp(block.timestamp + 2 * DAY);
        uint256 deadline = epochs.epochEnd(0) + DEADLINE + 2 * DAY;
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.DeadlineNotPassed.selector, 0, deadline));
        epochs.skipEpoch(0);
    }
}
