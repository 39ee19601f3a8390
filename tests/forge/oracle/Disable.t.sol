// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract DisableTest is OracleTest {
    function test_TheOwnerDisablesAReportAndAllThatFollow() external {
        bytes32 kept = _reported(0);
        bytes32 first = _reported(1);
        bytes32 second = _reported(2);
        vm.expectEmit(address(oracle));
        emit IReportOracle.ReportDisabled(2, second);
        vm.expectEmit(address(oracle));
        emit IReportOracle.ReportDisabled(1, first);
        vm.prank(owner);
        oracle.disable(1);
        _expectStatus(0, IReportOracle.Status.Submitted);
        _expectStatus(1, IReportOracle.Status.Disabled);
        _expectStatus(2, IReportOracle.Status.Disabled);
        vm.assertEq(oracle.lastReportHash(), kept);
        vm.assertEq(oracle.nextEpoch(), 1);
        vm.assertEq(oracle.unfinished(), 1);
        vm.assertEq(oracle.attemptOf(0), 0);
        vm.assertEq(oracle.attemptOf(1), 1);
        vm.assertEq(oracle.attemptOf(2), 1);
    }

    function test_TheCourtDisables() external {
        _reported(0);
        vm.prank(address(court));
        oracle.disable(0);
        _expectStatus(0, IReportOracle.Status.Disabled);
    }

    function test_NobodyElseDoes() external {
        _reported(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.NotCourt.selector, mallory));
        vm.prank(mallory);
        oracle.disable(0);
    }

    function test_OnlySubmittedReports() external {
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.None));
        _disable(0);
        _reported(0);
        _finalize(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.Final));
        _disable(0);
        _reported(1);
        _disable(1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 1, IReportOracle.Status.Disabled));
        _disable(1);
    }

    function test_ItCanBeReportedAnewWithAWindowOfItsOwn() external {
        _reported(0);
        vm.warp(oracle.windowEnd(0) - 1);
        _disable(0);
        vm.assertEq(oracle.reportDeadline(0), block.timestamp + DEADLINE);
        vm.warp(block.timestamp + DEADLINE);
        _reportedAgain(0);
        vm.assertEq(oracle.windowEnd(0), block.timestamp + WINDOW);
        (IReportOracle.EpochReport memory r,,,) = oracle.report(0);
        vm.assertEq(r.attempt, 1);
    }

    function test_TheDeadlineToReportAnewStandsStillInPauses() external {
        _reported(0);
        _disable(0);
        uint256 deadline = oracle.reportDeadline(0);
        vm.prank(owner);
        oracle.pause(uint64(block.timestamp + DAY));
        vm.warp(block.timestamp + DAY);
        vm.assertEq(oracle.reportDeadline(0), deadline + DAY);
    }

    function test_ADisabledReportKeepsItsAttemptAndPredecessor() external {
        bytes32 first = _reported(0);
        _reported(1);
        (IReportOracle.EpochReport memory before,,,) = oracle.report(1);
        _disable(0);
        (IReportOracle.EpochReport memory r,,, IReportOracle.Status status) = oracle.report(1);
        vm.assertEq(uint256(status), uint256(IReportOracle.Status.Disabled));
        vm.assertEq(keccak256(abi.encode(r)), keccak256(abi.encode(before)));
        vm.assertEq(r.prevReportHash, first);
    }

    /// @dev Nothing of a disabled report may be held against a predecessor it never followed.
    function test_ItForgetsAPredecessorThatWasReportedAnew() external {
        _reported(0);
        _reported(1);
        _disable(0);
        _reportedAgain(0);
        (IReportOracle.EpochReport memory r,,,) = oracle.report(1);
        vm.assertEq(r.prevReportHash, bytes32(0));
        vm.assertEq(r.attempt, 0);
    }

    function test_AfterItsDeadlineItCanBeSkippedAndTheNextFollowsTheOneBefore() external {
        bytes32 first = _reported(0);
        _reported(1);
        _reported(2);
        _disable(1);
        vm.warp(oracle.reportDeadline(1) + 1);
        epochs.skipEpoch(1);
        epochs.skipEpoch(2);
        _reported(3);
        (IReportOracle.EpochReport memory r,,,) = oracle.report(3);
        vm.assertEq(r.prevReportHash, first);
        vm.assertEq(oracle.predecessorOf(3), 1);
    }
}
