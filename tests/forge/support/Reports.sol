// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {World} from "./World.sol";

/// @title A world in which epochs are reported, and reports are challenged
/// @dev Trees are those of OpenZeppelin's merkle-tree package. Leaves are honest unless a test changes them: the court
/// itself says what follows from P and W.
abstract contract Reports is World {
    uint256 internal constant ONE = 1_000_000;
    /// @dev 24 slots of P = 1.
    uint256 internal constant PERFECT = ((1 << 240) - 1) / 1023 * 1000;

    bytes32 private constant RECEIPT = keccak256(
        "LinkReceipt(uint32 epoch,uint16 slot,uint32 nodeFrom,uint32 nodeTo,uint8 side,uint64 packets,bytes32 sampleRoot)"
    );

    /// @dev Leaves of each epoch's latest report by this world, in the order of nodes.
    mapping(uint32 epoch => IReportOracle.NodeLeaf[]) internal leavesOf;
    /// @dev Levels put on top of every tree, as if the network were larger.
    uint256 internal padding;
    uint256 private _salts;

    // leaves

    /// @dev All slots of an epoch with one P, in thousandths.
    function _slots(uint256 permille) internal pure returns (uint256 packed) {
        for (uint256 slot = 0; slot < 24; ++slot) {
            packed |= permille << (10 * slot);
        }
    }

    /// @dev The leaf that follows for a node with some P and W in an epoch, after the leaf of its report before.
    function _honestLeaf(uint32 epoch, uint32 node, uint256 slotP, uint32 w)
        internal
        view
        returns (IReportOracle.NodeLeaf memory claimed)
    {
        (claimed.epoch, claimed.node, claimed.slotP, claimed.w) = (epoch, node, slotP, w);
        return court.expectedLeaf(claimed, _leafBefore(epoch, node), parameters.values());
    }

    /// @dev The node's leaf in the report before that of an epoch; an empty one if there is none.
    function _leafBefore(uint32 epoch, uint32 node) internal view returns (IReportOracle.NodeLeaf memory leaf) {
        for (uint256 before = epoch; before > 0; --before) {
            IReportOracle.NodeLeaf[] storage leaves = leavesOf[uint32(before - 1)];
            if (leaves.length > 0) return node <= leaves.length ? leaves[node - 1] : leaf;
        }
    }

    /// @dev Honest leaves of all nodes of an epoch, each with P = W = 1, kept as the epoch's.
    function _makeLeaves(uint32 epoch) internal {
        delete leavesOf[epoch];
        // stake at the end is known only after it
        if (block.timestamp <= epochs.epochEnd(epoch)) vm.warp(epochs.epochEnd(epoch) + 1);
        uint32 count = epochs.nodeCountOf(epoch);
        for (uint32 node = 1; node <= count; ++node) {
            leavesOf[epoch].push(_honestLeaf(epoch, node, PERFECT, uint32(ONE)));
        }
    }

    function _leaf(uint32 epoch, uint32 node) internal view returns (IReportOracle.NodeLeaf memory) {
        return leavesOf[epoch][node - 1];
    }

    /// @dev A leaf of the epoch's report with its proof.
    function _proven(uint32 epoch, uint32 node) internal view returns (IDisputeCourt.ProvenLeaf memory) {
        return IDisputeCourt.ProvenLeaf(leavesOf[epoch][node - 1], _proofOf(epoch, node));
    }

    function _nothing() internal pure returns (IDisputeCourt.ProvenLeaf memory empty) {}

    // trees

    function _hashes(uint32 epoch) internal view returns (bytes32[] memory hashes) {
        IReportOracle.NodeLeaf[] storage leaves = leavesOf[epoch];
        hashes = new bytes32[](leaves.length);
        for (uint256 i = 0; i < hashes.length; ++i) {
            hashes[i] = oracle.leafHash(leaves[i]);
        }
    }

    function _proofOf(uint32 epoch, uint32 node) internal view returns (bytes32[] memory) {
        bytes32[] memory hashes = _hashes(epoch);
        return _proof(hashes, hashes[node - 1]);
    }

    function _linkHash(IDisputeCourt.LinkLeaf memory leaf) internal view returns (bytes32) {
        return _twice(abi.encode(IDisputeCourt.LeafKind.Link, block.chainid, address(oracle), leaf));
    }

    function _auditHash(IDisputeCourt.AuditLeaf memory leaf) internal view returns (bytes32) {
        return _twice(abi.encode(IDisputeCourt.LeafKind.Audit, block.chainid, address(oracle), leaf));
    }

    function _twice(bytes memory data) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(data)));
    }

    function _root(bytes32[] memory hashes) internal view returns (bytes32 root) {
        if (hashes.length == 0) return bytes32(0);
        root = _tree(hashes)[0];
        for (uint256 level = 0; level < padding; ++level) {
            root = _pair(root, _sibling(level));
        }
    }

    function _proof(bytes32[] memory hashes, bytes32 leaf) internal view returns (bytes32[] memory proof) {
        bytes32[] memory tree = _tree(hashes);
        uint256 place = tree.length;
        while (tree[--place] != leaf) {}
        proof = new bytes32[](256);
        uint256 length;
        while (place > 0) {
            proof[length++] = tree[place % 2 == 0 ? place - 1 : place + 1];
            place = (place - 1) / 2;
        }
        for (uint256 level = 0; level < padding; ++level) {
            proof[length++] = _sibling(level);
        }
        assembly ("memory-safe") {
            mstore(proof, length)
        }
    }

    function _sibling(uint256 level) private pure returns (bytes32) {
        return keccak256(abi.encode("sibling", level));
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    /// @dev Leaves sorted, filled in from the end; the root comes first.
    function _tree(bytes32[] memory hashes) private pure returns (bytes32[] memory tree) {
        bytes32[] memory sorted = new bytes32[](hashes.length);
        for (uint256 i = 0; i < hashes.length; ++i) {
            uint256 place = i;
            for (; place > 0 && sorted[place - 1] > hashes[i]; --place) {
                sorted[place] = sorted[place - 1];
            }
            sorted[place] = hashes[i];
        }
        tree = new bytes32[](2 * sorted.length - 1);
        for (uint256 i = 0; i < sorted.length; ++i) {
            tree[tree.length - 1 - i] = sorted[i];
        }
        for (uint256 i = sorted.length - 1; i > 0; --i) {
            tree[i - 1] = _pair(tree[2 * i - 1], tree[2 * i]);
        }
    }

    // reports

    /// @dev The report of an epoch with the leaves kept as its own.
    function _report(uint32 epoch) internal view returns (IReportOracle.EpochReport memory r) {
        (bytes32 paramsHash,,,) = epochs.reportTerms(epoch);
        r.epoch = epoch;
        r.attempt = oracle.attemptOf(epoch);
        r.paramsHash = paramsHash;
        r.nodesRoot = _root(_hashes(epoch));
        r.nodeCount = epochs.nodeCountOf(epoch);
        r.dataHash = keccak256("data");
        r.prevReportHash = oracle.lastReportHash();
        for (uint256 i = 0; i < leavesOf[epoch].length; ++i) {
            r.totalReward += uint128(leavesOf[epoch][i].reward);
        }
    }

    /// @dev Submit a report with the signatures of a quorum.
    function _submit(IReportOracle.EpochReport memory r) internal {
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), committee.quorum());
        oracle.submit(r, bitmap, signatures);
    }

    /// @dev Let an epoch pass and report it honestly, every node at P = W = 1.
    function _reportEpoch(uint32 epoch) internal {
        _passEpoch(epoch);
        _makeLeaves(epoch);
        _submit(_report(epoch));
    }

    /// @dev Wait until the report of an epoch can become final, and let it.
    function _finalize(uint32 epoch) internal {
        if (block.timestamp < oracle.windowEnd(epoch)) vm.warp(oracle.windowEnd(epoch));
        oracle.finalize(epoch);
    }

    function _settle(uint32 epoch, uint32 node) internal {
        hub.settleNode(_leaf(epoch, node), _proofOf(epoch, node));
    }

    // receipts

    /// @dev A receipt with its signature by a node's present key.
    function _signedReceipt(IDisputeCourt.LinkReceipt memory receipt)
        internal
        view
        returns (bytes32 digest, bytes memory signature)
    {
        bytes32 structHash = keccak256(abi.encode(RECEIPT, receipt));
        digest = keccak256(bytes.concat(hex"1901", oracle.domainSeparator(), structHash));
        signature = _sign(receiptKeys[receipt.side == 0 ? receipt.nodeFrom : receipt.nodeTo], digest);
    }

    // challenges

    /// @dev What a challenger commits to before it makes this call to the court (its id is of no matter).
    function _commitment(address challenger, bytes memory data) internal pure returns (bytes32) {
        bytes32 salt;
        bytes32 arguments;
        bytes4 selector = bytes4(data);
        assembly ("memory-safe") {
            salt := mload(add(data, 68))
            arguments := keccak256(add(data, 100), sub(mload(data), 68))
        }
        return keccak256(abi.encode(challenger, salt, selector, arguments));
    }

    /// @dev A salt never used before.
    function _salt() internal returns (bytes32) {
        return bytes32(++_salts);
    }

    /// @dev Commit to a call to the court, and make it ready for the next second: the number of the challenge is put in.
    function _openFor(address challenger, bytes memory data) internal returns (uint256 id) {
        vm.prank(challenger);
        id = court.open(_commitment(challenger, data));
        assembly ("memory-safe") {
            mstore(add(data, 36), id)
        }
        vm.warp(block.timestamp + 1);
    }

    /// @dev Commit to a proof and bring it; reverts as the court does. `data` is the call with any id.
    function _prove(address challenger, bytes memory data) internal returns (uint256 id) {
        id = _openFor(challenger, data);
        _callCourt(challenger, data);
    }

    function _callCourt(address challenger, bytes memory data) internal {
        vm.prank(challenger);
        (bool done, bytes memory answer) = address(court).call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }
}
