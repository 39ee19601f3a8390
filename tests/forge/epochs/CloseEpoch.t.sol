// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {World} from "../support/World.sol";

/// @title Recording what an epoch earned
contract CloseEpochTest is World {
    uint256 private constant EMISSION = 240_000 * QNET;

    function setUp() public {
        _deploy(1);
        _startEpoch(0);
    }

    function _close(uint32 epoch, uint256 earned) private {
        vm.prank(address(oracle));
        epochs.closeEpoch(epoch, earned);
    }

    function test_WhatWasNotEarnedReturnsToThePool() external {
        vm.expectEmit(address(epochs));
        emit IEpochs.EpochClosed(0, EMISSION, 100 * QNET);
        _close(0, 100 * QNET);
        vm.assertEq(vault.fundedOf(0), 100 * QNET);
        vm.assertEq(vault.unpromised(), VAULT - 100 * QNET);
    }

    function test_NothingAndAllCanBeEarned() external {
        _startEpoch(1);
        _close(0, 0);
        _close(1, EMISSION);
        vm.assertEq(vault.totalEarned(), EMISSION);
    }

    function test_OnceNotMoreThanThePromiseAndOnlyTheOracle() external {
        vm.expectRevert(abi.encodeWithSelector(IEpochs.NotOracle.selector, address(this)));
        epochs.closeEpoch(0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardVault.ExceedsFunded.selector, 0, EMISSION + 1, EMISSION)
        );
        _close(0, EMISSION + 1);
        _close(0, 1);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.NotOpen.selector, 0));
        _close(0, 1);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.NotOpen.selector, 1));
        _close(1, 0);
    }
}
