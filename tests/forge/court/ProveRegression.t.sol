// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {CourtTest} from "./CourtTest.sol";

contract ProveRegressionTest is CourtTest {
    function setUp() public override {
        super.setUp();
        // a first report in which the entry has earned something in both sums
        vm.prank(owner);
        oracle.disable(0);
        (leavesOf[0][ENTRY - 1].cumOperator, leavesOf[0][ENTRY - 1].cumPool) = (100, 100);
        _submit(_claimed(0));
    }

    function _proof(IDisputeCourt.ProvenLeaf memory previous) private returns (bytes memory) {
        return abi.encodeCall(court.proveRegression, (0, _salt(), EPOCH, _proven(EPOCH, ENTRY), previous));
    }

    function _with(uint256 cumOperator, uint256 cumPool) private {
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        (leaf.cumOperator, leaf.cumPool) = (cumOperator, cumPool);
        _reportWith(ENTRY, leaf);
    }

    function test_TheOperatorsSumFell() external {
        _with(99, 100);
        _condemns(EPOCH, _proof(_proven(0, ENTRY)));
    }

    function test_ThePoolsSumFell() external {
        _with(100, 99);
        _condemns(EPOCH, _proof(_proven(0, ENTRY)));
    }

    function test_NeitherFell() external {
        _with(100, 100);
        _fails(_proof(_proven(0, ENTRY)), IDisputeCourt.NothingWrong.selector);
    }

    function test_WithoutALeafBeforeNothingCanFall() external {
        bytes memory data =
            abi.encodeCall(court.proveRegression, (0, _salt(), 0, _proven(0, ENTRY), _nothing()));
        _fails(data, IDisputeCourt.NothingWrong.selector);
    }

    function test_TheLeafBeforeMustBeOfTheNode() external {
        _with(99, 99);
        _fails(_proof(_proven(0, RELAY)), IDisputeCourt.WrongPredecessorLeaf.selector);
        IDisputeCourt.ProvenLeaf memory forged = _proven(0, ENTRY);
        forged.leaf.cumOperator = 1000;
        _fails(
            _proof(forged),
            abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Node)
        );
    }
}
