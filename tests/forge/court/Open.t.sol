// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {CourtTest} from "./CourtTest.sol";

contract OpenTest is CourtTest {
    function test_AChallengerCommitsWithABond() external {
        bytes32 commitment = keccak256("proof");
        uint64 deadline = uint64(block.timestamp + DAY);
        uint256 before = token.balanceOf(carol);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ChallengeOpened(1, carol, commitment, BOND, deadline);
        vm.prank(carol);
        vm.assertEq(court.open(commitment), 1);
        vm.assertEq(before - token.balanceOf(carol), BOND);
        vm.assertEq(court.count(), 1);
        IDisputeCourt.Challenge memory challenge = court.challengeOf(1);
        vm.assertEq(challenge.challenger, carol);
        vm.assertEq(challenge.openedAt, block.timestamp);
        vm.assertEq(challenge.deadline, deadline);
        vm.assertEq(uint256(challenge.state), uint256(IDisputeCourt.ChallengeState.Open));
        vm.assertEq(challenge.bond, BOND);
        vm.assertEq(challenge.commitment, commitment);
    }

    function test_TheBondIsTheOneOfTheMoment() external {
        _set("challenge_bond_wei", 7);
        vm.prank(carol);
        court.open(keccak256("proof"));
        _set("challenge_bond_wei", 9);
        vm.assertEq(court.challengeOf(1).bond, 7);
        vm.warp(block.timestamp + DAY + 1);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ChallengeExpired(1, carol, 7);
        court.expire(1);
    }

    function test_NotWhilePaused() external {
        uint64 until = uint64(block.timestamp + 1);
        vm.prank(owner);
        court.pause(until);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        vm.prank(carol);
        court.open(keccak256("proof"));
    }
}
