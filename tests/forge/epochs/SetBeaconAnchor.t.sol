// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {World} from "../support/World.sol";

/// @title Committing a new beacon
contract SetBeaconAnchorTest is World {
    function setUp() public {
        _deploy(1);
    }

    function test_TheNextEpochLeadsBackToTheNewOne() external {
        _startEpoch(0);
        bytes32 old = epochs.beaconAnchor();
        bytes32 reveal = keccak256("another chain");
        bytes32 anchor = reveal;
        for (uint256 i = 0; i < 24; ++i) {
            anchor = keccak256(bytes.concat(anchor));
        }
        vm.expectEmit(address(epochs));
        emit IEpochs.BeaconAnchorSet(old, anchor, 1);
        vm.prank(owner);
        epochs.setBeaconAnchor(anchor);
        vm.assertEq(epochs.beaconAnchor(), anchor);
        vm.warp(GENESIS + DAY);
        vm.expectPartialRevert(IEpochs.BadReveal.selector);
        epochs.startEpoch(1, _reveal(1));
        epochs.startEpoch(1, reveal);
        (, bytes32 kept,,,) = epochs.epochInfo(0);
        vm.assertEq(kept, _reveal(0));
    }

    function test_OnlyTheOwnerCommits() external {
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, address(this), owner));
        epochs.setBeaconAnchor(0);
    }
}
