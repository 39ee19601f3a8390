// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Changing the receipt key of a node
contract RotateKeyTest is RegistryTest {
    uint32 private index;
    bytes32 private nodeId;
    address private oldKey;

    function setUp() public override {
        super.setUp();
        index = _register(alice, INodeRegistry.Role.Mix);
        nodeId = registry.node(index).nodeId;
        oldKey = registry.node(index).receiptKey;
    }

    function test_TheNewKeyCountsFromTheNextEpoch() external {
        vm.warp(GENESIS + 5 * DAY - 1);
        (address key, bytes memory proof) = _proof("new key", alice, nodeId, _now());
        vm.expectEmit(address(registry));
        emit INodeRegistry.KeyRotated(index, oldKey, key, 5);
        vm.prank(alice);
        registry.rotateKey(index, key, _now(), proof);
        vm.assertEq(registry.node(index).receiptKey, key);
        vm.assertEq(registry.receiptKeyAt(index, 0), oldKey);
        vm.assertEq(registry.receiptKeyAt(index, 4), oldKey);
        vm.assertEq(registry.receiptKeyAt(index, 5), key);
        vm.assertEq(registry.receiptKeyAt(index, 500), key);
    }

    function test_TheLastOfAnEpochCounts() external {
        (address first, bytes memory proofOfFirst) = _proof("first", alice, nodeId, _now());
        (address second, bytes memory proofOfSecond) = _proof("second", alice, nodeId, _now());
        vm.startPrank(alice);
        registry.rotateKey(index, first, _now(), proofOfFirst);
        registry.rotateKey(index, second, _now(), proofOfSecond);
        vm.assertEq(registry.receiptKeyAt(index, 1), second);

        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ReceiptKeyTaken.selector, first));
        registry.rotateKey(index, first, _now(), proofOfFirst);
    }

    function test_BeforeGenesisItCountsFromTheFirstEpoch() external {
        _set("register_fee_wei", 0); // the token keeps its history from genesis on
        vm.warp(GENESIS - 10);
        uint32 early = _register(alice, INodeRegistry.Role.Mix);
        (address key, bytes memory proof) = _proof("key", alice, registry.node(early).nodeId, _now());
        vm.prank(alice);
        registry.rotateKey(early, key, _now(), proof);
        vm.assertEq(registry.receiptKeyAt(early, 0), key);
    }

    function test_OnlyTheNodesOwnerRotates() external {
        (address key, bytes memory proof) = _proof("key", bob, nodeId, _now());
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotNodeOwner.selector, index, bob));
        registry.rotateKey(index, key, _now(), proof);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 2));
        registry.rotateKey(2, key, _now(), proof);
    }

    function test_AKeyMustBeProvenAndNotEmpty() external {
        (address key, bytes memory proof) = _proof("key", alice, nodeId, GENESIS);
        vm.startPrank(alice);
        vm.expectRevert(INodeRegistry.EmptyField.selector);
        registry.rotateKey(index, address(0), GENESIS, proof);
        vm.expectPartialRevert(INodeRegistry.BadProof.selector);
        registry.rotateKey(index, key, GENESIS + 1, proof);
        vm.warp(GENESIS + 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ProofExpired.selector, GENESIS));
        registry.rotateKey(index, key, GENESIS, proof);
    }

    function test_AJailedNodeRotatesARetiredOrTombstonedOneDoesNot() external {
        (address key, bytes memory proof) = _proof("key", alice, nodeId, _now());
        _jail(index, uint64(_now() + 1));
        vm.prank(alice);
        registry.rotateKey(index, key, _now(), proof);

        (key, proof) = _proof("another", alice, nodeId, _now());
        _tombstone(index);
        vm.prank(alice);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Tombstoned)
        );
        registry.rotateKey(index, key, _now(), proof);

        uint32 second = _register(alice, INodeRegistry.Role.Mix);
        vm.startPrank(alice);
        registry.retire(second);
        vm.expectRevert(
            abi.encodeWithSelector(INodeRegistry.WrongState.selector, second, INodeRegistry.State.Retired)
        );
        registry.rotateKey(second, key, _now(), proof);
    }
}
