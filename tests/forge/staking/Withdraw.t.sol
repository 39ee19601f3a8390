// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {StakingTest} from "./StakingTest.sol";

contract WithdrawTest is StakingTest {
    uint256 private constant UNLOCKS_AT = GENESIS + DAY + UNBOND;

    function test_PaysFromTheSecondItUnlocks() external {
        _unbond(30);
        uint256 before = token.balanceOf(alice);
        vm.warp(UNLOCKS_AT - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.StillUnbonding.selector, alice, 0, UNLOCKS_AT));
        _withdraw(alice, 0);
        vm.warp(UNLOCKS_AT);
        vm.expectEmit(address(hub));
        emit IStakeHub.Withdrawn(alice, 0, 30);
        vm.assertEq(_withdraw(alice, 0), 30);
        vm.assertEq(token.balanceOf(alice) - before, 30);
        vm.assertEq(hub.ticketsOf(alice), 0);
        (uint32 index, bool fromBond, uint32 epoch, uint256 amount, uint64 until) = hub.ticketOf(alice, 0);
        vm.assertTrue(index == 0 && !fromBond && epoch == 0 && amount == 0 && until == 0);
    }

    function test_RefusesTicketsThatDoNotExist() external {
        _unbond(30);
        vm.warp(UNLOCKS_AT);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NoTicket.selector, bob, 0));
        _withdraw(bob, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NoTicket.selector, alice, 1));
        _withdraw(alice, 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NoTicket.selector, alice, 16));
        _withdraw(alice, 16);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NoTicket.selector, alice, 255));
        _withdraw(alice, 255);
        _withdraw(alice, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NoTicket.selector, alice, 0));
        _withdraw(alice, 0);
    }

    function test_WaitsWhileTheNodeIsFrozen() external {
        _unbond(30);
        vm.warp(UNLOCKS_AT);
        _freeze(node);
        _freeze(node);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Frozen.selector, node));
        _withdraw(alice, 0);
        _unfreeze(node);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Frozen.selector, node));
        _withdraw(alice, 0);
        _unfreeze(node);
        _withdraw(alice, 0);
    }

    function test_IsNotFrozenWithAnotherNode() external {
        _unbond(30);
        vm.warp(UNLOCKS_AT);
        _freeze(other);
        vm.assertEq(_withdraw(alice, 0), 30);
    }

    function test_IsOpenWhilePaused() external {
        _unbond(30);
        vm.warp(UNLOCKS_AT);
        _pause(hub, 14 days);
        vm.assertEq(_withdraw(alice, 0), 30);
    }

    function test_RipensNoFurtherWhileTheCourtIsPaused() external {
        _unbond(30);
        vm.warp(UNLOCKS_AT - 5);
        _pause(court, 14 days);
        vm.warp(UNLOCKS_AT);
        vm.assertEq(_unlocksAt(alice, 0), UNLOCKS_AT + 5);
        vm.warp(UNLOCKS_AT + 14 days - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.StillUnbonding.selector, alice, 0, UNLOCKS_AT + 14 days)
        );
        _withdraw(alice, 0);
        vm.warp(UNLOCKS_AT + 14 days);
        _withdraw(alice, 0);
    }

    function test_CountsNoPauseBeforeItsLastEpochEnded() external {
        _unbond(30);
        _pause(court, DAY);
        vm.warp(UNLOCKS_AT);
        _withdraw(alice, 0);
    }

    function test_StaysFreeInALaterPauseOfTheCourt() external {
        _unbond(30);
        vm.warp(UNLOCKS_AT);
        _pause(court, 14 days);
        vm.warp(UNLOCKS_AT + 14 days - 1);
        vm.assertEq(_withdraw(alice, 0), 30);
    }

    function test_PaysWhatASlashLeft() external {
        _delegate(bob, node, 1000);
        _undelegate(bob, node, 500 * VIRTUAL_SHARES);
        _unbond(1000);
        _slash(node, 0, 500_000);
        vm.warp(UNLOCKS_AT);
        vm.assertEq(_withdraw(alice, 0), 500);
        vm.assertEq(_withdraw(bob, 0), 475);
    }

    function test_PaysNothingAfterALossOfAll() external {
        _unbond(1000);
        _slash(node, 0, M);
        vm.warp(UNLOCKS_AT);
        vm.expectEmit(address(hub));
        emit IStakeHub.Withdrawn(alice, 0, 0);
        vm.assertEq(_withdraw(alice, 0), 0);
    }

    /// @dev What joins a slashed bucket neither pays for the slash nor profits from it.
    function test_SharesABucketFairlyAfterASlash() external {
        _delegate(bob, node, 1000);
        _delegate(carol, node, 1000);
        _undelegate(bob, node, 1000 * VIRTUAL_SHARES);
        _slash(node, 0, M);
        (, uint256 amount) = _undelegate(carol, node, 1000 * VIRTUAL_SHARES);
        vm.assertEq(amount, 900);
        vm.assertEq(_ticketAmount(bob, 0), 900);
        vm.assertEq(_ticketAmount(carol, 0), 900);
        _slash(node, 0, M);
        vm.warp(UNLOCKS_AT);
        vm.assertEq(_withdraw(bob, 0), 810);
        vm.assertEq(_withdraw(carol, 0), 810);
    }

    function test_BeginsABucketOfABondAnewAfterALossOfAll() external {
        _unbond(1000);
        _slash(node, 0, M);
        vm.prank(alice);
        hub.bond(node, 3000);
        _unbond(3000);
        vm.warp(UNLOCKS_AT);
        vm.assertEq(_withdraw(alice, 0) + _withdraw(alice, 1), 3000, "all of it is the owner's");
    }

    function test_RoundsInFavourOfTheBucket() external {
        _unbond(1);
        _unbond(1);
        _unbond(1);
        _slash(node, 0, 500_000);
        vm.warp(UNLOCKS_AT);
        vm.assertEq(_withdraw(alice, 0), 0);
        vm.assertEq(_withdraw(alice, 1), 1);
        vm.assertEq(_withdraw(alice, 2), 1);
    }

    function _withdraw(address account, uint8 ticket) private returns (uint256) {
        vm.prank(account);
        return hub.withdraw(ticket);
    }
}
