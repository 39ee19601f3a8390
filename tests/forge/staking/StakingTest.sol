// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {World} from "../support/World.sol";

/// @dev A deployment with a bonded committee, two nodes of two operators, and two delegators; reports of few leaves.
abstract contract StakingTest is World {
    uint256 internal constant BOND = 100_000 * QNET;
    uint256 internal constant VIRTUAL_SHARES = 1000;
    uint32 internal constant M = 1_000_000;
    uint256 internal constant UNBOND = 21 days;
    uint256 internal constant STREAM = 7 days;

    address internal alice;
    address internal dave;
    address internal bob;
    address internal carol;
    uint32 internal node;
    uint32 internal other;

    function setUp() public virtual {
        _deploy(4);
        _bondCommittee();
        alice = _person("alice", 1_000_000 * QNET);
        dave = _person("dave", 1_000_000 * QNET);
        bob = _person("bob", 1_000_000 * QNET);
        carol = _person("carol", 1_000_000 * QNET);
        node = _node(alice, INodeRegistry.Role.Relay, BOND);
        other = _node(dave, INodeRegistry.Role.Relay, BOND);
    }

    // actions

    function _delegate(address account, uint32 index, uint256 amount) internal returns (uint256 shares) {
        vm.prank(account);
        return hub.delegate(index, amount, 0);
    }

    function _undelegate(address account, uint32 index, uint256 shares)
        internal
        returns (uint8 ticket, uint256 amount)
    {
        vm.prank(account);
        return hub.undelegate(index, shares);
    }

    function _redelegate(address account, uint256 shares) internal returns (uint256 minted) {
        vm.prank(account);
        return hub.redelegate(node, other, shares, 0);
    }

    function _unbond(uint256 amount) internal returns (uint8 ticket) {
        vm.prank(alice);
        return hub.unbond(node, amount);
    }

    function _slash(uint32 index, uint32 epoch, uint32 ppm) internal returns (uint256) {
        vm.prank(address(slasher));
        return hub.slash(index, epoch, ppm, type(uint256).max);
    }

    function _freeze(uint32 index) internal {
        vm.prank(address(slasher));
        hub.freeze(index);
    }

    function _unfreeze(uint32 index) internal {
        vm.prank(address(slasher));
        hub.unfreeze(index);
    }

    function _jail(uint32 index) internal {
        vm.prank(address(slasher));
        registry.jail(index, uint64(block.timestamp + 7 days));
    }

    function _tombstone(uint32 index) internal {
        vm.prank(address(slasher));
        registry.tombstone(index);
    }

    function _retire(uint32 index) internal {
        (address nodeOwner,) = registry.ownerAndRoleOf(index);
        vm.prank(nodeOwner);
        registry.retire(index);
    }

    function _pause(IPausing target, uint256 duration) internal returns (uint64 until) {
        until = uint64(block.timestamp + duration);
        vm.prank(owner);
        target.pause(until);
    }

    // facts

    function _shares(address account, uint32 index) internal view returns (uint256 shares) {
        (shares,,) = hub.positionOf(account, index);
    }

    function _principal(address account, uint32 index) internal view returns (uint256 principal) {
        (, principal,) = hub.positionOf(account, index);
    }

    function _worth(address account, uint32 index) internal view returns (uint256 worth) {
        (,, worth) = hub.positionOf(account, index);
    }

    function _ticketAmount(address account, uint8 ticket) internal view returns (uint256 amount) {
        (,,, amount,) = hub.ticketOf(account, ticket);
    }

    function _unlocksAt(address account, uint8 ticket) internal view returns (uint64 unlocksAt) {
        (,,,, unlocksAt) = hub.ticketOf(account, ticket);
    }

    // reports

    function _leaf(uint32 epoch, uint32 index, uint256 cumOperator, uint256 cumPool, uint32 rho)
        internal
        pure
        returns (IReportOracle.NodeLeaf memory leaf)
    {
        leaf.epoch = epoch;
        leaf.node = index;
        leaf.rho = rho;
        leaf.cumOperator = cumOperator;
        leaf.cumPool = cumPool;
    }

    /// @dev Pass an epoch and submit a report with one leaf, which is its root.
    function _report(IReportOracle.NodeLeaf memory leaf, uint256 totalReward) internal {
        _passEpoch(leaf.epoch);
        _submit(leaf.epoch, oracle.leafHash(leaf), totalReward);
    }

    function _submit(uint32 epoch, bytes32 nodesRoot, uint256 totalReward) internal {
        IReportOracle.EpochReport memory r;
        r.epoch = epoch;
        r.attempt = oracle.attemptOf(epoch);
        (r.paramsHash,, r.nodeCount,) = epochs.reportTerms(epoch);
        r.nodesRoot = nodesRoot;
        r.totalReward = uint128(totalReward);
        r.prevReportHash = oracle.lastReportHash();
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), 3);
        oracle.submit(r, bitmap, signatures);
    }

    function _finalize(uint32 epoch) internal {
        if (block.timestamp < oracle.windowEnd(epoch)) vm.warp(oracle.windowEnd(epoch));
        oracle.finalize(epoch);
    }

    /// @dev Pass an epoch, report one leaf, make it final, settle it.
    function _settle(IReportOracle.NodeLeaf memory leaf, uint256 totalReward) internal {
        _report(leaf, totalReward);
        _finalize(leaf.epoch);
        hub.settleNode(leaf, new bytes32[](0));
    }

    /// @dev The same with one leaf for each node.
    function _settleBoth(
        IReportOracle.NodeLeaf memory first,
        IReportOracle.NodeLeaf memory second,
        uint256 totalReward
    ) internal {
        _passEpoch(first.epoch);
        (bytes32 a, bytes32 b) = (oracle.leafHash(first), oracle.leafHash(second));
        bytes32 root = a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
        _submit(first.epoch, root, totalReward);
        _finalize(first.epoch);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = b;
        hub.settleNode(first, proof);
        proof[0] = a;
        hub.settleNode(second, proof);
    }
}
