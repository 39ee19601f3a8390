// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {PausingTest} from "./PausingTest.sol";

/// @title Pausing a contract
contract PauseTest is PausingTest {
    function test_NothingIsPausedAtFirst() external view {
        vm.assertFalse(subject.isPaused());
        vm.assertEq(subject.pausedUntil(), 0);
        vm.assertTrue(subject.act());
    }

    function test_PauseStopsGuardedFunctionsAndEndsByItself() external {
        uint64 until = START + PAUSE_MAX;
        vm.expectEmit(address(subject));
        emit IPausing.Paused(START, until);
        _pause(until);
        vm.assertTrue(subject.isPaused());
        vm.assertEq(subject.pausedUntil(), until);

        vm.warp(until - 1);
        vm.assertTrue(subject.isPaused());
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        subject.act();

        vm.warp(until);
        vm.assertFalse(subject.isPaused());
        vm.assertTrue(subject.act());
        vm.assertEq(subject.pausedUntil(), until);
    }

    function test_OnlyTheGuardianPauses() external {
        vm.expectRevert(abi.encodeWithSelector(IPausing.NotGuardian.selector, address(this)));
        subject.pause(START + 1);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IPausing.NotGuardian.selector, owner));
        subject.pause(START + 1);
    }

    function test_PauseMustEndLaterThanNow() external {
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IPausing.InvalidPause.selector, START, START + PAUSE_MAX));
        subject.pause(START);
        vm.expectRevert(abi.encodeWithSelector(IPausing.InvalidPause.selector, 0, START + PAUSE_MAX));
        subject.pause(0);
        subject.pause(START + 1);
    }

    function test_PauseLastsFourteenDaysAtMost() external {
        uint64 latest = START + PAUSE_MAX;
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IPausing.InvalidPause.selector, latest + 1, latest));
        subject.pause(latest + 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.InvalidPause.selector, type(uint64).max, latest));
        subject.pause(type(uint64).max);
        subject.pause(latest);
    }

    function test_PauseCannotBeProlonged() external {
        _pause(START + 10);
        vm.warp(START + 9);
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IPausing.PausedTooRecently.selector, START + 10 + PAUSE_GAP));
        subject.pause(START + 20);
    }

    function test_NextPauseComesThirtyDaysAfterTheEnd() external {
        uint64 end = START + PAUSE_MAX;
        _pause(end);
        uint64 next = end + PAUSE_GAP;
        vm.warp(next - 1);
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IPausing.PausedTooRecently.selector, next));
        subject.pause(next + 1);
        vm.warp(next);
        _pause(next + 1);
        vm.assertEq(subject.pausedUntil(), next + 1);
    }

    function test_AnEarlyEndCountsAsTheEnd() external {
        _pause(START + PAUSE_MAX);
        vm.warp(START + 100);
        vm.prank(guardian);
        subject.unpause();
        uint64 next = START + 100 + PAUSE_GAP;
        vm.warp(next - 1);
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IPausing.PausedTooRecently.selector, next));
        subject.pause(next + 1);
        vm.warp(next);
        _pause(next + 1);
    }
}
