// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Votes of staked tokens
/// @notice Staked principal, bonds and delegations, votes for the delegate of its owner, who is the owner itself until it chooses another.
/// @dev Same clock and, but for `delegateVotes`, names as ERC-5805, without signed delegations.
interface IStakedVotes {
    /// @notice An account chose another delegate.
    event DelegateChanged(address indexed delegator, address indexed fromDelegate, address indexed toDelegate);
    /// @notice The votes of a delegate changed.
    event DelegateVotesChanged(address indexed delegate, uint256 previousVotes, uint256 newVotes);

    /// @notice The moment asked for is not over yet.
    error FutureLookup(uint256 timepoint, uint48 clock);
    /// @notice Votes cannot be delegated to nobody.
    error EmptyDelegate();

    /// @notice Now, in seconds.
    function clock() external view returns (uint48);
    /// @notice The clock in the words of ERC-6372.
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() external view returns (string memory);
    /// @notice Votes of an account now.
    function getVotes(address account) external view returns (uint256);
    /// @notice Votes of an account at a past moment.
    function getPastVotes(address account, uint256 timepoint) external view returns (uint256);
    /// @notice Delegate of an account.
    function delegates(address account) external view returns (address);
    /// @notice Choose the delegate of the caller's staked tokens.
    function delegateVotes(address delegatee) external;
}
