// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title A contract with one owner for life
/// @notice The owner is the timelock of the holders. It is fixed at construction and cannot be handed on.
interface IOwned {
    /// @notice Someone else than the owner called.
    error NotOwner(address caller, address owner);

    /// @notice A link to another contract was left empty at construction.
    error ZeroAddress();

    /// @notice The timelock of the holders.
    function owner() external view returns (address);
}
