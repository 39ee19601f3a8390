// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Histories} from "../../../contracts/libraries/Histories.sol";
import {Test} from "../support/Test.sol";

contract HistoriesTest is Test {
    using Checkpoints for Checkpoints.Trace208;
    using Histories for Histories.History;

    Histories.History private _history;
    Checkpoints.Trace208 private _model;

    /// @dev The same answers as from the library that everybody uses, for any course of time.
    function testFuzz_AnswersLikeCheckpoints(uint256 seed, uint8 length) external {
        uint256 first = 1_800_000_000;
        vm.warp(first);
        for (uint256 i = 0; i < length; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(vm.getBlockTimestamp() + seed % 3);
            uint96 value = uint96(seed >> 2);
            this.set(value);
            _model.push(uint48(vm.getBlockTimestamp()), value);
            vm.assertEq(_history.latest(), value);
        }
        for (uint256 time = first - 1; time <= vm.getBlockTimestamp() + 1; ++time) {
            vm.assertEq(_history.at(time), _model.upperLookup(uint48(time)));
        }
    }

    function test_IsZeroBeforeTheFirstValue() external {
        vm.assertEq(_history.latest(), 0);
        vm.assertEq(_history.at(block.timestamp), 0);
        vm.warp(5);
        this.set(type(uint96).max);
        vm.assertEq(_history.at(4), 0);
        vm.assertEq(_history.at(5), type(uint96).max);
        vm.assertEq(_history.at(type(uint256).max), type(uint96).max);
    }

    function test_KeepsTheLastOfSeveralValuesInASecond() external {
        vm.warp(5);
        this.set(1);
        vm.warp(6);
        this.set(2);
        this.set(3);
        vm.warp(7);
        this.set(4);
        vm.assertEq(_history.at(5), 1);
        vm.assertEq(_history.at(6), 3);
        vm.assertEq(_history.at(7), 4);
    }

    function test_RefusesWhatDoesNotFit() external {
        vm.expectRevert(
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 96, 1 << 96)
        );
        this.set(1 << 96);
        vm.warp(1 << 32);
        vm.expectRevert(
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 32, 1 << 32)
        );
        this.set(1);
    }

    /// @dev A call of its own: the compiler takes the time to stand still within one.
    function set(uint256 value) external {
        _history.set(value);
    }
}
