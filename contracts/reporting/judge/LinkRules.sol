// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportJudge} from "../../../interfaces/IReportJudge.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {Buckets} from "../../libraries/Buckets.sol";
import {Signatures} from "../../libraries/Signatures.sol";
import {Facts} from "./Facts.sol";

/// @title What a link leaf must be
/// @dev Documented in IReportJudge. Rules: docs/spec/disputes.md, QN-DSP-011.
abstract contract LinkRules is Facts {
    /// @dev `side` of the receipt of who sent, and of who received.
    uint8 private constant SENDER = 0;
    uint8 private constant RECEIVER = 1;

    /// @inheritdoc IReportJudge
    function proveBadLink(
        uint256,
        bytes32,
        uint32 epoch,
        IDisputeCourt.LinkLeaf calldata leaf,
        bytes32[] calldata proof,
        IDisputeCourt.LinkReceipt calldata sent,
        bytes calldata sentSignature,
        IDisputeCourt.LinkReceipt calldata received,
        bytes calldata receivedSignature
    ) external view override returns (uint256 refill) {
        (IReportOracle.EpochReport memory r,) = _reportOf(epoch);
        _checkLinkLeaf(r, leaf, proof);
        bool wrong = !_isPossible(r, leaf) || !_isCounted(leaf)
            || _refutes(leaf, SENDER, sent, sentSignature, leaf.sent, leaf.sentProof)
            || _refutes(leaf, RECEIVER, received, receivedSignature, leaf.received, leaf.receivedProof);
        if (!wrong) revert IDisputeCourt.NothingWrong();
        return 0;
    }

    /// @inheritdoc IReportJudge
    function proveDuplicateLink(
        uint256,
        bytes32,
        uint32 epoch,
        IDisputeCourt.LinkLeaf calldata a,
        bytes32[] calldata proofA,
        IDisputeCourt.LinkLeaf calldata b,
        bytes32[] calldata proofB
    ) external view override returns (uint256 refill) {
        (IReportOracle.EpochReport memory r,) = _reportOf(epoch);
        bool differ = _checkLinkLeaf(r, a, proofA) != _checkLinkLeaf(r, b, proofB);
        bool oneTuple = a.slot == b.slot && a.nodeFrom == b.nodeFrom && a.nodeTo == b.nodeTo;
        if (!differ || !oneTuple) revert IDisputeCourt.NothingWrong();
        return 0;
    }

    function _checkLinkLeaf(
        IReportOracle.EpochReport memory r,
        IDisputeCourt.LinkLeaf calldata leaf,
        bytes32[] calldata proof
    ) private view returns (bytes32) {
        bytes32 encoded = keccak256(abi.encode(uint8(IDisputeCourt.LeafKind.Link), block.chainid, oracle, leaf));
        return _checkLeaf(IDisputeCourt.LeafKind.Link, r.evidenceRoot, encoded, proof);
    }

    /// @dev Whether the pair is one that earns: in range, apart, of two owners, of fitting roles, both taking part.
    function _isPossible(IReportOracle.EpochReport memory r, IDisputeCourt.LinkLeaf calldata leaf)
        private
        view
        returns (bool)
    {
        (uint32 from, uint32 to) = (leaf.nodeFrom, leaf.nodeTo);
        if (leaf.epoch != r.epoch || leaf.slot >= _slots()) return false;
        if (from == to || from == 0 || to == 0 || from > r.nodeCount || to > r.nodeCount) return false;
        (address ownerFrom, INodeRegistry.Role roleFrom) = registry.ownerAndRoleOf(from);
        (address ownerTo, INodeRegistry.Role roleTo) = registry.ownerAndRoleOf(to);
        if (ownerFrom == ownerTo || !_earn(roleFrom, roleTo)) return false;
        return _tookPart(from, r.epoch) && _tookPart(to, r.epoch);
    }

    /// @dev Whether a leaf counts what its own counts give.
    function _isCounted(IDisputeCourt.LinkLeaf calldata leaf) private pure returns (bool) {
        return Buckets.isLowest(leaf.sent) && Buckets.isLowest(leaf.received)
            && Buckets.areNeighbours(leaf.sent, leaf.received) && leaf.matched != 0
            && leaf.matched == Math.min(leaf.sent, leaf.received);
    }

    /// @dev Whether the receipt a leaf names for one side says something else than the leaf, or was not signed by who
    /// had to. Without a signature none is shown.
    function _refutes(
        IDisputeCourt.LinkLeaf calldata leaf,
        uint8 side,
        IDisputeCourt.LinkReceipt calldata receipt,
        bytes calldata signature,
        uint64 packets,
        bytes32 named
    ) private view returns (bool) {
        if (signature.length == 0) return false;
        bytes32 digest = Signatures.receiptDigest(oracle.domainSeparator(), receipt);
        if (keccak256(bytes.concat(digest, signature)) != named) {
            revert IDisputeCourt.InvalidProof(IDisputeCourt.LeafKind.Link);
        }
        address key = registry.receiptKeyAt(side == SENDER ? leaf.nodeFrom : leaf.nodeTo, leaf.epoch);
        return receipt.epoch != leaf.epoch || receipt.slot != leaf.slot || receipt.nodeFrom != leaf.nodeFrom
            || receipt.nodeTo != leaf.nodeTo || receipt.side != side || receipt.packets != packets
            || !Signatures.isBy(digest, signature, key);
    }

    /// @dev Entry and relay, or relay and exit (QN-REW-024).
    function _earn(INodeRegistry.Role a, INodeRegistry.Role b) private pure returns (bool) {
        if (a == INodeRegistry.Role.Relay) (a, b) = (b, a);
        return b == INodeRegistry.Role.Relay && (a == INodeRegistry.Role.Entry || a == INodeRegistry.Role.Exit);
    }
}
