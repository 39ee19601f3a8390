// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {CourtTest} from "./CourtTest.sol";

/// @title Only who committed to a call may make it, in time and to the byte
contract CommitmentsTest is CourtTest {
    function setUp() public override {
        super.setUp();
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        _reportWith(ENTRY, leaf);
    }

    function _proof(bytes32 salt) private view returns (bytes memory) {
        return abi.encodeCall(
            court.proveBadLeaf, (0, salt, EPOCH, _proven(EPOCH, ENTRY), _proven(0, ENTRY), values)
        );
    }

    function test_FromTheNextSecondOn() external {
        bytes memory data = _proof(_salt());
        uint256 id = _openFor(carol, data);
        vm.warp(court.challengeOf(id).openedAt);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.TooEarly.selector, id));
        _callCourt(carol, data);
        vm.warp(block.timestamp + 1);
        _callCourt(carol, data);
    }

    function test_UpToTheDeadline() external {
        bytes memory data = _proof(_salt());
        uint256 id = _openFor(carol, data);
        uint256 deadline = court.challengeOf(id).deadline;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.WrongTime.selector, id, deadline));
        _callCourt(carol, data);
        vm.warp(deadline);
        _callCourt(carol, data);
    }

    function test_TheDeadlineStandsStillInPauses() external {
        bytes memory data = _proof(_salt());
        uint256 id = _openFor(carol, data);
        uint256 deadline = court.challengeOf(id).deadline;
        uint64 until = uint64(block.timestamp + 5 * DAY);
        vm.prank(owner);
        court.pause(until);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        _callCourt(carol, data);
        vm.warp(deadline + 5 * DAY);
        _callCourt(carol, data);
    }

    function test_NobodyElseMayBringIt() external {
        bytes memory data = _proof(_salt());
        uint256 id = _openFor(carol, data);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.NotChallenger.selector, id, mallory));
        _callCourt(mallory, data);
    }

    /// @dev Who sees the proof in the mempool has not committed to it, and a copied commitment is worth nothing.
    function test_ACopiedProofIsWorthNothing() external {
        address thief = _person("thief", 10 * BOND);
        bytes memory data = _proof(_salt());
        bytes32 commitment = _commitment(carol, data);
        vm.prank(thief);
        uint256 id = court.open(commitment);
        vm.warp(block.timestamp + 1);
        assembly ("memory-safe") {
            mstore(add(data, 36), id)
        }
        bytes32 got = _commitment(thief, data);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.WrongCommitment.selector, commitment, got));
        _callCourt(thief, data);
    }

    function test_AnotherSaltOrProofIsRefused() external {
        bytes memory data = _proof(_salt());
        uint256 id = _openFor(carol, data);
        bytes memory other = _proof(_salt());
        assembly ("memory-safe") {
            mstore(add(other, 36), id)
        }
        vm.expectPartialRevert(IDisputeCourt.WrongCommitment.selector);
        _callCourt(carol, other);
        // the same arguments with one byte more
        other = bytes.concat(data, hex"00");
        vm.expectPartialRevert(IDisputeCourt.WrongCommitment.selector);
        _callCourt(carol, other);
        // another function
        other = bytes.concat(court.proveRegression.selector, _tail(data));
        vm.expectPartialRevert(IDisputeCourt.WrongCommitment.selector);
        _callCourt(carol, other);
        _callCourt(carol, data);
    }

    function test_Once() external {
        bytes memory data = _proof(_salt());
        uint256 id = _prove(carol, data);
        vm.expectRevert(
            abi.encodeWithSelector(IDisputeCourt.NotOpen.selector, id, IDisputeCourt.ChallengeState.Proven)
        );
        _callCourt(carol, data);
    }

    function test_NotWithoutAChallenge() external {
        bytes memory data = _proof(_salt());
        vm.expectRevert(
            abi.encodeWithSelector(IDisputeCourt.NotOpen.selector, 0, IDisputeCourt.ChallengeState.None)
        );
        _callCourt(carol, data);
    }

    function _tail(bytes memory data) private pure returns (bytes memory tail) {
        tail = new bytes(data.length - 4);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = data[i + 4];
        }
    }
}
