// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {CourtTest} from "./CourtTest.sol";

contract JailTest is CourtTest {
    function setUp() public override {
        super.setUp();
        _submit(_report(EPOCH));
    }

    /// @dev Report epochs 2 to `last`, all final: the entry's P is 0.4, but 0.5 in those named by `good`.
    function _work(uint32 first, uint32 last, uint256 good) private {
        for (uint32 epoch = first; epoch <= last; ++epoch) {
            _over(epoch);
            _makeHonest(epoch);
            uint256 p = (good >> epoch) & 1 == 1 ? 500 : 499;
            leavesOf[epoch][ENTRY - 1] = _honestLeaf(epoch, ENTRY, _slots(p), uint32(ONE));
            _submit(_report(epoch));
            for (uint32 old = oracle.finalThrough(); old <= epoch; ++old) {
                if (block.timestamp < oracle.windowEnd(old)) break;
                oracle.finalize(old);
            }
        }
    }

    function _finalizeThrough(uint32 epoch) private {
        vm.warp(oracle.windowEnd(epoch));
        for (uint32 old = oracle.finalThrough(); old <= epoch; ++old) {
            oracle.finalize(old);
        }
    }

    function _leaves(uint32[5] memory list, uint32 node)
        private
        view
        returns (IDisputeCourt.ProvenLeaf[5] memory leaves)
    {
        for (uint256 i = 0; i < 5; ++i) {
            leaves[i] = _proven(list[i], node);
        }
    }

    function _refused(uint32[5] memory list, uint32 node) private {
        IDisputeCourt.ProvenLeaf[5] memory leaves = _leaves(list, node);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.NotBadEnough.selector, node));
        court.jail(leaves);
    }

    function test_FiveBadEpochsInARow() external {
        _work(2, 6, 0);
        _finalizeThrough(6);
        IDisputeCourt.ProvenLeaf[5] memory leaves = _leaves([uint32(2), 3, 4, 5, 6], ENTRY);
        uint64 until = uint64(block.timestamp + 7 days);
        vm.expectEmit(address(slasher));
        emit ISlasher.NodeJailedFor(ENTRY, until);
        vm.prank(mallory);
        court.jail(leaves);
        INodeRegistry.Node memory node = registry.node(ENTRY);
        vm.assertEq(uint256(node.state), uint256(INodeRegistry.State.Jailed));
        vm.assertEq(node.jailedUntil, until);
        vm.assertEq(slasher.count(), 0);
    }

    function test_FiveOfSeven() external {
        _work(2, 8, (1 << 3) | (1 << 6));
        _finalizeThrough(8);
        court.jail(_leaves([uint32(2), 4, 5, 7, 8], ENTRY));
    }

    function test_NotFiveOfEight() external {
        _work(2, 9, (1 << 3) | (1 << 6) | (1 << 7));
        _finalizeThrough(9);
        _refused([uint32(2), 4, 5, 8, 9], ENTRY);
    }

    function test_HalfIsNotBad() external {
        _work(2, 6, 1 << 4);
        _finalizeThrough(6);
        _refused([uint32(2), 3, 4, 5, 6], ENTRY);
    }

    function test_NoEpochCountsTwiceOrOutOfOrder() external {
        _work(2, 6, 0);
        _finalizeThrough(6);
        _refused([uint32(2), 3, 4, 5, 5], ENTRY);
        _refused([uint32(3), 2, 4, 5, 6], ENTRY);
        _refused([uint32(6), 5, 4, 3, 2], ENTRY);
    }

    function test_AllOfOneNode() external {
        _work(2, 6, 0);
        _finalizeThrough(6);
        IDisputeCourt.ProvenLeaf[5] memory leaves = _leaves([uint32(2), 3, 4, 5, 6], ENTRY);
        leaves[4] = _proven(6, RELAY);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.NotBadEnough.selector, ENTRY));
        court.jail(leaves);
        _refused([uint32(2), 3, 4, 5, 6], RELAY);
    }

    /// @dev Leaves of who took no part have P = 0 too.
    function test_WhoTookNoPartDidNotWorkBadly() external {
        _work(2, 6, 0);
        _finalizeThrough(6);
        _refused([uint32(2), 3, 4, 5, 6], IDLE);
    }

    function test_OnlyFinalReports() external {
        _work(2, 6, 0);
        _finalizeThrough(5);
        IDisputeCourt.ProvenLeaf[5] memory leaves = _leaves([uint32(2), 3, 4, 5, 6], ENTRY);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.UnknownReport.selector, 6));
        court.jail(leaves);
    }

    function test_OnlyLeavesOfTheReports() external {
        _work(2, 6, 0);
        _finalizeThrough(6);
        IDisputeCourt.ProvenLeaf[5] memory leaves = _leaves([uint32(2), 3, 4, 5, 6], ENTRY);
        leaves[2].leaf.slotP = 0;
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.InvalidProof.selector, IDisputeCourt.LeafKind.Node));
        court.jail(leaves);
    }

    /// @dev What led to one jail leads to no second one, nor do epochs up to the one in which it began.
    function test_AfterAJailOnlyLaterEpochsCount() external {
        _work(2, 7, 0);
        _finalizeThrough(6);
        court.jail(_leaves([uint32(2), 3, 4, 5, 6], ENTRY));
        _finalizeThrough(7);
        _refused([uint32(3), 4, 5, 6, 7], ENTRY);
    }

    function test_EvidenceAges() external {
        _work(2, 6, 0);
        _finalizeThrough(6);
        IDisputeCourt.ProvenLeaf[5] memory leaves = _leaves([uint32(2), 3, 4, 5, 6], ENTRY);
        uint256 until = epochs.epochEnd(6) + 14 * DAY;
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.StaleEvidence.selector, until));
        court.jail(leaves);
        vm.warp(until);
        court.jail(leaves);
    }

    function test_NotWhilePaused() external {
        _work(2, 6, 0);
        _finalizeThrough(6);
        IDisputeCourt.ProvenLeaf[5] memory leaves = _leaves([uint32(2), 3, 4, 5, 6], ENTRY);
        uint64 until = uint64(block.timestamp + 1);
        vm.prank(owner);
        court.pause(until);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        court.jail(leaves);
    }
}
