// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {VaultTest} from "./VaultTest.sol";

contract PullTest is VaultTest {
    function test_TheHubTakesWhatWasEarned() external {
        _fund(0, 10);
        _release(0, 7);
        vm.expectEmit(address(vault));
        emit IRewardVault.RewardPulled(address(hub), 5, 5);
        _pull(address(hub), 5);
        vm.assertEq(token.balanceOf(address(hub)), 5);
        vm.assertEq(vault.totalPaid(), 5);
        vm.assertEq(vault.reserve(), VAULT - 7);
        vm.assertEq(vault.unpromised(), VAULT - 7);
    }

    function test_AtMostWhatWasEarned() external {
        _fund(0, 10);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.Overdraw.selector, 1, 0));
        _pull(address(hub), 1);
        _release(0, 7);
        _pull(address(hub), 3);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.Overdraw.selector, 5, 4));
        _pull(address(hub), 5);
        _pull(address(hub), 4);
    }

    function test_OnlyByTheHub() external {
        vm.expectRevert(_notAllowed(address(hub)));
        vm.prank(mallory);
        vault.pull(mallory, 0);
    }

    function test_AReentrantTokenGetsNothingMore() external {
        HostileToken hostile = new HostileToken(address(this), 100);
        RewardVault guarded = new RewardVault(hostile, address(this), address(hostile));
        hostile.transfer(address(guarded), 100);
        guarded.fund(0, 100);
        guarded.release(0, 100);
        bytes memory more = abi.encodeCall(guarded.pull, (mallory, 50));
        hostile.setCallback(address(guarded), more);
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        hostile.run(address(guarded), more);
    }
}
