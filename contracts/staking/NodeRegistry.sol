// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {Owned} from "../governance/Owned.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title Implementation of INodeRegistry
/// @dev Documented in INodeRegistry.
contract NodeRegistry is INodeRegistry, Initializable, UUPSUpgradeable, Owned, EIP712 {
    using Checkpoints for Checkpoints.Trace160;
    using Checkpoints for Checkpoints.Trace224;

    /// @custom:storage-location erc7201:qnet.NodeRegistry
    struct Store {
        mapping(uint32 index => Node) nodes;
        mapping(uint32 index => Checkpoints.Trace160) receiptKeys;
        mapping(bytes32 nodeId => uint32 index) byNodeId;
        mapping(address receiptKey => bool) keyUsed;
        mapping(Role role => uint32) slotsTaken;
        uint32 count;
        address slasher;
        mapping(uint32 index => Checkpoints.Trace224) statuses;
    }

    uint256 private constant PPM = 1_000_000;
    bytes32 private constant KEY_PROOF_TYPEHASH =
        keccak256("KeyProof(address owner,bytes32 nodeId,address receiptKey,uint256 deadline)");
    // keccak256(abi.encode(uint256(keccak256("qnet.NodeRegistry")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0xe155aa8d23494bd1c09aa70dd931548a811041cce3b4a3f0bab3c0e14d3b3f00;

    /// @inheritdoc INodeRegistry
    IParameters public immutable override parameters;
    /// @inheritdoc INodeRegistry
    IEpochs public immutable override epochs;
    /// @inheritdoc INodeRegistry
    IStakeHub public immutable override hub;

    constructor(address owner_, IParameters parameters_, IEpochs epochs_, IStakeHub hub_)
        Owned(owner_)
        EIP712("QNet", "1")
    {
        if (address(hub_) == address(0)) revert ZeroAddress();
        parameters = parameters_;
        epochs = epochs_;
        hub = hub_;
        _disableInitializers();
    }

    modifier onlySlasher() {
        if (msg.sender != _store().slasher) revert NotSlasher(msg.sender);
        _;
    }

    modifier onlyNodeOwner(uint32 index) {
        if (_node(index).owner != msg.sender) revert NotNodeOwner(index, msg.sender);
        _;
    }

    /// @notice Set up the proxy, once.
    function initialize(address slasher_) external initializer {
        _setSlasher(slasher_);
    }

    /// @inheritdoc INodeRegistry
    function register(
        Role role,
        bytes32 nodeId,
        bytes32 identityKey,
        address receiptKey,
        address payout,
        uint256 deadline,
        bytes calldata proof
    ) external override returns (uint32 index) {
        Store storage store = _store();
        if (role == Role.None) revert InvalidRole(role);
        if (nodeId == bytes32(0) || identityKey == bytes32(0) || payout == address(0)) revert EmptyField();
        if (store.byNodeId[nodeId] != 0) revert NodeIdTaken(nodeId, store.byNodeId[nodeId]);
        _takeKey(nodeId, receiptKey, deadline, proof);

        index = ++store.count;
        store.byNodeId[nodeId] = index;
        Node storage entry = store.nodes[index];
        entry.owner = msg.sender;
        entry.role = role;
        entry.state = State.Registered;
        entry.since = uint64(block.timestamp);
        entry.receiptKey = receiptKey;
        entry.payout = payout;
        entry.identityKey = identityKey;
        entry.nodeId = nodeId;
        store.receiptKeys[index].push(epochs.currentEpoch(), uint160(receiptKey));
        emit NodeRegistered(index, nodeId, msg.sender, role, receiptKey);
        emit NodeStateChanged(index, State.None, State.Registered);
        _record(index);
        uint256 fee = parameters.get(ParameterKeys.REGISTER_FEE_WEI);
        if (fee != 0) ERC20Burnable(address(hub.token())).burnFrom(msg.sender, fee);
    }

    /// @inheritdoc INodeRegistry
    function rotateKey(uint32 index, address newKey, uint256 deadline, bytes calldata proof)
        external
        override
        onlyNodeOwner(index)
    {
        Store storage store = _store();
        Node storage entry = _node(index);
        if (entry.state == State.Retired || entry.state == State.Tombstoned) revert WrongState(index, entry.state);
        _takeKey(entry.nodeId, newKey, deadline, proof);
        uint32 fromEpoch = _nextEpoch();
        emit KeyRotated(index, entry.receiptKey, newKey, fromEpoch);
        entry.receiptKey = newKey;
        store.receiptKeys[index].push(fromEpoch, uint160(newKey));
    }

    /// @inheritdoc INodeRegistry
    function setPayout(uint32 index, address payout) external override onlyNodeOwner(index) {
        if (payout == address(0)) revert EmptyField();
        Node storage entry = _node(index);
        emit PayoutChanged(index, entry.payout, payout);
        entry.payout = payout;
    }

    /// @inheritdoc INodeRegistry
    function retire(uint32 index) external override onlyNodeOwner(index) {
        State state = _node(index).state;
        if (state != State.Registered && state != State.Active) revert WrongState(index, state);
        emit NodeRetired(index);
        _enter(index, State.Retired);
    }

    /// @inheritdoc INodeRegistry
    function takeSlot(uint32 index) external override {
        Node storage entry = _node(index);
        if (entry.state != State.Active) revert WrongState(index, entry.state);
        if (entry.slot || !_hasFreeSlot(entry.role)) revert NoSlot(index, entry.role);
        _setSlot(index, true);
        _record(index);
    }

    /// @inheritdoc INodeRegistry
    function takeSlotFrom(uint32 index, uint32 rival) external override {
        Node storage entry = _node(index);
        Node storage other = _node(rival);
        if (entry.state != State.Active) revert WrongState(index, entry.state);
        bool holds = entry.slot;
        if (holds && !_isCrowded(entry.role)) revert NoSlot(index, entry.role);
        uint256 stake = hub.stakeOf(index);
        uint256 needed = _neededAgainst(index, rival, holds);
        if (index == rival || !other.slot || other.role != entry.role || stake < needed) {
            revert CannotDisplace(index, rival, stake, needed);
        }
        _setSlot(rival, false);
        _record(rival);
        if (holds) return;
        _setSlot(index, true);
        _record(index);
    }

    /// @inheritdoc INodeRegistry
    function jail(uint32 index, uint64 until) external override onlySlasher {
        Node storage entry = _node(index);
        if (entry.state == State.Retired || entry.state == State.Tombstoned) revert WrongState(index, entry.state);
        if (until <= block.timestamp) revert InvalidTerm(until);
        if (until > entry.jailedUntil) entry.jailedUntil = until;
        emit NodeJailed(index, entry.jailedUntil);
        _enter(index, State.Jailed);
    }

    /// @inheritdoc INodeRegistry
    function unjail(uint32 index) external override onlyNodeOwner(index) {
        Node storage entry = _node(index);
        if (entry.state != State.Jailed) revert WrongState(index, entry.state);
        uint64 until = hub.freezesOf(index) == 0 ? entry.jailedUntil : type(uint64).max;
        if (block.timestamp < until) revert StillJailed(index, until);
        entry.jailedUntil = 0;
        emit NodeUnjailed(index);
        _enter(index, _hasEnough(hub.bondOf(index)) ? State.Active : State.Registered);
    }

    /// @inheritdoc INodeRegistry
    function tombstone(uint32 index) external override onlySlasher {
        State state = _node(index).state;
        if (state == State.Tombstoned) revert WrongState(index, state);
        emit NodeTombstoned(index);
        _enter(index, State.Tombstoned);
    }

    /// @inheritdoc INodeRegistry
    function setSlasher(address newSlasher) external override onlyOwner {
        _setSlasher(newSlasher);
    }

    /// @inheritdoc INodeRegistry
    function onBondChanged(uint32 index, uint256 bond) external override {
        if (msg.sender != address(hub)) revert NotHub(msg.sender);
        State state = _node(index).state;
        if (state != State.Registered && state != State.Active) return;
        _enter(index, _hasEnough(bond) ? State.Active : State.Registered);
    }

    /// @inheritdoc INodeRegistry
    function refresh(uint32 index) external override {
        State state = _node(index).state;
        if (state != State.Registered && state != State.Active) revert WrongState(index, state);
        _enter(index, _hasEnough(hub.bondOf(index)) ? State.Active : State.Registered);
    }

    /// @inheritdoc INodeRegistry
    function node(uint32 index) external view override returns (Node memory) {
        return _node(index);
    }

    /// @inheritdoc INodeRegistry
    function stateOf(uint32 index) external view override returns (State) {
        return _node(index).state;
    }

    /// @inheritdoc INodeRegistry
    function statusAt(uint32 index, uint32 epoch) external view override returns (State state, bool slot) {
        uint224 status = _store().statuses[index].upperLookupRecent(epoch);
        return (State(uint8(status >> 1)), status & 1 != 0);
    }

    /// @inheritdoc INodeRegistry
    function ownerAndRoleOf(uint32 index) external view override returns (address nodeOwner, Role role) {
        Node storage entry = _node(index);
        return (entry.owner, entry.role);
    }

    /// @inheritdoc INodeRegistry
    function payoutOf(uint32 index) external view override returns (address) {
        return _node(index).payout;
    }

    /// @inheritdoc INodeRegistry
    function indexOf(bytes32 nodeId) external view override returns (uint32) {
        return _store().byNodeId[nodeId];
    }

    /// @inheritdoc INodeRegistry
    function count() external view override returns (uint32) {
        return _store().count;
    }

    /// @inheritdoc INodeRegistry
    function receiptKeyAt(uint32 index, uint32 epoch) external view override returns (address) {
        return address(_store().receiptKeys[index].upperLookupRecent(epoch));
    }

    /// @inheritdoc INodeRegistry
    function isActive(uint32 index) external view override returns (bool) {
        return _store().nodes[index].state == State.Active;
    }

    /// @inheritdoc INodeRegistry
    function slotsTaken(Role role) external view override returns (uint32) {
        return _store().slotsTaken[role];
    }

    /// @inheritdoc INodeRegistry
    function slasher() external view override returns (address) {
        return _store().slasher;
    }

    /// @inheritdoc INodeRegistry
    function keyProofDigest(address nodeOwner, bytes32 nodeId, address receiptKey, uint256 deadline)
        public
        view
        override
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(KEY_PROOF_TYPEHASH, nodeOwner, nodeId, receiptKey, deadline)));
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    /// @dev A key serves one node once: a proof seen before can never be used again.
    function _takeKey(bytes32 nodeId, address receiptKey, uint256 deadline, bytes calldata proof) private {
        if (receiptKey == address(0)) revert EmptyField();
        if (block.timestamp > deadline) revert ProofExpired(deadline);
        mapping(address => bool) storage used = _store().keyUsed;
        if (used[receiptKey]) revert ReceiptKeyTaken(receiptKey);
        bytes32 digest = keyProofDigest(msg.sender, nodeId, receiptKey, deadline);
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, proof);
        if (problem != ECDSA.RecoverError.NoError || recovered != receiptKey) revert BadProof(receiptKey, recovered);
        used[receiptKey] = true;
    }

    /// @dev Only active nodes hold paid slots; one that becomes or stays active without a slot takes a free one.
    function _enter(uint32 index, State state) private {
        Node storage entry = _node(index);
        if (entry.state != state) {
            emit NodeStateChanged(index, entry.state, state);
            entry.state = state;
        }
        if (state == State.Active) {
            if (!entry.slot && _hasFreeSlot(entry.role)) _setSlot(index, true);
        } else if (entry.slot) {
            _setSlot(index, false);
        }
        _record(index);
    }

    /// @dev Keep state and slot as the status from the next epoch on.
    function _record(uint32 index) private {
        Store storage store = _store();
        Node storage entry = store.nodes[index];
        store.statuses[index].push(_nextEpoch(), (uint224(uint8(entry.state)) << 1) | (entry.slot ? 1 : 0));
    }

    function _setSlot(uint32 index, bool taken) private {
        Store storage store = _store();
        Node storage entry = store.nodes[index];
        uint32 before = store.slotsTaken[entry.role];
        uint32 afterwards = taken ? before + 1 : before - 1;
        entry.slot = taken;
        store.slotsTaken[entry.role] = afterwards;
        emit SlotChanged(index, entry.role, taken, afterwards);
    }

    function _setSlasher(address newSlasher) private {
        if (newSlasher == address(0)) revert ZeroAddress();
        Store storage store = _store();
        emit SlasherSet(store.slasher, newSlasher);
        store.slasher = newSlasher;
    }

    function _node(uint32 index) private view returns (Node storage entry) {
        entry = _store().nodes[index];
        if (entry.state == State.None) revert UnknownNode(index);
    }

    /// @dev First epoch whose first second is still to come.
    function _nextEpoch() private view returns (uint32) {
        return block.timestamp < epochs.genesis() ? 0 : epochs.currentEpoch() + 1;
    }

    /// @dev Stake a node needs to take the slot of a rival; for one that holds a slot itself, only to end the rival's
    /// while there are too many: of equals the older node stays.
    function _neededAgainst(uint32 index, uint32 rival, bool holds) private view returns (uint256) {
        uint256 stake = hub.stakeOf(rival);
        if (holds) return index < rival ? stake : stake + 1;
        return Math.mulDiv(stake, PPM + parameters.get(ParameterKeys.SLOT_EDGE_PPM), PPM, Math.Rounding.Ceil);
    }

    function _hasEnough(uint256 bond) private view returns (bool) {
        return bond >= parameters.get(ParameterKeys.MIN_BOND_WEI);
    }

    function _hasFreeSlot(Role role) private view returns (bool) {
        return _store().slotsTaken[role] < parameters.get(_slotsKey(role));
    }

    function _isCrowded(Role role) private view returns (bool) {
        return _store().slotsTaken[role] > parameters.get(_slotsKey(role));
    }

    function _slotsKey(Role role) private pure returns (bytes32) {
        if (role == Role.Entry) return ParameterKeys.SLOTS_ENTRY;
        if (role == Role.Relay) return ParameterKeys.SLOTS_RELAY;
        if (role == Role.Mix) return ParameterKeys.SLOTS_MIX;
        return ParameterKeys.SLOTS_EXIT;
    }

    function _store() private pure returns (Store storage store) {
        assembly ("memory-safe") {
            store.slot := STORE
        }
    }
}
