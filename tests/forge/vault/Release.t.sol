// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {VaultTest} from "./VaultTest.sol";

contract ReleaseTest is VaultTest {
    function test_WhatWasEarnedIsKeptAndTheRestReturns() external {
        _fund(0, 10);
        vm.expectEmit(address(vault));
        emit IRewardVault.EpochReleased(0, 7, 3);
        _release(0, 7);
        vm.assertEq(vault.fundedOf(0), 7);
        vm.assertEq(vault.totalFunded(), 7);
        vm.assertEq(vault.totalEarned(), 7);
        vm.assertEq(vault.unpromised(), VAULT - 7);
        vm.assertEq(vault.reserve(), VAULT - 7);
    }

    function test_AtMostThePromise() external {
        _fund(0, 10);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.ExceedsFunded.selector, 0, 11, 10));
        _release(0, 11);
        _release(0, 10);
    }

    function test_OnceAndOnlyIfFunded() external {
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.NotOpen.selector, 0));
        _release(0, 0);
        _fund(0, 10);
        _release(0, 10);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.NotOpen.selector, 0));
        _release(0, 0);
    }

    function test_OnlyByEpochs() external {
        vm.expectRevert(_notAllowed(address(epochs)));
        vm.prank(mallory);
        vault.release(0, 0);
    }
}
