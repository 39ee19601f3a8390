// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Becoming active and inactive by the bond, and the status of an epoch
contract OnBondChangedTest is RegistryTest {
    function test_TheLeastBondMakesANodeActive() external {
        uint32 index = _node(alice, INodeRegistry.Role.Entry, MIN_BOND - 1);
        _expectState(index, INodeRegistry.State.Registered);
        vm.prank(alice);
        hub.bond(index, 1);
        _expectState(index, INodeRegistry.State.Active);
        vm.prank(alice);
        hub.unbond(index, 1);
        _expectState(index, INodeRegistry.State.Registered);
        vm.assertEq(registry.slotsTaken(INodeRegistry.Role.Entry), 0);
        vm.prank(alice);
        hub.bond(index, 1);
        vm.assertEq(registry.slotsTaken(INodeRegistry.Role.Entry), 1);
    }

    function test_AStatusOfThePastIsAFact() external {
        uint32 index = _node(alice, INodeRegistry.Role.Entry, MIN_BOND);
        vm.warp(GENESIS + 3 * DAY - 1);
        vm.prank(alice);
        hub.unbond(index, 1);
        vm.warp(GENESIS + 3 * DAY);
        vm.prank(alice);
        hub.bond(index, 1);
        vm.warp(GENESIS + 9 * DAY);
        _jail(index, uint64(_now() + 1));
        _tombstone(index);
        _expectStatus(index, 0, INodeRegistry.State.None, false);
        _expectStatus(index, 1, INodeRegistry.State.Active, true);
        _expectStatus(index, 2, INodeRegistry.State.Active, true);
        _expectStatus(index, 3, INodeRegistry.State.Registered, false);
        _expectStatus(index, 4, INodeRegistry.State.Active, true);
        _expectStatus(index, 9, INodeRegistry.State.Active, true);
        _expectStatus(index, 10, INodeRegistry.State.Tombstoned, false);
        _expectStatus(index, type(uint32).max, INodeRegistry.State.Tombstoned, false);
    }

    function test_OnlyTheHubReportsBonds() external {
        uint32 index = _register(alice, INodeRegistry.Role.Entry);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotHub.selector, alice));
        registry.onBondChanged(index, MIN_BOND);
        vm.prank(address(hub));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 8));
        registry.onBondChanged(8, MIN_BOND);
    }

    function test_RetiredJailedAndTombstonedNodesStayWhatTheyAre() external {
        uint32 index = _register(alice, INodeRegistry.Role.Entry);
        _jail(index, uint64(_now() + 1));
        vm.prank(address(hub));
        registry.onBondChanged(index, MIN_BOND);
        _expectState(index, INodeRegistry.State.Jailed);
        _tombstone(index);
        vm.prank(address(hub));
        registry.onBondChanged(index, type(uint256).max);
        _expectState(index, INodeRegistry.State.Tombstoned);
        uint32 second = _register(alice, INodeRegistry.Role.Entry);
        vm.prank(alice);
        registry.retire(second);
        vm.prank(address(hub));
        registry.onBondChanged(second, MIN_BOND);
        _expectState(second, INodeRegistry.State.Retired);
    }
}
