// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOwned} from "./IOwned.sol";

/// @title A contract that a guardian can pause for a while
/// @notice A pause ends by itself after 14 days at most, and the next one may begin 30 days after the last has ended.
/// Ways out (unbonding, withdrawing, voting) are never paused; deadlines that a paused function could contest stop.
interface IPausing is IOwned {
    /// @notice The contract is paused until a moment.
    event Paused(uint64 since, uint64 until);
    /// @notice The pause was ended early.
    event Unpaused(uint64 oldUntil, uint64 until);
    /// @notice Another account may pause from now on.
    event GuardianSet(address oldGuardian, address newGuardian);

    /// @notice The contract is paused until `until`.
    error IsPaused(uint64 until);
    /// @notice Only the guardian pauses.
    error NotGuardian(address caller);
    /// @notice A pause lasts until a moment after now, at most 14 days ahead.
    error InvalidPause(uint64 until, uint64 latest);
    /// @notice The next pause may begin at `from`.
    error PausedTooRecently(uint64 from);
    /// @notice There is no pause to end.
    error NotPaused();

    /// @notice Who may pause.
    function guardian() external view returns (address);
    /// @notice First second after the present or the last pause; 0 before the first.
    function pausedUntil() external view returns (uint64);
    /// @notice Whether it is paused now.
    function isPaused() external view returns (bool);
    /// @notice Seconds from a moment until now in which it was paused: what a deadline that ran since then gains.
    function pausedSince(uint256 timestamp) external view returns (uint256);

    /// @notice Pause until a moment, in Unix seconds. Only the guardian.
    function pause(uint64 until) external;
    /// @notice End a pause early. Only the guardian or the owner.
    function unpause() external;
    /// @notice Appoint the account that may pause. Only the owner.
    function setGuardian(address newGuardian) external;
}
