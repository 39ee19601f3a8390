// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {CourtTest} from "./CourtTest.sol";

contract ProveBadLinkTest is CourtTest {
    IDisputeCourt.LinkReceipt private _sent;
    IDisputeCourt.LinkReceipt private _received;
    bytes private _sentSignature;
    bytes private _receivedSignature;
    IDisputeCourt.LinkLeaf private _link;

    function setUp() public override {
        super.setUp();
        _sent = IDisputeCourt.LinkReceipt(EPOCH, 3, ENTRY, RELAY, 0, 68, keccak256("sent"));
        _received = IDisputeCourt.LinkReceipt(EPOCH, 3, ENTRY, RELAY, 1, 64, keccak256("received"));
        _link = IDisputeCourt.LinkLeaf(EPOCH, 3, ENTRY, RELAY, 68, 64, 64, 0, 0);
        _name();
    }

    /// @dev Sign the receipts and name them in the leaf.
    function _name() private {
        bytes32 digest;
        (digest, _sentSignature) = _signedReceipt(_sent);
        _link.sentProof = keccak256(bytes.concat(digest, _sentSignature));
        (digest, _receivedSignature) = _signedReceipt(_received);
        _link.receivedProof = keccak256(bytes.concat(digest, _receivedSignature));
    }

    function _submitLink() private {
        IReportOracle.EpochReport memory r = _claimed(EPOCH);
        r.evidenceRoot = _root(_one(_linkHash(_link)));
        _submit(r);
    }

    /// @dev A proof that shows the receipts asked for.
    function _shown(bool sent, bool received) private returns (bytes memory) {
        IDisputeCourt.LinkReceipt memory none;
        return abi.encodeCall(
            court.proveBadLink,
            (
                0,
                _salt(),
                EPOCH,
                _link,
                new bytes32[](0),
                sent ? _sent : none,
                sent ? _sentSignature : bytes(""),
                received ? _received : none,
                received ? _receivedSignature : bytes("")
            )
        );
    }

    function _isWrong(bool sent, bool received) private {
        _submitLink();
        _condemns(EPOCH, _shown(sent, received));
    }

    function test_AnHonestLeafStands() external {
        _submitLink();
        _fails(_shown(false, false), IDisputeCourt.NothingWrong.selector);
        _fails(_shown(true, false), IDisputeCourt.NothingWrong.selector);
        _fails(_shown(false, true), IDisputeCourt.NothingWrong.selector);
        _fails(_shown(true, true), IDisputeCourt.NothingWrong.selector);
    }

    function test_TheOtherDirectionsStandToo() external {
        uint32[2][3] memory pairs = [[RELAY, ENTRY], [RELAY, EXIT], [EXIT, RELAY]];
        for (uint256 i = 0; i < pairs.length; ++i) {
            uint256 state = vm.snapshotState();
            (_link.nodeFrom, _link.nodeTo) = (pairs[i][0], pairs[i][1]);
            (_sent.nodeFrom, _sent.nodeTo) = (pairs[i][0], pairs[i][1]);
            (_received.nodeFrom, _received.nodeTo) = (pairs[i][0], pairs[i][1]);
            _name();
            _submitLink();
            _fails(_shown(true, true), IDisputeCourt.NothingWrong.selector);
            vm.revertToState(state);
        }
    }

    function test_ATupleOutOfRange() external {
        for (uint256 kind = 0; kind < 8; ++kind) {
            uint256 state = vm.snapshotState();
            if (kind == 0) _link.epoch = 0;
            if (kind == 1) _link.slot = 24;
            if (kind == 2) _link.nodeTo = ENTRY;
            if (kind == 3) _link.nodeFrom = 0;
            if (kind == 4) _link.nodeTo = 0;
            if (kind == 5) _link.nodeFrom = IDLE + 1;
            if (kind == 6) _link.nodeTo = type(uint32).max;
            if (kind == 7) _link.slot = type(uint16).max;
            _isWrong(false, false);
            vm.revertToState(state);
        }
    }

    function test_OneOwner() external {
        _link.nodeTo = OWN_RELAY;
        _isWrong(false, false);
    }

    function test_RolesThatDoNotEarn() external {
        uint32[2][5] memory pairs = [[ENTRY, EXIT], [EXIT, ENTRY], [RELAY, OWN_RELAY], [RELAY, MIX], [ENTRY, MIX]];
        for (uint256 i = 0; i < pairs.length; ++i) {
            uint256 state = vm.snapshotState();
            (_link.nodeFrom, _link.nodeTo) = (pairs[i][0], pairs[i][1]);
            _isWrong(false, false);
            vm.revertToState(state);
        }
    }

    function test_ANodeThatTookNoPart() external {
        (_link.nodeFrom, _link.nodeTo) = (IDLE, OWN_RELAY);
        _isWrong(false, false);
    }

    function test_CountsThatDoNotFit() external {
        uint64[3][7] memory counts = [
            [uint64(69), 64, 64],
            [uint64(68), 65, 64],
            [uint64(68), 64, 68],
            [uint64(68), 64, 0],
            [uint64(68), 64, 60],
            [uint64(72), 64, 64],
            [uint64(0), 0, 0]
        ];
        for (uint256 i = 0; i < counts.length; ++i) {
            uint256 state = vm.snapshotState();
            (_link.sent, _link.received, _link.matched) = (counts[i][0], counts[i][1], counts[i][2]);
            _isWrong(false, false);
            vm.revertToState(state);
        }
    }

    function test_TheLargestCountsDoNotOverflow() external {
        uint64 largest = uint64(31) << 59;
        (_link.sent, _link.received, _link.matched) = (largest, largest, largest);
        _submitLink();
        _fails(_shown(false, false), IDisputeCourt.NothingWrong.selector);
    }

    function test_AReceiptThatSaysSomethingElse() external {
        for (uint256 kind = 0; kind < 6; ++kind) {
            uint256 state = vm.snapshotState();
            if (kind == 0) _sent.epoch = 0;
            if (kind == 1) _sent.slot = 4;
            if (kind == 2) _sent.nodeTo = OWN_RELAY;
            if (kind == 3) _sent.packets = 72;
            if (kind == 4) _received.nodeFrom = OWN_RELAY;
            if (kind == 5) _received.packets = 60;
            _name();
            _isWrong(kind < 4, kind >= 4);
            vm.revertToState(state);
        }
    }

    function test_ReceiptsOfTheWrongSide() external {
        (_sent.side, _received.side) = (1, 0);
        _name();
        uint256 state = vm.snapshotState();
        _isWrong(true, false);
        vm.revertToState(state);
        _isWrong(false, true);
    }

    function test_AReceiptNotSignedByItsSigner() external {
        (bytes32 digest,) = _signedReceipt(_sent);
        bytes[3] memory bad = [_sign(receiptKeys[RELAY], digest), bytes(hex"00"), bytes.concat(_sentSignature, hex"00")];
        for (uint256 i = 0; i < bad.length; ++i) {
            uint256 state = vm.snapshotState();
            _sentSignature = bad[i];
            _link.sentProof = keccak256(bytes.concat(digest, bad[i]));
            _isWrong(true, false);
            vm.revertToState(state);
        }
    }

    /// @dev Signing again gives other bytes; only those the leaf names count, so a forged signature accuses nobody.
    function test_AnotherSignatureThanTheOneNamedIsRefused() external {
        _submitLink();
        (bytes32 digest,) = _signedReceipt(_sent);
        _sentSignature = _sign(receiptKeys[RELAY], digest);
        _fails(
            _shown(true, false),
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Link)
        );
    }

    function test_AnotherReceiptThanTheOneNamedIsRefused() external {
        _submitLink();
        _received.packets = 60;
        (, _receivedSignature) = _signedReceipt(_received);
        _fails(
            _shown(false, true),
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Link)
        );
    }

    function test_TheLeafMustBeOfTheReport() external {
        _reportHonestly();
        _fails(
            _shown(false, false),
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Link)
        );
    }

    function test_ASecondProofIsMoot() external {
        _link.matched = 60;
        _submitLink();
        (, bytes32 hash,,) = oracle.report(EPOCH);
        _condemns(EPOCH, _shown(false, false));
        _isMoot(_shown(false, false), hash);
    }
}
