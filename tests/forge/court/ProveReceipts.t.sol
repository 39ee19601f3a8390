// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {CourtTest} from "./CourtTest.sol";

contract ProveReceiptsTest is CourtTest {
    IDisputeCourt.LinkReceipt private _a;
    IDisputeCourt.LinkReceipt private _b;

    function setUp() public override {
        super.setUp();
        _a = IDisputeCourt.LinkReceipt(EPOCH, 3, ENTRY, RELAY, 0, 64, keccak256("sample"));
        _b = _a;
        _b.packets = 68;
    }

    function _proof() private returns (bytes memory) {
        (, bytes memory a) = _signedReceipt(_a);
        (, bytes memory b) = _signedReceipt(_b);
        return _proof(a, b);
    }

    function _proof(bytes memory a, bytes memory b) private returns (bytes memory) {
        return abi.encodeCall(court.proveReceipts, (0, _salt(), _a, a, _b, b));
    }

    function _digest(IDisputeCourt.LinkReceipt memory receipt) private view returns (bytes32 digest) {
        (digest,) = _signedReceipt(receipt);
    }

    function _evidence() private view returns (bytes32) {
        bytes32 tag = keccak256("qnet evidence: receipts");
        return keccak256(abi.encode(tag, _a.epoch, _a.slot, _a.nodeFrom, _a.nodeTo, _a.side));
    }

    function test_TwoCountsForOneTuple() external {
        uint256 before = token.balanceOf(carol);
        bytes memory data = _proof();
        uint256 id = _openFor(carol, data);
        vm.expectEmit(address(court));
        emit IDisputeCourt.ChallengeProven(id, carol, _evidence(), false);
        _callCourt(carol, data);
        vm.assertEq(token.balanceOf(carol), before);
        ISlasher.Slash memory slash = _lastSlash();
        vm.assertFalse(slash.isMember);
        vm.assertEq(slash.subject, ENTRY);
        vm.assertEq(slash.epoch, EPOCH);
        vm.assertEq(slash.ppm, 50_000);
        vm.assertEq(slash.challenger, carol);
        vm.assertEq(slash.evidence, _evidence());
        vm.assertEq(uint256(registry.stateOf(ENTRY)), uint256(INodeRegistry.State.Jailed));
    }

    function test_TwoSamplesForOneTuple() external {
        _b = _a;
        _b.sampleRoot = keccak256("other");
        _prove(carol, _proof());
        vm.assertEq(_lastSlash().subject, ENTRY);
    }

    function test_TheReceiverAnswersForItsSide() external {
        (_a.side, _b.side) = (1, 1);
        _prove(carol, _proof());
        vm.assertEq(_lastSlash().subject, RELAY);
    }

    function test_AThirdReceiptIsMoot() external {
        _prove(carol, _proof());
        _b.packets = 72;
        _isMoot(_proof(), _evidence());
    }

    function test_AnotherTupleIsAnotherOffence() external {
        _prove(carol, _proof());
        (_a.slot, _b.slot) = (4, 4);
        _prove(carol, _proof());
        vm.assertEq(slasher.count(), 2);
    }

    /// @dev A receipt can be signed twice without being stated twice.
    function test_OneReceiptSignedTwiceIsNoContradiction() external {
        _b = _a;
        _fails(_proof(), IDisputeCourt.NoContradiction.selector);
    }

    function test_DifferentTuplesAreNoContradiction() external {
        IDisputeCourt.LinkReceipt memory honest = _b;
        for (uint256 i = 0; i < 5; ++i) {
            _b = honest;
            if (i == 0) _b.epoch = 0;
            if (i == 1) _b.slot = 2;
            if (i == 2) _b.nodeFrom = OWN_RELAY;
            if (i == 3) _b.nodeTo = EXIT;
            if (i == 4) _b.side = 1;
            _fails(_proof(), IDisputeCourt.NoContradiction.selector);
        }
        (_a.side, _b) = (2, honest);
        _b.side = 2;
        _fails(_proof(), IDisputeCourt.NoContradiction.selector);
    }

    function test_BothMustBeSignedByTheSigner() external {
        (, bytes memory a) = _signedReceipt(_a);
        (, bytes memory b) = _signedReceipt(_b);
        address key = registry.receiptKeyAt(ENTRY, EPOCH);
        bytes memory error = abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, key);
        bytes memory foreign = _sign(receiptKeys[RELAY], _digest(_b));
        _fails(_proof(a, foreign), error);
        _fails(_proof(_sign(receiptKeys[RELAY], _digest(_a)), b), error);
        _fails(_proof(a, a), error);
        _fails(_proof(a, ""), error);
        _fails(_proof(a, bytes.concat(b, hex"00")), error);
    }

    /// @dev The mirrored signature (r, n - s) recovers to the same key, but honest software refuses it.
    function test_MalleableSignaturesAreRefused() external {
        (, bytes memory a) = _signedReceipt(_a);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(receiptKeys[ENTRY], _digest(_b));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes memory mirrored = abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
        address key = registry.receiptKeyAt(ENTRY, EPOCH);
        _fails(_proof(a, mirrored), abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, key));
    }

    function test_ANodeThatDoesNotExistSignsNothing() external {
        IDisputeCourt.LinkReceipt memory honest = _a;
        for (uint256 i = 0; i < 5; ++i) {
            _a = honest;
            if (i == 0) _a.nodeFrom = 99;
            if (i == 1) _a.nodeFrom = 0;
            if (i == 2) _a.nodeTo = IDLE + 1;
            if (i == 3) _a.nodeTo = 0;
            if (i == 4) _a.nodeTo = _a.nodeFrom;
            _isImpossible();
        }
    }

    /// @dev Who holds a key could sign the future without end, and hold up the node's tickets with it for ever.
    function test_NoSlotThatDoesNotExistAndNoEpochToCome() external {
        uint16 last = _a.slot;
        _a.slot = 24;
        _isImpossible();
        _a.slot = last;
        _a.epoch = 3;
        vm.warp(epochs.epochEnd(2) - 1 minutes);
        _isImpossible();
        vm.warp(epochs.epochEnd(2));
        _b = _a;
        _b.packets = 72;
        _prove(carol, _proof());
        vm.assertEq(_lastSlash().epoch, 3);
    }

    function test_ANodeThatWasNotActiveSaysNothing() external {
        (_a.nodeFrom, _b.nodeFrom) = (IDLE, IDLE);
        _fails(_proof(), abi.encodeWithSelector(IDisputeCourt.NotActiveThen.selector, IDLE, EPOCH));
    }

    /// @dev An operator that takes its bond away and then contradicts itself would have delegators pay alone.
    function test_WhoTookItsBondAwayCannotHaveItsDelegatorsSlashed() external {
        vm.prank(bob);
        hub.delegate(ENTRY, 100_000 * QNET, 0);
        vm.warp(epochs.epochEnd(2) - 1);
        uint256 bond = hub.bondOf(ENTRY);
        vm.prank(alice);
        hub.unbond(ENTRY, bond);
        vm.warp(epochs.epochEnd(2));
        (_a.epoch, _b.epoch) = (3, 3);
        _fails(_proof(), abi.encodeWithSelector(IDisputeCourt.NotActiveThen.selector, ENTRY, 3));
    }

    /// @dev Once a node is in jail for a contradiction, its key can hold up nobody with more of them.
    function test_AJailedNodeAddsNoContradictionsOfLaterEpochs() external {
        _prove(carol, _proof());
        vm.warp(epochs.epochEnd(2));
        (_a.epoch, _b.epoch) = (3, 3);
        _fails(_proof(), abi.encodeWithSelector(IDisputeCourt.NotActiveThen.selector, ENTRY, 3));
    }

    function _isImpossible() private {
        IDisputeCourt.LinkReceipt memory honest = _b;
        _b = _a;
        _b.packets += 1;
        bytes memory signature = new bytes(65);
        _fails(
            _proof(signature, signature),
            abi.encodeWithSelector(IDisputeCourt.ImpossibleReceipt.selector, _a.epoch, _a.slot)
        );
        _b = honest;
    }

    function test_TheKeyOfTheEpochCounts() external {
        uint256 oldKey = receiptKeys[ENTRY];
        (address newKey, uint256 secret) = _account("rotated");
        bytes32 nodeId = registry.node(ENTRY).nodeId;
        bytes32 digest = registry.keyProofDigest(alice, nodeId, newKey, type(uint256).max);
        vm.prank(alice);
        registry.rotateKey(ENTRY, newKey, type(uint256).max, _sign(secret, digest));
        receiptKeys[ENTRY] = secret;
        address key = registry.receiptKeyAt(ENTRY, EPOCH);
        _fails(_proof(), abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, key));
        receiptKeys[ENTRY] = oldKey;
        _prove(carol, _proof());
    }

    function test_ForTheOracleOfThisChainOnly() external {
        bytes32 typeHash =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain = keccak256(
            abi.encode(typeHash, keccak256("QNet"), keccak256("1"), block.chainid, address(court))
        );
        bytes32 receiptType = keccak256(
            "LinkReceipt(uint32 epoch,uint16 slot,uint32 nodeFrom,uint32 nodeTo,uint8 side,uint64 packets,bytes32 sampleRoot)"
        );
        bytes32 a = keccak256(bytes.concat(hex"1901", domain, keccak256(abi.encode(receiptType, _a))));
        bytes32 b = keccak256(bytes.concat(hex"1901", domain, keccak256(abi.encode(receiptType, _b))));
        bytes memory data = _proof(_sign(receiptKeys[ENTRY], a), _sign(receiptKeys[ENTRY], b));
        address key = registry.receiptKeyAt(ENTRY, EPOCH);
        _fails(data, abi.encodeWithSelector(IDisputeCourt.BadSignature.selector, key));
    }

    function test_EvidenceAges() external {
        uint256 until = epochs.epochEnd(EPOCH) + 14 * DAY;
        vm.warp(until);
        bytes memory late = _proof();
        _fails(late, abi.encodeWithSelector(IDisputeCourt.StaleEvidence.selector, until));
        vm.warp(until - 1);
        _prove(carol, _proof());
    }

    function test_EvidenceAgesWithUnbondingAndStandsStillInPauses() external {
        _set("unbond_s", 6 days);
        uint256 until = epochs.epochEnd(EPOCH) + 6 * DAY;
        vm.prank(owner);
        court.pause(uint64(block.timestamp + DAY));
        vm.warp(until + DAY);
        _fails(_proof(), abi.encodeWithSelector(IDisputeCourt.StaleEvidence.selector, until + DAY));
        vm.warp(until + DAY - 1);
        _prove(carol, _proof());
    }
}
