// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract AnswerLeafTest is OracleTest {
    function _answer(uint32 epoch, uint32 node) private {
        IReportOracle.NodeLeaf memory leaf = _leaf(epoch, node);
        bytes32[] memory proof = _proofOf(epoch, node);
        vm.prank(mallory);
        oracle.answerLeaf(leaf, proof);
    }

    function _answerRefused(uint32 epoch, uint32 node, bytes memory error) private {
        IReportOracle.NodeLeaf memory leaf = _leaf(epoch, node);
        bytes32[] memory proof = _proofOf(epoch, node);
        vm.expectRevert(error);
        oracle.answerLeaf(leaf, proof);
    }

    function test_WhoeverShowsTheLeafGetsTheBond() external {
        _reported(0);
        _demand(0, 1);
        IReportOracle.NodeLeaf memory leaf = _leaf(0, 1);
        bytes32[] memory proof = _proofOf(0, 1);
        vm.expectEmit(address(oracle));
        emit IReportOracle.LeafAnswered(0, 1, mallory, leaf);
        vm.prank(mallory);
        oracle.answerLeaf(leaf, proof);
        vm.assertEq(token.balanceOf(mallory), BOND);
        (address demander,,) = oracle.demandOf(0, 1);
        vm.assertEq(demander, address(0));
        _finalize(0);
    }

    function test_OnTimeUpToTheDeadline() external {
        _reported(0);
        _demand(0, 1);
        (,, uint64 deadline) = oracle.demandOf(0, 1);
        vm.warp(deadline + 1);
        _answerRefused(0, 1, abi.encodeWithSelector(IReportOracle.DemandOver.selector, deadline));
        vm.warp(deadline);
        _answer(0, 1);
    }

    function test_TheDeadlineStandsStillWhileTheCourtIsPaused() external {
        _reported(0);
        _demand(0, 1);
        (,, uint64 deadline) = oracle.demandOf(0, 1);
        vm.prank(owner);
        court.pause(uint64(block.timestamp + DAY));
        vm.warp(deadline + DAY);
        (,, uint64 later) = oracle.demandOf(0, 1);
        vm.assertEq(later, deadline + DAY);
        _answer(0, 1);
    }

    function test_ItIsNeverPaused() external {
        _reported(0);
        _demand(0, 1);
        vm.prank(owner);
        oracle.pause(uint64(block.timestamp + DAY));
        _answer(0, 1);
    }

    function test_OnlyWhatWasDemanded() external {
        _reported(0);
        _answerRefused(0, 1, abi.encodeWithSelector(IReportOracle.NotDemanded.selector, 0, 1));
        _demand(0, 1);
        _answerRefused(0, 2, abi.encodeWithSelector(IReportOracle.NotDemanded.selector, 0, 2));
        _answer(0, 1);
        _answerRefused(0, 1, abi.encodeWithSelector(IReportOracle.NotDemanded.selector, 0, 1));
    }

    function test_OnlyForTheReportItWasDemandedOf() external {
        _reported(0);
        _demand(0, 1);
        _disable(0);
        _answerRefused(0, 1, abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.Disabled));
        _reportedAgain(0);
        _answerRefused(0, 1, abi.encodeWithSelector(IReportOracle.NotDemanded.selector, 0, 1));
    }

    function test_OnlyWithAProof() external {
        _reported(0);
        _demand(0, 1);
        IReportOracle.NodeLeaf memory leaf = _leaf(0, 1);
        bytes32[] memory proof = _proofOf(0, 1);
        leaf.reward += 1;
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.InvalidProof.selector, 0, 1));
        oracle.answerLeaf(leaf, proof);
        // another node's leaf does not answer for this one
        leaf = _leaf(0, 2);
        leaf.node = 1;
        proof = _proofOf(0, 2);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.InvalidProof.selector, 0, 1));
        oracle.answerLeaf(leaf, proof);
    }
}
