// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {CourtTest} from "./CourtTest.sol";

contract ExpireTest is CourtTest {
    function _opened() private returns (uint256 deadline) {
        vm.prank(carol);
        court.open(keccak256("proof"));
        return court.challengeOf(1).deadline;
    }

    function test_WithoutAProofTheBondIsBurned() external {
        uint256 deadline = _opened();
        uint256 supply = token.totalSupply();
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.WrongTime.selector, 1, deadline));
        court.expire(1);
        vm.warp(deadline + 1);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ChallengeExpired(1, carol, BOND);
        vm.prank(mallory);
        court.expire(1);
        vm.assertEq(supply - token.totalSupply(), BOND);
        vm.assertEq(token.balanceOf(address(court)), 0);
    }

    function test_OnceAndOnlyIfOpen() external {
        vm.expectRevert(
            abi.encodeWithSelector(IDisputeCourt.NotOpen.selector, 1, IDisputeCourt.ChallengeState.None)
        );
        court.expire(1);
        vm.warp(_opened() + 1);
        court.expire(1);
        vm.expectRevert(
            abi.encodeWithSelector(IDisputeCourt.NotOpen.selector, 1, IDisputeCourt.ChallengeState.Expired)
        );
        court.expire(1);
    }

    function test_TheDeadlineStandsStillInPausesButExpiryIsNotPaused() external {
        uint256 deadline = _opened();
        vm.prank(owner);
        court.pause(uint64(block.timestamp + 2 * DAY));
        vm.warp(deadline + 1);
        vm.expectPartialRevert(IDisputeCourt.WrongTime.selector);
        court.expire(1);
        vm.warp(deadline + 2 * DAY + 1);
        court.expire(1);
    }
}
