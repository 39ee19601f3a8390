// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {World} from "../support/World.sol";

/// @title Every contract knows the others, and nobody holds a right by accident
contract WiringTest is World {
    function setUp() public {
        _deploy(4);
    }

    function test_TheTimelockOwnsAll() external view {
        address[10] memory owned = [
            address(parameters),
            address(epochs),
            address(committee),
            address(registry),
            address(hub),
            address(oracle),
            address(versions),
            address(slasher),
            address(court),
            address(channels)
        ];
        for (uint256 i = 0; i < owned.length; ++i) {
            vm.assertEq(IPausing(owned[i]).owner(), address(timelock));
        }
    }

    function test_LinksCloseTheCircle() external view {
        vm.assertEq(address(epochs.registry()), address(registry));
        vm.assertEq(address(epochs.oracle()), address(oracle));
        vm.assertEq(address(epochs.vault()), address(vault));
        vm.assertEq(address(registry.hub()), address(hub));
        vm.assertEq(address(hub.registry()), address(registry));
        vm.assertEq(address(hub.oracle()), address(oracle));
        vm.assertEq(address(hub.vault()), address(vault));
        vm.assertEq(address(hub.court()), address(court));
        vm.assertEq(address(oracle.committee()), address(committee));
        vm.assertEq(address(oracle.court()), address(court));
        vm.assertEq(address(court.oracle()), address(oracle));
        vm.assertEq(address(court.slasher()), address(slasher));
        vm.assertEq(vault.hub(), address(hub));
        vm.assertEq(vault.epochs(), address(epochs));
        vm.assertEq(slasher.court(), address(court));
        vm.assertEq(address(slasher.channels()), address(channels));
        vm.assertEq(address(channels.committee()), address(committee));
    }

    function test_OneSlasherForAll() external view {
        vm.assertEq(registry.slasher(), address(slasher));
        vm.assertEq(committee.slasher(), address(slasher));
        vm.assertEq(hub.slasher(), address(slasher));
    }

    function test_TheOwnerIsTheFirstGuardian() external view {
        IPausing[5] memory pausing = [IPausing(address(hub)), oracle, court, slasher, channels];
        for (uint256 i = 0; i < pausing.length; ++i) {
            vm.assertEq(pausing[i].guardian(), address(timelock));
            vm.assertFalse(pausing[i].isPaused());
        }
        vm.assertEq(slasher.vetoer(), address(timelock));
    }

    function test_ANodeIsBondedInTheWholeWorld() external {
        _bondCommittee();
        address alice = _person("alice", 20_000 * QNET);
        uint32 index = _node(alice, INodeRegistry.Role.Entry, 10_000 * QNET);
        _passEpoch(0);
        vm.assertTrue(registry.isActive(index));
        (INodeRegistry.State state, bool slot) = registry.statusAt(index, 1);
        vm.assertTrue(state == INodeRegistry.State.Active && slot);
        vm.assertEq(hub.bondOf(index), 10_000 * QNET);
        vm.assertEq(token.balanceOf(address(vault)), VAULT);
        vm.assertEq(epochs.nextEpoch(), 1);
    }
}
