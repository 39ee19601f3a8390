// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {CourtTest} from "./CourtTest.sol";

contract ProveBadLeafTest is CourtTest {
    function _proof(uint32 node) private returns (bytes memory) {
        return _proof(_proven(EPOCH, node), _proven(0, node));
    }

    function _proof(IDisputeCourt.ProvenLeaf memory current, IDisputeCourt.ProvenLeaf memory previous)
        private
        returns (bytes memory)
    {
        return abi.encodeCall(court.proveBadLeaf, (0, _salt(), EPOCH, current, previous, values));
    }

    /// @dev A report with this leaf is proven wrong; afterwards all is as before.
    function _isWrong(uint32 node, IReportOracle.NodeLeaf memory leaf) private {
        uint256 state = vm.snapshotState();
        _reportWith(node, leaf);
        _condemns(EPOCH, _proof(node));
        vm.revertToState(state);
    }

    function test_HonestLeavesStand() external {
        _reportHonestly();
        for (uint32 node = 1; node <= IDLE; ++node) {
            _fails(_proof(node), IDisputeCourt.NothingWrong.selector);
        }
    }

    function test_HonestLeavesOfTheFirstReportStand() external {
        for (uint32 node = 1; node <= IDLE; ++node) {
            bytes memory data = abi.encodeCall(
                court.proveBadLeaf, (0, _salt(), 0, _proven(0, node), _nothing(), values)
            );
            _fails(data, IDisputeCourt.NothingWrong.selector);
        }
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_HonestLeavesStandWhateverPAndW(uint256 seed, uint32 w) external {
        uint256 slotP;
        for (uint256 i = 0; i < 24; ++i) {
            slotP |= (uint256(keccak256(abi.encode(seed, i))) % 1001) << (10 * i);
        }
        w = uint32(_bound(w, 0, ONE));
        leavesOf[EPOCH][RELAY - 1] = _honestLeaf(EPOCH, RELAY, slotP, w);
        _submit(_claimed(EPOCH));
        _fails(_proof(RELAY), IDisputeCourt.NothingWrong.selector);
    }

    function test_EveryFieldMustFollow() external {
        for (uint256 field = 0; field < 6; ++field) {
            for (uint256 up = 0; up < 2; ++up) {
                IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
                uint256 delta = up == 1 ? 1 : type(uint256).max;
                unchecked {
                    if (field == 0) leaf.bond += delta;
                    if (field == 1) leaf.stake += delta;
                    if (field == 2) leaf.rho += uint32(delta);
                    if (field == 3) leaf.reward += delta;
                    if (field == 4) leaf.cumOperator += delta;
                    if (field == 5) leaf.cumPool += delta;
                }
                _isWrong(ENTRY, leaf);
            }
        }
    }

    function test_PAndWChangeWhatFollows() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.w -= 1;
        _isWrong(ENTRY, leaf);
        leaf = _leaf(EPOCH, ENTRY);
        leaf.slotP = _slots(999);
        _isWrong(ENTRY, leaf);
    }

    function test_ALeafThatCannotBeIsWrong() external {
        for (uint256 kind = 0; kind < 8; ++kind) {
            IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
            if (kind == 0) leaf.epoch = 0;
            if (kind == 1) leaf.epoch = 2;
            if (kind == 2) leaf.node = 0;
            if (kind == 3) leaf.node = IDLE + 1;
            if (kind == 4) leaf.slotP += 1;
            if (kind == 5) leaf.slotP |= 1 << 240;
            if (kind == 6) leaf.slotP |= 1 << 255;
            if (kind == 7) leaf.w = uint32(ONE + 1);
            _isWrong(ENTRY, leaf);
        }
    }

    function test_NoneEscapesByOverflow() external {
        uint256 all = type(uint256).max;
        IReportOracle.NodeLeaf memory leaf = IReportOracle.NodeLeaf(
            type(uint32).max, type(uint32).max, all, all, all, type(uint32).max, type(uint32).max, all, all, all
        );
        _isWrong(ENTRY, leaf);
        (leaf.epoch, leaf.node) = (EPOCH, ENTRY);
        _isWrong(ENTRY, leaf);
        (leaf.slotP, leaf.w) = (PERFECT, uint32(ONE));
        _isWrong(ENTRY, leaf);
    }

    function test_WhoTookNoPartHasNothing() external {
        for (uint256 kind = 0; kind < 3; ++kind) {
            IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, IDLE);
            vm.assertEq(leaf.reward, 0);
            if (kind == 0) leaf.slotP = PERFECT;
            if (kind == 1) leaf.w = uint32(ONE);
            if (kind == 2) (leaf.reward, leaf.cumOperator) = (1, 1);
            _isWrong(IDLE, leaf);
        }
    }

    /// @dev The sums of a wicked report may have any size: those of the next must follow modulo 2^256.
    function test_SumsWrap() external {
        IReportOracle.NodeLeaf memory first = _leaf(0, ENTRY);
        vm.prank(owner);
        oracle.disable(0);
        first.cumOperator = type(uint256).max;
        leavesOf[0][ENTRY - 1] = first;
        _submit(_claimed(0));
        IReportOracle.NodeLeaf memory leaf = _honestLeaf(EPOCH, ENTRY, PERFECT, uint32(ONE));
        vm.assertLt(leaf.cumOperator, type(uint256).max);
        leavesOf[EPOCH][ENTRY - 1] = leaf;
        _submit(_claimed(EPOCH));
        _fails(_proof(ENTRY), IDisputeCourt.NothingWrong.selector);
        leaf.cumOperator = type(uint256).max;
        vm.prank(owner);
        oracle.disable(EPOCH);
        _reportWith(ENTRY, leaf);
        _condemns(EPOCH, _proof(ENTRY));
    }

    function test_TheLeafMustBeOfTheReport() external {
        _reportHonestly();
        bytes memory error =
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Node);
        IDisputeCourt.ProvenLeaf memory current = _proven(EPOCH, ENTRY);
        current.leaf.reward += 1;
        _fails(_proof(current, _proven(0, ENTRY)), error);
        // a leaf of another report
        _fails(_proof(_proven(0, ENTRY), _nothing()), error);
        // a proof cut short would make an inner node the leaf
        current = _proven(EPOCH, ENTRY);
        current.proof = _one(current.proof[0]);
        _fails(_proof(current, _proven(0, ENTRY)), error);
    }

    function test_TheLeafBeforeMustBeShown() external {
        _reportHonestly();
        bytes memory error =
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Node);
        _fails(_proof(_proven(EPOCH, ENTRY), _nothing()), error);
        _fails(_proof(_proven(EPOCH, ENTRY), _proven(EPOCH, ENTRY)), error);
        _fails(
            _proof(_proven(EPOCH, ENTRY), _proven(0, RELAY)), IDisputeCourt.WrongPredecessorLeaf.selector
        );
        IDisputeCourt.ProvenLeaf memory previous = _proven(0, ENTRY);
        previous.leaf.cumOperator += 1;
        _fails(_proof(_proven(EPOCH, ENTRY), previous), error);
    }

    function test_WithoutALeafBeforeNoneMayBeShown() external {
        bytes memory data = abi.encodeCall(
            court.proveBadLeaf, (0, _salt(), 0, _proven(0, ENTRY), _proven(0, ENTRY), values)
        );
        _fails(data, IDisputeCourt.WrongPredecessorLeaf.selector);
    }

    /// @dev Without a report before nothing binds the leaf before: one that is invented must be worth nothing.
    function test_AnInventedLeafBeforeTheFirstReportRefutesNothing() external {
        for (uint256 field = 0; field < 8; ++field) {
            bytes memory data = abi.encodeCall(
                court.proveBadLeaf, (0, _salt(), 0, _proven(0, ENTRY), _invented(field), values)
            );
            _fails(data, IDisputeCourt.WrongPredecessorLeaf.selector);
        }
    }

    function test_AnInventedLeafBeforeANewNodesFirstRefutesNothing() external {
        _reportHonestly();
        uint32 late = _node(bob, INodeRegistry.Role.Exit, 20_000 * QNET);
        _over(2);
        _makeHonest(2);
        _submit(_report(2));
        for (uint256 field = 0; field < 8; ++field) {
            bytes memory data = abi.encodeCall(
                court.proveBadLeaf, (0, _salt(), 2, _proven(2, late), _invented(field), values)
            );
            _fails(data, IDisputeCourt.WrongPredecessorLeaf.selector);
        }
    }

    /// @dev A leaf of no epoch and no node that is not empty.
    function _invented(uint256 field) private pure returns (IDisputeCourt.ProvenLeaf memory proven) {
        if (field == 0) proven.leaf.cumOperator = 1;
        if (field == 1) proven.leaf.cumPool = 1;
        if (field == 2) proven.leaf.rho = 1;
        if (field == 3) proven.leaf.slotP = 1;
        if (field == 4) proven.leaf.bond = 1;
        if (field == 5) proven.leaf.stake = 1;
        if (field == 6) proven.leaf.w = 1;
        if (field == 7) proven.leaf.reward = 1;
    }

    /// @dev A leaf before that is of another epoch than its report says nothing.
    function test_TheLeafBeforeMustBeOfItsEpoch() external {
        IReportOracle.NodeLeaf memory first = _leaf(0, ENTRY);
        vm.prank(owner);
        oracle.disable(0);
        first.epoch = 7;
        leavesOf[0][ENTRY - 1] = first;
        _submit(_claimed(0));
        _submit(_claimed(EPOCH));
        _fails(_proof(ENTRY), IDisputeCourt.WrongPredecessorLeaf.selector);
    }

    function test_ANewNodeHasNoLeafBefore() external {
        _reportHonestly();
        uint32 late = _node(bob, INodeRegistry.Role.Exit, 20_000 * QNET);
        _over(2);
        vm.prank(owner);
        oracle.disable(EPOCH);
        _over(3);
        epochs.skipEpoch(EPOCH);
        epochs.skipEpoch(2);
        _makeHonest(3);
        vm.assertEq(_leaf(3, late).rho, 275_000);
        _submit(_report(3));
        bytes memory data = abi.encodeCall(
            court.proveBadLeaf, (0, _salt(), 3, _proven(3, late), _nothing(), values)
        );
        _fails(data, IDisputeCourt.NothingWrong.selector);
        data = abi.encodeCall(court.proveBadLeaf, (0, _salt(), 3, _proven(3, late), _proven(0, ENTRY), values));
        _fails(data, abi.encodeWithSelector(IDisputeCourt.WrongPredecessorLeaf.selector));
    }

    function test_TheParametersAreThoseTheEpochBeganWith() external {
        _set("alpha_ppm", 1);
        _reportHonestly();
        _fails(_proof(ENTRY), IDisputeCourt.NothingWrong.selector);
        bytes memory data = abi.encodeCall(
            court.proveBadLeaf,
            (0, _salt(), EPOCH, _proven(EPOCH, ENTRY), _proven(0, ENTRY), parameters.values())
        );
        (bytes32 expected,,,,) = epochs.epochInfo(EPOCH);
        bytes32 got = keccak256(abi.encode(parameters.keys(), parameters.values()));
        _fails(data, abi.encodeWithSelector(IDisputeCourt.WrongParameters.selector, expected, got));
    }

    function test_StatesCountAsOfTheFirstSecond() external {
        _reportHonestly();
        vm.prank(alice);
        registry.retire(OWN_RELAY);
        vm.prank(address(slasher));
        registry.jail(MIX, uint64(block.timestamp + DAY));
        vm.prank(address(slasher));
        registry.tombstone(EXIT);
        for (uint32 epoch = 2; epoch <= 3; ++epoch) {
            _over(epoch);
            _makeHonest(epoch);
            _submit(_report(epoch));
        }
        vm.assertEq(_leaf(3, OWN_RELAY).rho, 0);
        vm.assertEq(_leaf(3, EXIT).rho, 0);
        vm.assertEq(_leaf(3, MIX).rho, 250_000);
        vm.assertEq(_leaf(3, MIX).reward, 0);
        for (uint32 node = 1; node <= IDLE; ++node) {
            bytes memory data = abi.encodeCall(
                court.proveBadLeaf, (0, _salt(), 3, _proven(3, node), _proven(2, node), values)
            );
            _fails(data, IDisputeCourt.NothingWrong.selector);
        }
    }

    /// @dev Delegators, terms and the clip of the pool enter as the hub kept them.
    function test_DelegationAndTermsCount() external {
        _reportHonestly();
        vm.prank(bob);
        hub.setTerms(RELAY, 3 * QNET, 200_000);
        vm.warp(oracle.windowEnd(EPOCH));
        oracle.finalize(0);
        oracle.finalize(EPOCH);
        _settle(EPOCH, RELAY);
        vm.prank(dave);
        hub.delegate(RELAY, 60_000 * QNET, 1);
        for (uint32 epoch = 2; epoch <= 6; ++epoch) {
            _passEpoch(epoch);
        }
        vm.warp(block.timestamp + 1 hours);
        for (uint32 epoch = 2; epoch <= 5; ++epoch) {
            epochs.skipEpoch(epoch);
        }
        _makeHonest(6);
        IReportOracle.NodeLeaf memory leaf = _leaf(6, RELAY);
        vm.assertEq(leaf.stake, 110_000 * QNET);
        vm.assertGt(leaf.cumPool, 0);
        _submit(_report(6));
        bytes memory data = abi.encodeCall(
            court.proveBadLeaf, (0, _salt(), 6, _proven(6, RELAY), _proven(EPOCH, RELAY), values)
        );
        _fails(data, IDisputeCourt.NothingWrong.selector);
    }

    function test_AnEpochWithoutAReport() external {
        _fails(_proof(ENTRY), abi.encodeWithSelector(IDisputeCourt.UnknownReport.selector, EPOCH));
    }

    function test_TheSecondProofIsMoot() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        leavesOf[EPOCH][RELAY - 1].reward += 1;
        _reportWith(ENTRY, leaf);
        (, bytes32 hash,,) = oracle.report(EPOCH);
        _condemns(EPOCH, _proof(ENTRY));
        _isMoot(_proof(RELAY), hash);
    }

    function test_WhatFollowsIsDisabledWithIt() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        _reportWith(ENTRY, leaf);
        _over(2);
        _makeHonest(2);
        _submit(_claimed(2));
        _condemns(EPOCH, _proof(ENTRY));
        (,,, IReportOracle.Status status) = oracle.report(2);
        vm.assertEq(uint256(status), uint256(IReportOracle.Status.Disabled));
    }

    /// @dev What made a final report pay too much is refilled; the report stands.
    function test_AFinalReportStaysButItsLossIsKnown() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        (leaf.reward, leaf.cumOperator, leaf.cumPool) =
            (leaf.reward + 5, leaf.cumOperator + 3, leaf.cumPool + 2);
        _reportWith(ENTRY, leaf);
        _finalizeBoth();
        (, bytes32 hash,,) = oracle.report(EPOCH);
        bytes memory data = _proof(ENTRY);
        _openFor(carol, data);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ReportProvenWrong(EPOCH, hash, carol, false);
        _callCourt(carol, data);
        (address challenger, uint256 refill) = court.wrongReportOf(hash);
        vm.assertEq(challenger, carol);
        vm.assertEq(refill, 5);
        vm.assertTrue(oracle.isFinal(EPOCH));
    }

    function test_ALossIsAtMostWhatTheReportPaid() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        (leaf.cumOperator, leaf.cumPool) = (type(uint256).max, type(uint256).max);
        _reportWith(ENTRY, leaf);
        _finalizeBoth();
        (, bytes32 hash,,) = oracle.report(EPOCH);
        _prove(carol, _proof(ENTRY));
        (, uint256 refill) = court.wrongReportOf(hash);
        vm.assertEq(refill, 100 * QNET);
    }

    function test_TooLittlePaidIsNoLoss() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        (leaf.reward, leaf.cumOperator) = (0, 0);
        _reportWith(ENTRY, leaf);
        _finalizeBoth();
        (, bytes32 hash,,) = oracle.report(EPOCH);
        _prove(carol, _proof(ENTRY));
        (, uint256 refill) = court.wrongReportOf(hash);
        vm.assertEq(refill, 0);
    }

    function test_EvidenceAgainstAFinalReportAges() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        _reportWith(ENTRY, leaf);
        (,, uint64 came,) = oracle.report(EPOCH);
        _finalizeBoth();
        vm.warp(uint256(came) + 14 * DAY);
        _fails(
            _proof(ENTRY), abi.encodeWithSelector(IDisputeCourt.StaleEvidence.selector, uint256(came) + 14 * DAY)
        );
        vm.warp(uint256(came) + 14 * DAY - 1);
        _prove(carol, _proof(ENTRY));
    }

    function test_AgainstAReportThatIsNotFinalItDoesNot() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        _reportWith(ENTRY, leaf);
        vm.warp(block.timestamp + 90 * DAY);
        _condemns(EPOCH, _proof(ENTRY));
    }

    /// @dev The report of epoch 1 followed the first one of epoch 0, which was disabled and reported anew: held against
    /// the new one it would look wrong, and its honest signers would be charged.
    function test_AReportIsNotHeldAgainstOneItNeverFollowed() external {
        _reportHonestly();
        vm.prank(owner);
        oracle.disable(0);
        leavesOf[0][ENTRY - 1] = _honestLeaf(0, ENTRY, 0, 0);
        leavesOf[0][ENTRY - 1].rho = 1;
        _submit(_claimed(0));
        bytes memory data = _proof(ENTRY);
        _fails(data, abi.encodeWithSelector(IDisputeCourt.UnknownReport.selector, 0));
    }

    /// @dev A report that only was disabled with its predecessor can still be proven wrong by itself.
    function test_ADisabledReportCanStillBeProvenWrong() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        _reportWith(ENTRY, leaf);
        vm.prank(owner);
        oracle.disable(0);
        (, bytes32 hash,,) = oracle.report(EPOCH);
        bytes memory data = _proof(ENTRY);
        _openFor(carol, data);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ReportProvenWrong(EPOCH, hash, carol, false);
        _callCourt(carol, data);
    }

    function test_ExpectedLeafRefusesOtherParameters() external {
        uint256[] memory others = values;
        others[0] += 1;
        vm.expectPartialRevert(IDisputeCourt.WrongParameters.selector);
        court.expectedLeaf(_leaf(EPOCH, ENTRY), _leaf(0, ENTRY), others);
    }

    function _finalizeBoth() private {
        vm.warp(oracle.windowEnd(EPOCH));
        oracle.finalize(0);
        oracle.finalize(EPOCH);
    }
}
