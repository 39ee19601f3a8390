// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {ChannelStore} from "./ChannelStore.sol";

/// @title What the committee states about issuance epochs
/// @dev Documented in IPremiumChannels.
abstract contract Issuances is ChannelStore {
    uint256 private constant CAP_PPM = 500_000;
    /// @dev One epoch takes at most this part of what can be capped, so that the next ones find something left.
    uint256 private constant CAP_SHARES = 4;
    bytes32 private constant KEYS_TYPEHASH = keccak256("IssuanceKeys(uint32 epoch,bytes32 keysHash)");
    bytes32 private constant CLOSING_TYPEHASH = keccak256("Closing(uint32 epoch,uint128 issuedUnits,bytes32 logRoot)");
    bytes32 private constant ATTESTATION_TYPEHASH =
        keccak256("Attestation(uint32 epoch,bytes32 root,uint128 units,uint64 tokens,bytes32 logRoot)");

    /// @inheritdoc IPremiumChannels
    function registerKeys(uint32 epoch, bytes32 keysHash, uint256 bitmap, bytes calldata signatures)
        external
        override
        whenNotPaused
    {
        if (keysHash == bytes32(0)) revert EmptyHash();
        uint256 start = _start(epoch);
        uint256 from = epoch == 0 ? 0 : _start(epoch - 1);
        if (block.timestamp < from) revert TooEarly(from);
        if (block.timestamp >= start) revert TooLate(start);
        Issuance storage issuance = _place(epoch);
        if (issuance.end != 0) {
            if (issuance.epoch == epoch) revert AlreadyDone(epoch);
            if (_elapsed(issuance.end) < KEEP_S) revert RingFull(issuance.epoch);
            _leftAfter[issuance.epoch] = uint64(_left(issuance));
        }
        committee.checkQuorum(keysDigest(epoch, keysHash), bitmap, signatures);
        uint256 cap = capOf(epoch);
        _clear(issuance);
        issuance.epoch = epoch;
        issuance.end = SafeCast.toUint40(_start(epoch + 1));
        issuance.cap = SafeCast.toUint64(cap);
        issuance.keysHash = keysHash;
        emit KeysRegistered(epoch, keysHash, cap, bitmap);
    }

    /// @inheritdoc IPremiumChannels
    function closeEpoch(Closing calldata closing, uint256 bitmap, bytes calldata signatures) external override {
        Issuance storage issuance = _issuance(closing.epoch);
        if (block.timestamp < issuance.end) revert TooEarly(issuance.end);
        if (_elapsed(issuance.end) >= CLOSE_S) revert TooLate(CLOSE_S);
        if (issuance.isClosed) revert AlreadyDone(closing.epoch);
        committee.checkQuorum(closingDigest(closing), bitmap, signatures);
        emit EpochClosed(closing.epoch, issuance.issued, closing.issuedUnits, closing.logRoot, bitmap);
        issuance.isClosed = true;
        issuance.issued = SafeCast.toUint64(closing.issuedUnits);
        issuance.logRoot = closing.logRoot;
    }

    /// @inheritdoc IPremiumChannels
    function attest(Attestation calldata attestation, uint256 bitmap, bytes calldata signatures)
        external
        override
        whenNotPaused
    {
        uint32 epoch = attestation.epoch;
        Issuance storage issuance = _issuance(epoch);
        _checkAttestable(issuance, attestation);
        committee.checkQuorum(attestationDigest(attestation), bitmap, signatures);
        uint64 units = SafeCast.toUint64(attestation.units);
        uint256 left = _left(issuance);
        if (units > left) revert BudgetExceeded(epoch, units, left);
        issuance.isAttested = true;
        issuance.tokens = attestation.tokens;
        issuance.attested = units;
        issuance.root = attestation.root;
        issuance.logRoot = attestation.logRoot;
        _money.unclaimed += units;
        emit ClaimsAttested(epoch, attestation.root, units, attestation.tokens, attestation.logRoot, bitmap);
    }

    /// @inheritdoc IPremiumChannels
    function keysDigest(uint32 epoch, bytes32 keysHash) public view override returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(KEYS_TYPEHASH, epoch, keysHash)));
    }

    /// @inheritdoc IPremiumChannels
    function closingDigest(Closing calldata closing) public view override returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CLOSING_TYPEHASH, closing)));
    }

    /// @inheritdoc IPremiumChannels
    function attestationDigest(Attestation calldata attestation) public view override returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation)));
    }

    /// @inheritdoc IPremiumChannels
    function capOf(uint32 epoch) public view override returns (uint256) {
        uint256 backing = _bonds(_start(epoch)) * CAP_PPM / PPM;
        uint256 promised = _openCaps() * unitWei + _budgets();
        uint256 left = promised < backing ? backing - promised : 0;
        return Math.min(left, backing / CAP_SHARES) / unitWei;
    }

    /// @dev Bonds of the members that will serve from a moment on.
    function _bonds(uint256 start) private view returns (uint256 sum) {
        ICommittee.MemberInfo[] memory members = committee.members();
        for (uint256 i = 0; i < members.length; ++i) {
            ICommittee.MemberInfo memory member = members[i];
            bool serves = member.activeFrom <= start && (member.activeUntil == 0 || start < member.activeUntil);
            if (serves && member.bonded && !member.suspended) sum += committee.bondOf(i);
        }
    }

    /// @dev Of an epoch that was closed it is what it issued.
    function _openCaps() private view returns (uint256 units) {
        for (uint256 place = 0; place < RING; ++place) {
            Issuance storage issuance = _place(place);
            if (issuance.end == 0 || _elapsed(issuance.end) >= KEEP_S) continue;
            units += issuance.isClosed ? Math.min(issuance.issued, issuance.cap) : issuance.cap;
        }
    }

    /// @dev Budgets of epochs whose report is not final.
    function _budgets() private view returns (uint256 sum) {
        IReportOracle oracle = epochs.oracle();
        uint32 next = epochs.nextEpoch();
        for (uint32 epoch = oracle.finalThrough(); epoch < next; ++epoch) {
            (,, uint256 budget,, bool skipped) = epochs.epochInfo(epoch);
            if (!skipped) sum += budget;
        }
    }

    function _start(uint256 epoch) private view returns (uint256) {
        return epochs.epochStart(SafeCast.toUint32(epoch * issuanceEpochs));
    }

    function _checkAttestable(Issuance storage issuance, Attestation calldata attestation) private view {
        if (attestation.root == bytes32(0)) revert EmptyHash();
        uint256 elapsed = _elapsed(issuance.end);
        if (elapsed < CLOSE_S) revert TooEarly(issuance.end + CLOSE_S);
        if (elapsed >= ATTEST_S) revert TooLate(ATTEST_S);
        if (issuance.isAttested) revert AlreadyDone(attestation.epoch);
        if (issuance.isClosed && attestation.logRoot != issuance.logRoot) {
            revert WrongLog(issuance.logRoot, attestation.logRoot);
        }
    }

    /// @dev An entry starts anew; demands of 16 epochs ago were all settled long since, or are void.
    function _clear(Issuance storage issuance) private {
        issuance.isClosed = false;
        issuance.isAttested = false;
        issuance.openDemands = 0;
        issuance.tokens = 0;
        issuance.issued = 0;
        issuance.attested = 0;
        issuance.redeemed = 0;
        issuance.exited = 0;
        issuance.root = bytes32(0);
        issuance.logRoot = bytes32(0);
    }
}
