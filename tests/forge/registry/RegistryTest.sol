// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {World} from "../support/World.sol";

/// @dev A deployment with two operators.
abstract contract RegistryTest is World {
    uint256 internal constant MIN_BOND = 10_000 * QNET;
    bytes32 internal constant NODE_ID = keccak256("a node");
    bytes32 internal constant IDENTITY = keccak256("an identity key");

    address internal alice;
    address internal bob;

    function setUp() public virtual {
        _deploy(1);
        alice = _person("alice", 1_000_000 * QNET);
        bob = _person("bob", 1_000_000 * QNET);
    }

    function _expectState(uint32 index, INodeRegistry.State expected) internal view {
        vm.assertEq(uint256(registry.stateOf(index)), uint256(expected));
    }

    function _expectStatus(uint32 index, uint32 epoch, INodeRegistry.State expected, bool slot) internal view {
        (INodeRegistry.State state, bool held) = registry.statusAt(index, epoch);
        vm.assertEq(uint256(state), uint256(expected), "state of the epoch");
        vm.assertTrue(held == slot, "slot of the epoch");
    }

    function _jail(uint32 index, uint64 until) internal {
        vm.prank(address(slasher));
        registry.jail(index, until);
    }

    function _tombstone(uint32 index) internal {
        vm.prank(address(slasher));
        registry.tombstone(index);
    }

    function _proof(string memory name, address nodeOwner, bytes32 nodeId, uint256 deadline)
        internal
        returns (address key, bytes memory proof)
    {
        uint256 secret;
        (key, secret) = _account(name);
        proof = _sign(secret, registry.keyProofDigest(nodeOwner, nodeId, key, deadline));
    }
}
