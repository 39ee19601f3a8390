// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IPausing} from "../../interfaces/IPausing.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {IRewardVault} from "../../interfaces/IRewardVault.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {Owned} from "../governance/Owned.sol";
import {Pausing} from "../governance/Pausing.sol";

/// @title What all parts of the stake hub share: its links, its storage, its constants
/// @dev Sums in wei stay far below 2^112, as the whole supply does, and shares are at most a few thousand times as many;
/// larger ones are refused by the casts.
abstract contract HubStore is IStakeHub, Pausing, ReentrancyGuardTransient {
    /// @dev Tickets of one kind (bond or pool) from one node with one last epoch.
    /// @param previous Last epoch, plus one, of the bucket of this kind before; 0 for the first.
    struct Bucket {
        uint112 assets;
        uint112 shares;
        uint32 previous;
    }

    /// @dev A slash carried out: `ppm` is what bonds lost, delegations a tenth of it.
    struct PastSlash {
        uint32 epoch;
        uint32 ppm;
    }

    /// @param assets Of the pool, with what still streams.
    /// @param shares Of the pool.
    /// @param lastPoolBucket Last epoch, plus one, of the newest bucket of tickets from the pool; 0 if there is none.
    /// @param streaming Rewards that stream to the pool from `streamFrom` to `streamUntil`.
    /// @param rho Reputation in the last settled leaf.
    /// @param lastBondBucket Last epoch, plus one, of the newest bucket of tickets from the bond; 0 if there is none.
    /// @param terms Ascending: epoch (32 bits), margin (32 bits), cost (192 bits).
    struct Stake {
        uint112 assets;
        uint112 shares;
        uint32 lastPoolBucket;
        uint112 streaming;
        uint40 streamFrom;
        uint40 streamUntil;
        uint32 settledThrough;
        uint32 rho;
        uint112 settledOperator;
        uint112 settledPool;
        uint32 freezes;
        uint112 owed;
        uint32 lastBondBucket;
        Checkpoints.Trace208 bond;
        Checkpoints.Trace208 pool;
        uint256[] terms;
        PastSlash[] slashes;
        mapping(bool fromBond => mapping(uint32 epoch => Bucket)) buckets;
    }

    /// @dev What an account delegated to one node.
    struct Position {
        uint128 shares;
        uint128 principal;
    }

    /// @param principal Staked tokens that vote.
    /// @param tickets Bit i is set while there is a ticket i.
    /// @param liens Bit i is set while there is a lien i.
    /// @param delegating Whether another than the account itself was ever chosen as delegate.
    struct Account {
        uint128 principal;
        uint16 tickets;
        uint16 liens;
        bool delegating;
    }

    struct Ticket {
        uint32 index;
        uint32 epoch;
        bool fromBond;
        uint40 unlocksAt;
        uint112 shares;
    }

    /// @custom:storage-location erc7201:qnet.StakeHub
    struct Store {
        mapping(uint32 index => Stake) stakes;
        mapping(address account => Account) accounts;
        mapping(address account => mapping(uint32 index => Position)) positions;
        mapping(address account => mapping(uint256 number => Ticket)) tickets;
        mapping(address account => mapping(uint256 number => Lien)) liens;
        mapping(address account => address) delegatees;
        mapping(address account => Checkpoints.Trace208) votes;
        uint256 totalVotes;
    }

    uint256 internal constant M = 1_000_000;
    uint256 internal constant TICKETS_MAX = 16;
    uint256 internal constant VIRTUAL_SHARES = 1000;
    /// @dev Of a slash: what M is for bonds this is for delegations, ten times as much.
    uint256 internal constant POOL_SCALE = 10 * M;
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
    /// @inheritdoc IStakeHub
    address public immutable override slasher;
    /// @inheritdoc IStakeHub
    IPausing public immutable override court;

    constructor(
        address owner_,
        IERC20 token_,
        IParameters parameters_,
        IEpochs epochs_,
        INodeRegistry registry_,
        IReportOracle oracle_,
        IRewardVault vault_,
        address slasher_,
        IPausing court_
    ) Owned(owner_) {
        if (address(oracle_) == address(0) || address(vault_) == address(0)) revert ZeroAddress();
        if (slasher_ == address(0) || address(court_) == address(0)) revert ZeroAddress();
        token = token_;
        parameters = parameters_;
        epochs = epochs_;
        registry = registry_;
        oracle = oracle_;
        vault = vault_;
        slasher = slasher_;
        court = court_;
    }

    modifier onlySlasher() {
        _checkSlasher();
        _;
    }

    function _checkSlasher() private view {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
    }

    function _parameter(bytes32 key) internal view returns (uint256) {
        return parameters.get(key);
    }

    function _stateOf(uint32 index) internal view returns (INodeRegistry.State) {
        return registry.stateOf(index);
    }

    function _ownerOf(uint32 index) internal view returns (address nodeOwner) {
        (nodeOwner,) = registry.ownerAndRoleOf(index);
    }

    function _currentEpoch() internal view returns (uint32) {
        return epochs.currentEpoch();
    }

    function _epochEnd(uint32 epoch) internal view returns (uint256) {
        return epochs.epochEnd(epoch);
    }

    /// @dev Lowest number whose bit is not set.
    function _freeNumber(uint16 bitmap) internal view returns (uint8 number) {
        if (bitmap == type(uint16).max) revert TooManyTickets(msg.sender, TICKETS_MAX);
        while (bitmap & 1 != 0) {
            bitmap >>= 1;
            ++number;
        }
    }

    /// @dev A moment that is over.
    function _past(uint256 timepoint) internal view returns (uint48) {
        uint48 current = Time.timestamp();
        if (timepoint >= current) revert FutureLookup(timepoint, current);
        return uint48(timepoint);
    }

    function _stake(uint32 index) internal view returns (Stake storage) {
        return _store().stakes[index];
    }

    function _store() internal pure returns (Store storage store) {
        assembly ("memory-safe") {
            store.slot := STORE
        }
    }
}
