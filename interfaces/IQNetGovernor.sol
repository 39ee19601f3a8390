// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IParameters} from "./IParameters.sol";
import {IRewardVault} from "./IRewardVault.sol";
import {IStakedVotes} from "./IStakedVotes.sol";

/// @title What the governor adds to OpenZeppelin's
/// @notice Two sources of votes, one live proposal per proposer, at most ten actions; delays, threshold and quorum are
/// network parameters.
interface IQNetGovernor {
    /// @notice A proposal has more actions than allowed.
    error TooManyActions(uint256 count, uint256 max);
    /// @notice The proposer's last proposal is still pending or voted on.
    error ProposerHasLive(uint256 proposalId);
    /// @notice The value is a network parameter: propose Parameters.set instead.
    error SetByParameter(bytes32 key);

    /// @notice Votes of bonded tokens.
    function hub() external view returns (IStakedVotes);
    /// @notice Pool whose tokens count for no quorum.
    function vault() external view returns (IRewardVault);
    /// @notice Source of delays, threshold and quorum.
    function parameters() external view returns (IParameters);
    /// @notice Last proposal of an account; 0 if there was none.
    function latestProposalOf(address proposer) external view returns (uint256);
    /// @notice Share of the quorum base that must take part, in millionths.
    function quorumNumerator(uint256 timepoint) external view returns (uint256);
    /// @notice One million.
    function quorumDenominator() external view returns (uint256);
}
