// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEpochs} from "./IEpochs.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IParameters} from "./IParameters.sol";
import {IPausing} from "./IPausing.sol";
import {IReportOracle} from "./IReportOracle.sol";
import {IRewardVault} from "./IRewardVault.sol";
import {IStakedVotes} from "./IStakedVotes.sol";

/// @title Bonds, delegation and settlement of rewards
/// @notice Owners bond tokens to their nodes, holders delegate to nodes they trust, final reports settle rewards, and
/// tokens that leave wait in tickets until no evidence can reach them any more.
/// @dev The hub never delegates its own token balance: staked tokens vote here only, and unbonding ones nowhere.
/// Balance of the hub >= all bonds + pools + tickets + rewards owed. Source: docs/spec/staking.md.
interface IStakeHub is IPausing, IStakedVotes {
    /// @notice Shares of a pool that came from another node and stay slashable there.
    /// @param source Node they came from.
    /// @param target Node whose shares they are.
    /// @param epoch Last epoch in which they counted at the source.
    /// @param slashesSeen Slashes of the source that happened before.
    /// @param unlocksAt Moment from which they are free, in Unix seconds.
    /// @param shares Shares of the target's pool.
    struct Lien {
        uint32 source;
        uint32 target;
        uint32 epoch;
        uint32 slashesSeen;
        uint40 unlocksAt;
        uint128 shares;
    }

    /// @notice Tokens were bonded to a node.
    event Bonded(uint32 indexed index, address indexed owner, uint256 amount, uint256 newBond);
    /// @notice Tokens left a node's bond and wait in a ticket.
    event Unbonded(
        uint32 indexed index, address indexed owner, uint8 ticket, uint256 amount, uint256 newBond, uint64 unlocksAt
    );
    /// @notice Tokens were delegated to a node.
    event Delegated(uint32 indexed index, address indexed account, uint256 amount, uint256 shares, uint256 newPool);
    /// @notice Tokens left a node's pool and wait in a ticket.
    event Undelegated(
        uint32 indexed index,
        address indexed account,
        uint8 ticket,
        uint256 shares,
        uint256 amount,
        uint256 newPool,
        uint64 unlocksAt
    );
    /// @notice Tokens moved from one node's pool to another's; they stay slashable at the first until `unlocksAt`.
    event Redelegated(
        uint32 indexed source,
        uint32 indexed target,
        address indexed account,
        uint256 amount,
        uint256 sharesBurned,
        uint256 sharesMinted,
        uint64 unlocksAt
    );
    /// @notice Redelegated tokens were slashed for what their former node did, and burned.
    event RedelegationSlashed(uint32 indexed source, uint32 indexed target, address indexed account, uint256 amount);
    /// @notice A ticket was paid out.
    event Withdrawn(address indexed account, uint8 ticket, uint256 amount);
    /// @notice A node's rewards were settled up to an epoch. The pool's part is the operator's if the pool has no shares.
    event NodeSettled(
        uint32 indexed index, uint32 indexed epoch, uint256 forOperator, uint256 forPool, uint32 oldRho, uint32 newRho
    );
    /// @notice An operator's rewards were paid.
    event OperatorClaimed(uint32 indexed index, address payout, uint256 amount);
    /// @notice A node shares its rewards differently from `fromEpoch` on.
    event TermsSet(
        uint32 indexed index,
        uint256 oldCost,
        uint256 newCost,
        uint32 oldMarginPpm,
        uint32 newMarginPpm,
        uint32 fromEpoch
    );
    /// @notice A node was slashed; the parts add up to what left the hub.
    event Slashed(
        uint32 indexed index,
        uint32 indexed epoch,
        uint256 fromBond,
        uint256 fromPool,
        uint256 fromBondTickets,
        uint256 fromPoolTickets
    );
    /// @notice A node's tickets are frozen while `freezes` is above zero.
    event FreezesChanged(uint32 indexed index, uint256 oldFreezes, uint256 freezes);
    /// @notice The votes of a delegation were brought down to what it is worth.
    event Poked(uint32 indexed index, address indexed account, uint256 oldPrincipal, uint256 newPrincipal);

