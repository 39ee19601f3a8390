// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportJudge} from "../../../interfaces/IReportJudge.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {RewardFormula} from "../../libraries/RewardFormula.sol";
import {Facts} from "./Facts.sol";

/// @title What an audit leaf must be, and the P that follows from it
/// @dev Documented in IReportJudge. Rules: docs/spec/disputes.md, QN-DSP-012.
abstract contract AuditRules is Facts {
    /// @dev Members are numbered below this, so a longer list names one that does not exist.
    uint256 private constant AUDITORS_MAX = 256;

    /// @inheritdoc IReportJudge
    function proveBadMedian(
        uint256,
        bytes32,
        uint32 epoch,
        IDisputeCourt.AuditLeaf calldata audit,
        bytes32[] calldata proof,
        IDisputeCourt.ProvenLeaf calldata current,
        IDisputeCourt.ProvenLeaf calldata previous
    ) external view override returns (uint256 refill) {
        (IReportOracle.EpochReport memory r,) = _reportOf(epoch);
        _checkAuditLeaf(r, audit, proof);
        if (_isPossible(r, audit) && _areResults(audit)) {
            _checkNodeLeaf(r.nodesRoot, current);
            if (current.leaf.node != audit.target) revert IDisputeCourt.InvalidProof(IDisputeCourt.LeafKind.Node);
            if (!_tookPart(audit.target, epoch)) revert IDisputeCourt.NothingWrong();
            uint256 p = RewardFormula.slotAt(current.leaf.slotP, audit.slot);
            if (p == _performance(r, audit, current.leaf.slotP, previous)) revert IDisputeCourt.NothingWrong();
        }
        return 0;
    }

    /// @inheritdoc IReportJudge
    function proveDuplicateAudit(
        uint256,
        bytes32,
        uint32 epoch,
        IDisputeCourt.AuditLeaf calldata a,
        bytes32[] calldata proofA,
        IDisputeCourt.AuditLeaf calldata b,
        bytes32[] calldata proofB
    ) external view override returns (uint256 refill) {
        (IReportOracle.EpochReport memory r,) = _reportOf(epoch);
        bool differ = _checkAuditLeaf(r, a, proofA) != _checkAuditLeaf(r, b, proofB);
        if (!differ || a.slot != b.slot || a.target != b.target) revert IDisputeCourt.NothingWrong();
        return 0;
    }

    function _checkAuditLeaf(
        IReportOracle.EpochReport memory r,
        IDisputeCourt.AuditLeaf calldata leaf,
        bytes32[] calldata proof
    ) private view returns (bytes32) {
        bytes32 encoded = keccak256(abi.encode(uint8(IDisputeCourt.LeafKind.Audit), block.chainid, oracle, leaf));
        return _checkLeaf(IDisputeCourt.LeafKind.Audit, r.auditRoot, encoded, proof);
    }

    function _isPossible(IReportOracle.EpochReport memory r, IDisputeCourt.AuditLeaf calldata leaf)
        private
        view
        returns (bool)
    {
        return leaf.epoch == r.epoch && leaf.slot < _slots() && leaf.target != 0
            && leaf.target <= r.nodeCount;
    }

    /// @dev Whether the lists are results of members in ascending order.
    function _areResults(IDisputeCourt.AuditLeaf calldata leaf) private pure returns (bool) {
        uint256 length = leaf.auditors.length;
        if (length == 0 || length > AUDITORS_MAX) return false;
        if (leaf.sent.length != length || leaf.returned.length != length) return false;
        for (uint256 i = 0; i < length; ++i) {
            if (i != 0 && leaf.auditors[i] <= leaf.auditors[i - 1]) return false;
            if (leaf.sent[i] == 0 || leaf.returned[i] > leaf.sent[i]) return false;
        }
        return true;
    }

    /// @dev P of the slot that follows from the results (QN-REW-044).
    function _performance(
        IReportOracle.EpochReport memory r,
        IDisputeCourt.AuditLeaf calldata audit,
        uint256 slotP,
        IDisputeCourt.ProvenLeaf calldata previous
    ) private view returns (uint256) {
        if (audit.auditors.length >= RewardFormula.RESULTS_MIN) {
            return RewardFormula.medianOf(audit.sent, audit.returned);
        }
        uint256 before = RewardFormula.P_CARRY;
        if (audit.slot != 0) {
            before = RewardFormula.slotAt(slotP, audit.slot - 1);
        } else {
            (bool found, uint32 previousEpoch) = _checkPrevious(r, audit.target, previous);
            if (found && _tookPart(audit.target, previousEpoch)) {
                before = RewardFormula.slotAt(previous.leaf.slotP, _slots() - 1);
            }
        }
        return Math.min(before, RewardFormula.P_CARRY);
    }
}
