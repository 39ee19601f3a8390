// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Excluding a node for good
contract TombstoneTest is RegistryTest {
    function test_AnyStateEndsHereForGood() external {
        uint32 index = _node(alice, INodeRegistry.Role.Mix, MIN_BOND);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeTombstoned(index);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeStateChanged(index, INodeRegistry.State.Active, INodeRegistry.State.Tombstoned);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(index, INodeRegistry.Role.Mix, false, 0);
        _tombstone(index);
        _expectStatus(index, 1, INodeRegistry.State.Tombstoned, false);

        vm.prank(alice);
        hub.unbond(index, MIN_BOND);
        _expectState(index, INodeRegistry.State.Tombstoned);

        uint32 retired = _register(alice, INodeRegistry.Role.Mix);
        vm.prank(alice);
        registry.retire(retired);
        _tombstone(retired);
        _expectState(retired, INodeRegistry.State.Tombstoned);

        uint32 jailed = _register(alice, INodeRegistry.Role.Mix);
        _jail(jailed, uint64(_now() + 1));
        _tombstone(jailed);
        vm.warp(_now() + 2);
        vm.prank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, jailed, INodeRegistry.State.Tombstoned)
        );
        registry.unjail(jailed);
    }

    function test_OnlyOnceAndOnlyTheSlasher() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotSlasher.selector, owner));
        registry.tombstone(index);
        _tombstone(index);
        vm.startPrank(address(slasher));
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Tombstoned)
        );
        registry.tombstone(index);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 7));
        registry.tombstone(7);
    }
}
