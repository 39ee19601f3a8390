// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Taking the paid slot of a node with less stake
contract TakeSlotFromTest is RegistryTest {
    INodeRegistry.Role private constant ENTRY = INodeRegistry.Role.Entry;
    uint32 private holding;
    uint32 private waiting;

    function setUp() public override {
        super.setUp();
        _set("slots_entry", 1);
        holding = _node(alice, ENTRY, 20_000 * QNET);
        waiting = _node(bob, ENTRY, MIN_BOND);
    }

    function _bondTo(uint256 total) private {
        uint256 more = total - hub.bondOf(waiting);
        vm.prank(bob);
        hub.bond(waiting, more);
    }

    function _expectCannot(uint32 index, uint32 rival, uint256 stake, uint256 needed) private {
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.CannotDisplace.selector, index, rival, stake, needed)
        );
        registry.takeSlotFrom(index, rival);
    }

    function test_ATenthMoreStakeTakesTheSlotFromTheNextEpochOn() external {
        _bondTo(22_000 * QNET - 1);
        _expectCannot(waiting, holding, 22_000 * QNET - 1, 22_000 * QNET);
        _bondTo(22_000 * QNET);
        vm.warp(GENESIS + 4 * DAY);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(holding, ENTRY, false, 0);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(waiting, ENTRY, true, 1);
        registry.takeSlotFrom(waiting, holding);
        _expectStatus(holding, 4, INodeRegistry.State.Active, true);
        _expectStatus(holding, 5, INodeRegistry.State.Active, false);
        _expectStatus(waiting, 4, INodeRegistry.State.Active, false);
        _expectStatus(waiting, 5, INodeRegistry.State.Active, true);
        vm.assertEq(registry.slotsTaken(ENTRY), 1);
    }

    function test_TheEdgeRoundsUp() external {
        vm.prank(alice);
        hub.bond(holding, 1);
        _bondTo(22_000 * QNET + 1);
        _expectCannot(waiting, holding, 22_000 * QNET + 1, 22_000 * QNET + 2);
        _bondTo(22_000 * QNET + 2);
        registry.takeSlotFrom(waiting, holding);
    }

    function test_DelegatedStakeCounts() external {
        address carol = _person("carol", 20_000 * QNET);
        vm.prank(carol);
        hub.delegate(waiting, 12_000 * QNET, 0);
        registry.takeSlotFrom(waiting, holding);
        vm.assertTrue(registry.node(waiting).slot);
    }

    function test_TheLoserTakesItBackTheSameWay() external {
        _bondTo(22_000 * QNET);
        registry.takeSlotFrom(waiting, holding);
        vm.prank(alice);
        hub.bond(holding, 4_200 * QNET);
        registry.takeSlotFrom(holding, waiting);
        _expectStatus(holding, 1, INodeRegistry.State.Active, true);
        _expectStatus(waiting, 1, INodeRegistry.State.Active, false);
    }

    function test_TheRivalMustHoldASlotOfTheSameRole() external {
        _bondTo(100_000 * QNET);
        uint32 relay = _node(alice, INodeRegistry.Role.Relay, MIN_BOND);
        _expectCannot(waiting, relay, 100_000 * QNET, 11_000 * QNET);
        uint32 slotless = _node(alice, ENTRY, MIN_BOND);
        _expectCannot(waiting, slotless, 100_000 * QNET, 11_000 * QNET);
        _expectCannot(waiting, waiting, 100_000 * QNET, 110_000 * QNET);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 99));
        registry.takeSlotFrom(waiting, 99);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 99));
        registry.takeSlotFrom(99, holding);
    }

    function test_TheTakerMustBeActiveAndHoldNone() external {
        uint32 weak = _register(bob, ENTRY);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, weak, INodeRegistry.State.Registered)
        );
        registry.takeSlotFrom(weak, holding);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoSlot.selector, holding, ENTRY));
        registry.takeSlotFrom(holding, waiting);
    }

    function test_AfterTheNumberWasLoweredHoldersEndLesserSlots() external {
        _set("slots_entry", 3);
        registry.takeSlot(waiting);
        uint32 third = _node(bob, ENTRY, MIN_BOND);
        vm.assertEq(registry.slotsTaken(ENTRY), 3);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoSlot.selector, holding, ENTRY));
        registry.takeSlotFrom(holding, third);

        _set("slots_entry", 1);
        _expectCannot(third, waiting, MIN_BOND, MIN_BOND + 1);
        _expectCannot(waiting, holding, MIN_BOND, 20_000 * QNET + 1);
        _expectCannot(holding, holding, 20_000 * QNET, 20_000 * QNET + 1);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlotChanged(third, ENTRY, false, 2);
        registry.takeSlotFrom(waiting, third);
        registry.takeSlotFrom(holding, waiting);
        vm.assertEq(registry.slotsTaken(ENTRY), 1);
        vm.assertTrue(registry.node(holding).slot);
        vm.assertTrue(registry.isActive(third));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NoSlot.selector, holding, ENTRY));
        registry.takeSlotFrom(holding, waiting);
    }

    function test_StakeThatLeftAtOnceIsLockedAllTheSame() external {
        _bondTo(22_000 * QNET);
        registry.takeSlotFrom(waiting, holding);
        vm.startPrank(bob);
        uint8 ticket = hub.unbond(waiting, 12_000 * QNET);
        vm.warp(GENESIS + DAY + 21 * DAY - 1);
        vm.expectRevert();
        hub.withdraw(ticket);
    }
}
