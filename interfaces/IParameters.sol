// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOwned} from "./IOwned.sol";

/// @title Network parameters
/// @notice Every period and bound of the protocol, in one bounded set whose hash stands in consensuses and reports.
/// @dev Keys are the ASCII field names of the network parameters, padded with zeros to 32 bytes, in declared order.
/// A key whose minimum equals its maximum can never change.
interface IParameters is IOwned {
    /// @notice A value was set.
    event ParameterSet(bytes32 indexed key, uint256 oldValue, uint256 newValue);
    /// @notice The hash of the whole set was recorded.
    event HashRecorded(bytes32 paramsHash);

    /// @notice No parameter has this key.
    error UnknownParameter(bytes32 key);
    /// @notice The value lies outside the bounds fixed at construction.
    error OutOfBounds(bytes32 key, uint256 value, uint256 min, uint256 max);
    /// @notice The key was given twice, or is empty.
    error InvalidKey(bytes32 key);
    /// @notice The lists given at construction differ in length.
    error LengthMismatch();
    /// @notice The moment asked for is not over yet.
    error FutureLookup(uint256 timepoint, uint48 clock);

    /// @notice Value of a parameter now.
    function get(bytes32 key) external view returns (uint256);

    /// @notice Value of a parameter at a past moment, in seconds; 0 before construction.
    function getPast(bytes32 key, uint256 timepoint) external view returns (uint256);

    /// @notice Least and greatest value a parameter may take.
    function bounds(bytes32 key) external view returns (uint256 min, uint256 max);

    /// @notice All keys, in declared order.
    function keys() external view returns (bytes32[] memory);

    /// @notice All values, in the order of `keys`.
    function values() external view returns (uint256[] memory);

    /// @notice keccak256(abi.encode(keys(), values())).
    function paramsHash() external view returns (bytes32);

    /// @notice Record the hash of the present set, unless it is recorded, so that reading it costs little. Anyone; the
    /// start of an epoch does it.
    function recordHash() external returns (bytes32);

    /// @notice Set a parameter. Only the owner; the value must lie within the bounds.
    function set(bytes32 key, uint256 value) external;
}
