// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract SubmitTest is OracleTest {
    function test_AQuorumReportsAnEpoch() external {
        IReportOracle.EpochReport memory r = _made(0);
        r.evidenceRoot = keccak256("evidence");
        r.auditRoot = keccak256("audits");
        bytes32 hash = oracle.reportDigest(r);
        (uint256 bitmap, bytes memory signatures) = _quorum(hash, 3);
        vm.expectEmit(address(oracle));
        emit IReportOracle.ReportSubmitted(0, hash, 7, mallory);
        vm.prank(mallory);
        oracle.submit(r, bitmap, signatures);

        (IReportOracle.EpochReport memory stored, bytes32 storedHash, uint64 at, IReportOracle.Status status) =
            oracle.report(0);
        vm.assertEq(keccak256(abi.encode(stored)), keccak256(abi.encode(r)));
        vm.assertEq(storedHash, hash);
        vm.assertEq(at, block.timestamp);
        vm.assertEq(uint256(status), uint256(IReportOracle.Status.Submitted));
        vm.assertEq(oracle.nodesRoot(0), r.nodesRoot);
        vm.assertEq(oracle.lastReportHash(), hash);
        vm.assertEq(oracle.nextEpoch(), 1);
        vm.assertEq(oracle.unfinished(), 1);
        vm.assertFalse(oracle.isFinal(0));
    }

    function test_ReportsFormAChain() external {
        bytes32 first = _reported(0);
        bytes32 second = _reported(1);
        (IReportOracle.EpochReport memory r, bytes32 hash,,) = oracle.report(1);
        vm.assertEq(r.prevReportHash, first);
        vm.assertEq(hash, second);
        vm.assertEq(oracle.predecessorOf(0), 0);
        vm.assertEq(oracle.predecessorOf(1), 1);
    }

    function test_AnEpochMustBeOver() external {
        epochs.startEpoch(0, _reveals[0]);
        IReportOracle.EpochReport memory r = _report(0);
        uint256 end = epochs.epochEnd(0);
        vm.warp(end - 1);
        _refused(r, abi.encodeWithSelector(IReportOracle.EpochNotOver.selector, 0, end));
        vm.warp(end);
        _submit(r);
    }

    function test_AnEpochMustHaveBeenStarted() external {
        vm.warp(epochs.epochEnd(0));
        IReportOracle.EpochReport memory r;
        _refused(r, abi.encodeWithSelector(IReportOracle.EpochNotStarted.selector, 0));
    }

    function test_OneLiveReportPerEpoch() external {
        _reported(0);
        IReportOracle.EpochReport memory r = _report(0);
        _refused(r, abi.encodeWithSelector(IReportOracle.AlreadyReported.selector, 0));
        _finalize(0);
        _refused(r, abi.encodeWithSelector(IReportOracle.AlreadyReported.selector, 0));
    }

    function test_TheDeadlineIsInclusive() external {
        IReportOracle.EpochReport memory r = _made(0);
        uint256 deadline = epochs.epochEnd(0) + DEADLINE;
        vm.assertEq(oracle.reportDeadline(0), deadline);
        vm.warp(deadline + 1);
        _refused(r, abi.encodeWithSelector(IReportOracle.DeadlinePassed.selector, 0, deadline));
        vm.warp(deadline);
        _submit(r);
    }

    function test_TheDeadlineStandsStillWhileReportsCannotBeSubmitted() external {
        IReportOracle.EpochReport memory r = _made(0);
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), 3);
        uint64 until = uint64(block.timestamp + 10 * DAY);
        vm.prank(owner);
        oracle.pause(until);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        oracle.submit(r, bitmap, signatures);
        vm.warp(until);
        vm.assertEq(oracle.reportDeadline(0), epochs.epochEnd(0) + DEADLINE + 10 * DAY);
        vm.warp(oracle.reportDeadline(0));
        oracle.submit(r, bitmap, signatures);
    }

    function test_ReportsComeInOrder() external {
        _over(0);
        IReportOracle.EpochReport memory r = _made(1);
        _refused(r, abi.encodeWithSelector(IReportOracle.ReportOutOfOrder.selector, 0, 1));
    }

    function test_SkippedEpochsAreLeftOut() external {
        _over(0);
        vm.warp(oracle.reportDeadline(0) + 1);
        epochs.skipEpoch(0);
        vm.assertEq(oracle.nextEpoch(), 1);
        _reported(1);
        vm.assertEq(oracle.predecessorOf(1), 0);
    }

    function test_AtMost32Wait() external {
        for (uint32 epoch = 0; epoch < 32; ++epoch) {
            _reported(epoch);
        }
        IReportOracle.EpochReport memory r = _made(32);
        _refused(r, abi.encodeWithSelector(IReportOracle.TooManyUnfinished.selector, 32));
        oracle.finalize(0);
        _submit(r);
    }

    /// @dev The longest pause of the court: windows stand still, reports go on.
    function test_APauseOfTheCourtCostsNoEpoch() external {
        _reported(0);
        vm.prank(owner);
        court.pause(uint64(_now() + 14 days));
        for (uint32 epoch = 1; epoch < 18; ++epoch) {
            _reported(epoch);
        }
        vm.assertEq(oracle.unfinished(), 18);
        oracle.finalize(0);
    }

    /// @dev The longest pause of the oracle: all that waited is reported when it ends.
    function test_APauseOfTheOracleCostsNoEpoch() external {
        _reported(0);
        vm.prank(owner);
        oracle.pause(uint64(_now() + 14 days));
        for (uint32 epoch = 1; epoch < 15; ++epoch) {
            _passEpoch(epoch);
        }
        bytes memory error =
            abi.encodeWithSelector(IReportOracle.DeadlineNotPassed.selector, 1, oracle.reportDeadline(1));
        vm.expectRevert(error);
        epochs.skipEpoch(1);
        vm.warp(oracle.pausedUntil());
        for (uint32 epoch = 1; epoch < 14; ++epoch) {
            _reportedAgain(epoch);
        }
        vm.assertEq(oracle.unfinished(), 14);
    }

    function test_TheReportBeforeMustBeNamed() external {
        bytes32 first = _reported(0);
        IReportOracle.EpochReport memory r = _made(1);
        r.prevReportHash = keccak256("another");
        _refused(r, abi.encodeWithSelector(IReportOracle.WrongPredecessor.selector, first, r.prevReportHash));
    }

    function test_TheAttemptMustBeNamed() external {
        IReportOracle.EpochReport memory r = _made(0);
        r.attempt = 1;
        _refused(r, abi.encodeWithSelector(IReportOracle.WrongAttempt.selector, 0, 1));
        r.attempt = 0;
        _submit(r);
        _disable(0);
        _refused(r, abi.encodeWithSelector(IReportOracle.WrongAttempt.selector, 1, 0));
    }

    function test_TheParametersMustBeThoseOfTheEpoch() external {
        IReportOracle.EpochReport memory r = _made(0);
        bytes32 right = r.paramsHash;
        r.paramsHash = keccak256("others");
        _refused(r, abi.encodeWithSelector(IReportOracle.WrongParameters.selector, right, r.paramsHash));
    }

    function test_RewardsStayWithinTheBudget() external {
        IReportOracle.EpochReport memory r = _made(0);
        (,, uint256 budget,,) = epochs.epochInfo(0);
        r.totalReward = uint128(budget + 1);
        _refused(r, abi.encodeWithSelector(IReportOracle.BudgetExceeded.selector, budget + 1, budget));
        r.totalReward = uint128(budget);
        _submit(r);
    }

    function test_AllNodesAndNoMoreAreNamed() external {
        IReportOracle.EpochReport memory r = _made(0);
        r.nodeCount = 1;
        _refused(r, abi.encodeWithSelector(IReportOracle.WrongNodeCount.selector, 2, 1));
        r.nodeCount = 3;
        _refused(r, abi.encodeWithSelector(IReportOracle.WrongNodeCount.selector, 2, 3));
    }

    function test_AQuorumMustSign() external {
        IReportOracle.EpochReport memory r = _made(0);
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), 2);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadQuorum.selector, 2, 3));
        oracle.submit(r, bitmap, signatures);
    }

    function test_SignaturesOfAnotherAttemptDoNotCount() external {
        IReportOracle.EpochReport memory r = _made(0);
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), 3);
        _submit(r);
        _disable(0);
        r.attempt = 1;
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        oracle.submit(r, bitmap, signatures);
    }

    function test_TheDigestIsEip712() external view {
        IReportOracle.EpochReport memory r;
        r.epoch = 5;
        r.attempt = 2;
        bytes32 typeHash = keccak256(
            "EpochReport(uint32 epoch,uint32 attempt,bytes32 paramsHash,bytes32 nodesRoot,bytes32 evidenceRoot,bytes32 auditRoot,uint128 totalReward,uint32 nodeCount,bytes32 dataHash,bytes32 prevReportHash)"
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("QNet"),
                keccak256("1"),
                block.chainid,
                address(oracle)
            )
        );
        vm.assertEq(oracle.domainSeparator(), domain);
        bytes32 expected = keccak256(bytes.concat(hex"1901", domain, keccak256(abi.encode(typeHash, r))));
        vm.assertEq(oracle.reportDigest(r), expected);
    }
}
