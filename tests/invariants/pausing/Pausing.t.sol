// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {Test} from "../../forge/support/Test.sol";
import {PausingHandler} from "./PausingHandler.sol";

/// @title What holds of every pause of every contract
contract PausingInvariants is Test {
    PausingHandler private handler;
    IPausing[] private subjects;

    function setUp() external {
        handler = new PausingHandler();
        subjects = handler.subjects();
        bytes4[] memory actions = new bytes4[](4);
        actions[0] = handler.pause.selector;
        actions[1] = handler.unpause.selector;
        actions[2] = handler.pauseAsAnother.selector;
        actions[3] = handler.warp.selector;
        _target(address(handler), actions);
    }

    /// @dev Pauses end by themselves within 14 days, 30 days apart, and deadlines gain exactly what they took.
    // solhint-disable-next-line func-name-mixedcase
    function invariant_PauseExpires() external view {
        uint256 time = vm.getBlockTimestamp();
        for (uint256 which = 0; which < subjects.length; ++which) {
            PausingHandler.Span[] memory spans = handler.spansOf(which);
            uint256 total;
            for (uint256 i = 0; i < spans.length; ++i) {
                vm.assertLe(spans[i].until - spans[i].since, 14 days);
                if (i != 0) vm.assertGe(spans[i].since, spans[i - 1].until + 30 days);
                total += (spans[i].until < time ? spans[i].until : time) - spans[i].since;
            }
            bool expected = spans.length != 0 && time < spans[spans.length - 1].until;
            vm.assertTrue(subjects[which].isPaused() == expected);
            vm.assertEq(subjects[which].pausedSince(0), total);
            if (spans.length == 0) continue;
            uint256 within = (spans[0].since + spans[0].until) / 2;
            if (within > time) within = time;
            vm.assertEq(subjects[which].pausedSince(within), total - (within - spans[0].since));
        }
    }
}
