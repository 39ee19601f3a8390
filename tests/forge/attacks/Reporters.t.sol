// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Reports} from "../support/Reports.sol";

/// @title Attacks by those who report, by row of docs/explanation/contract-security.md
contract ReporterAttacks is Reports {
    uint256 private constant BOND = 1_000_000 * QNET;

    address private operator;
    address private challenger;
    uint32 private node;

    function setUp() public {
        _deploy(4);
        _bondCommittee();
        operator = _person("operator", 1_000_000 * QNET);
        challenger = _person("challenger", 1_000_000 * QNET);
        node = _node(operator, INodeRegistry.Role.Relay, 100_000 * QNET);
    }

    /// @dev Whoever gets into the committee and bonds signs for nothing that is being decided now.
    function test_FlashStakeOfTheQuorum_ANewMemberSignsNothingBeforeTheNextSet() public {
        (address memberOwner,) = _account("flash owner");
        (address signer, uint256 key) = _account("flash signer");
        vm.prank(owner);
        committee.addMember(ICommittee.Member(memberOwner, signer, "http://127.0.0.1:1"));
        vm.prank(holder);
        token.transfer(memberOwner, BOND);
        vm.startPrank(memberOwner);
        token.approve(address(committee), BOND);
        committee.depositBond();
        vm.stopPrank();

        _passEpoch(0);
        _makeLeaves(0);
        IReportOracle.EpochReport memory r = _report(0);
        bytes32 digest = oracle.reportDigest(r);
        (uint256 bitmap, bytes memory signatures) = _quorum(digest, 2);
        bitmap |= 1 << 4;
        signatures = bytes.concat(signatures, _sign(key, digest));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 4));
        oracle.submit(r, bitmap, signatures);
        vm.assertGt(committee.nextChange(), block.timestamp + DAY);
    }

    /// @dev A whole quorum overpays a node: one challenger is enough, nothing is paid, all signers lose everything.
    function test_OracleCollusion_OneChallengerUndoesWhatAQuorumSigned() public {
        _reportEpoch(0);
        _passEpoch(1);
        _makeLeaves(1);
        leavesOf[1][node - 1].cumOperator += 1_000 * QNET;
        IReportOracle.EpochReport memory r = _report(1);
        _submit(r);
        uint256 held = token.balanceOf(address(vault));

        _prove(
            challenger,
            abi.encodeCall(
                court.proveBadLeaf, (0, _salt(), 1, _proven(1, node), _proven(0, node), parameters.values())
            )
        );
        IReportOracle.NodeLeaf memory leaf = _leaf(1, node);
        bytes32[] memory proof = _proofOf(1, node);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotFinal.selector, 1));
        hub.settleNode(leaf, proof);

        bytes32 hash = oracle.reportDigest(r);
        (uint256 bitmap, bytes memory signatures) = _quorum(hash, committee.quorum());
        court.charge(1, hash, bitmap, signatures);
        vm.warp(block.timestamp + 8 * DAY);
        uint256 before = token.balanceOf(challenger);
        for (uint256 id = 1; id <= 3; ++id) {
            slasher.execute(id);
            vm.assertEq(committee.bondOf(id - 1), 0);
        }
        vm.assertEq(committee.bondOf(3), BOND);
        vm.assertEq(token.balanceOf(challenger) - before, 3 * BOND / 20);
        vm.assertGe(token.balanceOf(address(vault)), held);
    }

    /// @dev Signatures under a report that was disabled serve no other attempt.
    function test_StaleSignatures_AReportIsNotTakenTwice() public {
        _passEpoch(0);
        _makeLeaves(0);
        IReportOracle.EpochReport memory r = _report(0);
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), committee.quorum());
        oracle.submit(r, bitmap, signatures);
        vm.prank(owner);
        oracle.disable(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongAttempt.selector, 1, 0));
        oracle.submit(r, bitmap, signatures);
        r.attempt = 1;
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        oracle.submit(r, bitmap, signatures);
    }

    /// @dev The beacon is what was committed in advance, whoever starts an epoch, when, and whatever was registered.
    function test_BeaconGrinding_NobodyChoosesTheBeacon() public {
        vm.warp(epochs.epochStart(0) + 5);
        bytes32 head = epochs.beaconHead();
        vm.expectRevert(abi.encodeWithSelector(IEpochs.BadReveal.selector, 0, head, _hashed("ground")));
        epochs.startEpoch(0, "ground");
        uint256 state = vm.snapshotState();
        epochs.startEpoch(0, _reveals[0]);
        (, bytes32 reveal,,,) = epochs.epochInfo(0);
        vm.revertToState(state);
        _register(operator, INodeRegistry.Role.Exit);
        vm.warp(block.timestamp + 9 hours);
        vm.prank(operator);
        epochs.startEpoch(0, _reveals[0]);
        (, bytes32 later,,,) = epochs.epochInfo(0);
        vm.assertEq(reveal, later);
    }

    /// @dev If nobody reports, nobody is paid: the budget returns to the pool and life goes on.
    function test_SilentReporters_TheBudgetReturnsToThePool() public {
        uint256 free = vault.unpromised();
        _passEpoch(0);
        vm.assertLt(vault.unpromised(), free);
        uint256 deadline = oracle.reportDeadline(0);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.DeadlineNotPassed.selector, 0, deadline));
        epochs.skipEpoch(0);
        vm.warp(deadline + 1);
        epochs.skipEpoch(0);
        vm.assertEq(vault.unpromised(), free);
        _makeLeaves(0);
        IReportOracle.EpochReport memory late = _report(0);
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(late), committee.quorum());
        vm.expectRevert();
        oracle.submit(late, bitmap, signatures);
        delete leavesOf[0];
        _reportEpoch(1);
        vm.assertEq(oracle.unfinished(), 1);
    }

    /// @dev What a reveal leads back to.
    function _hashed(bytes32 value) private view returns (bytes32) {
        for (uint256 i = 0; i < epochs.slotsPerEpoch(); ++i) {
            value = keccak256(bytes.concat(value));
        }
        return value;
    }
}
