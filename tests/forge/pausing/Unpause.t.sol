// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {PausingTest} from "./PausingTest.sol";

/// @title Ending a pause early
contract UnpauseTest is PausingTest {
    function test_GuardianAndOwnerEndAPause() external {
        _pause(START + 100);
        vm.warp(START + 40);
        vm.expectEmit(address(subject));
        emit IPausing.Unpaused(START + 100, START + 40);
        vm.prank(guardian);
        subject.unpause();
        vm.assertFalse(subject.isPaused());
        vm.assertTrue(subject.act());
        vm.assertEq(subject.pausedUntil(), START + 40);

        uint64 next = START + 40 + PAUSE_GAP;
        vm.warp(next);
        _pause(next + 100);
        vm.prank(owner);
        subject.unpause();
        vm.assertFalse(subject.isPaused());
    }

    function test_OthersDoNot() external {
        _pause(START + 100);
        vm.expectRevert(abi.encodeWithSelector(IPausing.NotGuardian.selector, address(this)));
        subject.unpause();
    }

    function test_ThereMustBeAPause() external {
        vm.startPrank(guardian);
        vm.expectRevert(IPausing.NotPaused.selector);
        subject.unpause();
        subject.pause(START + 100);
        vm.warp(START + 100);
        vm.expectRevert(IPausing.NotPaused.selector);
        subject.unpause();
    }

    function test_InItsLastSecondAPauseCanStillBeEnded() external {
        _pause(START + 100);
        vm.warp(START + 99);
        vm.prank(guardian);
        subject.unpause();
        vm.assertEq(subject.pausedUntil(), START + 99);
    }

    function test_APauseEndedInItsFirstSecondStoppedNothing() external {
        _pause(START + 100);
        vm.prank(guardian);
        subject.unpause();
        vm.assertFalse(subject.isPaused());
        vm.warp(START + 50);
        vm.assertEq(subject.pausedSince(START), 0);
        vm.assertEq(subject.pausedSince(0), 0);
    }
}
