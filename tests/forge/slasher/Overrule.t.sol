// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Carrying out a vetoed slash after all
contract OverruleTest is SlasherTest {
    function _overrule(uint256 id) private {
        vm.prank(owner);
        slasher.overrule(id);
    }

    function test_ANodeIsSlashedAtOnce() external {
        _queueNode(FIVE_PERCENT, "a");
        _veto(1);
        vm.expectEmit(address(slasher));
        emit ISlasher.VetoOverruled(1);
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 325 * QNET, 0, 6_175 * QNET);
        _overrule(1);
        _expectState(1, ISlasher.State.Executed);
        _expectNode(INodeRegistry.State.Tombstoned);
        vm.assertEq(hub.freezesOf(index), 0);
    }

    function test_TheFreezeOfAnotherSlashStays() external {
        _queueNode(FIVE_PERCENT, "a");
        _queueNode(FIVE_PERCENT, "b");
        _veto(1);
        _overrule(1);
        vm.assertEq(hub.freezesOf(index), 1);
        _afterEscrow();
        slasher.execute(2);
        vm.assertEq(hub.freezesOf(index), 0);
    }

    function test_AReleasedMemberIsSuspendedAndSlashed() external {
        _queueMember(2, 0, "a");
        _veto(1);
        _overrule(1);
        vm.assertTrue(_isSuspended(2));
        vm.assertEq(committee.bondOf(2), 0);
        vm.assertEq(token.balanceOf(challenger), MEMBER_BOND / 20);
    }

    function test_AMemberAccusedOfMoreIsSlashedOnce() external {
        _queueMember(2, 0, "a");
        _queueMember(2, 0, "b");
        _veto(1);
        _overrule(1);
        _veto(2);
        vm.assertTrue(_isSuspended(2));
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(2, 0, 0, 0);
        _overrule(2);
        vm.assertTrue(_isSuspended(2));
        vm.assertEq(token.balanceOf(address(committee)), 3 * MEMBER_BOND);
    }

    function test_WhatWasExecutedMeanwhileCountsForTheCap() external {
        _queueNode(ALL, "a");
        _queueNode(ALL, "b");
        _veto(1);
        _afterEscrow();
        slasher.execute(2);
        uint256 left = hub.slashableOf(index, 0);
        _overrule(1);
        vm.assertLe(left - hub.slashableOf(index, 0), GRAIN);
    }

    function test_OnlyAVetoIsOverruledAndOnlyByTheOwner() external {
        _queueNode(FIVE_PERCENT, "a");
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 1, ISlasher.State.Escrow));
        slasher.overrule(1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 2, ISlasher.State.None));
        slasher.overrule(2);
        slasher.setVetoer(alice);
        slasher.veto(1);
        slasher.overrule(1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 1, ISlasher.State.Executed));
        slasher.overrule(1);
        vm.stopPrank();
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, alice, owner));
        slasher.overrule(1);
    }
}
