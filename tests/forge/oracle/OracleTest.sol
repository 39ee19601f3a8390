// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {Reports} from "../support/Reports.sol";

/// @dev Four bonded members, two nodes of Alice, a challenger with tokens.
abstract contract OracleTest is Reports {
    uint256 internal constant BOND = 2_400 * QNET;
    uint256 internal constant WINDOW = 3 * DAY;
    uint256 internal constant DEADLINE = 12 hours;
    address internal mallory = address(0xBAD);
    address internal alice;
    address internal carol;

    function setUp() public virtual {
        _deploy(4);
        _bondCommittee();
        alice = _person("alice", 1_000_000 * QNET);
        carol = _person("carol", 100 * BOND);
        _node(alice, INodeRegistry.Role.Entry, 100_000 * QNET);
        _node(alice, INodeRegistry.Role.Relay, 100_000 * QNET);
    }

    /// @dev Let an epoch pass and an hour more.
    function _over(uint32 epoch) internal {
        _passEpoch(epoch);
        vm.warp(epochs.epochEnd(epoch) + 1 hours);
    }

    /// @dev A report of an ended epoch, with honest leaves.
    function _made(uint32 epoch) internal returns (IReportOracle.EpochReport memory) {
        _over(epoch);
        _makeLeaves(epoch);
        return _report(epoch);
    }

    function _reported(uint32 epoch) internal returns (bytes32 hash) {
        IReportOracle.EpochReport memory r = _made(epoch);
        _submit(r);
        return oracle.reportDigest(r);
    }

    /// @dev A report of a disabled epoch once more.
    function _reportedAgain(uint32 epoch) internal {
        _makeLeaves(epoch);
        _submit(_report(epoch));
    }

    function _disable(uint32 epoch) internal {
        vm.prank(owner);
        oracle.disable(epoch);
    }

    /// @dev Submit with a quorum of signatures, and expect an error of the oracle.
    function _refused(IReportOracle.EpochReport memory r, bytes memory error) internal {
        (uint256 bitmap, bytes memory signatures) = _quorum(oracle.reportDigest(r), committee.quorum());
        vm.expectRevert(error);
        oracle.submit(r, bitmap, signatures);
    }

    function _demand(uint32 epoch, uint32 node) internal {
        vm.prank(carol);
        oracle.demandLeaf(epoch, node);
    }

    function _statusOf(uint32 epoch) internal view returns (IReportOracle.Status status) {
        (,,, status) = oracle.report(epoch);
    }

    function _expectStatus(uint32 epoch, IReportOracle.Status status) internal view {
        vm.assertEq(uint256(_statusOf(epoch)), uint256(status));
    }
}