    /// @notice The amount is zero, or worth nothing.
    error ZeroAmount();
    /// @notice Someone else than the node's owner called.
    error NotNodeOwner(uint32 index, address caller);
    /// @notice The node takes no tokens in this state.
    error NotBondable(uint32 index, INodeRegistry.State state);
    /// @notice More was asked for than is bonded.
    error InsufficientBond(uint32 index, uint256 requested, uint256 bond);
    /// @notice More shares were asked for than the account holds free of liens.
    error InsufficientShares(uint32 index, address account, uint256 requested, uint256 free);
    /// @notice Fewer shares than wanted.
    error TooFewShares(uint256 shares, uint256 wanted);
    /// @notice The node's pool takes no more than `max` at its present bond.
    error Oversubscribed(uint32 index, uint256 pool, uint256 max);
    /// @notice The node is settled through fewer epochs than are final: settle it first.
    error NotSettled(uint32 index, uint32 settledThrough, uint32 finalThrough);
    /// @notice Tokens cannot move to the node they are at.
    error SameNode(uint32 index);
    /// @notice The account has as many tickets, or liens, as it may.
    error TooManyTickets(address account, uint256 max);
    /// @notice There is no such ticket.
    error NoTicket(address account, uint8 ticket);
    /// @notice The ticket unlocks at `until`.
    error StillUnbonding(address account, uint8 ticket, uint256 until);
    /// @notice A slash of the node is in escrow: its tickets wait for the outcome, and nobody moves to another node.
    error Frozen(uint32 index);
    /// @notice The report of the epoch is not final.
    error NotFinal(uint32 epoch);
    /// @notice The leaf is not part of the epoch's report.
    error InvalidProof(uint32 index, uint32 epoch);
    /// @notice The sums of the leaf are below those settled before.
    error CumulativeRegression(uint32 index, uint256 settled, uint256 got);
    /// @notice The node is settled through this epoch already.
    error NothingToSettle(uint32 index, uint32 epoch);
    /// @notice Nothing is owed to the operator.
    error NothingToClaim(uint32 index);
    /// @notice The cost or the margin lies outside what the parameters allow.
    error InvalidTerms(uint256 cost, uint32 marginPpm);
    /// @notice Only the slasher slashes and freezes.
    error NotSlasher(address caller);
    /// @notice The node has no freeze to lift.
    error NotFrozen(uint32 index);
    /// @notice The token moved another amount than it was told to.
    error WrongTransfer(uint256 expected, uint256 got);

    function token() external view returns (IERC20);
    function parameters() external view returns (IParameters);
    function epochs() external view returns (IEpochs);
    function registry() external view returns (INodeRegistry);
    function oracle() external view returns (IReportOracle);
    function vault() external view returns (IRewardVault);
    /// @notice The contract that slashes and freezes.
    function slasher() external view returns (address);
    /// @notice The contract in which evidence is brought: while it is paused, tickets ripen no further.
    function court() external view returns (IPausing);

    /// @notice Bond tokens to a node of the caller.
    function bond(uint32 index, uint256 amount) external;

