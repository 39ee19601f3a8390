// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Jailing a node
contract JailTest is RegistryTest {
    function test_AJailedNodeLosesItsSlotFromTheNextEpochOn() external {
        uint32 index = _node(alice, INodeRegistry.Role.Mix, MIN_BOND);
        vm.warp(GENESIS + 2 * DAY);
        uint64 until = uint64(_now() + 100);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeJailed(index, until);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeStateChanged(index, INodeRegistry.State.Active, INodeRegistry.State.Jailed);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(index, INodeRegistry.Role.Mix, false, 0);
        _jail(index, until);
        vm.assertEq(registry.node(index).jailedUntil, until);
        vm.assertFalse(registry.isActive(index));
        _expectStatus(index, 2, INodeRegistry.State.Active, true);
        _expectStatus(index, 3, INodeRegistry.State.Jailed, false);
    }

    function test_ALaterTermCountsAnEarlierOneDoesNot() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        _jail(index, uint64(_now() + 100));
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeJailed(index, uint64(_now() + 100));
        _jail(index, uint64(_now() + 50));
        vm.assertEq(registry.node(index).jailedUntil, _now() + 100);
        _jail(index, uint64(_now() + 101));
        vm.assertEq(registry.node(index).jailedUntil, _now() + 101);
    }

    function test_ATermEndsInTheFuture() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        vm.startPrank(address(slasher));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidTerm.selector, _now()));
        registry.jail(index, uint64(_now()));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidTerm.selector, 0));
        registry.jail(index, 0);
        registry.jail(index, uint64(_now() + 1));
    }

    function test_RetiredAndTombstonedNodesAreNotJailed() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        vm.prank(alice);
        registry.retire(index);
        vm.startPrank(address(slasher));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Retired));
        registry.jail(index, type(uint64).max);
        registry.tombstone(index);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Tombstoned)
        );
        registry.jail(index, type(uint64).max);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 5));
        registry.jail(5, type(uint64).max);
    }

    function test_OnlyTheSlasherJails() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotSlasher.selector, owner));
        registry.jail(index, type(uint64).max);
    }
}
