// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICommittee} from "./ICommittee.sol";
import {INodeRegistry} from "./INodeRegistry.sol";
import {IParameters} from "./IParameters.sol";
import {IPausing} from "./IPausing.sol";
import {IPremiumChannels} from "./IPremiumChannels.sol";
import {IStakeHub} from "./IStakeHub.sol";

/// @title What proven offences cost
/// @notice Holds every slash in escrow for escrow_s, in which the vetoer can stop it; then anyone carries it out. Of
/// what is taken, challenger_ppm go to the challenger, then a loss is refilled where it arose, in the reward vault or in
/// the pool of the premium channels, and the rest is burned.
/// @dev Evidence comes only from the court and, against members, from the premium channels. Within slash_window_s a node loses at most slash_cap_ppm of what is
/// slashable at it. Source: docs/spec/disputes.md.
interface ISlasher is IPausing {
    enum State {
        None,
        Escrow,
        Vetoed,
        Executed
    }

    /// @param isMember Whether a member of the committee is slashed, else a node.
    /// @param isPremium Whether premium payments are refilled, else the vault.
    /// @param subject Number of the member or of the node.
    /// @param epoch Epoch of the offence.
    /// @param ppm Share of a node's bond, in millionths; a member always loses all.
    /// @param executableAt End of the escrow, in Unix seconds, before pauses of this contract are added.
    /// @param queuedAt When it was queued, in Unix seconds.
    /// @param refill Wei to refill after the challenger is paid.
    /// @param evidence What was proven; slashed once.
    struct Slash {
        State state;
        bool isMember;
        bool isPremium;
        uint32 subject;
        uint32 epoch;
        uint32 ppm;
        uint40 queuedAt;
        uint40 executableAt;
        address challenger;
        uint256 refill;
        bytes32 evidence;
    }

    /// @notice A slash waits in escrow.
    event SlashQueued(
        uint256 indexed id,
        bool isMember,
        uint32 indexed subject,
        uint32 epoch,
        uint32 ppm,
        bytes32 indexed evidence,
        address challenger,
        uint64 executableAt
    );
    /// @notice A slash was carried out; the three parts add up to what was taken.
    event SlashExecuted(uint256 indexed id, uint256 toChallenger, uint256 refilled, uint256 burned);
    /// @notice A slash was stopped.
    event SlashVetoed(uint256 indexed id, address by);
    /// @notice Holders overruled a veto; the slash was carried out.
    event VetoOverruled(uint256 indexed id);
    /// @notice A node was jailed without a slash.
    event NodeJailedFor(uint32 indexed index, uint64 until);
    /// @notice Another account may veto from now on.
    event VetoerSet(address oldVetoer, address newVetoer);

    /// @notice Only the court brings evidence against nodes.
    error NotCourt(address caller);
    /// @notice Only the court and the premium channels bring evidence against members.
    error NotAccuser(address caller);
    /// @notice Only the vetoer, or the owner, vetoes.
    error NotVetoer(address caller);
    /// @notice The evidence was used before.
    error EvidenceUsed(bytes32 evidence);
    /// @notice The slash is not in the state the call needs.
    error WrongState(uint256 id, State state);
    /// @notice The slash is in escrow until `until`.
    error InEscrow(uint256 id, uint256 until);

    function token() external view returns (IERC20);
    function parameters() external view returns (IParameters);
    function registry() external view returns (INodeRegistry);
    function hub() external view returns (IStakeHub);
    function committee() external view returns (ICommittee);
    function court() external view returns (address);
    /// @notice Premium channels, the other accuser of members.
    function channels() external view returns (IPremiumChannels);
    /// @notice Reward vault, into which losses are refilled.
    function vault() external view returns (address);
    /// @notice Who may stop slashes in escrow, besides the owner.
    function vetoer() external view returns (address);

    /// @notice Queue a slash of a node, freeze its tickets and jail it until the escrow ends; carried out, it is
    /// tombstoned. Only the court.
    function queueNode(uint32 index, uint32 epoch, uint32 ppm, address challenger, bytes32 evidence)
        external
        returns (uint256 id);

    /// @notice Queue the slash of a member's whole bond and suspend it. Only the court and the premium channels.
    function queueMember(uint256 member, uint32 epoch, uint256 refill, address challenger, bytes32 evidence)
        external
        returns (uint256 id);

    /// @notice Jail a node for jail_s without a slash. Only the court.
    function jail(uint32 index) external;

    /// @notice Carry out a slash after its escrow. Anyone.
    /// @dev It always ends the freeze or the suspension it began, even if nothing can be taken any more.
    function execute(uint256 id) external;

    /// @notice Stop a slash that was not carried out yet. Only the vetoer or the owner.
    function veto(uint256 id) external;

    /// @notice Carry out a vetoed slash after all. Only the owner, which takes a vote of the strictest class.
    function overrule(uint256 id) external;

    /// @notice Appoint who may veto. Only the owner.
    function setVetoer(address newVetoer) external;

    /// @notice A slash; its state is None if there is none.
    function slashOf(uint256 id) external view returns (Slash memory);
    /// @notice Slashes queued so far; numbers start at 1.
    function count() external view returns (uint256);
    /// @notice Slashes of a member that are in escrow.
    function accusationsOf(uint256 member) external view returns (uint256);
    /// @notice Whether evidence was used.
    function isUsed(bytes32 evidence) external view returns (bool);
    /// @notice Wei a node can still lose now for something in an epoch.
    function allowanceOf(uint32 index, uint32 epoch) external view returns (uint256);
}
