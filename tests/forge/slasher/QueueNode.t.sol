// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Queueing the slash of a node
contract QueueNodeTest is SlasherTest {
    bytes32 private constant EVIDENCE = keccak256("evidence");

    function test_TheNodeIsJailedAndFrozenForTheEscrow() external {
        vm.warp(GENESIS + 2 * DAY + 7);
        uint64 until = uint64(_now() + ESCROW);
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashQueued(1, false, index, 2, FIVE_PERCENT, EVIDENCE, challenger, until);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeJailed(index, until);
        vm.assertEq(_queueNode(FIVE_PERCENT, EVIDENCE), 1);

        ISlasher.Slash memory slash = slasher.slashOf(1);
        vm.assertTrue(slash.state == ISlasher.State.Escrow);
        vm.assertFalse(slash.isMember);
        vm.assertEq(slash.subject, index);
        vm.assertEq(slash.epoch, 2);
        vm.assertEq(slash.ppm, FIVE_PERCENT);
        vm.assertEq(slash.queuedAt, _now());
        vm.assertEq(slash.executableAt, until);
        vm.assertEq(slash.challenger, challenger);
        vm.assertEq(slash.refill, 0);
        vm.assertEq(slash.evidence, EVIDENCE);
        vm.assertEq(slasher.count(), 1);
        vm.assertTrue(slasher.isUsed(EVIDENCE));
        vm.assertEq(hub.freezesOf(index), 1);
        vm.assertEq(hub.bondOf(index), NODE_BOND);
        _expectNode(INodeRegistry.State.Jailed);
    }

    function test_ItsTicketsWaitForTheOutcome() external {
        vm.prank(alice);
        uint8 ticket = hub.unbond(index, 1000 * QNET);
        vm.warp(GENESIS + 22 * DAY);
        _queueNode(FIVE_PERCENT, EVIDENCE);
        vm.startPrank(alice);
        vm.expectRevert();
        hub.withdraw(ticket);
        vm.stopPrank();
        _veto(1);
        vm.prank(alice);
        vm.assertEq(hub.withdraw(ticket), 1000 * QNET);
    }

    function test_AJailedNodesTermIsNotShortened() external {
        vm.prank(address(slasher));
        registry.jail(index, uint64(GENESIS + 100 * DAY));
        _queueNode(FIVE_PERCENT, EVIDENCE);
        vm.assertEq(registry.node(index).jailedUntil, GENESIS + 100 * DAY);
    }

    function test_ARetiredNodeIsFrozenAndNotJailed() external {
        vm.prank(alice);
        registry.retire(index);
        _queueNode(FIVE_PERCENT, EVIDENCE);
        _expectNode(INodeRegistry.State.Retired);
        vm.assertEq(hub.freezesOf(index), 1);
    }

    function test_ATombstonedNodeIsFrozenAndNotJailed() external {
        vm.prank(address(slasher));
        registry.tombstone(index);
        _queueNode(FIVE_PERCENT, EVIDENCE);
        _expectNode(INodeRegistry.State.Tombstoned);
        vm.assertEq(hub.freezesOf(index), 1);
    }

    function test_OneEvidenceSlashesOnce() external {
        _queueNode(FIVE_PERCENT, EVIDENCE);
        vm.startPrank(address(court));
        bytes memory used = abi.encodeWithSelector(ISlasher.EvidenceUsed.selector, EVIDENCE);
        vm.expectRevert(used);
        slasher.queueNode(index, 0, FIVE_PERCENT, challenger, EVIDENCE);
        vm.expectRevert(used);
        slasher.queueMember(0, 0, 0, challenger, EVIDENCE);
        vm.stopPrank();
        _veto(1);
        vm.prank(address(court));
        vm.expectRevert(used);
        slasher.queueNode(index, 0, FIVE_PERCENT, challenger, EVIDENCE);
        vm.assertEq(slasher.count(), 1);
    }

    function test_OnlyTheCourtQueues() external {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotCourt.selector, owner));
        slasher.queueNode(index, 0, FIVE_PERCENT, challenger, EVIDENCE);
    }

    function test_SomebodyMustHaveProvenItAndSomethingMustExist() external {
        vm.startPrank(address(court));
        vm.expectRevert(IOwned.ZeroAddress.selector);
        slasher.queueNode(index, 0, FIVE_PERCENT, address(0), EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 99));
        slasher.queueNode(99, 0, FIVE_PERCENT, challenger, EVIDENCE);
    }

    function test_AnUnknownSlashHasNoState() external view {
        _expectState(0, ISlasher.State.None);
        _expectState(1, ISlasher.State.None);
    }
}
