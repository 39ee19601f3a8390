// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {Gas} from "./Gas.sol";

contract ReportingGas is Gas {
    uint32 private constant EPOCHS = 4;

    /// @dev Several epochs, as the first ones are not like those that follow.
    function test_FromStartToClaim() public {
        vm.warp(GENESIS + 1 hours);
        vm.prank(delegator);
        hub.delegate(1, 10_000 * QNET, 1);
        for (uint32 epoch = 0; epoch < EPOCHS; ++epoch) {
            vm.warp(epochs.epochStart(epoch) + 2 hours);
            vm.prank(anyone);
            epochs.startEpoch(epoch, _reveals[epoch]);
            _measured("startEpoch");
            vm.warp(epochs.epochEnd(epoch) + 1 hours);
            _makeLeaves(epoch);
            IReportOracle.EpochReport memory r = _report(epoch);
            (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), committee.quorum());
            vm.prank(anyone);
            oracle.submit(r, bitmap, signatures);
            _measured("submit");
        }
        for (uint32 epoch = 0; epoch < EPOCHS; ++epoch) {
            uint256 end = oracle.windowEnd(epoch);
            if (block.timestamp < end) vm.warp(end);
            vm.prank(anyone);
            oracle.finalize(epoch);
            _measured("finalize");
            IReportOracle.NodeLeaf memory leaf = _leaf(epoch, 1);
            bytes32[] memory proof = _proofOf(epoch, 1);
            vm.prank(anyone);
            hub.settleNode(leaf, proof);
            _measured("settleNode");
            if (leaf.cumOperator == 0) continue;
            vm.prank(anyone);
            hub.claimOperator(1);
            _measured("claimOperator");
        }
    }

    function test_Anchor() public {
        for (uint64 hour = 1; hour <= 2; ++hour) {
            uint64 validAfter = uint64(GENESIS) + hour * 1 hours;
            bytes32 hash = keccak256(abi.encode("consensus", hour));
            (uint256 bitmap, bytes memory signatures) =
                _quorum(committee.consensusDigest(validAfter, hash), committee.quorum());
            vm.prank(anyone);
            committee.anchor(validAfter, hash, bitmap, signatures);
            _measured("anchor");
        }
    }
}
