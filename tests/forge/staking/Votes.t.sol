// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStakedVotes} from "../../../interfaces/IStakedVotes.sol";
import {StakingTest} from "./StakingTest.sol";

contract VotesTest is StakingTest {
    function test_AreDelegatedToOneselfAtFirst() external view {
        vm.assertEq(hub.delegates(alice), alice);
        vm.assertEq(hub.getVotes(alice), BOND);
    }

    function test_MoveWithTheDelegate() external {
        _delegate(alice, node, 5);
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateChanged(alice, alice, carol);
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(alice, BOND + 5, 0);
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(carol, 0, BOND + 5);
        _delegateVotes(alice, carol);
        vm.assertEq(hub.delegates(alice), carol);
        vm.assertEq(hub.getVotes(alice), 0);
        vm.assertEq(hub.getVotes(carol), BOND + 5);
        _delegate(alice, node, 6);
        _unbond(BOND);
        vm.assertEq(hub.getVotes(carol), 11);
        _delegateVotes(alice, alice);
        vm.assertEq(hub.getVotes(alice), 11);
        vm.assertEq(hub.getVotes(carol), 0);
    }

    function test_StayWithTheSameDelegate() external {
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateChanged(alice, alice, alice);
        _delegateVotes(alice, alice);
        vm.assertEq(hub.getVotes(alice), BOND);
    }

    function test_FollowAChoiceMadeBeforeStaking() external {
        _delegateVotes(bob, carol);
        _delegate(bob, node, 9);
        vm.assertEq(hub.getVotes(carol), 9);
        vm.assertEq(hub.getVotes(bob), 0);
    }

    function test_OfThePastDoNotChange() external {
        vm.warp(GENESIS + 10);
        _delegateVotes(alice, carol);
        vm.warp(GENESIS + 20);
        _delegateVotes(alice, bob);
        vm.warp(GENESIS + 21);
        vm.assertEq(hub.getPastVotes(alice, GENESIS + 9), BOND);
        vm.assertEq(hub.getPastVotes(alice, GENESIS + 10), 0);
        vm.assertEq(hub.getPastVotes(carol, GENESIS + 10), BOND);
        vm.assertEq(hub.getPastVotes(carol, GENESIS + 19), BOND);
        vm.assertEq(hub.getPastVotes(bob, GENESIS + 20), BOND);
        vm.assertEq(hub.getPastVotes(alice, GENESIS - 1), 0);
    }

    function test_OfThePresentAreNoFactYet() external {
        vm.expectRevert(abi.encodeWithSelector(IStakedVotes.FutureLookup.selector, GENESIS, GENESIS));
        hub.getPastVotes(alice, GENESIS);
    }

    function test_CannotGoToNobody() external {
        vm.expectRevert(IStakedVotes.EmptyDelegate.selector);
        _delegateVotes(alice, address(0));
    }

    function test_CanBeDelegatedWhilePaused() external {
        _pause(hub, 1);
        _delegateVotes(alice, carol);
        vm.assertEq(hub.getVotes(carol), BOND);
    }

    function test_CountSeconds() external {
        vm.assertEq(hub.clock(), GENESIS);
        vm.assertEq(hub.CLOCK_MODE(), "mode=timestamp");
        vm.warp(GENESIS + 3);
        vm.assertEq(hub.clock(), GENESIS + 3);
    }

    function _delegateVotes(address account, address delegatee) private {
        vm.prank(account);
        hub.delegateVotes(delegatee);
    }
}
