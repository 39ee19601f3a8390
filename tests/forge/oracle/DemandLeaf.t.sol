// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract DemandLeafTest is OracleTest {
    uint256 private constant ANSWER = 1 days;

    function test_ALeafIsDemandedWithABond() external {
        _reported(0);
        uint64 deadline = uint64(block.timestamp + ANSWER);
        uint256 before = token.balanceOf(carol);
        vm.expectEmit(address(oracle));
        emit IReportOracle.LeafDemanded(0, 2, carol, BOND, deadline);
        _demand(0, 2);
        vm.assertEq(before - token.balanceOf(carol), BOND);
        vm.assertEq(token.balanceOf(address(oracle)), BOND);
        (address demander, uint256 bond, uint64 due) = oracle.demandOf(0, 2);
        vm.assertEq(demander, carol);
        vm.assertEq(bond, BOND);
        vm.assertEq(due, deadline);
        (demander, bond, due) = oracle.demandOf(0, 1);
        vm.assertEq(demander, address(0));
        vm.assertEq(bond + due, 0);
    }

    function test_OfASubmittedReportOnly() external {
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.None));
        _demand(0, 1);
        _reported(0);
        _disable(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.Disabled));
        _demand(0, 1);
        _reportedAgain(0);
        _finalize(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongStatus.selector, 0, IReportOracle.Status.Final));
        _demand(0, 1);
    }

    function test_OfARegisteredNodeOnly() external {
        _reported(0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.NoSuchLeaf.selector, 0, 0));
        _demand(0, 0);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.NoSuchLeaf.selector, 0, 3));
        _demand(0, 3);
    }

    function test_OncePerAttempt() external {
        _reported(0);
        _demand(0, 1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.AlreadyDemanded.selector, 0, 1));
        _demand(0, 1);
        oracle.answerLeaf(_leaf(0, 1), _proofOf(0, 1));
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.AlreadyDemanded.selector, 0, 1));
        _demand(0, 1);
    }

    function test_WhileAnAnswerFitsIntoTheWindow() external {
        _reported(0);
        uint256 latest = oracle.windowEnd(0) - ANSWER;
        vm.warp(latest + 1);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.TooLateToDemand.selector, latest));
        _demand(0, 1);
        vm.warp(latest);
        _demand(0, 1);
    }

    function test_NotWhilePaused() external {
        _reported(0);
        uint64 until = uint64(block.timestamp + 1);
        vm.prank(owner);
        oracle.pause(until);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        _demand(0, 1);
    }

    /// @dev A committee that demands a leaf of its own report and has the report disabled must not keep others from
    /// demanding the leaf of the next one.
    function test_ADemandLeftOverIsReturnedAndDoesNotStandInTheWay() external {
        _reported(0);
        _demand(0, 1);
        _disable(0);
        _reportedAgain(0);
        address dave = _person("dave", BOND);
        uint256 before = token.balanceOf(carol);
        vm.expectEmit(address(oracle));
        emit IReportOracle.DemandReturned(0, 1, carol, BOND);
        vm.prank(dave);
        oracle.demandLeaf(0, 1);
        vm.assertEq(token.balanceOf(carol) - before, BOND);
        (address demander,,) = oracle.demandOf(0, 1);
        vm.assertEq(demander, dave);
        vm.assertEq(token.balanceOf(address(oracle)), BOND);
    }
}
