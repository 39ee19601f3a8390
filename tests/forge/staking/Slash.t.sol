// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IStakedVotes} from "../../../interfaces/IStakedVotes.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Vm} from "../support/Vm.sol";
import {StakingTest} from "./StakingTest.sol";

contract SlashTest is StakingTest {
    uint256 private constant AMOUNT = 1000 * QNET;

    function setUp() public override {
        super.setUp();
        _delegate(bob, node, AMOUNT);
    }

    function test_TakesFromBondAndATenthFromPool() external {
        vm.expectEmit(address(hub));
        emit IStakeHub.Slashed(node, 0, BOND / 20, AMOUNT / 200, 0, 0);
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(alice, BOND, BOND - BOND / 20);
        vm.assertEq(_slash(node, 0, 50_000), BOND / 20 + AMOUNT / 200);
        vm.assertEq(hub.bondOf(node), BOND - BOND / 20);
        vm.assertEq(hub.poolOf(node), AMOUNT - AMOUNT / 200);
        vm.assertEq(hub.stakeOf(node), BOND - BOND / 20 + AMOUNT - AMOUNT / 200);
        vm.assertEq(token.balanceOf(address(slasher)), BOND / 20 + AMOUNT / 200);
        vm.assertEq(hub.slashCountOf(node), 1);
        vm.assertEq(hub.getVotes(alice), BOND - BOND / 20);
        vm.assertEq(_worth(bob, node), AMOUNT - AMOUNT / 200);
        vm.warp(GENESIS + 1);
        vm.assertEq(hub.bondAt(node, uint48(GENESIS)), BOND - BOND / 20);
        vm.assertEq(hub.poolAt(node, uint48(GENESIS)), AMOUNT - AMOUNT / 200);
    }

    function test_ReachesTicketsSinceTheEpochOnly() external {
        _leaveFrom(1000, 100 * QNET);
        vm.warp(GENESIS + DAY);
        _leaveFrom(2000, 200 * QNET);
        vm.warp(GENESIS + 3 * DAY);
        _leaveFrom(4000, 400 * QNET);
        uint256 own = BOND - 7000;
        uint256 pool = AMOUNT - 700 * QNET;
        vm.assertEq(hub.slashableOf(node, 0), BOND + AMOUNT);
        vm.assertEq(hub.slashableOf(node, 1), BOND - 1000 + AMOUNT - 100 * QNET);
        vm.assertEq(hub.slashableOf(node, 2), own + 4000 + pool + 400 * QNET);
        vm.assertEq(hub.slashableOf(node, 4), own + pool);
        vm.expectEmit(address(hub));
        emit IStakeHub.Slashed(node, 1, own / 2, pool / 20, 3000, 30 * QNET);
        _slash(node, 1, 500_000);
        vm.assertEq(_ticketAmount(alice, 0), 1000);
        vm.assertEq(_ticketAmount(alice, 1), 1000);
        vm.assertEq(_ticketAmount(alice, 2), 2000);
        vm.assertEq(_ticketAmount(bob, 0), 100 * QNET);
        vm.assertEq(_ticketAmount(bob, 1), 190 * QNET);
        vm.assertEq(_ticketAmount(bob, 2), 380 * QNET);
    }

    function test_ReachesTicketsThatNobodyWithdrew() external {
        _leaveFrom(1000, 100 * QNET);
        vm.warp(GENESIS + 1000 * DAY);
        _slash(node, 0, M);
        vm.assertEq(_ticketAmount(alice, 0), 0);
        vm.assertEq(_ticketAmount(bob, 0), 90 * QNET);
    }

    function test_IsCutDownEvenly() external {
        _leaveFrom(BOND / 2, AMOUNT / 2);
        uint256 whole = BOND / 20 + AMOUNT / 200;
        vm.expectEmit(address(hub));
        emit IStakeHub.Slashed(node, 0, BOND / 80, AMOUNT / 800, BOND / 80, AMOUNT / 800);
        vm.assertEq(_slashMax(50_000, whole / 2), whole / 2);
        vm.assertEq(hub.bondOf(node), BOND / 2 - BOND / 80);
    }

    /// @dev Parts of 1.99 wei each come to 3 rounded down, and to 3 again at two thirds of the rate.
    function test_NeverTakesMoreThanTheMost() external {
        uint32 index = _register(dave, INodeRegistry.Role.Mix);
        vm.startPrank(dave);
        hub.bond(index, 3 * 199);
        hub.unbond(index, 199);
        vm.warp(GENESIS + DAY);
        hub.unbond(index, 199);
        vm.stopPrank();
        vm.prank(address(slasher));
        uint256 taken = hub.slash(index, 0, 9999, 2);
        vm.assertEq(taken, 2);
        vm.assertEq(hub.slashableOf(index, 0), 3 * 199 - 2);
    }

    function test_TakesNothingBelowAMillionth() external {
        vm.recordLogs();
        vm.assertEq(_slashMax(50_000, 0), 0);
        vm.assertEq(_slashMax(50_000, 1), 0);
        vm.assertEq(_slash(node, 0, 0), 0);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 0);
        vm.assertEq(hub.slashCountOf(node), 0);
    }

    function test_CountsEvenIfNothingIsLeft() external {
        _unbond(BOND);
        _undelegate(bob, node, AMOUNT * VIRTUAL_SHARES);
        vm.warp(GENESIS + DAY);
        vm.expectEmit(address(hub));
        emit IStakeHub.Slashed(node, 1, 0, 0, 0, 0);
        vm.assertEq(_slash(node, 1, 50_000), 0);
        vm.assertEq(hub.slashCountOf(node), 1);
    }

    function test_TakesAllAtMost() external {
        vm.assertEq(_slash(node, 0, type(uint32).max), BOND + AMOUNT / 10);
        vm.assertEq(hub.bondOf(node), 0);
        vm.assertEq(hub.getVotes(alice), 0);
    }

    function test_DeactivatesBelowTheLeastBond() external {
        _slash(node, 0, 900_000);
        vm.assertTrue(registry.isActive(node));
        _slash(node, 0, 1);
        vm.assertFalse(registry.isActive(node));
    }

    function test_SparesRewards() external {
        _settle(_leaf(0, node, 50 * QNET, 70 * QNET, M), 120 * QNET);
        vm.warp(block.timestamp + STREAM / 7);
        vm.assertEq(hub.slashableOf(node, 9), BOND + AMOUNT + 10 * QNET);
        _slash(node, 0, M);
        vm.assertEq(hub.owed(node), 50 * QNET);
        (uint256 unstreamed,) = hub.streamOf(node);
        vm.assertEq(unstreamed, 60 * QNET);
        vm.assertEq(hub.poolOf(node), (AMOUNT + 10 * QNET) * 9 / 10);
    }

    function test_IsOpenWhilePaused() external {
        _pause(hub, 1);
        _slash(node, 0, 50_000);
        vm.assertEq(hub.slashCountOf(node), 1);
    }

    function test_IsForTheSlasherOnly() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotSlasher.selector, owner));
        vm.prank(owner);
        hub.slash(node, 0, 50_000, 1);
    }

    function _leaveFrom(uint256 fromBond, uint256 fromPool) private {
        _unbond(fromBond);
        _undelegate(bob, node, fromPool * VIRTUAL_SHARES);
    }

    function _slashMax(uint32 ppm, uint256 max) private returns (uint256) {
        vm.prank(address(slasher));
        return hub.slash(node, 0, ppm, max);
    }
}
