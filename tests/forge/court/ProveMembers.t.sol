// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {CourtTest} from "./CourtTest.sol";

/// @title Two reports of one attempt, two consensuses of one moment
contract ProveMembersTest is CourtTest {
    uint64 private constant MOMENT = uint64(GENESIS + 2 days);
    IReportOracle.EpochReport private _a;
    IReportOracle.EpochReport private _b;

    function setUp() public override {
        super.setUp();
        _a = _report(EPOCH);
        _b = _a;
        _b.dataHash = keccak256("other data");
    }

    function _reports(uint256 member) private returns (bytes memory) {
        bytes memory a = _sign(memberKeys[member], oracle.reportDigest(_a));
        return _reports(member, a, _sign(memberKeys[member], oracle.reportDigest(_b)));
    }

    function _reports(uint256 member, bytes memory a, bytes memory b) private returns (bytes memory) {
        return abi.encodeCall(court.proveReports, (0, _salt(), member, _a, a, _b, b));
    }

    function _consensuses(uint256 member, uint64 moment, bytes32 a, bytes32 b) private returns (bytes memory) {
        uint256 key = memberKeys[member];
        return abi.encodeCall(
            court.proveConsensuses,
            (
                0,
                _salt(),
                member,
                moment,
                a,
                _sign(key, committee.consensusDigest(moment, a)),
                b,
                _sign(key, committee.consensusDigest(moment, b))
            )
        );
    }

    function _accused(uint256 member, uint32 epoch) private view {
        ISlasher.Slash memory slash = _lastSlash();
        vm.assertTrue(slash.isMember);
        vm.assertEq(slash.subject, member);
        vm.assertEq(slash.epoch, epoch);
        vm.assertEq(slash.refill, 0);
        vm.assertEq(slash.challenger, carol);
        vm.assertTrue(committee.members()[member].suspended);
    }

    function test_TwoReportsOfOneAttempt() external {
        _prove(carol, _reports(2));
        _accused(2, EPOCH);
    }

    function test_AnotherPairOfThemIsMoot() external {
        _prove(carol, _reports(2));
        _b.dataHash = keccak256("third");
        bytes32 tag = keccak256("qnet evidence: reports");
        _isMoot(_reports(2), keccak256(abi.encode(tag, 2, EPOCH, 0)));
    }

    function test_EveryMemberAnswersForItself() external {
        _prove(carol, _reports(2));
        _prove(carol, _reports(1));
        vm.assertEq(slasher.count(), 2);
    }

    function test_OneReportSignedTwiceIsNoContradiction() external {
        _b = _a;
        _fails(_reports(2), IDisputeCourt.NoContradiction.selector);
    }

    /// @dev After a report was disabled, another one is asked for: signing both is no offence.
    function test_ReportsOfTwoAttemptsAreNoContradiction() external {
        _b.attempt = 1;
        _fails(_reports(2), IDisputeCourt.NoContradiction.selector);
        _b.attempt = 0;
        _b.epoch = 2;
        _fails(_reports(2), IDisputeCourt.NoContradiction.selector);
    }

    function test_ReportsMustBeSignedByTheMember() external {
        bytes memory a = _sign(memberKeys[2], oracle.reportDigest(_a));
        bytes memory b = _sign(memberKeys[2], oracle.reportDigest(_b));
        bytes memory foreign = _sign(memberKeys[1], oracle.reportDigest(_b));
        bytes memory error =
            abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, committee.signerOf(2));
        _fails(_reports(2, a, foreign), error);
        _fails(_reports(2, b, a), error);
        error = abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, committee.signerOf(1));
        _fails(_reports(1, a, b), error);
        _fails(_reports(9, a, b), abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 9));
    }

    function test_EvidenceOfReportsAgesFromTheEndOfTheEpoch() external {
        uint256 until = epochs.epochEnd(EPOCH) + 14 * DAY;
        vm.warp(until);
        _fails(_reports(2), abi.encodeWithSelector(IDisputeCourt.StaleEvidence.selector, until));
        vm.warp(until - 1);
        _prove(carol, _reports(2));
    }

    function test_OrFromWhenTheReportCame() external {
        vm.prank(owner);
        oracle.pause(uint64(_now() + 14 * DAY));
        vm.warp(_now() + 14 * DAY);
        _submit(_a);
        uint256 came = _now();
        _prove(carol, _reports(2));
        vm.warp(oracle.windowEnd(EPOCH));
        oracle.finalize(0);
        oracle.finalize(EPOCH);
        vm.warp(came + 14 * DAY);
        _fails(_reports(1), abi.encodeWithSelector(IDisputeCourt.StaleEvidence.selector, came + 14 * DAY));
        vm.warp(came + 14 * DAY - 1);
        _prove(carol, _reports(1));
    }

    function test_TwoConsensusesOfOneMoment() external {
        _prove(carol, _consensuses(3, MOMENT, keccak256("a"), keccak256("b")));
        _accused(3, 2);
        bytes32 tag = keccak256("qnet evidence: consensuses");
        bytes32 evidence = keccak256(abi.encode(tag, 3, MOMENT));
        _isMoot(_consensuses(3, MOMENT, keccak256("a"), keccak256("c")), evidence);
    }

    function test_OneConsensusSignedTwiceIsNoContradiction() external {
        _fails(
            _consensuses(3, MOMENT, keccak256("a"), keccak256("a")), IDisputeCourt.NoContradiction.selector
        );
    }

    function test_ConsensusesOfTwoMomentsAreNoContradiction() external {
        bytes32 a = keccak256("a");
        bytes memory other = _sign(memberKeys[3], committee.consensusDigest(MOMENT + 1, keccak256("b")));
        bytes memory data = abi.encodeCall(
            court.proveConsensuses,
            (0, _salt(), 3, MOMENT, a, _sign(memberKeys[3], committee.consensusDigest(MOMENT, a)), keccak256("b"), other)
        );
        _fails(data, abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, committee.signerOf(3)));
    }

    function test_EvidenceOfConsensusesAgesFromTheirMoment() external {
        vm.warp(MOMENT + 14 days);
        bytes memory data = _consensuses(3, MOMENT, keccak256("a"), keccak256("b"));
        _fails(data, abi.encodeWithSelector(IDisputeCourt.StaleEvidence.selector, uint256(MOMENT) + 14 days));
    }

    /// @dev No moment is so far away that an offence could not be named.
    function test_AnyMomentCounts() external {
        uint64 furthest = type(uint64).max;
        _prove(carol, _consensuses(3, furthest, keccak256("a"), keccak256("b")));
        _accused(3, type(uint32).max);
        _prove(carol, _consensuses(2, uint64(GENESIS - 1 days), keccak256("a"), keccak256("b")));
        _accused(2, 0);
    }
}
