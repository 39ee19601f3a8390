// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What an amount was at every past moment
/// @dev The latest value stands alone, older ones two in a slot: a change costs about two thirds of what it costs with
/// one slot for each. Amounts are below 2^96 wei, moments below 2^32 s (the year 2106); others are refused.
library Histories {
    /// @param count Values before the latest.
    /// @param time When the latest was set, in Unix seconds; 0 if there is none.
    /// @param older Pairs of entries of 128 bits, time and value; the even one lowest.
    struct History {
        uint32 count;
        uint32 time;
        uint96 value;
        mapping(uint256 pair => uint256) older;
    }

    uint256 private constant ENTRY_BITS = 128;
    uint256 private constant VALUE_BITS = 96;

    /// @dev Set the value from now on; of several in one second the last one counts.
    function set(History storage self, uint256 value) internal {
        uint32 time = self.time;
        uint32 current = SafeCast.toUint32(block.timestamp);
        if (time != 0 && time != current) {
            uint32 count = self.count;
            uint256 entry = (uint256(time) << VALUE_BITS) | self.value;
            self.older[count / 2] |= entry << (count % 2 * ENTRY_BITS);
            self.count = count + 1;
        }
        self.time = current;
        self.value = SafeCast.toUint96(value);
    }

    /// @dev Value now.
    function latest(History storage self) internal view returns (uint256) {
        return self.value;
    }

    /// @dev Value at the end of a second; 0 before the first was set.
    function at(History storage self, uint256 timestamp) internal view returns (uint256) {
        if (self.time <= timestamp) return self.value;
        uint256 low = 0;
        uint256 high = self.count;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_entry(self, middle) >> VALUE_BITS > timestamp) high = middle;
            else low = middle + 1;
        }
        return high == 0 ? 0 : uint96(_entry(self, high - 1));
    }

    function _entry(History storage self, uint256 place) private view returns (uint256) {
        return uint128(self.older[place / 2] >> (place % 2 * ENTRY_BITS));
    }
}
