// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RewardFormula} from "../../../contracts/libraries/RewardFormula.sol";
import {Test} from "../support/Test.sol";

/// @title Slots, medians and the P of an epoch
contract PerformanceTest is Test {
    function _pack(uint256[] memory slots) private pure returns (uint256 packed) {
        for (uint256 i = 0; i < slots.length; ++i) {
            packed |= slots[i] << (10 * i);
        }
    }

    function _list(uint32 a, uint32 b, uint32 c) private pure returns (uint32[] memory list) {
        list = new uint32[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }

    function test_SlotsAreTenBitsEachFromTheLowest() external pure {
        uint256 packed = 7 | (1000 << 10) | (999 << 230);
        vm.assertEq(RewardFormula.slotAt(packed, 0), 7);
        vm.assertEq(RewardFormula.slotAt(packed, 1), 1000);
        vm.assertEq(RewardFormula.slotAt(packed, 2), 0);
        vm.assertEq(RewardFormula.slotAt(packed, 23), 999);
    }

    function test_NothingButSlotsOfAtMostOneIsPacked() external pure {
        vm.assertTrue(RewardFormula.isPacked(0, 24));
        vm.assertTrue(RewardFormula.isPacked(1000 << 230, 24));
        vm.assertFalse(RewardFormula.isPacked(1001, 24));
        vm.assertFalse(RewardFormula.isPacked(1001 << 230, 24));
        vm.assertFalse(RewardFormula.isPacked(1 << 240, 24));
        vm.assertFalse(RewardFormula.isPacked(1 << 255, 24));
        vm.assertFalse(RewardFormula.isPacked(1 << 60, 6));
        vm.assertTrue(RewardFormula.isPacked(1 << 59, 6));
    }

    function test_TheTwoWorstOf24SlotsAreDropped() external pure {
        uint256[] memory slots = new uint256[](24);
        for (uint256 i = 0; i < 24; ++i) {
            slots[i] = 1000;
        }
        (slots[3], slots[17]) = (0, 0);
        vm.assertEq(RewardFormula.epochPerformance(_pack(slots), 24), 1_000_000);
        slots[9] = 1;
        // 21 of 1000 and one of 1, over 22
        vm.assertEq(RewardFormula.epochPerformance(_pack(slots), 24), 1000 * uint256(21_001) / 22);
    }

    function test_OneOf12SlotsIsDroppedAndNoneBelow() external pure {
        uint256[] memory slots = new uint256[](12);
        slots[11] = 600;
        vm.assertEq(RewardFormula.epochPerformance(_pack(slots), 12), 1000 * uint256(600) / 11);
        vm.assertEq(RewardFormula.epochPerformance(600 << 100, 11), 1000 * uint256(600) / 11);
        vm.assertEq(RewardFormula.epochPerformance(333, 1), 333_000);
    }

    function testFuzz_PNeverExceedsOne(uint256 seed, uint256 slots) external pure {
        slots = _bound(slots, 1, 24);
        uint256[] memory values = new uint256[](slots);
        for (uint256 i = 0; i < slots; ++i) {
            values[i] = uint256(keccak256(abi.encode(seed, i))) % 1001;
        }
        vm.assertLe(RewardFormula.epochPerformance(_pack(values), slots), 1_000_000);
    }

    function test_TheMedianIsOfShares() external pure {
        vm.assertEq(RewardFormula.medianOf(_list(10, 3, 8), _list(9, 3, 2)), 900);
        vm.assertEq(RewardFormula.medianOf(_list(3, 3, 3), _list(0, 1, 0)), 0);
    }

    function test_OfAnEvenNumberItIsTheLower() external pure {
        uint32[] memory sent = new uint32[](4);
        uint32[] memory returned = new uint32[](4);
        for (uint32 i = 0; i < 4; ++i) {
            (sent[i], returned[i]) = (4, 4 - i);
        }
        vm.assertEq(RewardFormula.medianOf(sent, returned), 500);
    }

    function test_LargeCountsDoNotOverflow() external pure {
        uint32 all = type(uint32).max;
        vm.assertEq(RewardFormula.medianOf(_list(all, all, all), _list(all, all, all)), 1000);
    }
}
