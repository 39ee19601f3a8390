// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {Gas} from "./Gas.sol";

contract DisputesGas is Gas {
    /// @dev The epoch whose report is wrong.
    uint32 private constant WRONG = 2;
    uint64 private constant PACKETS = 1 << 20;

    address private challenger;
    IReportOracle.EpochReport private wrong;

    function setUp() public override {
        super.setUp();
        challenger = _person("challenger", 100_000 * QNET);
        vm.prank(challenger);
        court.open("a challenge before");
        vm.warp(GENESIS + 1 hours);
        vm.prank(delegator);
        hub.delegate(1, 1_000 * QNET, 1);
        for (uint32 epoch = 0; epoch < WRONG; ++epoch) {
            _reportEpoch(epoch);
        }
        _passEpoch(WRONG);
        _makeLeaves(WRONG);
    }

    function test_OpenAndExpire() public {
        vm.prank(challenger);
        uint256 id = court.open("a challenge");
        _measured("open");
        vm.warp(block.timestamp + 3 * DAY);
        vm.prank(anyone);
        court.expire(id);
        _measured("expire");
    }

    function test_Receipts() public {
        IDisputeCourt.LinkReceipt memory a = IDisputeCourt.LinkReceipt(WRONG, 3, 1, 2, 0, PACKETS, "root");
        IDisputeCourt.LinkReceipt memory b = IDisputeCourt.LinkReceipt(WRONG, 3, 1, 2, 0, 2 * PACKETS, "root");
        (, bytes memory signatureA) = _signedReceipt(a);
        (, bytes memory signatureB) = _signedReceipt(b);
        _show("proveReceipts", abi.encodeCall(court.proveReceipts, (0, _salt(), a, signatureA, b, signatureB)));
        vm.warp(block.timestamp + 8 * DAY);
        vm.prank(anyone);
        slasher.execute(1);
        _measured("execute a node's slash");
    }

    function test_Reports() public {
        IReportOracle.EpochReport memory a = _report(WRONG);
        IReportOracle.EpochReport memory b = _report(WRONG);
        b.dataHash = "other data";
        bytes memory signatureA = _sign(memberKeys[0], oracle.reportDigest(a));
        bytes memory signatureB = _sign(memberKeys[0], oracle.reportDigest(b));
        _show("proveReports", abi.encodeCall(court.proveReports, (0, _salt(), 0, a, signatureA, b, signatureB)));
        vm.warp(block.timestamp + 8 * DAY);
        vm.prank(anyone);
        slasher.execute(1);
        _measured("execute a member's slash");
    }

    function test_Consensuses() public {
        uint64 hour = uint64(block.timestamp);
        bytes memory signatureA = _sign(memberKeys[0], committee.consensusDigest(hour, "a"));
        bytes memory signatureB = _sign(memberKeys[0], committee.consensusDigest(hour, "b"));
        _show(
            "proveConsensuses",
            abi.encodeCall(court.proveConsensuses, (0, _salt(), 0, hour, "a", signatureA, "b", signatureB))
        );
    }

    function test_BadLeafAndCharge() public {
        leavesOf[WRONG][0].reward += 1;
        _submitWrong(_report(WRONG));
        _show(
            "proveBadLeaf",
            abi.encodeCall(
                court.proveBadLeaf,
                (0, _salt(), WRONG, _proven(WRONG, 1), _proven(WRONG - 1, 1), parameters.values())
            )
        );
        bytes32 hash = oracle.reportDigest(wrong);
        (uint256 bitmap, bytes memory signatures) = _quorum(hash, committee.quorum());
        vm.prank(anyone);
        court.charge(WRONG, hash, bitmap, signatures);
        _measured("charge 11 signers");
    }

    function test_BadLink() public {
        IDisputeCourt.LinkReceipt memory sent = IDisputeCourt.LinkReceipt(WRONG, 3, 1, 2, 0, PACKETS, "root");
        IDisputeCourt.LinkReceipt memory received = IDisputeCourt.LinkReceipt(WRONG, 3, 1, 2, 1, PACKETS / 2, "root");
        (bytes32 sentDigest, bytes memory sentSignature) = _signedReceipt(sent);
        (bytes32 receivedDigest, bytes memory receivedSignature) = _signedReceipt(received);
        IDisputeCourt.LinkLeaf memory leaf = _link(3);
        leaf.sentProof = keccak256(bytes.concat(sentDigest, sentSignature));
        leaf.receivedProof = keccak256(bytes.concat(receivedDigest, receivedSignature));
        bytes32[] memory hashes = new bytes32[](2);
        (hashes[0], hashes[1]) = (_linkHash(leaf), _linkHash(_link(4)));
        IReportOracle.EpochReport memory r = _report(WRONG);
        r.evidenceRoot = _root(hashes);
        _submitWrong(r);
        _show(
            "proveBadLink",
            abi.encodeCall(
                court.proveBadLink,
                (
                    0,
                    _salt(),
                    WRONG,
                    leaf,
                    _proof(hashes, hashes[0]),
                    sent,
                    sentSignature,
                    received,
                    receivedSignature
                )
            )
        );
    }

    function test_DuplicateLink() public {
        bytes32[] memory hashes = new bytes32[](2);
        IDisputeCourt.LinkLeaf memory a = _link(3);
        IDisputeCourt.LinkLeaf memory b = _link(3);
        b.sentProof = "another";
        (hashes[0], hashes[1]) = (_linkHash(a), _linkHash(b));
        IReportOracle.EpochReport memory r = _report(WRONG);
        r.evidenceRoot = _root(hashes);
        _submitWrong(r);
        _show(
            "proveDuplicateLink",
            abi.encodeCall(
                court.proveDuplicateLink,
                (0, _salt(), WRONG, a, _proof(hashes, hashes[0]), b, _proof(hashes, hashes[1]))
            )
        );
    }

    function test_BadMedian() public {
        bytes32[] memory hashes = new bytes32[](2);
        IDisputeCourt.AuditLeaf memory audit = _audit(3, 90);
        (hashes[0], hashes[1]) = (_auditHash(audit), _auditHash(_audit(4, 90)));
        IReportOracle.EpochReport memory r = _report(WRONG);
        r.auditRoot = _root(hashes);
        _submitWrong(r);
        _show(
            "proveBadMedian",
            abi.encodeCall(
                court.proveBadMedian,
                (0, _salt(), WRONG, audit, _proof(hashes, hashes[0]), _proven(WRONG, 1), _nothing())
            )
        );
    }

    function test_DuplicateAudit() public {
        bytes32[] memory hashes = new bytes32[](2);
        IDisputeCourt.AuditLeaf memory a = _audit(3, 90);
        IDisputeCourt.AuditLeaf memory b = _audit(3, 91);
        (hashes[0], hashes[1]) = (_auditHash(a), _auditHash(b));
        IReportOracle.EpochReport memory r = _report(WRONG);
        r.auditRoot = _root(hashes);
        _submitWrong(r);
        _show(
            "proveDuplicateAudit",
            abi.encodeCall(
                court.proveDuplicateAudit,
                (0, _salt(), WRONG, a, _proof(hashes, hashes[0]), b, _proof(hashes, hashes[1]))
            )
        );
    }

    function test_DuplicateNode() public {
        leavesOf[WRONG][1] = leavesOf[WRONG][0];
        leavesOf[WRONG][1].cumPool += 1;
        _submitWrong(_report(WRONG));
        _show(
            "proveDuplicateNode",
            abi.encodeCall(court.proveDuplicateNode, (0, _salt(), WRONG, _proven(WRONG, 1), _proven(WRONG, 2)))
        );
    }

    function test_Regression() public {
        leavesOf[WRONG][0].cumOperator = 0;
        _submitWrong(_report(WRONG));
        _show(
            "proveRegression",
            abi.encodeCall(court.proveRegression, (0, _salt(), WRONG, _proven(WRONG, 1), _proven(WRONG - 1, 1)))
        );
    }

    function test_Demands() public {
        _submitWrong(_report(WRONG));
        for (uint32 node = 1; node <= 3; ++node) {
            vm.prank(challenger);
            oracle.demandLeaf(WRONG, node);
            _measured("demandLeaf");
        }
        for (uint32 node = 1; node <= 2; ++node) {
            IReportOracle.NodeLeaf memory leaf = _leaf(WRONG, node);
            bytes32[] memory proof = _proofOf(WRONG, node);
            vm.prank(operators[2]);
            oracle.answerLeaf(leaf, proof);
            _measured("answerLeaf");
        }
        vm.warp(block.timestamp + DAY + 1);
        vm.prank(anyone);
        oracle.expireDemand(WRONG, 3);
        _measured("expireDemand");
    }

    function test_Jail() public {
        IDisputeCourt.ProvenLeaf[5] memory leaves;
        for (uint32 i = 0; i < 5; ++i) {
            uint32 epoch = WRONG + i;
            if (i > 0) _passEpoch(epoch);
            _makeLeaves(epoch);
            leavesOf[epoch][0] = _honestLeaf(epoch, 1, _slots(400), uint32(ONE));
            _submit(_report(epoch));
            leaves[i] = _proven(epoch, 1);
        }
        for (uint32 epoch = 0; epoch < WRONG + 5; ++epoch) {
            _finalize(epoch);
        }
        vm.prank(anyone);
        court.jail(leaves);
        _measured("jail");
    }

    function _submitWrong(IReportOracle.EpochReport memory r) private {
        wrong = r;
        _submit(r);
    }

    /// @dev Commit to a call and make it.
    function _show(string memory name, bytes memory call) private {
        _openFor(challenger, call);
        _callCourt(challenger, call);
        _measured(name);
    }

    function _link(uint16 slot) private pure returns (IDisputeCourt.LinkLeaf memory leaf) {
        (leaf.epoch, leaf.slot, leaf.nodeFrom, leaf.nodeTo) = (WRONG, slot, 1, 2);
        (leaf.sent, leaf.received, leaf.matched) = (PACKETS, PACKETS, PACKETS);
    }

    /// @dev The results of nine auditors, each of a hundred probes.
    function _audit(uint16 slot, uint32 returned) private pure returns (IDisputeCourt.AuditLeaf memory leaf) {
        (leaf.epoch, leaf.slot, leaf.target) = (WRONG, slot, 1);
        leaf.auditors = new uint32[](9);
        leaf.sent = new uint32[](9);
        leaf.returned = new uint32[](9);
        for (uint32 i = 0; i < 9; ++i) {
            (leaf.auditors[i], leaf.sent[i], leaf.returned[i]) = (i, 100, returned);
        }
    }
}
