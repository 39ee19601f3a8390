// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {World} from "../support/World.sol";

/// @title Giving up an epoch without a report
contract SkipEpochTest is World {
    uint256 private constant EMISSION = 240_000 * QNET;

    function setUp() public {
        _deploy(1);
        _startEpoch(0);
    }

    function test_ItsBudgetReturnsToThePool() external {
        uint256 deadline = oracle.reportDeadline(0);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.DeadlineNotPassed.selector, 0, deadline));
        epochs.skipEpoch(0);
        vm.warp(deadline + 1);
        vm.expectEmit(address(epochs));
        emit IEpochs.EpochSkipped(0, EMISSION);
        vm.expectEmit(address(vault));
        emit IRewardVault.EpochReleased(0, 0, EMISSION);
        epochs.skipEpoch(0);
        vm.assertEq(vault.unpromised(), VAULT);
        (,,,, bool skipped) = epochs.epochInfo(0);
        vm.assertTrue(skipped);
        (,,, bool open) = epochs.reportTerms(0);
        vm.assertFalse(open);
    }

    function test_OnlyStartedEpochsAndOnlyOnce() external {
        vm.expectRevert(abi.encodeWithSelector(IEpochs.NotSkippable.selector, 1));
        epochs.skipEpoch(1);
        vm.warp(oracle.reportDeadline(0) + 1);
        epochs.skipEpoch(0);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.NotSkippable.selector, 0));
        epochs.skipEpoch(0);
    }

    function test_InOrder() external {
        _startEpoch(1);
        vm.warp(oracle.reportDeadline(1) + 1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.ReportOutOfOrder.selector, 0, 1));
        epochs.skipEpoch(1);
        epochs.skipEpoch(0);
        epochs.skipEpoch(1);
    }
}
