// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Registering a node
contract RegisterTest is RegistryTest {
    uint256 private constant SECP256K1_N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_ANodeStandsAsRegistered() external {
        vm.warp(GENESIS + 3 * DAY + 5);
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeRegistered(1, NODE_ID, alice, INodeRegistry.Role.Exit, key);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeStateChanged(1, INodeRegistry.State.None, INodeRegistry.State.Registered);
        vm.prank(alice);
        uint32 index =
            registry.register(INodeRegistry.Role.Exit, NODE_ID, IDENTITY, key, bob, _now(), proof);

        vm.assertEq(index, 1);
        vm.assertEq(registry.count(), 1);
        vm.assertEq(registry.indexOf(NODE_ID), 1);
        INodeRegistry.Node memory node = registry.node(1);
        vm.assertEq(node.owner, alice);
        vm.assertEq(node.payout, bob);
        vm.assertEq(node.receiptKey, key);
        vm.assertEq(node.identityKey, IDENTITY);
        vm.assertEq(node.nodeId, NODE_ID);
        vm.assertEq(node.since, _now());
        vm.assertEq(node.jailedUntil, 0);
        vm.assertFalse(node.slot);
        vm.assertEq(registry.payoutOf(1), bob);
        (address nodeOwner, INodeRegistry.Role role) = registry.ownerAndRoleOf(1);
        vm.assertEq(nodeOwner, alice);
        vm.assertTrue(role == INodeRegistry.Role.Exit);
        _expectState(1, INodeRegistry.State.Registered);
        vm.assertFalse(registry.isActive(1));
        vm.assertEq(registry.receiptKeyAt(1, 2), address(0));
        vm.assertEq(registry.receiptKeyAt(1, 3), key);
        _expectStatus(1, 3, INodeRegistry.State.None, false);
        _expectStatus(1, 4, INodeRegistry.State.Registered, false);
    }

    function test_NumbersAreDense() external {
        vm.assertEq(_register(alice, INodeRegistry.Role.Entry), 1);
        vm.assertEq(_register(bob, INodeRegistry.Role.Relay), 2);
        vm.assertEq(_register(alice, INodeRegistry.Role.Mix), 3);
        vm.assertEq(registry.count(), 3);
    }

    function test_BeforeGenesisAStatusCountsFromTheFirstEpoch() external {
        _set("register_fee_wei", 0); // the token keeps its history from genesis on
        vm.warp(GENESIS - 1);
        uint32 index = _node(alice, INodeRegistry.Role.Entry, MIN_BOND);
        _expectStatus(index, 0, INodeRegistry.State.Active, true);
        vm.warp(GENESIS);
        uint32 second = _node(alice, INodeRegistry.Role.Entry, MIN_BOND);
        _expectStatus(second, 0, INodeRegistry.State.None, false);
        _expectStatus(second, 1, INodeRegistry.State.Active, true);
    }

    function test_ANodeNeedsARole() external {
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.InvalidRole.selector, INodeRegistry.Role.None));
        registry.register(INodeRegistry.Role.None, NODE_ID, IDENTITY, key, alice, _now(), proof);
    }

    function test_NoFieldIsEmpty() external {
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.startPrank(alice);
        vm.expectRevert(INodeRegistry.EmptyField.selector);
        registry.register(INodeRegistry.Role.Mix, 0, IDENTITY, key, alice, _now(), proof);
        vm.expectRevert(INodeRegistry.EmptyField.selector);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, 0, key, alice, _now(), proof);
        vm.expectRevert(INodeRegistry.EmptyField.selector);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, address(0), _now(), proof);
        vm.expectRevert(INodeRegistry.EmptyField.selector);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, address(0), alice, _now(), proof);
    }

    function test_AnIdentifierServesOnce() external {
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.prank(alice);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), proof);
        (key, proof) = _proof("another key", bob, NODE_ID, _now());
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NodeIdTaken.selector, NODE_ID, 1));
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, bob, _now(), proof);
    }

    function test_AReceiptKeyServesOnce() external {
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.prank(alice);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), proof);
        bytes32 other = keccak256("another node");
        (key, proof) = _proof("key", alice, other, _now());
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ReceiptKeyTaken.selector, key));
        registry.register(INodeRegistry.Role.Mix, other, IDENTITY, key, alice, _now(), proof);
    }

    function test_AProofEndsAtItsDeadline() external {
        uint256 deadline = GENESIS + 100;
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, deadline);
        vm.warp(deadline + 1);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ProofExpired.selector, deadline));
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, deadline, proof);
        vm.warp(deadline);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, deadline, proof);
    }

    function test_ACopiedProofIsWorthNothing() external {
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.prank(bob);
        vm.expectPartialRevert(INodeRegistry.BadProof.selector);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, bob, _now(), proof);
    }

    function test_AProofOfAnotherIdentifierIsWorthNothing() external {
        (address key, bytes memory proof) = _proof("key", alice, keccak256("another"), _now());
        vm.prank(alice);
        vm.expectPartialRevert(INodeRegistry.BadProof.selector);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), proof);
    }

    function test_BytesThatAreNoSignatureAreRefused() external {
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        bytes memory bad = abi.encodeWithSelector(INodeRegistry.BadProof.selector, key, address(0));
        vm.startPrank(alice);
        vm.expectRevert(bad);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), "");
        vm.expectRevert(bad);
        registry.register(
            INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), bytes.concat(proof, hex"00")
        );
        vm.expectRevert(bad);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), new bytes(65));
    }

    function test_TheOtherFormOfASignatureIsRefused() external {
        (address key, uint256 secret) = _account("key");
        bytes32 digest = registry.keyProofDigest(alice, NODE_ID, key, _now());
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        bytes memory high = abi.encodePacked(r, bytes32(SECP256K1_N - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadProof.selector, key, address(0)));
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), high);
    }

    function test_UnknownNumbers() external {
        bytes memory unknown = abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 1);
        vm.expectRevert(unknown);
        registry.node(1);
        vm.expectRevert(unknown);
        registry.stateOf(1);
        vm.expectRevert(unknown);
        registry.ownerAndRoleOf(1);
        vm.expectRevert(unknown);
        registry.payoutOf(1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 0));
        registry.node(0);
        vm.assertFalse(registry.isActive(1));
        vm.assertEq(registry.indexOf(NODE_ID), 0);
        vm.assertEq(registry.receiptKeyAt(1, type(uint32).max), address(0));
        _expectStatus(1, type(uint32).max, INodeRegistry.State.None, false);
    }

    function test_TheFeeIsBurned() external {
        uint256 fee = parameters.get("register_fee_wei");
        (uint256 held, uint256 supply) = (token.balanceOf(alice), token.totalSupply());
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.prank(alice);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), proof);
        vm.assertEq(token.balanceOf(alice), held - fee);
        vm.assertEq(token.totalSupply(), supply - fee);
    }

    function test_WhoDoesNotPayTheFeeIsNotRegistered() external {
        uint256 fee = parameters.get("register_fee_wei");
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.prank(alice);
        token.approve(address(registry), fee - 1);
        bytes memory error =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(registry), fee - 1, fee);
        vm.expectRevert(error);
        vm.prank(alice);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), proof);
        vm.assertEq(registry.count(), 0);
    }

    function test_AFeeOfZeroAsksForNothing() external {
        _set("register_fee_wei", 0);
        (address key, bytes memory proof) = _proof("key", alice, NODE_ID, _now());
        vm.startPrank(alice);
        token.approve(address(registry), 0);
        registry.register(INodeRegistry.Role.Mix, NODE_ID, IDENTITY, key, alice, _now(), proof);
        vm.stopPrank();
        vm.assertEq(registry.count(), 1);
    }
}
