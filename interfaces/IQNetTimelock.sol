// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IParameters} from "./IParameters.sol";

/// @title What the timelock adds to OpenZeppelin's
/// @notice The least delay is a network parameter. The governor alone proposes and cancels, anyone executes, and the
/// timelock administers itself from the first moment.
interface IQNetTimelock {
    /// @notice The delay is a network parameter: propose Parameters.set instead.
    error SetByParameter(bytes32 key);

    /// @notice Source of the least delay.
    function parameters() external view returns (IParameters);
}
