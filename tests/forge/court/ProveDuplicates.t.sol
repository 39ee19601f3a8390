// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {CourtTest} from "./CourtTest.sol";

/// @title Two leaves where there may be one
contract ProveDuplicatesTest is CourtTest {
    IDisputeCourt.LinkLeaf private _link;
    IDisputeCourt.LinkLeaf private _other;
    IDisputeCourt.AuditLeaf private _audit;
    IDisputeCourt.AuditLeaf private _second;

    function setUp() public override {
        super.setUp();
        _link = IDisputeCourt.LinkLeaf(EPOCH, 3, ENTRY, RELAY, 64, 64, 64, keccak256("a"), keccak256("b"));
        _other = _link;
        uint32[] memory list = new uint32[](1);
        list[0] = 1;
        _audit = IDisputeCourt.AuditLeaf(EPOCH, 3, ENTRY, list, list, list);
        _second = _audit;
    }

    function _nodes(uint32 a, uint32 b) private returns (bytes memory) {
        return abi.encodeCall(
            court.proveDuplicateNode, (0, _salt(), EPOCH, _proven(EPOCH, a), _proven(EPOCH, b))
        );
    }

    function _links() private returns (bytes memory) {
        bytes32[] memory hashes = _two(_linkHash(_link), _linkHash(_other));
        return abi.encodeCall(
            court.proveDuplicateLink,
            (0, _salt(), EPOCH, _link, _proof(hashes, hashes[0]), _other, _proof(hashes, hashes[1]))
        );
    }

    function _audits() private returns (bytes memory) {
        bytes32[] memory hashes = _two(_auditHash(_audit), _auditHash(_second));
        return abi.encodeCall(
            court.proveDuplicateAudit,
            (0, _salt(), EPOCH, _audit, _proof(hashes, hashes[0]), _second, _proof(hashes, hashes[1]))
        );
    }

    function _submitRoots() private {
        IReportOracle.EpochReport memory r = _claimed(EPOCH);
        r.evidenceRoot = _root(_two(_linkHash(_link), _linkHash(_other)));
        r.auditRoot = _root(_two(_auditHash(_audit), _auditHash(_second)));
        _submit(r);
    }

    function test_TwoLeavesOfOneNode() external {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        _reportWith(IDLE, leaf);
        _condemns(EPOCH, _nodes(ENTRY, IDLE));
    }

    function test_OneLeafShownTwiceIsNone() external {
        _reportHonestly();
        _fails(_nodes(ENTRY, ENTRY), IDisputeCourt.NothingWrong.selector);
    }

    function test_LeavesOfTwoNodesAreNone() external {
        _reportHonestly();
        _fails(_nodes(ENTRY, RELAY), IDisputeCourt.NothingWrong.selector);
    }

    function test_BothNodeLeavesMustBeOfTheReport() external {
        _reportHonestly();
        bytes memory error =
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Node);
        bytes memory data = abi.encodeCall(
            court.proveDuplicateNode, (0, _salt(), EPOCH, _proven(EPOCH, ENTRY), _proven(0, ENTRY))
        );
        _fails(data, error);
        data = abi.encodeCall(
            court.proveDuplicateNode, (0, _salt(), EPOCH, _proven(0, ENTRY), _proven(EPOCH, ENTRY))
        );
        _fails(data, error);
    }

    function test_TwoLeavesOfOneTuple() external {
        _other.sent = 68;
        _submitRoots();
        _condemns(EPOCH, _links());
    }

    function test_TwoLinkLeavesThatDifferOnlyInTheirReceipts() external {
        _other.sentProof = keccak256("c");
        _submitRoots();
        _condemns(EPOCH, _links());
    }

    function test_OneLinkLeafTwiceInTheTreeIsNone() external {
        _submitRoots();
        _fails(_links(), IDisputeCourt.NothingWrong.selector);
    }

    function test_LinksOfTwoTuplesAreNone() external {
        for (uint256 i = 0; i < 3; ++i) {
            uint256 state = vm.snapshotState();
            if (i == 0) _other.slot = 4;
            if (i == 1) _other.nodeFrom = EXIT;
            if (i == 2) _other.nodeTo = OWN_RELAY;
            _submitRoots();
            _fails(_links(), IDisputeCourt.NothingWrong.selector);
            vm.revertToState(state);
        }
    }

    function test_BothLinkLeavesMustBeOfTheReport() external {
        _other.sent = 68;
        _reportHonestly();
        _fails(
            _links(), abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Link)
        );
    }

    function test_TwoLeavesOfOneTargetAndSlot() external {
        _second.returned[0] = 0;
        _submitRoots();
        _condemns(EPOCH, _audits());
    }

    function test_OneAuditLeafTwiceInTheTreeIsNone() external {
        _submitRoots();
        _fails(_audits(), IDisputeCourt.NothingWrong.selector);
    }

    function test_AuditsOfTwoTargetsOrSlotsAreNone() external {
        for (uint256 i = 0; i < 2; ++i) {
            uint256 state = vm.snapshotState();
            if (i == 0) _second.slot = 4;
            if (i == 1) _second.target = RELAY;
            _submitRoots();
            _fails(_audits(), IDisputeCourt.NothingWrong.selector);
            vm.revertToState(state);
        }
    }

    /// @dev Leaves of one kind are none of another, whatever tree they stand in.
    function test_BothAuditLeavesMustBeOfTheReport() external {
        _second.returned[0] = 0;
        IReportOracle.EpochReport memory r = _claimed(EPOCH);
        r.evidenceRoot = _root(_two(_auditHash(_audit), _auditHash(_second)));
        _submit(r);
        _fails(
            _audits(),
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Audit)
        );
    }
}
