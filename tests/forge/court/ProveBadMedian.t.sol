// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {CourtTest} from "./CourtTest.sol";

contract ProveBadMedianTest is CourtTest {
    uint32[] private _auditors;
    uint32[] private _sent;
    uint32[] private _returned;
    uint16 private _slot = 3;
    uint32 private _probed = ENTRY;
    uint32 private _epoch = EPOCH;
    /// @dev Node whose leaf is shown beside the audit.
    uint32 private _shownNode = ENTRY;

    function setUp() public override {
        super.setUp();
        for (uint32 i = 0; i < 3; ++i) {
            _auditors.push(i);
            _sent.push(4);
            _returned.push(4);
        }
    }

    function _audit() private view returns (IDisputeCourt.AuditLeaf memory) {
        return IDisputeCourt.AuditLeaf(_epoch, _slot, _probed, _auditors, _sent, _returned);
    }

    function _submitAudit() private {
        IReportOracle.EpochReport memory r = _claimed(EPOCH);
        r.auditRoot = _root(_one(_auditHash(_audit())));
        _submit(r);
    }

    function _proof(IDisputeCourt.ProvenLeaf memory previous) private returns (bytes memory) {
        return abi.encodeCall(
            court.proveBadMedian,
            (0, _salt(), EPOCH, _audit(), new bytes32[](0), _proven(EPOCH, _shownNode), previous)
        );
    }

    function _stands() private {
        _submitAudit();
        _fails(_proof(_nothing()), IDisputeCourt.NothingWrong.selector);
    }

    function _isWrong() private {
        _submitAudit();
        _condemns(EPOCH, _proof(_nothing()));
    }

    /// @dev Let the leaf of the target claim another P of a slot.
    function _claim(uint256 slot, uint256 p) private {
        uint256 packed = leavesOf[EPOCH][_probed - 1].slotP & ~(uint256(1023) << (10 * slot));
        leavesOf[EPOCH][_probed - 1].slotP = packed | (p << (10 * slot));
    }

    function _fewer() private {
        _auditors.pop();
        _sent.pop();
        _returned.pop();
    }

    function test_TheMedianStands() external {
        _returned[0] = 0;
        _stands();
    }

    function test_AnotherPThanTheMedian() external {
        (_returned[0], _returned[1]) = (2, 2);
        _isWrong();
    }

    function test_OfFourItIsTheLower() external {
        _auditors.push(3);
        _sent.push(4);
        _returned.push(2);
        _returned[0] = 1;
        _claim(3, 500);
        _stands();
    }

    function test_OfFourItIsNotTheUpper() external {
        _auditors.push(3);
        _sent.push(4);
        _returned.push(2);
        _returned[0] = 1;
        _claim(3, 1000);
        _isWrong();
    }

    function test_AnImpossibleAudit() external {
        for (uint256 kind = 0; kind < 7; ++kind) {
            uint256 state = vm.snapshotState();
            if (kind == 0) _epoch = 0;
            if (kind == 1) _slot = 24;
            if (kind == 2) _probed = 0;
            if (kind == 3) _probed = IDLE + 1;
            if (kind == 4) _sent.push(1);
            if (kind == 5) _returned.push(1);
            if (kind == 6) _auditors.push(9);
            _isWrong();
            vm.revertToState(state);
        }
    }

    function test_ListsThatAreNoResults() external {
        for (uint256 kind = 0; kind < 6; ++kind) {
            uint256 state = vm.snapshotState();
            if (kind == 0) (_auditors, _sent, _returned) = (new uint32[](0), new uint32[](0), new uint32[](0));
            if (kind == 1) _auditors[1] = 0;
            if (kind == 2) _auditors[2] = 0;
            if (kind == 3) _sent[1] = 0;
            if (kind == 4) _returned[2] = 5;
            if (kind == 5) (_sent[0], _returned[0]) = (0, 0);
            _isWrong();
            vm.revertToState(state);
        }
    }

    function test_MoreAuditorsThanThereCanBeMembers() external {
        for (uint32 i = 3; i < 257; ++i) {
            _auditors.push(i);
            _sent.push(1);
            _returned.push(1);
        }
        _isWrong();
    }

    function test_AsManyAsThereCanBeFit() external {
        for (uint32 i = 3; i < 256; ++i) {
            _auditors.push(i);
            _sent.push(1);
            _returned.push(1);
        }
        _stands();
    }

    function test_TheLargestCountsDoNotOverflow() external {
        for (uint256 i = 0; i < 3; ++i) {
            (_sent[i], _returned[i]) = (type(uint32).max, type(uint32).max);
        }
        _stands();
    }

    function test_WithFewerResultsPIsCarried() external {
        _fewer();
        _claim(2, 400);
        _claim(3, 400);
        _stands();
    }

    function test_ItIsCarriedUpToItsLimit() external {
        _fewer();
        _claim(3, 900);
        _stands();
    }

    function test_NotBeyondIt() external {
        _fewer();
        _isWrong();
    }

    function test_NotLess() external {
        _fewer();
        _claim(3, 899);
        _isWrong();
    }

    function test_AWickedSlotBeforeCarriesNoMore() external {
        _fewer();
        _claim(2, 1023);
        _claim(3, 900);
        _stands();
    }

    /// @dev Slot 0 is carried from the last slot of the leaf before.
    function test_AcrossReports() external {
        vm.prank(owner);
        oracle.disable(0);
        leavesOf[0][RELAY - 1].slotP = 300 << 230;
        _submit(_claimed(0));
        (_slot, _probed, _shownNode) = (0, RELAY, RELAY);
        _fewer();
        // it took no part in epoch 0, in which it bonded: nothing is carried from there
        _claim(0, 900);
        _submitAudit();
        _fails(_proof(_proven(0, RELAY)), IDisputeCourt.NothingWrong.selector);
        bytes memory error =
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Node);
        _fails(_proof(_nothing()), error);
        _fails(_proof(_proven(0, ENTRY)), IDisputeCourt.WrongPredecessorLeaf.selector);
    }

    function test_AcrossReportsOfANodeThatTookPart() external {
        leavesOf[EPOCH][RELAY - 1] = _honestLeaf(EPOCH, RELAY, 300 << 230, uint32(ONE));
        _submit(_claimed(EPOCH));
        _over(2);
        _makeHonest(2);
        (_slot, _probed, _epoch) = (0, RELAY, 2);
        _fewer();
        for (uint256 i = 0; i < 2; ++i) {
            uint256 state = vm.snapshotState();
            uint256 p = i == 0 ? 300 : 900;
            leavesOf[2][RELAY - 1].slotP = (PERFECT & ~uint256(1023)) | p;
            IReportOracle.EpochReport memory r = _claimed(2);
            r.auditRoot = _root(_one(_auditHash(_audit())));
            _submit(r);
            bytes memory data = abi.encodeCall(
                court.proveBadMedian,
                (0, _salt(), 2, _audit(), new bytes32[](0), _proven(2, RELAY), _proven(EPOCH, RELAY))
            );
            if (i == 0) _fails(data, IDisputeCourt.NothingWrong.selector);
            else _condemns(2, data);
            vm.revertToState(state);
        }
    }

    function test_WithoutAReportBefore() external {
        vm.prank(owner);
        oracle.disable(0);
        (_slot, _epoch) = (0, 0);
        _fewer();
        IReportOracle.EpochReport memory r = _claimed(0);
        r.auditRoot = _root(_one(_auditHash(_audit())));
        _submit(r);
        bytes memory data = abi.encodeCall(
            court.proveBadMedian,
            (0, _salt(), 0, _audit(), new bytes32[](0), _proven(0, ENTRY), _nothing())
        );
        // nobody took part in epoch 0
        _fails(data, IDisputeCourt.NothingWrong.selector);
    }

    function test_WhoTookNoPartHasNoP() external {
        (_probed, _shownNode) = (IDLE, IDLE);
        _stands();
    }

    function test_TheNodeLeafMustBeTheTargets() external {
        _submitAudit();
        bytes memory error =
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Node);
        _shownNode = RELAY;
        _fails(_proof(_nothing()), error);
        bytes memory data = abi.encodeCall(
            court.proveBadMedian,
            (0, _salt(), EPOCH, _audit(), new bytes32[](0), _proven(0, ENTRY), _nothing())
        );
        _fails(data, error);
    }

    function test_TheAuditMustBeOfTheReport() external {
        _reportHonestly();
        _fails(
            _proof(_nothing()),
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Audit)
        );
    }
}
