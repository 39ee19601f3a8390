// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEpochs} from "./IEpochs.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IOwned} from "./IOwned.sol";
import {IParameters} from "./IParameters.sol";
import {IReportOracle} from "./IReportOracle.sol";
import {IRewardVault} from "./IRewardVault.sol";
import {IStakedVotes} from "./IStakedVotes.sol";

/// @title Bonds of nodes and settlement of rewards
/// @notice Owners bond tokens to their nodes; final reports settle rewards; unbonded tokens wait for the slashing delay.
/// @dev The hub never delegates its own token balance: bonded tokens vote here only, and unbonding ones nowhere.
/// Balance of the hub >= all bonds + tickets + rewards owed + rewards kept for pools.
interface IStakeHub is IOwned, IStakedVotes {
    /// @notice Tokens were bonded to a node.
    event Bonded(uint32 indexed index, address indexed owner, uint256 amount, uint256 newBond);
    /// @notice Tokens left a node's bond and wait in a ticket.
    event Unbonded(
        uint256 indexed ticketId, uint32 indexed index, address indexed owner, uint256 amount, uint64 unlocksAt
    );
    /// @notice A ticket was paid out.
    event Withdrawn(uint256 indexed ticketId, address indexed owner, uint256 amount);
    /// @notice A node's rewards were settled up to an epoch.
    event NodeSettled(uint32 indexed index, uint32 indexed epoch, uint256 amount, uint256 cumOperator);
    /// @notice An operator's rewards were paid.
    event OperatorClaimed(uint32 indexed index, address payout, uint256 amount);

    /// @notice The amount is zero.
    error ZeroAmount();
    /// @notice Someone else than the node's owner called.
    error NotNodeOwner(uint32 index, address caller);
    /// @notice The node takes no bond in this state.
    error NotBondable(uint32 index, INodeRegistry.State state);
    /// @notice More was asked for than is bonded.
    error InsufficientBond(uint32 index, uint256 requested, uint256 bond);
    /// @notice The account has as many tickets as it may.
    error TooManyTickets(address account, uint256 max);
    /// @notice The ticket does not exist or belongs to someone else.
    error NotTicketOwner(uint256 ticketId, address caller);
    /// @notice The ticket unlocks at `until`.
    error StillUnbonding(uint256 ticketId, uint64 until);
    /// @notice The report of the epoch is not final.
    error NotFinal(uint32 epoch);
    /// @notice The leaf is not part of the epoch's report.
    error InvalidProof(uint32 index, uint32 epoch);
    /// @notice The sums of the leaf are below those settled before.
    error CumulativeRegression(uint32 index, uint256 settled, uint256 got);
    /// @notice The leaf adds nothing to what was settled before.
    error NothingToSettle(uint32 index, uint32 epoch);
    /// @notice Nothing is owed to the operator.
    error NothingToClaim(uint32 index);

    function token() external view returns (IERC20);
    function parameters() external view returns (IParameters);
    function epochs() external view returns (IEpochs);
    function registry() external view returns (INodeRegistry);
    function oracle() external view returns (IReportOracle);
    function vault() external view returns (IRewardVault);

    /// @notice Bond tokens to a node of the caller.
    function bond(uint32 index, uint256 amount) external;

    /// @notice Bond tokens with a permit (ERC-2612) of the same amount instead of an approval.
    /// @dev A permit that someone else sent in first does no harm: the allowance is there.
    function bondWithPermit(uint32 index, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Take tokens out of a node's bond; at most 16 tickets per account wait at a time.
    /// @return ticketId Unlocks unbond_s after the end of this epoch, the last in which the tokens counted.
    function unbond(uint32 index, uint256 amount) external returns (uint256 ticketId);

    /// @notice Pay out an unlocked ticket to its owner, who calls.
    function withdraw(uint256 ticketId) external;

    /// @notice Settle a node's rewards from the leaf of a final report. Anyone.
    /// @dev Pulls what the leaf's sums exceed those settled before; leaves of missed epochs need no settling.
    function settleNode(IReportOracle.NodeLeaf calldata leaf, bytes32[] calldata proof) external;

    /// @notice Pay what is owed to the operator to its payout address. Anyone.
    function claimOperator(uint32 index) external;

    /// @notice Own bond of a node now, in wei.
    function bondOf(uint32 index) external view returns (uint256);
    /// @notice Own bond of a node at a past moment, in wei.
    function bondAt(uint32 index, uint48 timestamp) external view returns (uint256);
    /// @notice Sum of all bonds now, in wei.
    function totalBonded() external view returns (uint256);
    /// @notice A ticket; the owner is empty once it is paid out.
    function ticket(uint256 ticketId)
        external
        view
        returns (address ticketOwner, uint32 index, uint256 amount, uint64 unlocksAt);
    /// @notice Waiting tickets of an account.
    function ticketsOf(address account) external view returns (uint256[] memory);
    /// @notice Settled and not yet claimed by the operator, in wei.
    function owed(uint32 index) external view returns (uint256);
    /// @notice Settled for the pool of the node's delegators and kept for it, in wei. Zero while there is no delegation.
    function pooled(uint32 index) external view returns (uint256);
    /// @notice Sums of rewards settled so far, in wei.
    function settledCum(uint32 index) external view returns (uint256 cumOperator, uint256 cumPool);
    /// @notice Latest epoch a settled leaf came from, plus one; 0 if there was none.
    function settledThrough(uint32 index) external view returns (uint32);
}
