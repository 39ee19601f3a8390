// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {StakingTest} from "./StakingTest.sol";

contract SetTermsTest is StakingTest {
    uint32 private constant LEAST = 100_000;
    uint256 private constant DELAY = 21 days;

    function test_CountFromTheNextEpochWithoutDelegators() external {
        _expectTerms(0, 0, 0);
        vm.expectEmit(address(hub));
        emit IStakeHub.TermsSet(node, 0, QNET, 0, 200_000, 1);
        _setTerms(QNET, 200_000);
        _expectTerms(0, 0, 0);
        _expectTerms(1, QNET, 200_000);
        _expectTerms(1000, QNET, 200_000);
        (uint256 cost, uint32 margin, uint32 fromEpoch) = hub.termsOf(node);
        vm.assertEq(cost, QNET);
        vm.assertEq(margin, 200_000);
        vm.assertEq(fromEpoch, 1);
    }

    function test_CountAfterTheDelayWithDelegators() external {
        _delegate(bob, node, 1);
        _setTerms(1, LEAST);
        _expectFrom(21);
        vm.warp(GENESIS + 1);
        _setTerms(1, LEAST);
        _expectFrom(22);
        vm.warp(GENESIS + DAY - 1);
        _setTerms(1, LEAST);
        _expectFrom(22);
        vm.warp(GENESIS + DAY);
        _setTerms(1, LEAST);
        _expectFrom(22);
    }

    function test_CountFromTheNextEpochOnceAllDelegatorsLeft() external {
        uint256 shares = _delegate(bob, node, 1);
        _setTerms(1, LEAST);
        _undelegate(bob, node, shares);
        _setTerms(2, LEAST);
        _expectFrom(1);
        _expectTerms(0, 0, 0);
        _expectTerms(21, 2, LEAST);
    }

    function test_ReplaceTermsThatDidNotTakeEffect() external {
        _setTerms(1, LEAST);
        vm.warp(GENESIS + DAY);
        _delegate(bob, node, 1);
        _setTerms(2, LEAST);
        _expectFrom(22);
        vm.warp(GENESIS + 22 * DAY - 1);
        vm.expectEmit(address(hub));
        emit IStakeHub.TermsSet(node, 2, 3, LEAST, LEAST, 43);
        _setTerms(3, LEAST);
        _expectTerms(42, 1, LEAST);
        _expectTerms(43, 3, LEAST);
    }

    function test_AreKeptOnceTheyTookEffect() external {
        _delegate(bob, node, 1);
        _setTerms(2, LEAST);
        vm.warp(GENESIS + 21 * DAY);
        _setTerms(3, LEAST + 1);
        _expectTerms(20, 0, 0);
        _expectTerms(21, 2, LEAST);
        _expectTerms(41, 2, LEAST);
        _expectTerms(42, 3, LEAST + 1);
    }

    function test_CountAtTheEarliestFromTheNextEpoch() external {
        _delegate(bob, node, 1);
        vm.warp(GENESIS - 100 * DAY);
        _setTerms(1, LEAST);
        _expectFrom(1);
    }

    function test_LieWithinTheParameters() external {
        uint256 most = parameters.get("cost_max_wei");
        _setTerms(most, M);
        _setTerms(0, LEAST);
        _expectInvalid(most + 1, LEAST);
        _expectInvalid(type(uint256).max, LEAST);
        _expectInvalid(0, LEAST - 1);
        _expectInvalid(0, M + 1);
    }

    function test_AreNotChangedByParameters() external {
        uint256 most = parameters.get("cost_max_wei");
        _setTerms(most, LEAST);
        _set("cost_max_wei", 1);
        _set("margin_min_ppm", 500_000);
        _expectTerms(1, most, LEAST);
        _expectInvalid(2, 500_000);
        _expectInvalid(1, 499_999);
        _setTerms(1, 500_000);
    }

    function test_AreOpenWhilePaused() external {
        _pause(hub, 1);
        _setTerms(1, LEAST);
        _expectFrom(1);
    }

    function test_AreSetByTheOwnerOfTheNodeOnly() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotNodeOwner.selector, node, bob));
        vm.prank(bob);
        hub.setTerms(node, 0, LEAST);
    }

    function _setTerms(uint256 cost, uint32 margin) private {
        vm.prank(alice);
        hub.setTerms(node, cost, margin);
    }

    function _expectInvalid(uint256 cost, uint32 margin) private {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.InvalidTerms.selector, cost, margin));
        _setTerms(cost, margin);
    }

    function _expectTerms(uint32 epoch, uint256 cost, uint32 margin) private view {
        (uint256 gotCost, uint32 gotMargin) = hub.termsAt(node, epoch);
        vm.assertEq(gotCost, cost);
        vm.assertEq(gotMargin, margin);
    }

    function _expectFrom(uint32 epoch) private view {
        (,, uint32 fromEpoch) = hub.termsOf(node);
        vm.assertEq(fromEpoch, epoch);
    }
}
