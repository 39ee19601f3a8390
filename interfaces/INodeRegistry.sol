// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IEpochs} from "./IEpochs.sol";
import {IOwned} from "./IOwned.sol";
import {IParameters} from "./IParameters.sol";
import {IStakeHub} from "./IStakeHub.sol";

/// @title The nodes of the network
/// @notice Who runs which node, in which role, and with which keys.
/// @dev Nodes get dense numbers from 1 in order of registration. Identity keys are Ed25519 and cannot be checked here:
/// a node identifier is a claim that the directory verifies from the node's signed descriptor. Whoever takes someone
/// else's identifier gains nothing but that the other must make a new one.
interface INodeRegistry is IOwned {
    enum Role {
        None,
        Entry,
        Relay,
        Mix,
        Exit
    }

    enum State {
        None,
        Registered,
        Active,
        Retired,
        Jailed,
        Tombstoned
    }

    /// @param owner Bonds and unbonds, rotates keys, retires.
    /// @param since When it was registered, in Unix seconds.
    /// @param receiptKey Latest receipt key; after a rotation it counts from the next epoch on.
    /// @param payout Gets the operator's rewards.
    /// @param identityKey Ed25519 public key.
    /// @param nodeId Identifier derived from the identity key.
    /// @param slot Whether it holds one of the paid slots of its role, at the latest from the next epoch on.
    /// @param jailedUntil End of the jail term, in Unix seconds.
    struct Node {
        address owner;
        Role role;
        State state;
        uint64 since;
        address receiptKey;
        address payout;
        bytes32 identityKey;
        bytes32 nodeId;
        bool slot;
        uint64 jailedUntil;
    }

    /// @notice A node was registered.
    event NodeRegistered(
        uint32 indexed index, bytes32 indexed nodeId, address indexed owner, Role role, address receiptKey
    );
    /// @notice A node's receipt key changes at the start of `fromEpoch`.
    event KeyRotated(uint32 indexed index, address oldKey, address newKey, uint32 fromEpoch);
    /// @notice A node's rewards go elsewhere.
    event PayoutChanged(uint32 indexed index, address oldPayout, address newPayout);
    /// @notice A node was retired by its owner, for good.
    event NodeRetired(uint32 indexed index);
    /// @notice A node was jailed.
    event NodeJailed(uint32 indexed index, uint64 until);
    /// @notice A node left jail.
    event NodeUnjailed(uint32 indexed index);
    /// @notice A node was tombstoned, for good.
    event NodeTombstoned(uint32 indexed index);
    /// @notice A node's state changed.
    event NodeStateChanged(uint32 indexed index, State oldState, State newState);
    /// @notice A node took or gave up a paid slot of its role.
    event SlotChanged(uint32 indexed index, Role indexed role, bool taken, uint32 slotsTaken);
    /// @notice Another contract may jail from now on.
    event SlasherSet(address oldSlasher, address newSlasher);

    /// @notice A node has one of the four roles.
    error InvalidRole(Role role);
    /// @notice An address or key is empty.
    error EmptyField();
    /// @notice The identifier belongs to a node already.
    error NodeIdTaken(bytes32 nodeId, uint32 index);
    /// @notice The receipt key is or was the key of a node.
    error ReceiptKeyTaken(address receiptKey);
    /// @notice The proof of possession ended at `deadline`.
    error ProofExpired(uint256 deadline);
    /// @notice The proof of possession was not signed by the receipt key, or for someone or something else.
    error BadProof(address receiptKey, address recovered);
    /// @notice No node has this number.
    error UnknownNode(uint32 index);
    /// @notice Someone else than the node's owner called.
    error NotNodeOwner(uint32 index, address caller);
    /// @notice The node is not in a state the call needs.
    error WrongState(uint32 index, State state);
    /// @notice The jail term lasts until `until`; the greatest value while a slash is in escrow.
    error StillJailed(uint32 index, uint64 until);
    /// @notice The jail term would end in the past.
    error InvalidTerm(uint64 until);
    /// @notice Only the slasher jails.
    error NotSlasher(address caller);
    /// @notice Only the stake hub reports bonds.
    error NotHub(address caller);
    /// @notice The rival holds no slot, has another role, or its stake is not low enough.
    error CannotDisplace(uint32 index, uint32 rival, uint256 stake, uint256 needed);
    /// @notice All paid slots of the role are taken, or the node holds one already.
    error NoSlot(uint32 index, Role role);

