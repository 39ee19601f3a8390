// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {IStakedVotes} from "../../../interfaces/IStakedVotes.sol";
import {StakingTest} from "./StakingTest.sol";

contract UndelegateTest is StakingTest {
    uint256 private constant AMOUNT = 100 * QNET;
    uint256 private constant SHARES = AMOUNT * VIRTUAL_SHARES;

    function setUp() public override {
        super.setUp();
        _delegate(bob, node, AMOUNT);
    }

    function test_OpensATicketAndTakesVotesAway() external {
        uint64 unlocksAt = uint64(GENESIS + DAY + UNBOND);
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(bob, AMOUNT, AMOUNT - 30);
        vm.expectEmit(address(hub));
        emit IStakeHub.Undelegated(node, bob, 0, 30 * VIRTUAL_SHARES, 30, AMOUNT - 30, unlocksAt);
        (uint8 ticket, uint256 amount) = _undelegate(bob, node, 30 * VIRTUAL_SHARES);
        vm.assertEq(ticket, 0);
        vm.assertEq(amount, 30);
        vm.assertEq(_shares(bob, node), SHARES - 30 * VIRTUAL_SHARES);
        vm.assertEq(_principal(bob, node), AMOUNT - 30);
        vm.assertEq(hub.getVotes(bob), AMOUNT - 30);
        vm.assertEq(hub.poolOf(node), AMOUNT - 30);
        (uint32 index, bool fromBond, uint32 epoch, uint256 worth, uint64 until) = hub.ticketOf(bob, 0);
        vm.assertEq(index, node);
        vm.assertFalse(fromBond);
        vm.assertEq(epoch, 0);
        vm.assertEq(worth, 30);
        vm.assertEq(until, unlocksAt);
        vm.warp(GENESIS + 1);
        vm.assertEq(hub.poolAt(node, uint48(GENESIS)), AMOUNT - 30);
    }

    function test_TakesAll() external {
        (, uint256 amount) = _undelegate(bob, node, SHARES);
        vm.assertEq(amount, AMOUNT);
        vm.assertEq(hub.poolOf(node), 0);
        vm.assertEq(hub.sharesOf(node), 0);
        vm.assertEq(hub.getVotes(bob), 0);
        vm.assertEq(_principal(bob, node), 0);
    }

    function test_TakesRewardsThatStreamed() external {
        _delegate(carol, node, AMOUNT);
        _settle(_leaf(0, node, 0, 70 * QNET, M), 70 * QNET);
        vm.warp(block.timestamp + STREAM / 2);
        (, uint256 amount) = _undelegate(bob, node, SHARES);
        vm.assertGe(amount, AMOUNT + 17 * QNET);
        vm.assertLe(amount, AMOUNT + 35 * QNET / 2);
        vm.assertEq(hub.getVotes(bob), 0, "the whole principal leaves, not more");
    }

    /// @dev Rewards that still stream, and the rounding, belong to nobody once the last share left.
    function test_LeavesTheRestOfAnEmptyPoolToTheOperator() external {
        _settle(_leaf(0, node, 5, 70 * QNET, M), 70 * QNET + 5);
        vm.warp(block.timestamp + STREAM / 7);
        uint256 all = AMOUNT + 70 * QNET;
        (, uint256 amount) = _undelegate(bob, node, SHARES);
        vm.assertLt(amount, AMOUNT + 10 * QNET);
        vm.assertEq(hub.owed(node), 5 + all - amount);
        vm.assertEq(hub.poolOf(node), 0);
        (uint256 unstreamed,) = hub.streamOf(node);
        vm.assertEq(unstreamed, 0);
        vm.assertEq(_delegate(carol, node, 10), 10 * VIRTUAL_SHARES, "the pool begins anew");
    }

    function test_TakesThePrincipalInProportion() external {
        _settle(_leaf(0, node, 0, 50 * QNET, M), 50 * QNET);
        vm.warp(block.timestamp + STREAM);
        _undelegate(bob, node, SHARES / 4);
        vm.assertEq(_principal(bob, node), AMOUNT - AMOUNT / 4);
        vm.assertEq(hub.getVotes(bob), AMOUNT - AMOUNT / 4);
    }

    function test_IsOpenWhilePausedAndFromAnyState() external {
        _pause(hub, 14 days);
        _undelegate(bob, node, SHARES / 4);
        _jail(node);
        _undelegate(bob, node, SHARES / 4);
        _tombstone(node);
        _undelegate(bob, node, SHARES / 4);
        vm.assertEq(hub.ticketsOf(bob), 7);
    }

    function test_NeedsNoSettlement() external {
        _report(_leaf(0, node, 0, 0, M), 0);
        _finalize(0);
        _undelegate(bob, node, SHARES);
        vm.assertEq(hub.sharesOf(node), 0);
    }

    function test_SharesABucketWithinAnEpochOnly() external {
        _undelegate(bob, node, SHARES / 4);
        _undelegate(bob, node, SHARES / 4);
        vm.warp(GENESIS + DAY);
        _undelegate(bob, node, SHARES / 4);
        (,, uint32 first,,) = hub.ticketOf(bob, 1);
        (,, uint32 second,,) = hub.ticketOf(bob, 2);
        vm.assertEq(first, 0);
        vm.assertEq(second, 1);
        vm.assertEq(hub.slashableOf(node, 0), BOND + AMOUNT);
        vm.assertEq(hub.slashableOf(node, 1), BOND + AMOUNT / 2);
        vm.assertEq(hub.slashableOf(node, 2), BOND + AMOUNT / 4);
    }

    function test_RefusesMoreThanIsHeld() external {
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, node, bob, SHARES + 1, SHARES)
        );
        _undelegate(bob, node, SHARES + 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, node, carol, 1, 0));
        _undelegate(carol, node, 1);
    }

    function test_RefusesNothing() external {
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        _undelegate(bob, node, 0);
    }

    function test_RefusesDustThatIsWorthNothing() external {
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        _undelegate(bob, node, VIRTUAL_SHARES - 1);
        (, uint256 amount) = _undelegate(bob, node, VIRTUAL_SHARES);
        vm.assertEq(amount, 1);
    }

    function test_RefusesTheSeventeenthTicket() external {
        for (uint256 i = 0; i < 16; ++i) {
            _undelegate(bob, node, VIRTUAL_SHARES);
        }
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.TooManyTickets.selector, bob, 16));
        _undelegate(bob, node, VIRTUAL_SHARES);
    }
}
