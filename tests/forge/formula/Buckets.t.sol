// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Buckets} from "../../../contracts/libraries/Buckets.sol";
import {Test} from "../support/Test.sol";

/// @title Buckets of counts
contract BucketsTest is Test {
    function test_SmallCountsAreTheirOwnBuckets() external pure {
        for (uint64 n = 0; n < 32; ++n) {
            vm.assertEq(Buckets.numberOf(n), n);
            vm.assertTrue(Buckets.isLowest(n));
        }
    }

    function test_EveryOctaveHas16() external pure {
        vm.assertEq(Buckets.numberOf(32), 32);
        vm.assertEq(Buckets.numberOf(33), 32);
        vm.assertEq(Buckets.numberOf(34), 33);
        vm.assertEq(Buckets.numberOf(64), 48);
        vm.assertEq(Buckets.numberOf(type(uint64).max), 16 * 59 + 31);
        vm.assertFalse(Buckets.isLowest(33));
        vm.assertTrue(Buckets.isLowest(34));
        vm.assertFalse(Buckets.isLowest(type(uint64).max));
        vm.assertTrue(Buckets.isLowest(uint64(31) << 59));
    }

    function test_NeighboursMatchInBothOrders() external pure {
        vm.assertTrue(Buckets.areNeighbours(32, 34));
        vm.assertTrue(Buckets.areNeighbours(34, 32));
        vm.assertTrue(Buckets.areNeighbours(31, 32));
        vm.assertTrue(Buckets.areNeighbours(0, 1));
        vm.assertFalse(Buckets.areNeighbours(32, 36));
        vm.assertFalse(Buckets.areNeighbours(36, 32));
        vm.assertFalse(Buckets.areNeighbours(0, 2));
    }

    function testFuzz_TheLowestOfABucketIsInIt(uint64 n) external pure {
        uint64 low = n;
        for (uint64 shift = 0; shift < 60; ++shift) {
            if (Buckets.isLowest(low)) break;
            low = (n >> shift) << shift;
        }
        vm.assertTrue(Buckets.isLowest(low));
        vm.assertEq(Buckets.numberOf(low), Buckets.numberOf(n));
        if (low > 0) vm.assertEq(Buckets.numberOf(low - 1) + 1, Buckets.numberOf(low));
    }
}
