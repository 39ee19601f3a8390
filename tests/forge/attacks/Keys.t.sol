// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Reports} from "../support/Reports.sol";

/// @title Attacks with keys, proofs and trees, by row of docs/explanation/contract-security.md
contract KeyAttacks is Reports {
    /// @dev Forge's own.
    uint256 private constant CHAIN = 31337;
    bytes32 private constant NODE_ID = "a node";

    address private operator;
    address private mallory;

    function setUp() public {
        _deploy(4);
        _bondCommittee();
        operator = _person("operator", 1_000_000 * QNET);
        mallory = _person("mallory", 1_000_000 * QNET);
    }

    function test_RogueKey_AKeyOfAnotherCannotBeTaken() public {
        (address key,) = _account("receipts");
        (address rogue, uint256 rogueSecret) = _account("rogue");
        bytes memory proof = _proofOfPossession(rogueSecret, mallory, key);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.BadProof.selector, key, rogue));
        _registerAs(mallory, key, proof);
    }

    /// @dev A proof seen in the mempool names its owner: nobody else can be first with it.
    function test_RogueKey_ACopiedProofIsWorthNothing() public {
        (address key, uint256 secret) = _account("receipts");
        bytes memory proof = _proofOfPossession(secret, operator, key);
        vm.prank(mallory);
        vm.expectPartialRevert(INodeRegistry.BadProof.selector);
        registry.register(
            INodeRegistry.Role.Relay, NODE_ID, "identity", key, mallory, type(uint256).max, proof
        );
        _registerAs(operator, key, proof);
    }

    function test_ProofReplay_NeitherAgainNorOnAnotherChain() public {
        (address key, uint256 secret) = _account("receipts");
        bytes memory proof = _proofOfPossession(secret, operator, key);
        vm.chainId(CHAIN + 1);
        vm.prank(operator);
        vm.expectPartialRevert(INodeRegistry.BadProof.selector);
        registry.register(
            INodeRegistry.Role.Relay, NODE_ID, "identity", key, operator, type(uint256).max, proof
        );
        vm.chainId(CHAIN);
        _registerAs(operator, key, proof);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ReceiptKeyTaken.selector, key));
        vm.prank(operator);
        registry.register(
            INodeRegistry.Role.Relay, "another node", "identity", key, operator, type(uint256).max, proof
        );
    }

    /// @dev An inner node of the tree is no leaf, and a leaf is none of another report, node or kind.
    function test_SecondPreimage_OnlyLeavesOfTheReportSettle() public {
        for (uint256 i = 0; i < 4; ++i) {
            _node(operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        }
        _reportEpoch(0);
        _reportEpoch(1);
        _finalize(0);
        _finalize(1);
        IReportOracle.NodeLeaf memory leaf = _leaf(1, 1);
        bytes32[] memory proof = _proofOf(1, 1);

        bytes32 hash = oracle.leafHash(leaf);
        bytes32 once = keccak256(abi.encode(uint8(1), block.chainid, address(oracle), leaf));
        vm.assertEq(hash, keccak256(bytes.concat(once)));
        vm.assertTrue(hash != once);

        bytes32[] memory shorter = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = proof[i + 1];
        }
        _refused(leaf, shorter);
        _refused(_leaf(1, 2), proof);
        leaf.epoch = 0;
        _refused(leaf, proof);
        leaf.epoch = 1;
        leaf.cumOperator += 1;
        _refused(leaf, proof);
        leaf.cumOperator -= 1;
        hub.settleNode(leaf, proof);
    }

    function test_DuplicateLeaf_TwoLeavesOfOneNodeRefuteTheReport() public {
        for (uint256 i = 0; i < 2; ++i) {
            _node(operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        }
        _passEpoch(0);
        _makeLeaves(0);
        leavesOf[0][1] = leavesOf[0][0];
        leavesOf[0][1].cumPool = 1;
        _submit(_report(0));
        _prove(mallory, abi.encodeCall(court.proveDuplicateNode, (0, _salt(), 0, _proven(0, 1), _proven(0, 2))));
        (,,, IReportOracle.Status status) = oracle.report(0);
        vm.assertTrue(status == IReportOracle.Status.Disabled);
    }

    /// @dev The same leaf pays once.
    function test_DuplicateLeaf_ALeafSettlesOnce() public {
        _node(operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        _reportEpoch(0);
        _reportEpoch(1);
        _finalize(0);
        _finalize(1);
        _settle(1, 1);
        IReportOracle.NodeLeaf memory leaf = _leaf(1, 1);
        bytes32[] memory proof = _proofOf(1, 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NothingToSettle.selector, 1, 1));
        hub.settleNode(leaf, proof);
    }

    function _refused(IReportOracle.NodeLeaf memory leaf, bytes32[] memory proof) private {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InvalidProof.selector, leaf.node, leaf.epoch));
        hub.settleNode(leaf, proof);
    }

    function _proofOfPossession(uint256 secret, address nodeOwner, address key) private view returns (bytes memory) {
        return _sign(secret, registry.keyProofDigest(nodeOwner, NODE_ID, key, type(uint256).max));
    }

    function _registerAs(address nodeOwner, address key, bytes memory proof) private {
        vm.prank(nodeOwner);
        registry.register(
            INodeRegistry.Role.Relay, NODE_ID, "identity", key, nodeOwner, type(uint256).max, proof
        );
    }
}
