// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {Reports} from "../support/Reports.sol";

/// @dev Four members; entry 1 and relay 4 of Alice, relay 2 of Bob, exit 3 of Dave, mix 5 of Dave, and node 6, which
/// never bonded. Epoch 0 was reported, epoch 1 is over. Carol challenges.
abstract contract CourtTest is Reports {
    uint256 internal constant BOND = 2_400 * QNET;
    uint32 internal constant EPOCH = 1;
    uint32 internal constant ENTRY = 1;
    uint32 internal constant RELAY = 2;
    uint32 internal constant EXIT = 3;
    uint32 internal constant OWN_RELAY = 4;
    uint32 internal constant MIX = 5;
    uint32 internal constant IDLE = 6;

    address internal mallory = address(0xBAD);
    address internal alice;
    address internal bob;
    address internal carol;
    address internal dave;
    uint256[] internal values;

    function setUp() public virtual {
        _deploy(4);
        _bondCommittee();
        alice = _person("alice", 1_000_000 * QNET);
        bob = _person("bob", 1_000_000 * QNET);
        carol = _person("carol", 1_000 * BOND);
        dave = _person("dave", 1_000_000 * QNET);
        _node(alice, INodeRegistry.Role.Entry, 100_000 * QNET);
        _node(bob, INodeRegistry.Role.Relay, 50_000 * QNET);
        _node(dave, INodeRegistry.Role.Exit, 20_000 * QNET);
        _node(alice, INodeRegistry.Role.Relay, 20_000 * QNET);
        _node(dave, INodeRegistry.Role.Mix, 20_000 * QNET);
        _register(bob, INodeRegistry.Role.Exit);
        values = parameters.values();
        _over(0);
        _makeHonest(0);
        _submit(_report(0));
        _over(EPOCH);
        _makeHonest(EPOCH);
    }

    /// @dev Let an epoch pass and an hour more.
    function _over(uint32 epoch) internal {
        _passEpoch(epoch);
        vm.warp(epochs.epochEnd(epoch) + 1 hours);
    }

    /// @dev Leaves with P = W = 1 of those who took part, and empty ones of the others.
    function _makeHonest(uint32 epoch) internal {
        _makeLeaves(epoch);
    }

    /// @dev A report of an epoch with the leaves kept, whatever they claim.
    function _claimed(uint32 epoch) internal view returns (IReportOracle.EpochReport memory r) {
        r.epoch = epoch;
        r.attempt = oracle.attemptOf(epoch);
        (r.paramsHash,,,) = epochs.reportTerms(epoch);
        r.nodesRoot = _root(_hashes(epoch));
        r.nodeCount = epochs.nodeCountOf(epoch);
        r.totalReward = uint128(100 * QNET);
        r.dataHash = keccak256("data");
        r.prevReportHash = oracle.lastReportHash();
    }

    /// @dev Report EPOCH with another leaf of a node.
    function _reportWith(uint32 node, IReportOracle.NodeLeaf memory leaf) internal {
        leavesOf[EPOCH][node - 1] = leaf;
        _submit(_claimed(EPOCH));
    }

    function _reportHonestly() internal {
        _submit(_report(EPOCH));
    }

    /// @dev Commit to a proof and bring it: the report of an epoch is wrong, for the first time.
    function _condemns(uint32 epoch, bytes memory data) internal {
        (, bytes32 hash,,) = oracle.report(epoch);
        uint256 before = token.balanceOf(carol);
        uint256 id = _openFor(carol, data);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ReportProvenWrong(epoch, hash, carol, true);
        vm.expectEmit(address(oracle));
        emit IReportOracle.ReportDisabled(epoch, hash);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ChallengeProven(id, carol, hash, false);
        _callCourt(carol, data);
        vm.assertEq(token.balanceOf(carol), before);
        (address challenger, uint256 refill) = court.wrongReportOf(hash);
        vm.assertEq(challenger, carol);
        vm.assertEq(refill, 0);
        (,,, IReportOracle.Status status) = oracle.report(epoch);
        vm.assertEq(uint256(status), uint256(IReportOracle.Status.Disabled));
        vm.assertEq(uint256(court.challengeOf(id).state), uint256(IDisputeCourt.ChallengeState.Proven));
    }

    /// @dev Commit to a proof that holds, but shows what was shown before.
    function _isMoot(bytes memory data, bytes32 evidence) internal {
        uint256 before = token.balanceOf(carol);
        uint256 slashes = slasher.count();
        uint256 id = _openFor(carol, data);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ChallengeProven(id, carol, evidence, true);
        _callCourt(carol, data);
        vm.assertEq(token.balanceOf(carol), before);
        vm.assertEq(slasher.count(), slashes);
    }

    /// @dev Commit to a proof that does not hold: nothing happens, and the challenge stays open.
    function _fails(bytes memory data, bytes memory error) internal {
        uint256 id = _openFor(carol, data);
        vm.expectRevert(error);
        _callCourt(carol, data);
        vm.assertEq(uint256(court.challengeOf(id).state), uint256(IDisputeCourt.ChallengeState.Open));
    }

    function _fails(bytes memory data, bytes4 error) internal {
        _fails(data, abi.encodeWithSelector(error));
    }

    /// @dev The last slash queued.
    function _lastSlash() internal view returns (ISlasher.Slash memory) {
        return slasher.slashOf(slasher.count());
    }

    function _one(bytes32 a) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = a;
    }

    function _two(bytes32 a, bytes32 b) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](2);
        (list[0], list[1]) = (a, b);
    }
}
