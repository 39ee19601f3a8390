// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Carrying out the slash of a member
contract ExecuteMemberTest is SlasherTest {
    function test_ChallengerThenVaultThenFire() external {
        _queueMember(1, 300_000 * QNET, "a");
        _afterEscrow();
        uint256 supply = token.totalSupply();
        vm.expectEmit(address(committee));
        emit ICommittee.BondSlashed(1, memberOwners[1], MEMBER_BOND);
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 50_000 * QNET, 300_000 * QNET, 650_000 * QNET);
        slasher.execute(1);
        vm.assertEq(token.balanceOf(challenger), 50_000 * QNET);
        vm.assertEq(token.balanceOf(address(vault)), VAULT + 300_000 * QNET);
        vm.assertEq(supply - token.totalSupply(), 650_000 * QNET);
        vm.assertEq(token.balanceOf(address(slasher)), 0);
        vm.assertTrue(_isSuspended(1));
        vm.assertEq(committee.bondOf(1), 0);
        vm.warp(_now() + 1);
        vm.assertEq(vault.reserveAt(_now() - 1), VAULT + 300_000 * QNET);
    }

    function test_ALossOfPremiumPaymentsGoesBackToTheirPool() external {
        vm.prank(address(channels));
        slasher.queueMember(1, 0, 300_000 * QNET, challenger, "a");
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 50_000 * QNET, 300_000 * QNET, 650_000 * QNET);
        vm.expectEmit(address(channels));
        emit IPremiumChannels.PoolRefilled(address(slasher), 300_000 * QNET);
        slasher.execute(1);
        (uint256 pool,,) = channels.money();
        vm.assertEq(pool, 300_000 * QNET);
        vm.assertEq(token.balanceOf(address(channels)), pool);
        vm.assertEq(token.balanceOf(address(vault)), VAULT);
        vm.assertEq(token.balanceOf(address(slasher)), 0);
        vm.assertEq(token.allowance(address(slasher), address(channels)), 0);
    }

    function test_ALossBeyondTheBondLeavesNothingToBurn() external {
        uint256 supply = token.totalSupply();
        _queueMember(1, type(uint256).max, "a");
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 50_000 * QNET, 950_000 * QNET, 0);
        slasher.execute(1);
        vm.assertEq(token.totalSupply(), supply);
    }

    function test_WithoutALossTheRestIsBurned() external {
        _queueMember(1, 0, "a");
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 50_000 * QNET, 0, 950_000 * QNET);
        slasher.execute(1);
        vm.assertEq(token.balanceOf(address(vault)), VAULT);
    }

    function test_WithoutAShareTheChallengerGetsNothing() external {
        _set("challenger_ppm", 0);
        _queueMember(1, 0, "a");
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 0, 0, MEMBER_BOND);
        slasher.execute(1);
        vm.assertEq(token.balanceOf(challenger), 0);
    }

    function test_TwoAccusationsTakeOneBond() external {
        _queueMember(1, 0, "a");
        _queueMember(1, 0, "b");
        _afterEscrow();
        slasher.execute(2);
        vm.assertTrue(_isSuspended(1));
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(1, 0, 0, 0);
        slasher.execute(1);
        vm.assertTrue(_isSuspended(1));
        vm.assertEq(token.balanceOf(address(committee)), 3 * MEMBER_BOND);
    }

    function test_AVetoOfTheOtherAccusationDoesNotFreeAnExpelledMember() external {
        _queueMember(1, 0, "a");
        _queueMember(1, 0, "b");
        _afterEscrow();
        slasher.execute(1);
        _veto(2);
        vm.assertTrue(_isSuspended(1));
    }

    function test_EveryMemberCanBeSlashed() external {
        for (uint256 i = 0; i < 4; ++i) {
            _queueMember(i, 0, bytes32(i + 1));
        }
        _afterEscrow();
        for (uint256 i = 1; i <= 4; ++i) {
            slasher.execute(i);
        }
        vm.assertEq(token.balanceOf(address(committee)), 0);
        vm.assertEq(token.balanceOf(challenger), 4 * MEMBER_BOND / 20);
    }

    function test_TheReserveIsRecordedOnlyWhenTheVaultGotSome() external {
        _queueMember(1, 0, "a");
        _queueMember(2, 1, "b");
        _afterEscrow();
        uint256 before = _now();
        slasher.execute(1);
        slasher.execute(2);
        vm.warp(before + 1);
        vm.assertEq(IRewardVault(slasher.vault()).reserveAt(before), VAULT + 1);
    }
}
