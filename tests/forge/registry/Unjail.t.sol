// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Leaving jail
contract UnjailTest is RegistryTest {
    uint32 private index;
    uint64 private until;

    function setUp() public override {
        super.setUp();
        index = _node(alice, INodeRegistry.Role.Mix, MIN_BOND);
        until = uint64(GENESIS + 3 * DAY);
        _jail(index, until);
    }

    function test_AfterTheTermANodeWithEnoughBondIsActiveAgain() external {
        vm.warp(until - 1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillJailed.selector, index, until));
        registry.unjail(index);
        vm.warp(until);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeUnjailed(index);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeStateChanged(index, INodeRegistry.State.Jailed, INodeRegistry.State.Active);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(index, INodeRegistry.Role.Mix, true, 1);
        vm.prank(alice);
        registry.unjail(index);
        vm.assertEq(registry.node(index).jailedUntil, 0);
        _expectStatus(index, 3, INodeRegistry.State.Jailed, false);
        _expectStatus(index, 4, INodeRegistry.State.Active, true);
    }

    function test_WithTooLittleBondItIsOnlyRegistered() external {
        vm.prank(alice);
        hub.unbond(index, 1);
        _expectState(index, INodeRegistry.State.Jailed);
        vm.warp(until);
        vm.prank(alice);
        registry.unjail(index);
        _expectState(index, INodeRegistry.State.Registered);
        vm.assertFalse(registry.node(index).slot);
    }

    function test_ItStaysWhileASlashIsInEscrow() external {
        vm.prank(address(slasher));
        hub.freeze(index);
        vm.warp(until);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.StillJailed.selector, index, type(uint64).max));
        registry.unjail(index);
        vm.prank(address(slasher));
        hub.unfreeze(index);
        vm.prank(alice);
        registry.unjail(index);
        _expectState(index, INodeRegistry.State.Active);
    }

    function test_OnlyItsOwnerAndOnlyFromJail() external {
        vm.warp(until);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotNodeOwner.selector, index, bob));
        registry.unjail(index);
        vm.startPrank(alice);
        registry.unjail(index);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Active));
        registry.unjail(index);
    }
}
