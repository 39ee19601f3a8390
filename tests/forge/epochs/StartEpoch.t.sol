// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {World} from "../support/World.sol";

/// @title Starting an epoch
contract StartEpochTest is World {
    uint256 private constant EMISSION = 240_000 * QNET;

    function setUp() public {
        _deploy(1);
    }

    function test_ParametersBeaconNodesAndBudgetAreFixed() external {
        address alice = _person("alice", QNET);
        _register(alice, INodeRegistry.Role.Mix);
        _register(alice, INodeRegistry.Role.Exit);
        vm.warp(GENESIS + 10);
        bytes32 paramsHash = parameters.paramsHash();
        vm.expectEmit(address(vault));
        emit IRewardVault.EpochFunded(0, EMISSION, EMISSION);
        vm.expectEmit(address(epochs));
        emit IEpochs.EpochStarted(0, paramsHash, _reveal(0), EMISSION, 2);
        epochs.startEpoch(0, _reveal(0));

        _register(alice, INodeRegistry.Role.Exit);
        _set("emission_wei", 1);
        (bytes32 hash, bytes32 reveal, uint256 budget, uint64 startedAt, bool skipped) = epochs.epochInfo(0);
        vm.assertEq(hash, paramsHash);
        vm.assertEq(reveal, _reveal(0));
        vm.assertEq(budget, EMISSION);
        vm.assertEq(startedAt, GENESIS + 10);
        vm.assertFalse(skipped);
        (bytes32 termsHash, uint256 termsBudget, uint32 nodeCount, bool open) = epochs.reportTerms(0);
        vm.assertEq(termsHash, paramsHash);
        vm.assertEq(termsBudget, EMISSION);
        vm.assertEq(nodeCount, 2);
        vm.assertTrue(open);
        vm.assertEq(epochs.nodeCountOf(0), 2);
        vm.assertEq(epochs.nextEpoch(), 1);
        vm.assertEq(epochs.beaconHead(), _reveal(0));
    }

    function test_AnEpochNotStartedIsNotOpen() external view {
        (bytes32 hash, uint256 budget, uint32 nodeCount, bool open) = epochs.reportTerms(0);
        vm.assertEq(hash, 0);
        vm.assertEq(budget, 0);
        vm.assertEq(nodeCount, 0);
        vm.assertFalse(open);
    }

    function test_FromItsFirstSecondOn() external {
        vm.warp(GENESIS - 1);
        bytes32 reveal = _reveal(0);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.EpochInFuture.selector, 0, GENESIS));
        epochs.startEpoch(0, reveal);
        vm.warp(GENESIS);
        epochs.startEpoch(0, reveal);
        reveal = _reveal(1);
        vm.warp(GENESIS + DAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.EpochInFuture.selector, 1, GENESIS + DAY));
        epochs.startEpoch(1, reveal);
        vm.warp(GENESIS + DAY);
        epochs.startEpoch(1, reveal);
    }

    function test_OneAfterTheOther() external {
        vm.warp(GENESIS + 5 * DAY);
        bytes32 reveal = _reveal(1);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.EpochOutOfOrder.selector, 0, 1));
        epochs.startEpoch(1, reveal);
        _startEpoch(0);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.EpochOutOfOrder.selector, 1, 0));
        epochs.startEpoch(0, reveal);
        for (uint32 epoch = 1; epoch <= 5; ++epoch) {
            _startEpoch(epoch);
        }
        vm.assertEq(epochs.nextEpoch(), 6);
    }

    function test_TheRevealLeadsBackToTheLast() external {
        bytes32 wrong = _reveal(1);
        bytes32 head = wrong;
        for (uint256 i = 0; i < 24; ++i) {
            head = keccak256(bytes.concat(head));
        }
        vm.expectRevert(abi.encodeWithSelector(IEpochs.BadReveal.selector, 0, epochs.beaconHead(), head));
        epochs.startEpoch(0, wrong);
    }

    function test_TheBudgetIsCutDownToWhatTheVaultHas() external {
        _set("emission_wei", VAULT - QNET);
        _startEpoch(0);
        _startEpoch(1);
        _startEpoch(2);
        (,, uint256 budget,,) = epochs.epochInfo(0);
        vm.assertEq(budget, VAULT - QNET);
        (,, budget,,) = epochs.epochInfo(1);
        vm.assertEq(budget, QNET);
        (,, budget,,) = epochs.epochInfo(2);
        vm.assertEq(budget, 0);
    }
}
