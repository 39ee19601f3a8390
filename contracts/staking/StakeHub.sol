// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {IRewardVault} from "../../interfaces/IRewardVault.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {Owned} from "../governance/Owned.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";
import {StakedVotes} from "./StakedVotes.sol";

/// @title Implementation of IStakeHub
/// @dev Documented in IStakeHub.
contract StakeHub is IStakeHub, Initializable, UUPSUpgradeable, Owned, StakedVotes, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using SafeERC20 for IERC20;

    /// @dev Sums in wei stay far below 2^112, as the whole supply does; larger ones are refused.
    struct Stake {
        Checkpoints.Trace208 bond;
        uint112 settledOperator;
        uint112 settledPool;
        uint32 settledThrough;
        uint128 owed;
        uint128 pooled;
    }

    struct Ticket {
        address owner;
        uint32 index;
        uint64 unlocksAt;
        uint256 amount;
    }

    /// @custom:storage-location erc7201:qnet.StakeHub
    struct Store {
        mapping(uint32 index => Stake) stakes;
        mapping(uint256 ticketId => Ticket) tickets;
        mapping(address account => uint256[]) ticketsOf;
        uint256 lastTicket;
    }

    uint256 private constant TICKETS_MAX = 16;
    // keccak256(abi.encode(uint256(keccak256("qnet.StakeHub")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0x5db6240fbf03b7e4acdbfdbd3b6dd6604528667db4d3bd73c8f321122fe8bb00;

    /// @inheritdoc IStakeHub
    IERC20 public immutable override token;
    /// @inheritdoc IStakeHub
    IParameters public immutable override parameters;
    /// @inheritdoc IStakeHub
    IEpochs public immutable override epochs;
    /// @inheritdoc IStakeHub
    INodeRegistry public immutable override registry;
    /// @inheritdoc IStakeHub
    IReportOracle public immutable override oracle;
    /// @inheritdoc IStakeHub
    IRewardVault public immutable override vault;

    constructor(
        address owner_,
        IERC20 token_,
        IParameters parameters_,
        IEpochs epochs_,
        INodeRegistry registry_,
        IReportOracle oracle_,
        IRewardVault vault_
    ) Owned(owner_) {
        if (address(oracle_) == address(0) || address(vault_) == address(0)) revert ZeroAddress();
        token = token_;
        parameters = parameters_;
        epochs = epochs_;
        registry = registry_;
        oracle = oracle_;
        vault = vault_;
        _disableInitializers();
    }

    /// @notice Set up the proxy, once.
    function initialize() external initializer {}

    /// @inheritdoc IStakeHub
    function bond(uint32 index, uint256 amount) external override nonReentrant {
        _bond(index, amount);
    }

    /// @inheritdoc IStakeHub
    function bondWithPermit(uint32 index, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        override
        nonReentrant
    {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _bond(index, amount);
    }

    /// @inheritdoc IStakeHub
    function unbond(uint32 index, uint256 amount) external override nonReentrant returns (uint256 ticketId) {
        Store storage store = _store();
        _checkOwner(registry.node(index), index);
        if (amount == 0) revert ZeroAmount();
        uint256 before = bondOf(index);
        if (amount > before) revert InsufficientBond(index, amount, before);
        uint256[] storage open = store.ticketsOf[msg.sender];
        if (open.length >= TICKETS_MAX) revert TooManyTickets(msg.sender, TICKETS_MAX);

        ticketId = ++store.lastTicket;
        uint64 unlocksAt = _unlockTime();
        store.tickets[ticketId] = Ticket(msg.sender, index, unlocksAt, amount);
        open.push(ticketId);
        _setBond(index, before - amount);
        _removeVotes(msg.sender, amount);
        emit Unbonded(ticketId, index, msg.sender, amount, unlocksAt);
        registry.onBondChanged(index, before - amount);
    }

    /// @inheritdoc IStakeHub
    function withdraw(uint256 ticketId) external override nonReentrant {
        Store storage store = _store();
        Ticket memory entry = store.tickets[ticketId];
        if (entry.owner != msg.sender) revert NotTicketOwner(ticketId, msg.sender);
        if (block.timestamp < entry.unlocksAt) revert StillUnbonding(ticketId, entry.unlocksAt);
        delete store.tickets[ticketId];
        _forget(store.ticketsOf[msg.sender], ticketId);
        emit Withdrawn(ticketId, msg.sender, entry.amount);
        token.safeTransfer(msg.sender, entry.amount);
    }

    /// @inheritdoc IStakeHub
    function settleNode(IReportOracle.NodeLeaf calldata leaf, bytes32[] calldata proof)
        external
        override
        nonReentrant
    {
        uint32 index = leaf.node;
        registry.payoutOf(index); // reverts for a node that does not exist
        if (!oracle.isFinal(leaf.epoch)) revert NotFinal(leaf.epoch);
        bytes32 root = oracle.nodesRoot(leaf.epoch);
        if (!MerkleProof.verifyCalldata(proof, root, oracle.leafHash(leaf))) revert InvalidProof(index, leaf.epoch);

        Stake storage stake = _store().stakes[index];
        uint256 forOperator = _increase(index, stake.settledOperator, leaf.cumOperator);
        uint256 forPool = _increase(index, stake.settledPool, leaf.cumPool);
        uint256 amount = forOperator + forPool;
        if (amount == 0) revert NothingToSettle(index, leaf.epoch);
        stake.settledOperator = SafeCast.toUint112(leaf.cumOperator);
        stake.settledPool = SafeCast.toUint112(leaf.cumPool);
        stake.settledThrough = leaf.epoch + 1;
        stake.owed += uint128(forOperator);
        stake.pooled += uint128(forPool);
        emit NodeSettled(index, leaf.epoch, amount, leaf.cumOperator);
        vault.pull(address(this), amount);
    }

    /// @inheritdoc IStakeHub
    function claimOperator(uint32 index) external override nonReentrant {
        Stake storage stake = _store().stakes[index];
        uint256 amount = stake.owed;
        if (amount == 0) revert NothingToClaim(index);
        address payout = registry.payoutOf(index);
        stake.owed = 0;
        emit OperatorClaimed(index, payout, amount);
        token.safeTransfer(payout, amount);
    }

    /// @inheritdoc IStakeHub
    function bondOf(uint32 index) public view override returns (uint256) {
        return _store().stakes[index].bond.latest();
    }

    /// @inheritdoc IStakeHub
    function bondAt(uint32 index, uint48 timestamp) external view override returns (uint256) {
        return _store().stakes[index].bond.upperLookupRecent(_past(timestamp));
    }

    /// @inheritdoc IStakeHub
    function totalBonded() external view override returns (uint256) {
        return _totalVotes();
    }

    /// @inheritdoc IStakeHub
    function ticket(uint256 ticketId)
        external
        view
        override
        returns (address ticketOwner, uint32 index, uint256 amount, uint64 unlocksAt)
    {
        Ticket storage entry = _store().tickets[ticketId];
        return (entry.owner, entry.index, entry.amount, entry.unlocksAt);
    }

    /// @inheritdoc IStakeHub
    function ticketsOf(address account) external view override returns (uint256[] memory) {
        return _store().ticketsOf[account];
    }

    /// @inheritdoc IStakeHub
    function owed(uint32 index) external view override returns (uint256) {
        return _store().stakes[index].owed;
    }

    /// @inheritdoc IStakeHub
    function pooled(uint32 index) external view override returns (uint256) {
        return _store().stakes[index].pooled;
    }

    /// @inheritdoc IStakeHub
    function settledCum(uint32 index) external view override returns (uint256 cumOperator, uint256 cumPool) {
        Stake storage stake = _store().stakes[index];
        return (stake.settledOperator, stake.settledPool);
    }

    /// @inheritdoc IStakeHub
    function settledThrough(uint32 index) external view override returns (uint32) {
        return _store().stakes[index].settledThrough;
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    function _bond(uint32 index, uint256 amount) private {
        INodeRegistry.Node memory node = registry.node(index);
        _checkOwner(node, index);
        if (node.state == INodeRegistry.State.Retired || node.state == INodeRegistry.State.Tombstoned) {
            revert NotBondable(index, node.state);
        }
        if (amount == 0) revert ZeroAmount();
        uint256 newBond = bondOf(index) + amount;
        _setBond(index, newBond);
        _addVotes(msg.sender, amount);
        emit Bonded(index, msg.sender, amount, newBond);
        registry.onBondChanged(index, newBond);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _setBond(uint32 index, uint256 amount) private {
        _store().stakes[index].bond.push(clock(), SafeCast.toUint208(amount));
    }

    function _checkOwner(INodeRegistry.Node memory node, uint32 index) private view {
        if (node.owner != msg.sender) revert NotNodeOwner(index, msg.sender);
    }

    /// @dev The tokens count until the end of the running epoch; only then does the delay begin.
    function _unlockTime() private view returns (uint64) {
        uint256 end = epochs.epochEnd(epochs.currentEpoch());
        return SafeCast.toUint64(end + parameters.get(ParameterKeys.UNBOND_S));
    }

    function _increase(uint32 index, uint256 settled, uint256 cumulative) private pure returns (uint256) {
        if (cumulative < settled) revert CumulativeRegression(index, settled, cumulative);
        return cumulative - settled;
    }

    function _forget(uint256[] storage open, uint256 ticketId) private {
        uint256 last = open.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (open[i] == ticketId) {
                open[i] = open[last];
                break;
            }
        }
        open.pop();
    }

    function _store() private pure returns (Store storage store) {
        assembly ("memory-safe") {
            store.slot := STORE
        }
    }
}
