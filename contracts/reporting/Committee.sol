// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {Owned} from "../governance/Owned.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title Implementation of ICommittee
/// @dev Documented in ICommittee.
contract Committee is ICommittee, Owned, EIP712, ReentrancyGuardTransient {
    using ExactTransfers for IERC20;

    /// @dev One slot, the only one a quorum check reads per member.
    struct Vote {
        address signer;
        bool bonded;
        bool suspended;
        uint40 from;
        uint40 until;
    }

    /// @param slashed It was caught for good: it stays suspended and is never bonded again.
    struct Seat {
        Vote vote;
        address owner;
        bool slashed;
        uint256 bond;
        string url;
    }

    uint256 private constant SEATS_MAX = 256;
    uint256 private constant SIGNATURE_BYTES = 65;
    uint32 private constant ISSUANCE_EPOCHS = 7;
    uint32 private constant BOND_LOCK_EPOCHS = 49;
    bytes32 private constant CONSENSUS_TYPEHASH = keccak256("Consensus(uint64 validAfter,bytes32 hash)");

    /// @inheritdoc ICommittee
    IERC20 public immutable override token;
    /// @inheritdoc ICommittee
    IParameters public immutable override parameters;
    /// @inheritdoc ICommittee
    IEpochs public immutable override epochs;
    /// @inheritdoc ICommittee
    address public immutable override slasher;

    /// @inheritdoc ICommittee
    mapping(uint64 validAfter => bytes32) public override anchorOf;

    Seat[] private _seats;
    mapping(address account => uint256 indexPlusOne) private _byOwner;
    mapping(address signer => uint256 indexPlusOne) private _bySigner;

    constructor(
        address owner_,
        IERC20 token_,
        IParameters parameters_,
        IEpochs epochs_,
        address slasher_,
        Member[] memory members_
    ) Owned(owner_) EIP712("QNet", "1") {
        if (address(epochs_) == address(0) || slasher_ == address(0)) revert ZeroAddress();
        token = token_;
        parameters = parameters_;
        epochs = epochs_;
        slasher = slasher_;
        if (members_.length == 0) revert BadQuorum(0, 1);
        for (uint256 i = 0; i < members_.length; ++i) {
            _admit(members_[i], uint40(block.timestamp));
        }
    }

    modifier onlySlasher() {
        if (msg.sender != slasher) revert NotSlasher(msg.sender);
        _;
    }

    /// @inheritdoc ICommittee
    function depositBond() external override nonReentrant {
        uint256 index = memberOf(msg.sender);
        Seat storage seat = _seats[index];
        if (seat.vote.bonded || seat.slashed) revert AlreadyBonded(index);
        if (seat.vote.suspended) revert WrongSuspension(index, true);
        uint256 amount = parameters.get(ParameterKeys.COMMITTEE_BOND_WEI);
        seat.vote.bonded = true;
        seat.bond = amount;
        emit BondDeposited(index, msg.sender, amount);
        token.take(msg.sender, amount);
    }

    /// @inheritdoc ICommittee
    function withdrawBond() external override nonReentrant {
        uint256 index = memberOf(msg.sender);
        Seat storage seat = _seats[index];
        if (!seat.vote.bonded) revert NotBonded(index);
        if (seat.vote.suspended) revert WrongSuspension(index, true);
        if (seat.vote.until == 0) revert BondLocked(type(uint256).max);
        uint256 unlocksAt = seat.vote.until + _epochSeconds() * BOND_LOCK_EPOCHS;
        if (block.timestamp < unlocksAt) revert BondLocked(unlocksAt);
        uint256 amount = seat.bond;
        seat.vote.bonded = false;
        seat.bond = 0;
        emit BondWithdrawn(index, msg.sender, amount);
        token.pay(msg.sender, amount);
    }

    /// @inheritdoc ICommittee
    function suspend(uint256 index) external override onlySlasher {
        Seat storage seat = _seat(index);
        if (seat.vote.suspended) revert WrongSuspension(index, true);
        seat.vote.suspended = true;
        emit MemberSuspended(index, seat.vote.signer);
    }

    /// @inheritdoc ICommittee
    function release(uint256 index) external override onlySlasher {
        Seat storage seat = _seat(index);
        if (!seat.vote.suspended || seat.slashed) revert WrongSuspension(index, seat.vote.suspended);
        seat.vote.suspended = false;
        emit MemberReleased(index, seat.vote.signer);
    }

    /// @inheritdoc ICommittee
    function slashBond(uint256 index) external override onlySlasher nonReentrant returns (uint256 amount) {
        Seat storage seat = _seat(index);
        if (!seat.vote.suspended) revert WrongSuspension(index, false);
        if (seat.slashed) return 0;
        seat.slashed = true;
        if (seat.vote.until == 0) _end(index);
        amount = seat.bond;
        seat.bond = 0;
        seat.vote.bonded = false;
        emit BondSlashed(index, seat.owner, amount);
        if (amount != 0) token.pay(slasher, amount);
    }

    /// @inheritdoc ICommittee
    function anchor(uint64 validAfter, bytes32 hash, uint256 bitmap, bytes calldata signatures) external override {
        if (hash == bytes32(0)) revert EmptyHash();
        if (anchorOf[validAfter] != bytes32(0)) revert AlreadyAnchored(validAfter, anchorOf[validAfter]);
        checkQuorum(consensusDigest(validAfter, hash), bitmap, signatures);
        anchorOf[validAfter] = hash;
        emit ConsensusAnchored(validAfter, hash, bitmap);
    }

    /// @inheritdoc ICommittee
    function addMember(Member calldata member) external override onlyOwner returns (uint256 index) {
        return _admit(member, SafeCast.toUint40(nextChange()));
    }

    /// @inheritdoc ICommittee
    function removeMember(uint256 index) external override onlyOwner {
        if (_seat(index).vote.until != 0) revert NoSuchMember(index);
        uint256 until = nextChange();
        uint256 remaining;
        for (uint256 i = 0; i < _seats.length; ++i) {
            Vote memory vote = _seats[i].vote;
            if (i != index && !vote.suspended && _isActiveAt(vote, until)) ++remaining;
        }
        if (remaining == 0) revert LastMember();
        _end(index);
    }

    /// @inheritdoc ICommittee
    function checkQuorum(bytes32 digest, uint256 bitmap, bytes calldata signatures) public view override {
        uint256 seats = _seats.length;
        uint256 active;
        uint256 got;
        for (uint256 i = 0; i < seats; ++i) {
            Vote memory vote = _seats[i].vote;
            bool isActive = _isActiveAt(vote, block.timestamp);
            if (isActive) ++active;
            if ((bitmap >> i) & 1 == 0) continue;
            uint256 offset = got * SIGNATURE_BYTES;
            ++got;
            if (signatures.length < offset + SIGNATURE_BYTES) {
                revert BadSignatureLength(signatures.length, offset + SIGNATURE_BYTES);
            }
            (address signer, ECDSA.RecoverError problem,) =
                ECDSA.tryRecoverCalldata(digest, signatures[offset:offset + SIGNATURE_BYTES]);
            bool counts = isActive && vote.bonded && !vote.suspended;
            if (problem != ECDSA.RecoverError.NoError || signer != vote.signer || !counts) revert BadSignature(i);
        }
        if (seats < SEATS_MAX && bitmap >> seats != 0) revert BadSignature(seats);
        if (signatures.length != got * SIGNATURE_BYTES) {
            revert BadSignatureLength(signatures.length, got * SIGNATURE_BYTES);
        }
        uint256 need = _quorumOf(active);
        if (got < need) revert BadQuorum(got, need);
    }

    /// @inheritdoc ICommittee
    function members() external view override returns (MemberInfo[] memory all) {
        all = new MemberInfo[](_seats.length);
        for (uint256 i = 0; i < all.length; ++i) {
            Seat storage seat = _seats[i];
            Vote memory vote = seat.vote;
            bool active = _isActiveAt(vote, block.timestamp);
            all[i] = MemberInfo(
                seat.owner, vote.signer, seat.url, vote.bonded, vote.suspended, active, vote.from, vote.until
            );
        }
    }

    /// @inheritdoc ICommittee
    function size() public view override returns (uint256 active) {
        for (uint256 i = 0; i < _seats.length; ++i) {
            if (_isActiveAt(_seats[i].vote, block.timestamp)) ++active;
        }
    }

    /// @inheritdoc ICommittee
    function quorum() external view override returns (uint256) {
        return _quorumOf(size());
    }

    /// @inheritdoc ICommittee
    function isMember(address signer) external view override returns (bool) {
        uint256 found = _bySigner[signer];
        if (found == 0) return false;
        Vote memory vote = _seats[found - 1].vote;
        return vote.bonded && !vote.suspended && _isActiveAt(vote, block.timestamp);
    }

    /// @inheritdoc ICommittee
    function memberOf(address account) public view override returns (uint256 index) {
        uint256 found = _byOwner[account];
        if (found == 0) revert NotMember(account);
        return found - 1;
    }

    /// @inheritdoc ICommittee
    function bondOf(uint256 index) external view override returns (uint256) {
        return _seat(index).bond;
    }

    /// @inheritdoc ICommittee
    function signerOf(uint256 index) external view override returns (address) {
        return _seat(index).vote.signer;
    }

    /// @inheritdoc ICommittee
    function nextChange() public view override returns (uint256) {
        return epochs.epochStart(((epochs.currentEpoch() + 1) / ISSUANCE_EPOCHS + 1) * ISSUANCE_EPOCHS);
    }

    /// @inheritdoc ICommittee
    function consensusDigest(uint64 validAfter, bytes32 hash) public view override returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CONSENSUS_TYPEHASH, validAfter, hash)));
    }

    function _admit(Member memory member, uint40 from) private returns (uint256 index) {
        bool empty = member.owner == address(0) || member.signer == address(0);
        if (empty || _byOwner[member.owner] != 0 || _bySigner[member.signer] != 0) {
            revert InvalidMember(member.owner, member.signer);
        }
        index = _seats.length;
        if (index == SEATS_MAX) revert TooManyMembers(SEATS_MAX);
        _byOwner[member.owner] = index + 1;
        _bySigner[member.signer] = index + 1;
        _seats.push(Seat(Vote(member.signer, false, false, from, 0), member.owner, false, 0, member.url));
        emit MemberAdded(index, member.owner, member.signer, from);
    }

    /// @dev The member stays in the frozen sets, so the number of members a quorum is reckoned from stands still.
    function _end(uint256 index) private {
        uint40 until = SafeCast.toUint40(nextChange());
        Vote storage vote = _seats[index].vote;
        vote.until = until;
        emit MemberRemoved(index, vote.signer, until);
    }

    function _seat(uint256 index) private view returns (Seat storage) {
        if (index >= _seats.length) revert NoSuchMember(index);
        return _seats[index];
    }

    function _epochSeconds() private view returns (uint256) {
        return uint256(epochs.slotSeconds()) * epochs.slotsPerEpoch();
    }

    function _isActiveAt(Vote memory vote, uint256 time) private pure returns (bool) {
        return vote.from <= time && (vote.until == 0 || time < vote.until);
    }

    function _quorumOf(uint256 n) private pure returns (uint256) {
        if (n == 0) return 1;
        uint256 f = (n - 1) / 3;
        return (n + f) / 2 + 1;
    }
}
