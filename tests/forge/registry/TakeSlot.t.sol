// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Taking a free paid slot
contract TakeSlotTest is RegistryTest {
    function test_ABecomingActiveNodeTakesAFreeSlotOfItsRole() external {
        uint32 index = _register(alice, INodeRegistry.Role.Exit);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(index, INodeRegistry.Role.Exit, true, 1);
        vm.prank(alice);
        hub.bond(index, MIN_BOND);
        vm.assertTrue(registry.node(index).slot);
        vm.assertEq(registry.slotsTaken(INodeRegistry.Role.Exit), 1);
        vm.assertEq(registry.slotsTaken(INodeRegistry.Role.Entry), 0);
    }

    function test_EveryRoleHasItsOwnSlots() external {
        _set("slots_entry", 1);
        _set("slots_relay", 1);
        _set("slots_mix", 1);
        _set("slots_exit", 1);
        for (uint256 role = 1; role <= 4; ++role) {
            uint32 first = _node(alice, INodeRegistry.Role(role), MIN_BOND);
            uint32 second = _node(alice, INodeRegistry.Role(role), MIN_BOND);
            vm.assertTrue(registry.node(first).slot);
            vm.assertFalse(registry.node(second).slot);
            vm.assertTrue(registry.isActive(second));
            vm.assertEq(registry.slotsTaken(INodeRegistry.Role(role)), 1);
        }
    }

    function test_ASlotThatGotFreeIsTakenFromTheNextEpochOn() external {
        _set("slots_entry", 1);
        uint32 first = _node(alice, INodeRegistry.Role.Entry, MIN_BOND);
        uint32 second = _node(bob, INodeRegistry.Role.Entry, MIN_BOND);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoSlot.selector, second, INodeRegistry.Role.Entry));
        registry.takeSlot(second);
        vm.warp(GENESIS + DAY);
        vm.prank(alice);
        registry.retire(first);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(second, INodeRegistry.Role.Entry, true, 1);
        registry.takeSlot(second);
        _expectStatus(second, 1, INodeRegistry.State.Active, false);
        _expectStatus(second, 2, INodeRegistry.State.Active, true);
    }

    function test_AHolderTakesNoSecondSlot() external {
        uint32 index = _node(alice, INodeRegistry.Role.Entry, MIN_BOND);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoSlot.selector, index, INodeRegistry.Role.Entry));
        registry.takeSlot(index);
    }

    function test_OnlyActiveNodesTakeSlots() external {
        uint32 index = _register(alice, INodeRegistry.Role.Entry);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Registered)
        );
        registry.takeSlot(index);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 2));
        registry.takeSlot(2);
    }

    function test_MoreBondTakesASlotThatGotFree() external {
        _set("slots_entry", 1);
        uint32 first = _node(alice, INodeRegistry.Role.Entry, MIN_BOND);
        uint32 second = _node(bob, INodeRegistry.Role.Entry, MIN_BOND);
        vm.prank(alice);
        registry.retire(first);
        vm.prank(bob);
        hub.bond(second, 1);
        vm.assertTrue(registry.node(second).slot);
    }
}
