// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Buckets into which packets are counted
/// @dev Every octave has 16 equal steps; counts below 32 are their own buckets. Source: docs/spec/receipts.md.
library Buckets {
    uint256 private constant STEP_BITS = 5;

    /// @dev Number of the bucket of a count.
    function numberOf(uint64 count) internal pure returns (uint256) {
        uint256 shift = _shift(count);
        return 16 * shift + (uint256(count) >> shift);
    }

    /// @dev Whether a count is the lowest of its bucket.
    function isLowest(uint64 count) internal pure returns (bool) {
        uint256 shift = _shift(count);
        return (uint256(count) >> shift) << shift == count;
    }

    /// @dev Whether two counts lie in one bucket or in two neighbouring ones.
    function areNeighbours(uint64 a, uint64 b) internal pure returns (bool) {
        (uint256 numberA, uint256 numberB) = (numberOf(a), numberOf(b));
        return numberA <= numberB + 1 && numberB <= numberA + 1;
    }

    /// @dev max(bit length - 5, 0).
    function _shift(uint64 count) private pure returns (uint256) {
        return count == 0 ? 0 : Math.saturatingSub(Math.log2(count) + 1, STEP_BITS);
    }
}
