// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Retiring a node
contract RetireTest is RegistryTest {
    function test_AnActiveNodeGivesUpItsSlotForGood() external {
        uint32 index = _node(alice, INodeRegistry.Role.Relay, MIN_BOND);
        vm.assertEq(registry.slotsTaken(INodeRegistry.Role.Relay), 1);
        vm.warp(GENESIS + 2 * DAY);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeRetired(index);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeStateChanged(index, INodeRegistry.State.Active, INodeRegistry.State.Retired);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(index, INodeRegistry.Role.Relay, false, 0);
        vm.prank(alice);
        registry.retire(index);
        vm.assertEq(registry.slotsTaken(INodeRegistry.Role.Relay), 0);
        vm.assertFalse(registry.node(index).slot);
        vm.assertFalse(registry.isActive(index));
        _expectStatus(index, 2, INodeRegistry.State.Active, true);
        _expectStatus(index, 3, INodeRegistry.State.Retired, false);

        vm.prank(alice);
        hub.unbond(index, 1);
        _expectState(index, INodeRegistry.State.Retired);
    }

    function test_ARegisteredNodeRetires() external {
        uint32 index = _register(alice, INodeRegistry.Role.Relay);
        vm.prank(alice);
        registry.retire(index);
        _expectState(index, INodeRegistry.State.Retired);
    }

    function test_NobodyRetiresOutOfJailOrTwice() external {
        uint32 index = _register(alice, INodeRegistry.Role.Relay);
        _jail(index, uint64(_now() + 10));
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Jailed));
        registry.retire(index);
        vm.warp(_now() + 10);
        registry.unjail(index);
        registry.retire(index);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Retired));
        registry.retire(index);
        vm.stopPrank();
        _tombstone(index);
        vm.prank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Tombstoned)
        );
        registry.retire(index);
    }

    function test_OthersDoNotRetireIt() external {
        uint32 index = _register(alice, INodeRegistry.Role.Relay);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotNodeOwner.selector, index, bob));
        registry.retire(index);
    }
}