    /// @notice Bond tokens with a permit (ERC-2612) of the same amount instead of an approval.
    /// @dev A permit that someone else sent in first does no harm: the allowance is there.
    function bondWithPermit(uint32 index, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Take tokens out of a node's bond. Never paused.
    /// @return ticket Number of the caller's ticket, 0 to 15.
    function unbond(uint32 index, uint256 amount) external returns (uint8 ticket);

    /// @notice Delegate tokens to a node that is settled through all final epochs.
    /// @param minShares Fewer revert with TooFewShares.
    function delegate(uint32 index, uint256 amount, uint256 minShares) external returns (uint256 shares);

    /// @notice Delegate tokens with a permit (ERC-2612) of the same amount instead of an approval.
    function delegateWithPermit(
        uint32 index,
        uint256 amount,
        uint256 minShares,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 shares);

    /// @notice Take shares out of a node's pool. Never paused.
    /// @return ticket Number of the caller's ticket, 0 to 15.
    /// @return amount What the shares are worth now, in wei.
    function undelegate(uint32 index, uint256 shares) external returns (uint8 ticket, uint256 amount);

    /// @notice Move shares to another node's pool at once, unless a slash of the source is in escrow. They stay slashable at the source, and bound to the target,
    /// for the time a ticket waits; at most 16 such liens per account.
    function redelegate(uint32 source, uint32 target, uint256 shares, uint256 minShares)
        external
        returns (uint256 minted);

    /// @notice Pay out an unlocked ticket of the caller. Never paused.
    function withdraw(uint8 ticket) external returns (uint256 amount);

    /// @notice Bring a delegation up to date: slash what came from slashed nodes, lift liens that are over, bring its
    /// votes down to what it is worth, and checkpoint the node's pool. Anyone.
    function poke(address account, uint32 index) external;

    /// @notice Say how the node's rewards are shared, from the next epoch on while nobody delegates to it, else from
    /// terms_delay_s later on. Only the node's owner.
    /// @param cost Wei per epoch that the operator gets first (at P = 1).
    /// @param marginPpm Operator's share of the rest, before what its own bond earns.
    function setTerms(uint32 index, uint256 cost, uint32 marginPpm) external;

    /// @notice Settle a node's rewards from the leaf of a final report. Anyone.
    /// @dev Pulls what the leaf's sums exceed those settled before; leaves of missed epochs need no settling. A leaf
    /// that adds nothing still settles its epoch.
    function settleNode(IReportOracle.NodeLeaf calldata leaf, bytes32[] calldata proof) external;

    /// @notice Pay what is owed to the operator to its payout address. Anyone.
    function claimOperator(uint32 index) external;

    /// @notice Take a share of all that counted at a node in or after an epoch: of its bond and the tickets from it
    /// `ppm`, of its pool and the tickets from it a tenth of that; cut down evenly to `maxAmount`. Only the slasher,
    /// to which the tokens go.
    /// @return amount Wei sent to the slasher.
    function slash(uint32 index, uint32 epoch, uint32 ppm, uint256 maxAmount) external returns (uint256 amount);

    /// @notice Freeze a node's tickets until the matching `unfreeze`. Only the slasher.
    function freeze(uint32 index) external;

    /// @notice Lift one freeze. Only the slasher.
    function unfreeze(uint32 index) external;

    /// @notice Own bond of a node now, in wei.
    function bondOf(uint32 index) external view returns (uint256);
    /// @notice Own bond of a node at a past moment, in wei.
    function bondAt(uint32 index, uint48 timestamp) external view returns (uint256);
    /// @notice Pool of a node now without rewards that are still streaming, in wei.
    function poolOf(uint32 index) external view returns (uint256);
    /// @notice Pool of a node as last checkpointed up to a past moment, in wei.
    function poolAt(uint32 index, uint48 timestamp) external view returns (uint256);
    /// @notice Stake that counts now: bond and pool, the pool as last checkpointed and up to delegation_factor times the
    /// bond.
    function stakeOf(uint32 index) external view returns (uint256);
    /// @notice What a slash for something in an epoch can reach: bond, pool and the tickets since, in wei.
    function slashableOf(uint32 index, uint32 epoch) external view returns (uint256);
    /// @notice Sum of all bonds and delegations that vote, in wei.
    function totalBonded() external view returns (uint256);

    /// @notice Shares and voting principal of an account in a node's pool, and what the shares are worth, in wei.
    function positionOf(address account, uint32 index)
        external
        view
        returns (uint256 shares, uint256 principal, uint256 worth);
    /// @notice All shares of a node's pool.
    function sharesOf(uint32 index) external view returns (uint256);
    /// @notice Rewards of a node's pool that still stream, in wei, and when they end.
    function streamOf(uint32 index) external view returns (uint256 unstreamed, uint64 endsAt);
    /// @notice Terms of a node in an epoch as they were set, (0, 0) without; rewards clamp them to the epoch's parameters.
    function termsAt(uint32 index, uint32 epoch) external view returns (uint256 cost, uint32 marginPpm);
    /// @notice Latest terms of a node and the epoch from which they count.
    function termsOf(uint32 index) external view returns (uint256 cost, uint32 marginPpm, uint32 fromEpoch);

    /// @notice A ticket of an account: its node, whether it came from the bond, what it pays now (slashes off), and
    /// when it unlocks. All zero if there is none.
    function ticketOf(address account, uint8 ticket)
        external
        view
        returns (uint32 index, bool fromBond, uint32 epoch, uint256 amount, uint64 unlocksAt);
    /// @notice Bit i is set while the account has a ticket i.
    function ticketsOf(address account) external view returns (uint256 bitmap);
    /// @notice Liens on redelegated shares of an account.
    function liensOf(address account) external view returns (Lien[] memory);
    /// @notice Slashes of a node so far.
    function slashCountOf(uint32 index) external view returns (uint256);
    /// @notice Slashes of a node that are in escrow.
    function freezesOf(uint32 index) external view returns (uint256);

    /// @notice Settled and not yet claimed by the operator, in wei.
    function owed(uint32 index) external view returns (uint256);
    /// @notice Sums of rewards settled so far, in wei.
    function settledCum(uint32 index) external view returns (uint256 cumOperator, uint256 cumPool);
    /// @notice Latest epoch a settled leaf came from, plus one; 0 if there was none.
    function settledThrough(uint32 index) external view returns (uint32);
    /// @notice Reputation of a node in millionths as of the last settled leaf, 0 before the first; capped while it is
    /// jailed, 0 once it is retired or tombstoned.
    function reputationOf(uint32 index) external view returns (uint32);
}
