// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {CourtTest} from "./CourtTest.sol";

contract ChargeTest is CourtTest {
    bytes32 private _hash;

    function setUp() public override {
        super.setUp();
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.cumOperator += 7 * QNET;
        _reportWith(ENTRY, leaf);
        (, _hash,,) = oracle.report(EPOCH);
    }

    function _condemn() private {
        bytes memory data = abi.encodeCall(
            court.proveBadLeaf, (0, _salt(), EPOCH, _proven(EPOCH, ENTRY), _proven(0, ENTRY), values)
        );
        _prove(carol, data);
    }

    /// @dev Signatures of the members named by the bits.
    function _signed(uint256 bitmap) private view returns (bytes memory signatures) {
        for (uint256 i = 0; i < memberKeys.length; ++i) {
            if ((bitmap >> i) & 1 == 1) signatures = bytes.concat(signatures, _sign(memberKeys[i], _hash));
        }
    }

    function _charge(uint256 bitmap) private {
        bytes memory signatures = _signed(bitmap);
        vm.prank(mallory);
        court.charge(EPOCH, _hash, bitmap, signatures);
    }

    function test_EverySignerLosesItsBondToTheChallengerAndTheFire() external {
        _condemn();
        vm.expectEmit(address(court));
        emit IDisputeCourt.SignersCharged(_hash, 7, 3);
        _charge(7);
        vm.assertEq(slasher.count(), 3);
        for (uint256 id = 1; id <= 3; ++id) {
            ISlasher.Slash memory slash = slasher.slashOf(id);
            vm.assertTrue(slash.isMember);
            vm.assertEq(slash.subject, id - 1);
            vm.assertEq(slash.epoch, EPOCH);
            vm.assertEq(slash.challenger, carol);
            vm.assertEq(slash.refill, 0);
            bytes32 tag = keccak256("qnet evidence: wrong report");
            vm.assertEq(slash.evidence, keccak256(abi.encode(tag, id - 1, _hash)));
        }
        vm.assertFalse(committee.members()[3].suspended);
    }

    function test_EachOnlyOncePerReport() external {
        _condemn();
        _charge(1);
        bytes memory signatures = _signed(1);
        vm.expectRevert(IDisputeCourt.NothingWrong.selector);
        court.charge(EPOCH, _hash, 1, signatures);
        vm.expectEmit(address(court));
        emit IDisputeCourt.SignersCharged(_hash, 3, 1);
        _charge(3);
        vm.assertEq(slasher.count(), 2);
    }

    /// @dev Also one whose signature did not reach the chain: it signed what is wrong.
    function test_AMemberOutsideTheQuorumWhoSigned() external {
        _condemn();
        _charge(8);
        vm.assertEq(_lastSlash().subject, 3);
    }

    function test_NobodyIsChargedForAReportThatWasNotProvenWrong() external {
        bytes memory signatures = _signed(7);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.NotProvenWrong.selector, _hash));
        court.charge(EPOCH, _hash, 7, signatures);
    }

    function test_NotForAnotherEpoch() external {
        _condemn();
        bytes memory signatures = _signed(7);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.UnknownReport.selector, 0));
        court.charge(0, _hash, 7, signatures);
    }

    function test_OnlyWithEachSignature() external {
        _condemn();
        bytes memory signatures = _signed(7);
        bytes memory error = abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, committee.signerOf(3));
        vm.expectRevert(error);
        court.charge(EPOCH, _hash, 15, signatures);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, committee.signerOf(1)));
        court.charge(EPOCH, _hash, 10, signatures);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, address(0)));
        court.charge(EPOCH, _hash, 3, signatures);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, address(0)));
        court.charge(EPOCH, _hash, 7, bytes.concat(signatures, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        court.charge(EPOCH, _hash, 1 << 4, signatures);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 255));
        court.charge(EPOCH, _hash, 1 << 255, signatures);
        vm.expectRevert(IDisputeCourt.NothingWrong.selector);
        court.charge(EPOCH, _hash, 0, "");
    }

    function test_NotWhilePaused() external {
        _condemn();
        bytes memory signatures = _signed(7);
        uint64 until = uint64(block.timestamp + 1);
        vm.prank(owner);
        court.pause(until);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        court.charge(EPOCH, _hash, 7, signatures);
    }

    function _final() private {
        vm.warp(oracle.windowEnd(EPOCH));
        oracle.finalize(0);
        oracle.finalize(EPOCH);
        _condemn();
    }

    function test_ALossIsRefilledOnce() external {
        _final();
        _charge(7);
        vm.assertEq(slasher.slashOf(1).refill, 7 * QNET);
        vm.assertEq(slasher.slashOf(2).refill, 0);
        vm.assertEq(slasher.slashOf(3).refill, 0);
    }

    /// @dev Each bond carries what is left of it after the challenger's part.
    function test_ALossLargerThanABondIsSpread() external {
        _set("emission_wei", 2_000_000 * QNET);
        _over(2);
        _makeHonest(2);
        leavesOf[2][ENTRY - 1].cumOperator += 2_000_000 * QNET;
        IReportOracle.EpochReport memory r = _claimed(2);
        r.totalReward = uint128(2_000_000 * QNET);
        _submit(r);
        (, _hash,,) = oracle.report(2);
        vm.warp(oracle.windowEnd(2));
        for (uint32 epoch = 0; epoch <= 2; ++epoch) {
            oracle.finalize(epoch);
        }
        values = parameters.values();
        bytes memory data = abi.encodeCall(
            court.proveBadLeaf, (0, _salt(), 2, _proven(2, ENTRY), _proven(EPOCH, ENTRY), values)
        );
        _prove(carol, data);
        (, uint256 refill) = court.wrongReportOf(_hash);
        vm.assertEq(refill, 2_000_000 * QNET);
        court.charge(2, _hash, 7, _signed(7));
        vm.assertEq(slasher.slashOf(1).refill, 950_000 * QNET);
        vm.assertEq(slasher.slashOf(2).refill, 950_000 * QNET);
        vm.assertEq(slasher.slashOf(3).refill, 100_000 * QNET);
    }

    /// @dev Prove that member 0 signed two consensuses of one moment.
    function _accuseFirstMember() private {
        uint64 moment = uint64(block.timestamp);
        (bytes32 a, bytes32 b) = (keccak256("a"), keccak256("b"));
        bytes memory first = _sign(memberKeys[0], committee.consensusDigest(moment, a));
        bytes memory second = _sign(memberKeys[0], committee.consensusDigest(moment, b));
        _prove(carol, abi.encodeCall(court.proveConsensuses, (0, _salt(), 0, moment, a, first, b, second)));
    }

    function test_AMemberWithoutABondCarriesNoLoss() external {
        _final();
        _accuseFirstMember();
        vm.warp(block.timestamp + 7 days);
        slasher.execute(1);
        vm.assertEq(committee.bondOf(0), 0);
        _charge(7);
        vm.assertEq(slasher.slashOf(2).refill, 0);
        vm.assertEq(slasher.slashOf(3).refill, 7 * QNET);
    }

    /// @dev A signer that accuses itself first would burn its bond before the loss is taken from it.
    function test_AMemberAccusedOfSomethingElseCarriesNoLoss() external {
        _final();
        _accuseFirstMember();
        vm.assertEq(slasher.accusationsOf(0), 1);
        _charge(7);
        vm.assertEq(slasher.accusationsOf(0), 2);
        vm.assertEq(slasher.slashOf(2).refill, 0);
        vm.assertEq(slasher.slashOf(3).refill, 7 * QNET);
    }

    /// @dev The worst proof tells the loss, whichever came first.
    function test_ASmallLossDoesNotHideALargerOne() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, RELAY);
        vm.prank(owner);
        oracle.disable(EPOCH);
        leaf.cumOperator += 1;
        _reportWith(RELAY, leaf);
        (, _hash,,) = oracle.report(EPOCH);
        vm.warp(oracle.windowEnd(EPOCH));
        oracle.finalize(0);
        oracle.finalize(EPOCH);
        _prove(
            carol,
            abi.encodeCall(
                court.proveBadLeaf, (0, _salt(), EPOCH, _proven(EPOCH, RELAY), _proven(0, RELAY), values)
            )
        );
        (, uint256 refill) = court.wrongReportOf(_hash);
        vm.assertEq(refill, 1);
        _charge(1);
        _condemn();
        (, refill) = court.wrongReportOf(_hash);
        vm.assertEq(refill, 7 * QNET);
        _charge(6);
        vm.assertEq(slasher.slashOf(1).refill, 1);
        vm.assertEq(slasher.slashOf(2).refill, 7 * QNET - 1);
        vm.assertEq(slasher.slashOf(3).refill, 0);
    }

    function test_NobodyIsChargedForTheHonestReportThatFollows() external {
        _condemn();
        _makeHonest(EPOCH);
        _reportHonestly();
        (, bytes32 honest,,) = oracle.report(EPOCH);
        (uint256 bitmap, bytes memory signatures) = _quorum(honest, 3);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.NotProvenWrong.selector, honest));
        court.charge(EPOCH, honest, bitmap, signatures);
    }
}
