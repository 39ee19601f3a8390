// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {ParameterKeys} from "../../libraries/ParameterKeys.sol";
import {Signatures} from "../../libraries/Signatures.sol";
import {Challenges} from "./Challenges.sol";

/// @title Proofs that somebody signed two contrary statements
/// @dev Documented in IDisputeCourt. What is compared are the statements, never the signatures: one statement can have
/// many. Evidence is named by what was stated twice, so a third statement about it is no new evidence.
abstract contract Equivocations is Challenges {
    /// @dev `side` of the receipt of who received; that of who sent is 0.
    uint8 private constant RECEIVER = 1;
    bytes32 private constant REPORTS = keccak256("qnet evidence: reports");
    bytes32 private constant CONSENSUSES = keccak256("qnet evidence: consensuses");
    bytes32 private constant RECEIPTS = keccak256("qnet evidence: receipts");

    /// @inheritdoc IDisputeCourt
    function proveReceipts(
        uint256 id,
        bytes32 salt,
        LinkReceipt calldata a,
        bytes calldata signatureA,
        LinkReceipt calldata b,
        bytes calldata signatureB
    ) external override proving(id, salt) {
        _checkMeant(a);
        bytes32 evidence = _tupleOf(a);
        if (evidence != _tupleOf(b) || a.side > RECEIVER) revert NoContradiction();
        bytes32 domain = oracle.domainSeparator();
        bytes32 digestA = Signatures.receiptDigest(domain, a);
        bytes32 digestB = Signatures.receiptDigest(domain, b);
        if (digestA == digestB) revert NoContradiction();
        _checkFresh(epochs.epochEnd(a.epoch));
        uint32 node = _signerOf(a);
        address key = registry.receiptKeyAt(node, a.epoch);
        _checkSigned(digestA, signatureA, key);
        _checkSigned(digestB, signatureB, key);

        bool moot = slasher.isUsed(evidence);
        if (!moot) {
            uint32 ppm = uint32(parameters.get(ParameterKeys.SLASH_RECEIPTS_PPM));
            slasher.queueNode(node, a.epoch, ppm, msg.sender, evidence);
        }
        _conclude(id, evidence, moot);
    }

    /// @inheritdoc IDisputeCourt
    function proveReports(
        uint256 id,
        bytes32 salt,
        uint256 member,
        IReportOracle.EpochReport calldata a,
        bytes calldata signatureA,
        IReportOracle.EpochReport calldata b,
        bytes calldata signatureB
    ) external override proving(id, salt) {
        (bytes32 digestA, bytes32 digestB) = (oracle.reportDigest(a), oracle.reportDigest(b));
        if (a.epoch != b.epoch || a.attempt != b.attempt || digestA == digestB) revert NoContradiction();
        _freshReport(a.epoch);
        address signer = committee.signerOf(member);
        _checkSigned(digestA, signatureA, signer);
        _checkSigned(digestB, signatureB, signer);
        _accuse(id, member, a.epoch, keccak256(abi.encode(REPORTS, member, a.epoch, a.attempt)));
    }

    /// @inheritdoc IDisputeCourt
    function proveConsensuses(
        uint256 id,
        bytes32 salt,
        uint256 member,
        uint64 validAfter,
        bytes32 hashA,
        bytes calldata signatureA,
        bytes32 hashB,
        bytes calldata signatureB
    ) external override proving(id, salt) {
        if (hashA == hashB) revert NoContradiction();
        _checkFresh(validAfter);
        address signer = committee.signerOf(member);
        _checkSigned(committee.consensusDigest(validAfter, hashA), signatureA, signer);
        _checkSigned(committee.consensusDigest(validAfter, hashB), signatureB, signer);
        _accuse(id, member, _epochOf(validAfter), keccak256(abi.encode(CONSENSUSES, member, validAfter)));
    }

    /// @dev Receipts count only for what can happen: of two nodes, in a slot of an epoch that began, signed by one that was
    /// Active in it. Whoever holds a key can sign any number of others, and each of them would hold up the tickets of
    /// all who ever delegated to the node, or strike them when the operator's own bond is gone.
    function _checkMeant(LinkReceipt calldata r) private view {
        bool began = r.epoch <= epochs.currentEpoch() && r.slot < epochs.slotsPerEpoch();
        uint32 last = registry.count();
        bool link = r.nodeFrom != r.nodeTo && _isOneOf(r.nodeFrom, last) && _isOneOf(r.nodeTo, last);
        if (!began || !link) revert ImpossibleReceipt(r.epoch, r.slot);
        (INodeRegistry.State state,) = registry.statusAt(_signerOf(r), r.epoch);
        if (state != INodeRegistry.State.Active) revert NotActiveThen(_signerOf(r), r.epoch);
    }

    function _isOneOf(uint32 node, uint32 last) private pure returns (bool) {
        return node != 0 && node <= last;
    }

    function _signerOf(LinkReceipt calldata r) private pure returns (uint32) {
        return r.side == RECEIVER ? r.nodeTo : r.nodeFrom;
    }

    function _accuse(uint256 id, uint256 member, uint32 epoch, bytes32 evidence) private {
        bool moot = slasher.isUsed(evidence);
        if (!moot) slasher.queueMember(member, epoch, 0, msg.sender, evidence);
        _conclude(id, evidence, moot);
    }

    /// @dev Epoch of a moment: the first one for all before it, the greatest number for those beyond all epochs.
    function _epochOf(uint64 moment) private view returns (uint32) {
        uint256 passed = Math.saturatingSub(moment, epochs.genesis());
        uint256 epoch = passed / (uint256(epochs.slotSeconds()) * epochs.slotsPerEpoch());
        return uint32(Math.min(epoch, type(uint32).max));
    }

    function _tupleOf(LinkReceipt calldata r) private pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPTS, r.epoch, r.slot, r.nodeFrom, r.nodeTo, r.side));
    }
}
