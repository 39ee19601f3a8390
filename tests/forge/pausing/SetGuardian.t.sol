// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOwned} from "../../../interfaces/IOwned.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {PausingTest, Switch} from "./PausingTest.sol";

/// @title Appointing the guardian
contract SetGuardianTest is PausingTest {
    function test_ConstructionNamesTheFirst() external {
        vm.expectEmit();
        emit IPausing.GuardianSet(address(0), guardian);
        Switch fresh = new Switch(owner, guardian);
        vm.assertEq(fresh.guardian(), guardian);
        vm.assertEq(fresh.owner(), owner);
    }

    function test_AnEmptyOwnerIsRefused() external {
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Switch(address(0), guardian);
    }

    function test_OwnerAppointsAnother() external {
        vm.expectEmit(address(subject));
        emit IPausing.GuardianSet(guardian, address(this));
        vm.prank(owner);
        subject.setGuardian(address(this));
        vm.assertEq(subject.guardian(), address(this));

        subject.pause(START + 1);
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IPausing.NotGuardian.selector, guardian));
        subject.unpause();
    }

    function test_OwnerCanLeaveThePlaceEmpty() external {
        vm.prank(owner);
        subject.setGuardian(address(0));
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IPausing.NotGuardian.selector, guardian));
        subject.pause(START + 1);
    }

    function test_OthersDoNotAppoint() external {
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, guardian, owner));
        subject.setGuardian(address(this));
    }
}
