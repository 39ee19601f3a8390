// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStakedVotes} from "../../../interfaces/IStakedVotes.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Vm} from "../support/Vm.sol";
import {StakingTest} from "./StakingTest.sol";

contract PokeTest is StakingTest {
    uint256 private constant AMOUNT = 100 * QNET;

    function setUp() public override {
        super.setUp();
        _delegate(bob, node, AMOUNT);
    }

    function test_BringsVotesDownToWhatIsLeft() external {
        _slash(node, 0, 500_000);
        vm.assertEq(hub.getVotes(bob), AMOUNT, "nobody poked yet");
        uint256 left = AMOUNT * 95 / 100;
        vm.expectEmit(address(hub));
        emit IStakeHub.Poked(node, bob, AMOUNT, left);
        vm.expectEmit(address(hub));
        emit IStakedVotes.DelegateVotesChanged(bob, AMOUNT, left);
        vm.prank(carol);
        hub.poke(bob, node);
        vm.assertEq(_principal(bob, node), left);
        vm.assertEq(hub.getVotes(bob), left);
        vm.assertEq(hub.totalBonded(), BOND + BOND / 2 + left);
        vm.assertEq(_shares(bob, node), AMOUNT * VIRTUAL_SHARES);
    }

    function test_NeverRaisesVotes() external {
        _settle(_leaf(0, node, 0, 50 * QNET, M), 50 * QNET);
        vm.warp(block.timestamp + STREAM);
        hub.poke(bob, node);
        vm.assertEq(hub.getVotes(bob), AMOUNT);
    }

    function test_ChecksPointsOfRewardsThatStreamed() external {
        _settle(_leaf(0, node, 0, 70 * QNET, M), 70 * QNET);
        vm.warp(block.timestamp + STREAM / 7);
        vm.assertEq(hub.stakeOf(node), BOND + AMOUNT, "as last checkpointed");
        hub.poke(bob, node);
        vm.assertEq(hub.poolOf(node), AMOUNT + 10 * QNET);
        vm.assertEq(hub.stakeOf(node), BOND + AMOUNT + 10 * QNET);
        uint48 current = uint48(vm.getBlockTimestamp());
        vm.warp(current + 1);
        vm.assertEq(hub.poolAt(node, current), AMOUNT + 10 * QNET);
    }

    function test_LiftsLiensThatAreOver() external {
        _redelegate(bob, 5 * VIRTUAL_SHARES);
        vm.warp(GENESIS + DAY);
        _redelegate(bob, 6 * VIRTUAL_SHARES);
        vm.warp(GENESIS + DAY + UNBOND);
        hub.poke(bob, other);
        IStakeHub.Lien[] memory liens = hub.liensOf(bob);
        vm.assertEq(liens.length, 1);
        vm.assertEq(liens[0].shares, 6 * VIRTUAL_SHARES);
        _undelegate(bob, other, 5 * VIRTUAL_SHARES);
    }

    function test_FindsNothingToDo() external {
        vm.recordLogs();
        hub.poke(carol, node);
        hub.poke(bob, node);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 0);
    }

    function test_IsOpenWhilePaused() external {
        _slash(node, 0, 500_000);
        _pause(hub, 1);
        hub.poke(bob, node);
        vm.assertEq(hub.getVotes(bob), AMOUNT * 95 / 100);
    }
}
