// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Stopping a slash, and who may
contract VetoTest is SlasherTest {
    address private guard = address(0x6A4D);

    function test_AVetoedNodeIsThawedAndLeavesJailAfterItsTerm() external {
        _queueNode(FIVE_PERCENT, "a");
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashVetoed(1, owner);
        _veto(1);
        _expectState(1, ISlasher.State.Vetoed);
        vm.assertEq(hub.freezesOf(index), 0);
        _expectNode(INodeRegistry.State.Jailed);
        _afterEscrow();
        vm.prank(alice);
        registry.unjail(index);
        _expectNode(INodeRegistry.State.Active);
        vm.assertEq(hub.bondOf(index), NODE_BOND);
    }

    function test_AVetoLiftsOneFreezeOnly() external {
        _queueNode(FIVE_PERCENT, "a");
        _queueNode(FIVE_PERCENT, "b");
        _veto(1);
        vm.assertEq(hub.freezesOf(index), 1);
        _afterEscrow();
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillJailed.selector, index, type(uint64).max));
        registry.unjail(index);
    }

    function test_AVetoedMemberIsReleasedWithTheLastAccusation() external {
        _queueMember(2, 0, "a");
        _queueMember(2, 0, "b");
        _veto(1);
        vm.assertTrue(_isSuspended(2));
        _veto(2);
        vm.assertFalse(_isSuspended(2));
        vm.assertEq(committee.bondOf(2), MEMBER_BOND);
        _queueMember(2, 0, "c");
        vm.assertTrue(_isSuspended(2));
    }

    function test_ASlashThatNobodyCarriedOutCanStillBeStopped() external {
        _queueMember(2, 0, "a");
        vm.warp(_now() + 300 * DAY);
        _veto(1);
        vm.assertFalse(_isSuspended(2));
    }

    function test_AVetoWorksWhilePaused() external {
        _queueMember(2, 0, "a");
        vm.startPrank(owner);
        slasher.pause(uint64(_now() + DAY));
        slasher.veto(1);
    }

    function test_OnlyWhatIsInEscrowIsStopped() external {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 1, ISlasher.State.None));
        slasher.veto(1);
        vm.stopPrank();
        _queueMember(2, 0, "a");
        _queueMember(3, 0, "b");
        _veto(1);
        _afterEscrow();
        slasher.execute(2);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 1, ISlasher.State.Vetoed));
        slasher.veto(1);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.WrongState.selector, 2, ISlasher.State.Executed));
        slasher.veto(2);
    }

    function test_TheVetoerAndTheOwnerStop() external {
        vm.expectEmit(address(slasher));
        emit ISlasher.VetoerSet(owner, guard);
        vm.prank(owner);
        slasher.setVetoer(guard);
        vm.assertEq(slasher.vetoer(), guard);
        _queueMember(2, 0, "a");
        _queueMember(3, 0, "b");
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotVetoer.selector, address(this)));
        slasher.veto(1);
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashVetoed(1, guard);
        vm.prank(guard);
        slasher.veto(1);
        _veto(2);
    }

    function test_WithoutAVetoerTheOwnerStillStops() external {
        vm.prank(owner);
        slasher.setVetoer(address(0));
        _queueMember(2, 0, "a");
        _veto(1);
    }

    function test_OnlyTheOwnerAppointsTheVetoer() external {
        vm.prank(guard);
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, guard, owner));
        slasher.setVetoer(guard);
    }
}
