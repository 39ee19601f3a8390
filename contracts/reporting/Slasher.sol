// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {IRewardVault} from "../../interfaces/IRewardVault.sol";
import {ISlasher} from "../../interfaces/ISlasher.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {Owned} from "../governance/Owned.sol";
import {Pausing} from "../governance/Pausing.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title Implementation of ISlasher
/// @dev Documented in ISlasher. Every slash freezes its node once, or counts once among the accusations of its member,
/// and whatever becomes of it undoes exactly that: a second slash in escrow keeps the first one's hold.
contract Slasher is ISlasher, Pausing, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using ExactTransfers for IERC20;
    using SafeERC20 for IERC20;

    uint256 private constant PPM = 1_000_000;

    /// @inheritdoc ISlasher
    IERC20 public immutable override token;
    /// @inheritdoc ISlasher
    IParameters public immutable override parameters;
    /// @inheritdoc ISlasher
    INodeRegistry public immutable override registry;
    /// @inheritdoc ISlasher
    IStakeHub public immutable override hub;
    /// @inheritdoc ISlasher
    ICommittee public immutable override committee;
    /// @inheritdoc ISlasher
    address public immutable override court;
    /// @inheritdoc ISlasher
    address public immutable override vault;
    /// @inheritdoc ISlasher
    IPremiumChannels public immutable override channels;

    /// @inheritdoc ISlasher
    address public override vetoer;
    /// @inheritdoc ISlasher
    uint256 public override count;
    /// @inheritdoc ISlasher
    mapping(bytes32 evidence => bool) public override isUsed;
    /// @inheritdoc ISlasher
    mapping(uint256 member => uint256) public override accusationsOf;

    mapping(uint256 id => Slash) private _slashes;
    /// @dev Sum of all a node ever lost, by time: its growth over the window is held against the cap.
    mapping(uint32 index => Checkpoints.Trace208) private _taken;
    mapping(uint32 member => bool) private _expelled;

    constructor(
        address owner_,
        IERC20 token_,
        IParameters parameters_,
        INodeRegistry registry_,
        IStakeHub hub_,
        ICommittee committee_,
        address court_,
        address vault_,
        IPremiumChannels channels_
    ) Owned(owner_) {
        if (court_ == address(0) || vault_ == address(0) || address(channels_) == address(0)) revert ZeroAddress();
        token = token_;
        parameters = parameters_;
        registry = registry_;
        hub = hub_;
        committee = committee_;
        court = court_;
        vault = vault_;
        channels = channels_;
        _initPausing(owner_);
        _setVetoer(owner_);
    }

    modifier onlyCourt() {
        if (msg.sender != court) revert NotCourt(msg.sender);
        _;
    }

    /// @inheritdoc ISlasher
    function queueNode(uint32 index, uint32 epoch, uint32 ppm, address challenger, bytes32 evidence)
        external
        override
        onlyCourt
        returns (uint256 id)
    {
        Slash memory queued = _new(index, epoch, challenger, evidence);
        queued.ppm = ppm;
        id = _queue(queued);
        hub.freeze(index);
        if (_canBeJailed(index)) registry.jail(index, queued.executableAt);
    }

    /// @inheritdoc ISlasher
    function queueMember(uint256 member, uint32 epoch, uint256 refill, address challenger, bytes32 evidence)
        external
        override
        returns (uint256 id)
    {
        bool isPremium = msg.sender == address(channels);
        if (!isPremium && msg.sender != court) revert NotAccuser(msg.sender);
        uint32 index = SafeCast.toUint32(member);
        Slash memory queued = _new(index, epoch, challenger, evidence);
        queued.isMember = true;
        queued.isPremium = isPremium;
        queued.ppm = uint32(PPM);
        queued.refill = refill;
        id = _queue(queued);
        bool first = ++accusationsOf[index] == 1;
        if (first && !_expelled[index]) committee.suspend(index);
    }

    /// @inheritdoc ISlasher
    function jail(uint32 index) external override onlyCourt {
        uint64 until = SafeCast.toUint64(block.timestamp + parameters.get(ParameterKeys.JAIL_S));
        emit NodeJailedFor(index, until);
        registry.jail(index, until);
    }

    /// @inheritdoc ISlasher
    function execute(uint256 id) external override nonReentrant whenNotPaused {
        Slash storage slash = _inState(id, State.Escrow);
        uint256 until = slash.executableAt + pausedSince(slash.queuedAt);
        if (block.timestamp < until) revert InEscrow(id, until);
        slash.state = State.Executed;
        uint256 amount = slash.isMember ? _slashMember(slash) : _slashNode(slash);
        _letGo(slash);
        _distribute(id, slash, amount);
    }

    /// @inheritdoc ISlasher
    function veto(uint256 id) external override nonReentrant {
        if (msg.sender != vetoer && msg.sender != owner) revert NotVetoer(msg.sender);
        Slash storage slash = _inState(id, State.Escrow);
        slash.state = State.Vetoed;
        emit SlashVetoed(id, msg.sender);
        _letGo(slash);
    }

    /// @inheritdoc ISlasher
    function overrule(uint256 id) external override onlyOwner nonReentrant {
        Slash storage slash = _inState(id, State.Vetoed);
        slash.state = State.Executed;
        emit VetoOverruled(id);
        if (slash.isMember && accusationsOf[slash.subject] == 0 && !_expelled[slash.subject]) {
            committee.suspend(slash.subject);
        }
        _distribute(id, slash, slash.isMember ? _slashMember(slash) : _slashNode(slash));
    }

    /// @inheritdoc ISlasher
    function setVetoer(address newVetoer) external override onlyOwner {
        _setVetoer(newVetoer);
    }

    /// @inheritdoc ISlasher
    function slashOf(uint256 id) external view override returns (Slash memory) {
        return _slashes[id];
    }

    /// @inheritdoc ISlasher
    function allowanceOf(uint32 index, uint32 epoch) public view override returns (uint256) {
        uint256 window = parameters.get(ParameterKeys.SLASH_WINDOW_S);
        Checkpoints.Trace208 storage history = _taken[index];
        uint256 lost = history.latest() - history.upperLookupRecent(uint48(block.timestamp - window));
        uint256 whole = hub.slashableOf(index, epoch) + lost;
        uint256 cap = Math.mulDiv(whole, parameters.get(ParameterKeys.SLASH_CAP_PPM), PPM);
        return Math.saturatingSub(cap, lost);
    }

    function _new(uint32 subject, uint32 epoch, address challenger, bytes32 evidence)
        private
        view
        returns (Slash memory queued)
    {
        if (challenger == address(0)) revert ZeroAddress();
        queued.state = State.Escrow;
        queued.subject = subject;
        queued.epoch = epoch;
        queued.queuedAt = uint40(block.timestamp);
        queued.executableAt = SafeCast.toUint40(block.timestamp + parameters.get(ParameterKeys.ESCROW_S));
        queued.challenger = challenger;
        queued.evidence = evidence;
    }

    function _queue(Slash memory queued) private returns (uint256 id) {
        if (isUsed[queued.evidence]) revert EvidenceUsed(queued.evidence);
        isUsed[queued.evidence] = true;
        id = ++count;
        _slashes[id] = queued;
        emit SlashQueued(
            id,
            queued.isMember,
            queued.subject,
            queued.epoch,
            queued.ppm,
            queued.evidence,
            queued.challenger,
            queued.executableAt
        );
    }

    /// @dev What was taken is recorded before a node's tombstone; the cap never keeps the tombstone away.
    function _slashNode(Slash storage slash) private returns (uint256 amount) {
        uint32 index = slash.subject;
        uint256 allowance = allowanceOf(index, slash.epoch);
        if (allowance != 0) amount = hub.slash(index, slash.epoch, slash.ppm, allowance);
        if (amount != 0) {
            Checkpoints.Trace208 storage history = _taken[index];
            history.push(Time.timestamp(), SafeCast.toUint208(history.latest() + amount));
        }
        if (registry.stateOf(index) != INodeRegistry.State.Tombstoned) registry.tombstone(index);
    }

    function _slashMember(Slash storage slash) private returns (uint256) {
        _expelled[slash.subject] = true;
        return committee.slashBond(slash.subject);
    }

    /// @dev End what the queue began. A member stays suspended while it is accused of something else, or expelled.
    function _letGo(Slash storage slash) private {
        uint32 subject = slash.subject;
        if (!slash.isMember) {
            hub.unfreeze(subject);
        } else if (--accusationsOf[subject] == 0 && !_expelled[subject]) {
            committee.release(subject);
        }
    }

    function _distribute(uint256 id, Slash storage slash, uint256 amount) private {
        uint256 toChallenger = Math.mulDiv(amount, parameters.get(ParameterKeys.CHALLENGER_PPM), PPM);
        uint256 refilled = Math.min(slash.refill, amount - toChallenger);
        uint256 burned = amount - toChallenger - refilled;
        emit SlashExecuted(id, toChallenger, refilled, burned);
        if (toChallenger != 0) token.pay(slash.challenger, toChallenger);
        if (refilled != 0) _refill(slash.isPremium, refilled);
        if (burned != 0) ERC20Burnable(address(token)).burn(burned);
    }

    function _refill(bool isPremium, uint256 amount) private {
        if (isPremium) {
            token.forceApprove(address(channels), amount);
            channels.refill(amount);
        } else {
            token.pay(vault, amount);
            IRewardVault(vault).recordReserve();
        }
    }

    function _setVetoer(address newVetoer) private {
        emit VetoerSet(vetoer, newVetoer);
        vetoer = newVetoer;
    }

    function _inState(uint256 id, State expected) private view returns (Slash storage slash) {
        slash = _slashes[id];
        if (slash.state != expected) revert WrongState(id, slash.state);
    }

    function _canBeJailed(uint32 index) private view returns (bool) {
        INodeRegistry.State state = registry.stateOf(index);
        return state != INodeRegistry.State.Retired && state != INodeRegistry.State.Tombstoned;
    }
}
