// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEpochs} from "./IEpochs.sol";
import {IOwned} from "./IOwned.sol";
import {IParameters} from "./IParameters.sol";

/// @title The committee
/// @notice Bonded members who sign consensuses and reports; this contract checks their quorum for all others.
/// @dev Places are numbered in order of admission and never used again, so a bit of a bitmap always names one member.
/// The set of an issuance epoch (7 epochs) is frozen one epoch ahead: later changes wait for the one
/// after it. A signature counts while its member is active, bonded and not suspended. A slashed member stays suspended.
interface ICommittee is IOwned {
    /// @notice A member as it is admitted.
    /// @param owner Pays and gets back the bond.
    /// @param signer Signs with this key; not used for anything else.
    /// @param url Where its service answers.
    struct Member {
        address owner;
        address signer;
        string url;
    }

    /// @notice A member as it stands.
    /// @param bonded Whether its bond lies here.
    /// @param suspended Whether its signatures count for nothing because it was caught.
    /// @param active Whether it belongs to the set of this moment.
    /// @param activeFrom First second of membership.
    /// @param activeUntil First second after it; 0 while it has no end.
    struct MemberInfo {
        address owner;
        address signer;
        string url;
        bool bonded;
        bool suspended;
        bool active;
        uint40 activeFrom;
        uint40 activeUntil;
    }

    /// @notice A member was admitted, from `activeFrom` on.
    event MemberAdded(uint256 indexed index, address indexed owner, address indexed signer, uint256 activeFrom);
    /// @notice A member's time ends at `activeUntil`.
    event MemberRemoved(uint256 indexed index, address indexed signer, uint256 activeUntil);
    /// @notice A member put down its bond.
    event BondDeposited(uint256 indexed index, address indexed owner, uint256 amount);
    /// @notice A member was caught: until `released`, it neither signs nor gets its bond back.
    event MemberSuspended(uint256 indexed index, address indexed signer);
    /// @notice What a member was accused of was vetoed.
    event MemberReleased(uint256 indexed index, address indexed signer);
    /// @notice A member lost its whole bond and its place.
    event BondSlashed(uint256 indexed index, address indexed owner, uint256 amount);
    /// @notice A former member took its bond back.
    event BondWithdrawn(uint256 indexed index, address indexed owner, uint256 amount);
    /// @notice A directory consensus was anchored.
    event ConsensusAnchored(uint64 indexed validAfter, bytes32 hash, uint256 bitmap);

    /// @notice Too few members signed, or too few are active at all.
    error BadQuorum(uint256 got, uint256 need);
    /// @notice The signature of member `index` is not its own, or it is not an active, bonded member, or suspended.
    error BadSignature(uint256 index);
    /// @notice The bytes given are not 65 for each bit of the bitmap.
    error BadSignatureLength(uint256 got, uint256 expected);
    /// @notice Owner or signer is empty or was admitted before.
    error InvalidMember(address owner, address signer);
    /// @notice All places are taken.
    error TooManyMembers(uint256 max);
    /// @notice The account owns no membership.
    error NotMember(address account);
    /// @notice No member has this number, or its time ends already.
    error NoSuchMember(uint256 index);
    /// @notice The last active member cannot be removed.
    error LastMember();
    /// @notice Only the slasher suspends, releases and slashes.
    error NotSlasher(address caller);
    /// @notice The member is suspended, or not suspended, against what the call needs.
    error WrongSuspension(uint256 index, bool suspended);
    /// @notice The token moved another amount than it was told to.
    error WrongTransfer(uint256 expected, uint256 got);
    /// @notice The bond was put down before, or the member was slashed.
    error AlreadyBonded(uint256 index);
    /// @notice There is no bond to take back.
    error NotBonded(uint256 index);
    /// @notice The bond stays until `until`; the greatest value while membership has no end.
    error BondLocked(uint256 until);
    /// @notice A consensus with another hash, or the same, was anchored for this moment.
    error AlreadyAnchored(uint64 validAfter, bytes32 hash);
    /// @notice An empty hash cannot be anchored.
    error EmptyHash();

    function token() external view returns (IERC20);
    function parameters() external view returns (IParameters);
    function epochs() external view returns (IEpochs);
    /// @notice The contract that suspends and slashes.
    function slasher() external view returns (address);

    /// @notice All members ever admitted, by number.
    function members() external view returns (MemberInfo[] memory);
    /// @notice Active members.
    function size() external view returns (uint256);
    /// @notice Signatures needed: 2f + 1 of n = 3f + 1, in general the least number of which any two sets share an
    /// honest member, floor((n + f) / 2) + 1 with f = floor((n - 1) / 3).
    function quorum() external view returns (uint256);
    /// @notice Whether the key belongs to an active, bonded member that is not suspended.
    function isMember(address signer) external view returns (bool);
    /// @notice Number of the member an account owns.
    function memberOf(address account) external view returns (uint256 index);
    /// @notice Bond held for a member, in wei.
    function bondOf(uint256 index) external view returns (uint256);
    /// @notice Key of a member, whatever has become of it since.
    function signerOf(uint256 index) external view returns (address);
    /// @notice Moment at which a change made now takes effect: the start of the first issuance epoch that begins more
    /// than one epoch after the start of this one.
    function nextChange() external view returns (uint256);

    /// @notice Revert unless a quorum of the active, bonded members, none of them suspended, signed the digest.
    /// @param bitmap Bit i stands for member i.
    /// @param signatures 65 bytes r, s, v each, low s, in the order of the members.
    function checkQuorum(bytes32 digest, uint256 bitmap, bytes calldata signatures) external view;

    /// @notice Digest of a consensus: EIP-712 Consensus(uint64 validAfter,bytes32 hash), domain QNet, this contract.
    function consensusDigest(uint64 validAfter, bytes32 hash) external view returns (bytes32);

    /// @notice Anchor the hash of a directory consensus, once per moment. Anyone, with the signatures of a quorum.
    function anchor(uint64 validAfter, bytes32 hash, uint256 bitmap, bytes calldata signatures) external;

    /// @notice Hash anchored for a moment; 0 if none.
    function anchorOf(uint64 validAfter) external view returns (bytes32);

    /// @notice Put down the bond of the caller's membership; the amount is the parameter committee_bond_wei.
    function depositBond() external;

    /// @notice Take the bond back, 49 epochs after the end of membership.
    function withdrawBond() external;

    /// @notice Make a member's signatures count for nothing and keep its bond. Only the slasher.
    function suspend(uint256 index) external;

    /// @notice End a suspension. Only the slasher.
    function release(uint256 index) external;

    /// @notice Take the whole bond of a suspended member, which leaves the set with this issuance epoch. Only the
    /// slasher, to which the tokens go.
    /// @return amount In wei; 0 if it had no bond.
    function slashBond(uint256 index) external returns (uint256 amount);

    /// @notice Admit a member from the next issuance epoch on. Only the owner.
    function addMember(Member calldata member) external returns (uint256 index);

    /// @notice End a membership with this issuance epoch. Only the owner.
    function removeMember(uint256 index) external;
}
