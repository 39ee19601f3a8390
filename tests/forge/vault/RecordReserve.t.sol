// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {VaultTest} from "./VaultTest.sol";

contract RecordReserveTest is VaultTest {
    function test_WhatNobodyHasEarnedIsRecordedWithItsTime() external {
        vm.warp(GENESIS + 10);
        vm.prank(holder);
        token.transfer(address(vault), 5);
        vm.prank(mallory);
        vault.recordReserve();
        vm.warp(GENESIS + 20);
        vm.assertEq(vault.reserveAt(GENESIS - 1), 0);
        vm.assertEq(vault.reserveAt(GENESIS), VAULT);
        vm.assertEq(vault.reserveAt(GENESIS + 9), VAULT);
        vm.assertEq(vault.reserveAt(GENESIS + 10), VAULT + 5);
    }

    function test_FundingAndReleasingRecordIt() external {
        vm.warp(GENESIS + 10);
        _fund(0, 10);
        vm.warp(GENESIS + 20);
        _release(0, 7);
        vm.warp(GENESIS + 30);
        vm.assertEq(vault.reserveAt(GENESIS + 10), VAULT);
        vm.assertEq(vault.reserveAt(GENESIS + 20), VAULT - 7);
    }

    function test_NothingIsRecordedWithoutAChange() external {
        vm.warp(GENESIS + 10);
        vault.recordReserve();
        vm.warp(GENESIS + 11);
        vm.assertEq(vault.reserveAt(GENESIS + 10), VAULT);
    }

    function test_TheFutureIsUnknown() external {
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.FutureLookup.selector, GENESIS, GENESIS));
        vault.reserveAt(GENESIS);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardVault.FutureLookup.selector, type(uint256).max, GENESIS)
        );
        vault.reserveAt(type(uint256).max);
    }

    function test_NoLinkMayBeEmpty() external {
        vm.expectRevert(IRewardVault.EmptyLink.selector);
        new RewardVault(token, address(0), address(hub));
        vm.expectRevert(IRewardVault.EmptyLink.selector);
        new RewardVault(token, address(epochs), address(0));
    }

    function test_ItIsWired() external view {
        vm.assertEq(address(vault.token()), address(token));
        vm.assertEq(vault.epochs(), address(epochs));
        vm.assertEq(vault.hub(), address(hub));
    }
}
