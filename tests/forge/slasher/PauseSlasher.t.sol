// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Pauses of the slasher prolong escrows
contract PauseSlasherTest is SlasherTest {
    function _pause(uint256 seconds_) private {
        vm.prank(owner);
        slasher.pause(uint64(_now() + seconds_));
    }

    function test_NothingIsCarriedOutWhilePaused() external {
        _queueNode(FIVE_PERCENT, "a");
        _afterEscrow();
        _pause(DAY);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, _now() + DAY));
        slasher.execute(1);
        vm.warp(_now() + DAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, _now() + 1));
        slasher.execute(1);
        vm.warp(_now() + 1);
        // the escrow was over before the pause, which lasted a day: it ends a day later
        slasher.execute(1);
    }

    function test_TheEscrowGainsWhatThePauseTook() external {
        uint256 until = _now() + ESCROW + 3 * DAY;
        _queueNode(FIVE_PERCENT, "a");
        vm.warp(_now() + DAY);
        _pause(3 * DAY);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.InEscrow.selector, 1, until));
        slasher.execute(1);
        vm.warp(until);
        slasher.execute(1);
    }

    function test_APauseBeforeTheQueueingDoesNotCount() external {
        _pause(3 * DAY);
        vm.warp(_now() + DAY);
        _queueNode(FIVE_PERCENT, "a");
        uint256 until = _now() + ESCROW + 2 * DAY;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.InEscrow.selector, 1, until));
        slasher.execute(1);
        vm.warp(until);
        slasher.execute(1);
    }

    function test_TheNodeStaysInJailAsLong() external {
        _queueNode(FIVE_PERCENT, "a");
        _pause(3 * DAY);
        vm.warp(_now() + ESCROW);
        vm.prank(alice);
        vm.expectRevert();
        registry.unjail(index);
    }
}