    function parameters() external view returns (IParameters);
    function epochs() external view returns (IEpochs);
    function hub() external view returns (IStakeHub);
    /// @notice The contract that jails.
    function slasher() external view returns (address);

    /// @notice Digest a receipt key signs to prove possession: EIP-712 KeyProof(address owner,bytes32 nodeId,
    /// address receiptKey,uint256 deadline), domain QNet, version 1, this contract.
    function keyProofDigest(address nodeOwner, bytes32 nodeId, address receiptKey, uint256 deadline)
        external
        view
        returns (bytes32);

    /// @notice Register a node; the caller becomes its owner. The fee register_fee_wei is burned from what the caller
    /// allows this contract: every report has a leaf for each node ever registered.
    /// @param proof 65 bytes r, s, v by the receipt key over `keyProofDigest(caller, nodeId, receiptKey, deadline)`.
    /// Because it names the caller, a copied proof is worth nothing to someone else.
    /// @return index The node's number.
    function register(
        Role role,
        bytes32 nodeId,
        bytes32 identityKey,
        address receiptKey,
        address payout,
        uint256 deadline,
        bytes calldata proof
    ) external returns (uint32 index);

    /// @notice Change the receipt key from the next epoch on. Only the node's owner, with a key never used before.
    function rotateKey(uint32 index, address newKey, uint256 deadline, bytes calldata proof) external;

    /// @notice Change where rewards go. Only the node's owner.
    function setPayout(uint32 index, address payout) external;

    /// @notice Retire a node for good. Only its owner. Its bond can be unbonded as before.
    function retire(uint32 index) external;

    /// @notice Take a free paid slot for an active node that has none. Anyone.
    function takeSlot(uint32 index) external;

    /// @notice Take the paid slot of a node of the same role whose stake is lower by slot_edge_ppm or more. Anyone;
    /// from the next epoch on.
    /// @dev After slots_<role> was lowered, a node that holds a slot can be named too: then the rival's slot is given
    /// up, if its stake is lower, or equal and its number higher, until there are no more than allowed.
    function takeSlotFrom(uint32 index, uint32 rival) external;

    /// @notice Jail a node until a moment, in Unix seconds, or to the end of its present term if that is later. Only the
    /// slasher.
    function jail(uint32 index, uint64 until) external;

    /// @notice Leave jail after the term, and not while a slash is in escrow. Only the node's owner.
    function unjail(uint32 index) external;

    /// @notice Exclude a node for good. Only the slasher.
    function tombstone(uint32 index) external;

    /// @notice Appoint the contract that jails. Only the owner.
    function setSlasher(address newSlasher) external;

    /// @notice Make a node Active or Registered as its bond asks for, after a vote on min_bond_wei. Anyone.
    function refresh(uint32 index) external;

    /// @notice Take note of a changed bond. Only the stake hub.
    function onBondChanged(uint32 index, uint256 newBond) external;

    /// @notice A node by number.
    function node(uint32 index) external view returns (Node memory);
    /// @notice State of a node now; reverts for a number without a node.
    function stateOf(uint32 index) external view returns (State);
    /// @notice State of a node, and whether it held a paid slot, in an epoch: as of its first second. Changes count
    /// from the next epoch on.
    function statusAt(uint32 index, uint32 epoch) external view returns (State state, bool slot);
    /// @notice Owner and role of a node; they never change.
    function ownerAndRoleOf(uint32 index) external view returns (address owner, Role role);
    /// @notice Where a node's rewards go.
    function payoutOf(uint32 index) external view returns (address);
    /// @notice Number of a node by identifier; 0 if there is none.
    function indexOf(bytes32 nodeId) external view returns (uint32);
    /// @notice Nodes registered so far; the highest number.
    function count() external view returns (uint32);
    /// @notice Receipt key of a node in an epoch; empty before its registration.
    function receiptKeyAt(uint32 index, uint32 epoch) external view returns (address);
    /// @notice Whether a node has enough bond and is neither retired, jailed nor tombstoned.
    function isActive(uint32 index) external view returns (bool);
    /// @notice Paid slots of a role in use.
    function slotsTaken(Role role) external view returns (uint32);
}
