// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {StakingTest} from "./StakingTest.sol";

contract RedelegateTest is StakingTest {
    uint256 private constant AMOUNT = 100 * QNET;
    uint256 private constant SHARES = AMOUNT * VIRTUAL_SHARES;

    function setUp() public override {
        super.setUp();
        _delegate(bob, node, AMOUNT);
    }

    function test_MovesSharesAtOnceAndBindsThem() external {
        uint64 unlocksAt = uint64(GENESIS + DAY + UNBOND);
        vm.expectEmit(address(hub));
        emit IStakeHub.Redelegated(node, other, bob, AMOUNT / 4, SHARES / 4, SHARES / 4, unlocksAt);
        vm.assertEq(_redelegate(bob, SHARES / 4), SHARES / 4);
        vm.assertEq(hub.poolOf(node), AMOUNT * 3 / 4);
        vm.assertEq(hub.poolOf(other), AMOUNT / 4);
        vm.assertEq(hub.stakeOf(other), BOND + AMOUNT / 4);
        vm.assertEq(hub.getVotes(bob), AMOUNT);
        vm.assertEq(_principal(bob, other), AMOUNT / 4);
        vm.assertEq(hub.ticketsOf(bob), 0);
        IStakeHub.Lien[] memory liens = hub.liensOf(bob);
        vm.assertEq(liens.length, 1);
        vm.assertEq(liens[0].source, node);
        vm.assertEq(liens[0].target, other);
        vm.assertEq(liens[0].epoch, 0);
        vm.assertEq(liens[0].slashesSeen, 0);
        vm.assertEq(liens[0].unlocksAt, unlocksAt);
        vm.assertEq(liens[0].shares, SHARES / 4);
        vm.warp(GENESIS + 1);
        vm.assertEq(hub.poolAt(node, uint48(GENESIS)), AMOUNT * 3 / 4);
        vm.assertEq(hub.poolAt(other, uint48(GENESIS)), AMOUNT / 4);
    }

    function test_VotesWithWhatTheSharesBecame() external {
        _settleBoth(_leaf(0, node, 0, 50 * QNET, M), _leaf(0, other, 0, 0, M), 50 * QNET);
        vm.warp(block.timestamp + STREAM);
        uint256 worth = _worth(bob, node);
        vm.assertGt(worth, AMOUNT);
        _redelegate(bob, SHARES);
        vm.assertEq(hub.getVotes(bob), worth);
        vm.assertEq(_principal(bob, other), worth);
        vm.assertEq(_principal(bob, node), 0);
    }

    /// @dev Stake that leaves while a slash waits would make the cap of the slash smaller.
    function test_NobodyMovesWhileASlashIsInEscrow() external {
        vm.prank(address(slasher));
        hub.freeze(node);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Frozen.selector, node));
        _redelegate(bob, SHARES);
        vm.prank(address(slasher));
        hub.unfreeze(node);
        vm.assertEq(_redelegate(bob, SHARES), SHARES);
    }

    function test_BindsUntilTheSecondATicketWouldUnlock() external {
        _redelegate(bob, SHARES);
        vm.warp(GENESIS + DAY + UNBOND - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, other, bob, 1000, 0));
        _undelegate(bob, other, 1000);
        vm.warp(GENESIS + DAY + UNBOND);
        _undelegate(bob, other, SHARES);
        vm.assertEq(hub.liensOf(bob).length, 0);
    }

    function test_LeavesOtherSharesFree() external {
        _delegate(bob, other, 10);
        _redelegate(bob, SHARES);
        _undelegate(bob, other, 10 * VIRTUAL_SHARES);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, other, bob, 1000, 0));
        _undelegate(bob, other, 1000);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, other, bob, 1000, 0));
        vm.prank(bob);
        hub.redelegate(other, node, 1000, 0);
    }

    function test_WaitsWhileTheSourceIsFrozen() external {
        _redelegate(bob, SHARES);
        _freeze(node);
        vm.warp(GENESIS + 100 * DAY);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, other, bob, SHARES, 0));
        _undelegate(bob, other, SHARES);
        _unfreeze(node);
        _undelegate(bob, other, SHARES);
    }

    function test_WaitsWhileTheCourtIsPaused() external {
        _redelegate(bob, SHARES);
        vm.warp(GENESIS + DAY + UNBOND - 1);
        _pause(court, 14 days);
        vm.warp(GENESIS + DAY + UNBOND + 14 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, other, bob, SHARES, 0));
        _undelegate(bob, other, SHARES);
        vm.warp(GENESIS + DAY + UNBOND + 14 days);
        _undelegate(bob, other, SHARES);
    }

    function test_StaysSlashableAtTheSource() external {
        _redelegate(bob, SHARES);
        _slash(node, 0, 500_000);
        vm.assertEq(_worth(bob, other), AMOUNT, "nothing happens until somebody touches it");
        uint256 supply = token.totalSupply();
        vm.expectEmit(address(hub));
        emit IStakeHub.RedelegationSlashed(node, other, bob, AMOUNT / 20);
        vm.expectEmit(address(hub));
        emit IStakeHub.Poked(other, bob, AMOUNT, AMOUNT - AMOUNT / 20);
        hub.poke(bob, other);
        vm.assertEq(supply - token.totalSupply(), AMOUNT / 20, "burned");
        vm.assertEq(_shares(bob, other), SHARES - SHARES / 20);
        vm.assertEq(hub.poolOf(other), AMOUNT - AMOUNT / 20);
        vm.assertEq(hub.getVotes(bob), AMOUNT - AMOUNT / 20);
        vm.assertEq(hub.liensOf(bob)[0].slashesSeen, 1);
        vm.assertEq(hub.liensOf(bob)[0].shares, SHARES - SHARES / 20);
        hub.poke(bob, other);
        vm.assertEq(_shares(bob, other), SHARES - SHARES / 20, "once");
    }

    function test_IsSlashedOnTheWayOut() external {
        _redelegate(bob, SHARES);
        _slash(node, 0, 500_000);
        _slash(node, 0, 500_000);
        vm.warp(GENESIS + DAY + UNBOND);
        uint256 left = SHARES - SHARES / 20;
        left -= left / 20;
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, other, bob, left + 1, left)
        );
        _undelegate(bob, other, left + 1);
        (, uint256 amount) = _undelegate(bob, other, left);
        vm.assertEq(amount, left / VIRTUAL_SHARES);
        vm.assertEq(hub.sharesOf(other), 0);
    }

    function test_IsSlashedWhenMovedOn() external {
        _redelegate(bob, SHARES);
        _slash(node, 0, 500_000);
        vm.warp(GENESIS + DAY + UNBOND);
        vm.expectEmit(address(hub));
        emit IStakeHub.RedelegationSlashed(node, other, bob, AMOUNT / 20);
        vm.prank(bob);
        hub.redelegate(other, node, SHARES / 2, 0);
        vm.assertEq(_worth(bob, other), AMOUNT - AMOUNT / 20 - AMOUNT / 2);
    }

    function test_IsNotSlashedForLaterEpochsOrEarlierSlashes() external {
        _slash(node, 0, 100_000);
        uint256 worth = _worth(bob, node);
        _redelegate(bob, SHARES);
        _slash(node, 1, 500_000);
        hub.poke(bob, other);
        vm.assertEq(_worth(bob, other), worth);
        vm.assertEq(hub.liensOf(bob)[0].slashesSeen, 2);
    }

    function test_IsSlashedOnlyInTheDelegationItCameTo() external {
        _delegate(bob, other, AMOUNT);
        _redelegate(bob, SHARES / 2);
        _slash(node, 0, M);
        hub.poke(bob, node);
        vm.assertEq(hub.liensOf(bob)[0].slashesSeen, 0, "another delegation");
        hub.poke(bob, other);
        vm.assertEq(_shares(bob, other), SHARES + SHARES / 2 - SHARES / 20);
    }

    function test_IsSlashedAtNobodyElsesExpense() external {
        _delegate(carol, other, AMOUNT);
        _redelegate(bob, SHARES);
        _settleBoth(_leaf(0, node, 0, 0, M), _leaf(0, other, 0, 100 * QNET, M), 100 * QNET);
        vm.warp(block.timestamp + STREAM);
        uint256 carols = _worth(carol, other);
        uint256 bobs = _worth(bob, other);
        _slash(node, 0, M);
        hub.poke(bob, other);
        vm.assertGe(_worth(carol, other), carols, "others lose nothing");
        vm.assertLe(_worth(bob, other), bobs * 9 / 10 + 1);
        vm.assertEq(_principal(bob, other), AMOUNT, "still worth its principal");
    }

    function test_LeavesAJailedNode() external {
        _jail(node);
        _redelegate(bob, SHARES);
        vm.assertEq(hub.poolOf(other), AMOUNT);
    }

    function test_RefusesTheSameNode() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.SameNode.selector, node));
        vm.prank(bob);
        hub.redelegate(node, node, SHARES, 0);
    }

    function test_RefusesMoreThanIsHeld() external {
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.InsufficientShares.selector, node, bob, SHARES + 1, SHARES)
        );
        _redelegate(bob, SHARES + 1);
    }

    function test_RefusesNothingAndDust() external {
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        _redelegate(bob, 0);
        vm.expectRevert(IStakeHub.ZeroAmount.selector);
        _redelegate(bob, 999);
    }

    function test_RefusesFewerSharesThanWanted() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.TooFewShares.selector, SHARES, SHARES + 1));
        vm.prank(bob);
        hub.redelegate(node, other, SHARES, SHARES + 1);
    }

    function test_RefusesATargetThatTakesNoDelegation() external {
        _retire(other);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeHub.NotBondable.selector, other, INodeRegistry.State.Retired)
        );
        _redelegate(bob, SHARES);
    }

    function test_RefusesAFullTarget() external {
        vm.prank(dave);
        hub.unbond(other, BOND - 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.Oversubscribed.selector, other, 10, 9));
        _redelegate(bob, 10 * VIRTUAL_SHARES);
        _redelegate(bob, 9 * VIRTUAL_SHARES);
    }

    function test_RefusesATargetToSettleFirst() external {
        _report(_leaf(0, node, 0, 0, M), 0);
        _finalize(0);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotSettled.selector, other, 0, 1));
        _redelegate(bob, SHARES);
    }

    function test_RefusesTheSeventeenthLien() external {
        for (uint256 i = 0; i < 16; ++i) {
            _redelegate(bob, VIRTUAL_SHARES);
        }
        vm.assertEq(hub.liensOf(bob).length, 16);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.TooManyTickets.selector, bob, 16));
        _redelegate(bob, VIRTUAL_SHARES);
        vm.warp(GENESIS + DAY + UNBOND);
        hub.poke(bob, other);
        vm.assertEq(hub.liensOf(bob).length, 0);
        _redelegate(bob, VIRTUAL_SHARES);
    }

    function test_StopsWhilePaused() external {
        uint64 until = _pause(hub, 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        _redelegate(bob, SHARES);
    }
}
