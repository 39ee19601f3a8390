// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {VaultTest} from "./VaultTest.sol";

contract FundTest is VaultTest {
    function test_AnEpochIsPromisedAnAmount() external {
        vm.expectEmit(address(vault));
        emit IRewardVault.EpochFunded(3, 5 * QNET, 5 * QNET);
        vm.assertEq(_fund(3, 5 * QNET), 5 * QNET);
        vm.assertEq(vault.fundedOf(3), 5 * QNET);
        vm.assertEq(vault.totalFunded(), 5 * QNET);
        vm.assertEq(vault.unpromised(), VAULT - 5 * QNET);
        vm.assertEq(vault.reserve(), VAULT);
    }

    function test_AtMostWhatIsThere() external {
        vm.assertEq(_fund(0, VAULT - 1), VAULT - 1);
        vm.assertEq(_fund(1, 2), 1);
        vm.assertEq(_fund(2, type(uint256).max), 0);
        vm.assertEq(vault.unpromised(), 0);
    }

    function test_Once() external {
        _fund(3, 0);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.AlreadyFunded.selector, 3));
        _fund(3, 1);
        _release(3, 0);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.AlreadyFunded.selector, 3));
        _fund(3, 1);
    }

    function test_OnlyByEpochs() external {
        vm.expectRevert(_notAllowed(address(epochs)));
        vm.prank(mallory);
        vault.fund(0, 1);
    }
}
