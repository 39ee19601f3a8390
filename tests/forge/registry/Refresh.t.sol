// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title What a node is after a vote on the least bond
contract RefreshTest is RegistryTest {
    uint32 private _index;

    function setUp() public override {
        super.setUp();
        _index = _node(alice, INodeRegistry.Role.Relay, MIN_BOND);
    }

    function test_ANodeBelowARaisedBondStopsBeingActive() external {
        _set("min_bond_wei", MIN_BOND + 1);
        _expectState(_index, INodeRegistry.State.Active);
        registry.refresh(_index);
        _expectState(_index, INodeRegistry.State.Registered);
        vm.assertFalse(registry.node(_index).slot);
        vm.prank(alice);
        hub.bond(_index, 1);
        _expectState(_index, INodeRegistry.State.Active);
    }

    function test_ANodeAboveALoweredBondBecomesActive() external {
        uint32 late = _node(bob, INodeRegistry.Role.Relay, MIN_BOND - 1);
        _expectState(late, INodeRegistry.State.Registered);
        _set("min_bond_wei", MIN_BOND - 1);
        registry.refresh(late);
        _expectState(late, INodeRegistry.State.Active);
        vm.assertTrue(registry.node(late).slot);
    }

    function test_WithoutAVoteNothingChanges() external {
        vm.warp(GENESIS + DAY);
        registry.refresh(_index);
        _expectStatus(_index, 1, INodeRegistry.State.Active, true);
        _expectStatus(_index, 2, INodeRegistry.State.Active, true);
    }

    function test_OnlyOfWhatABondDecides() external {
        _jail(_index, uint64(_now() + DAY));
        bytes memory error =
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, _index, INodeRegistry.State.Jailed);
        vm.expectRevert(error);
        registry.refresh(_index);
        _tombstone(_index);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, _index, INodeRegistry.State.Tombstoned)
        );
        registry.refresh(_index);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 9));
        registry.refresh(9);
    }
}
