// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {ParameterKeys} from "../../libraries/ParameterKeys.sol";
import {Challenges} from "./Challenges.sol";

/// @title Proofs against reports, and the charge of their signers
/// @dev Documented in IDisputeCourt. Whether a proof holds says the judge, who gets the call as it came; what follows
/// is the same for all of them.
abstract contract WrongReports is Challenges {
    bytes32 private constant WRONG_REPORT = keccak256("qnet evidence: wrong report");
    uint256 private constant SIGNATURE_BYTES = 65;
    uint256 private constant MEMBERS_MAX = 256;
    uint256 private constant PPM = 1_000_000;

    /// @inheritdoc IDisputeCourt
    function proveBadLeaf(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        ProvenLeaf calldata,
        ProvenLeaf calldata,
        uint256[] calldata
    ) external override proving(id, salt) {
        _condemn(id, epoch);
    }

    /// @inheritdoc IDisputeCourt
    function proveBadLink(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        LinkLeaf calldata,
        bytes32[] calldata,
        LinkReceipt calldata,
        bytes calldata,
        LinkReceipt calldata,
        bytes calldata
    ) external override proving(id, salt) {
        _condemn(id, epoch);
    }

    /// @inheritdoc IDisputeCourt
    function proveBadMedian(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        AuditLeaf calldata,
        bytes32[] calldata,
        ProvenLeaf calldata,
        ProvenLeaf calldata
    ) external override proving(id, salt) {
        _condemn(id, epoch);
    }

    /// @inheritdoc IDisputeCourt
    function proveDuplicateNode(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        ProvenLeaf calldata,
        ProvenLeaf calldata
    ) external override proving(id, salt) {
        _condemn(id, epoch);
    }

    /// @inheritdoc IDisputeCourt
    function proveDuplicateLink(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        LinkLeaf calldata,
        bytes32[] calldata,
        LinkLeaf calldata,
        bytes32[] calldata
    ) external override proving(id, salt) {
        _condemn(id, epoch);
    }

    /// @inheritdoc IDisputeCourt
    function proveDuplicateAudit(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        AuditLeaf calldata,
        bytes32[] calldata,
        AuditLeaf calldata,
        bytes32[] calldata
    ) external override proving(id, salt) {
        _condemn(id, epoch);
    }

    /// @inheritdoc IDisputeCourt
    function proveRegression(
        uint256 id,
        bytes32 salt,
        uint32 epoch,
        ProvenLeaf calldata,
        ProvenLeaf calldata
    ) external override proving(id, salt) {
        _condemn(id, epoch);
    }

    /// @inheritdoc IDisputeCourt
    function charge(uint32 epoch, bytes32 hash, uint256 bitmap, bytes calldata signatures)
        external
        override
        whenNotPaused
    {
        WrongReport storage wrong = _store().wrong[hash];
        if (wrong.challenger == address(0)) revert NotProvenWrong(hash);
        if (wrong.epoch != epoch) revert UnknownReport(epoch);
        uint256 offset;
        uint256 charged;
        for (uint256 member = 0; member < MEMBERS_MAX; ++member) {
            if ((bitmap >> member) & 1 == 0) continue;
            address signer = committee.signerOf(member);
            if (signatures.length < offset + SIGNATURE_BYTES) revert BadSignature(signer);
            _checkSigned(hash, signatures[offset:offset + SIGNATURE_BYTES], signer);
            offset += SIGNATURE_BYTES;
            if (_chargeMember(wrong, member, hash)) ++charged;
        }
        if (signatures.length != offset) revert BadSignature(address(0));
        if (charged == 0) revert NothingWrong();
        emit SignersCharged(hash, bitmap, charged);
    }

    /// @inheritdoc IDisputeCourt
    function expectedLeaf(
        IReportOracle.NodeLeaf calldata,
        IReportOracle.NodeLeaf calldata,
        uint256[] calldata
    ) external view override returns (IReportOracle.NodeLeaf memory) {
        return abi.decode(_judgement(), (IReportOracle.NodeLeaf));
    }

    /// @inheritdoc IDisputeCourt
    function wrongReportOf(bytes32 hash) external view override returns (address challenger, uint256 refill) {
        WrongReport storage wrong = _store().wrong[hash];
        return (wrong.challenger, wrong.refill);
    }

    /// @dev What the judge answers to this very call; what it reverts with is reverted with.
    function _judgement() internal view returns (bytes memory answer) {
        return Address.functionStaticCall(address(judge), msg.data);
    }

    /// @dev If the latest report of an epoch is wrong, remember who proved it, and disable the report unless it is
    /// final or disabled. Only a final report can have made the vault lose something: what the worst of its proofs
    /// shows, so that nobody hides a large loss behind a small one.
    function _condemn(uint256 id, uint32 epoch) private {
        uint256 refill = abi.decode(_judgement(), (uint256));
        (bytes32 hash, IReportOracle.Status status) = _freshReport(epoch);
        WrongReport storage wrong = _store().wrong[hash];
        bool moot = wrong.challenger != address(0);
        if (status != IReportOracle.Status.Final) refill = 0;
        if (moot && refill > wrong.refill) {
            wrong.uncharged += refill - wrong.refill;
            wrong.refill = refill;
        } else if (!moot) {
            _store().wrong[hash] = WrongReport(msg.sender, epoch, refill, refill);
            bool live = status == IReportOracle.Status.Submitted;
            emit ReportProvenWrong(epoch, hash, msg.sender, live);
            if (live) oracle.disable(epoch);
        }
        _conclude(id, hash, moot);
    }

    /// @dev Queue the slash of one signer, unless that was done. The first bonds that can carry the loss refill it, so
    /// that it is not refilled twice; not one that another slash may take before.
    function _chargeMember(WrongReport storage wrong, uint256 member, bytes32 hash) private returns (bool) {
        bytes32 evidence = keccak256(abi.encode(WRONG_REPORT, member, hash));
        if (slasher.isUsed(evidence)) return false;
        uint256 bond = slasher.accusationsOf(member) == 0 ? committee.bondOf(member) : 0;
        uint256 carried = bond - Math.mulDiv(bond, parameters.get(ParameterKeys.CHALLENGER_PPM), PPM);
        uint256 refill = Math.min(wrong.uncharged, carried);
        wrong.uncharged -= refill;
        slasher.queueMember(member, wrong.epoch, refill, wrong.challenger, evidence);
        return true;
    }
}
