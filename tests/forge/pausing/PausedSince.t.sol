// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {PausingTest} from "./PausingTest.sol";

/// @title What a deadline gains by pauses
contract PausedSinceTest is PausingTest {
    function test_NothingWithoutAPause() external view {
        vm.assertEq(subject.pausedSince(0), 0);
        vm.assertEq(subject.pausedSince(START + 1), 0);
        vm.assertEq(subject.pausedSince(type(uint256).max), 0);
    }

    function test_ARunningPauseCountsToNow() external {
        _pause(START + 100);
        vm.assertEq(subject.pausedSince(START), 0);
        vm.warp(START + 30);
        vm.assertEq(subject.pausedSince(START - 5), 30);
        vm.assertEq(subject.pausedSince(START), 30);
        vm.assertEq(subject.pausedSince(START + 10), 20);
        vm.assertEq(subject.pausedSince(START + 30), 0);
        vm.assertEq(subject.pausedSince(START + 31), 0);
    }

    function test_APastPauseCountsFromTheMomentOn() external {
        _pause(START + 100);
        vm.warp(START + 500);
        vm.assertEq(subject.pausedSince(0), 100);
        vm.assertEq(subject.pausedSince(START + 1), 99);
        vm.assertEq(subject.pausedSince(START + 99), 1);
        vm.assertEq(subject.pausedSince(START + 100), 0);
    }

    /// @dev Held against a count second by second of a calendar of its own.
    function testFuzz_SumsOverlapsOfAllPauses(uint256 seed, uint256 asked, uint256 rest) external {
        uint256[] memory since = new uint256[](5);
        uint256[] memory until = new uint256[](5);
        uint64 time = START;
        for (uint256 i = 0; i < 5; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint64 length = uint64(_bound(seed, 1, PAUSE_MAX));
            vm.warp(time);
            _pause(time + length);
            uint64 end = time + length;
            if (seed & 1 == 1) {
                end = time + uint64(_bound(seed >> 8, 0, length - 1));
                vm.warp(end);
                vm.prank(guardian);
                subject.unpause();
            }
            (since[i], until[i]) = (time, end);
            time = end + PAUSE_GAP + uint64(_bound(seed >> 72, 0, 10 days));
        }
        uint256 now_ = _bound(rest, until[4], until[4] + 60 days);
        asked = _bound(asked, START - 10, now_);
        vm.warp(now_);
        uint256 expected;
        for (uint256 i = 0; i < 5; ++i) {
            if (until[i] > asked) expected += until[i] - (since[i] > asked ? since[i] : asked);
        }
        vm.assertEq(subject.pausedSince(asked), expected);
    }
}
