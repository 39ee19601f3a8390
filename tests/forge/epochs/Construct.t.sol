// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Parameters} from "../../../contracts/governance/Parameters.sol";
import {Epochs} from "../../../contracts/reporting/Epochs.sol";
import {ReportOracle} from "../../../contracts/reporting/ReportOracle.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {NodeRegistry} from "../../../contracts/staking/NodeRegistry.sol";
import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {World} from "../support/World.sol";

/// @title Deploying the calendar
contract ConstructTest is World {
    bytes32 private constant ANCHOR = keccak256("anchor");

    function setUp() public {
        _deploy(1);
    }

    function _calendar(uint256 slotMin, uint256 slotMax, uint256 slotsMin, uint256 slotsMax)
        private
        returns (Parameters)
    {
        bytes32[] memory keys = new bytes32[](2);
        uint256[] memory values = new uint256[](2);
        uint256[] memory mins = new uint256[](2);
        uint256[] memory maxs = new uint256[](2);
        (keys[0], values[0], mins[0], maxs[0]) = ("slot_s", slotMin, slotMin, slotMax);
        (keys[1], values[1], mins[1], maxs[1]) = ("slots_per_epoch", slotsMin, slotsMin, slotsMax);
        return new Parameters(owner, keys, values, mins, maxs);
    }

    function _make(Parameters source) private returns (Epochs) {
        return new Epochs(owner, source, registry, oracle, vault, 1000, ANCHOR);
    }

    function test_LinksStandAsGiven() external view {
        vm.assertEq(epochs.owner(), owner);
        vm.assertEq(address(epochs.parameters()), address(parameters));
        vm.assertEq(address(epochs.registry()), address(registry));
        vm.assertEq(address(epochs.oracle()), address(oracle));
        vm.assertEq(address(epochs.vault()), address(vault));
        vm.assertEq(epochs.genesis(), GENESIS);
        vm.assertEq(epochs.slotSeconds(), 3600);
        vm.assertEq(epochs.slotsPerEpoch(), 24);
        vm.assertEq(epochs.nextEpoch(), 0);
        vm.assertEq(epochs.beaconAnchor(), epochs.beaconHead());
    }

    function test_TheFirstAnchorIsToldOf() external {
        Parameters source = _calendar(3, 3, 2, 2);
        vm.expectEmit();
        emit IEpochs.BeaconAnchorSet(0, ANCHOR, 0);
        Epochs fresh = _make(source);
        vm.assertEq(fresh.beaconAnchor(), ANCHOR);
        vm.assertEq(fresh.beaconHead(), ANCHOR);
    }

    function test_EmptyLinksAreRefused() external {
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Epochs(owner, parameters, NodeRegistry(address(0)), oracle, vault, 0, ANCHOR);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Epochs(owner, parameters, registry, ReportOracle(address(0)), vault, 0, ANCHOR);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Epochs(owner, parameters, registry, oracle, RewardVault(address(0)), 0, ANCHOR);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Epochs(address(0), parameters, registry, oracle, vault, 0, ANCHOR);
    }

    function test_TheCalendarIsPinned() external {
        Parameters source = _calendar(3, 4, 2, 2);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.CalendarNotPinned.selector, bytes32("slot_s"), 3, 4));
        _make(source);
        source = _calendar(3, 3, 2, 3);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.CalendarNotPinned.selector, bytes32("slots_per_epoch"), 2, 3));
        _make(source);
        source = _calendar(0, 0, 2, 2);
        vm.expectRevert(abi.encodeWithSelector(IEpochs.CalendarNotPinned.selector, bytes32("slot_s"), 0, 0));
        _make(source);
    }

    function test_EpochsFollowOneAnother() external {
        Epochs fresh = _make(_calendar(3, 3, 2, 2));
        vm.assertEq(fresh.epochStart(0), 1000);
        vm.assertEq(fresh.epochEnd(0), 1006);
        vm.assertEq(fresh.epochStart(1), 1006);
        vm.assertEq(fresh.epochEnd(type(uint32).max), 1000 + (uint256(type(uint32).max) + 1) * 6);
        vm.warp(1);
        vm.assertEq(fresh.currentEpoch(), 0);
        vm.warp(1005);
        vm.assertEq(fresh.currentEpoch(), 0);
        vm.warp(1006);
        vm.assertEq(fresh.currentEpoch(), 1);
    }
}
