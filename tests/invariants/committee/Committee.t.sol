// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "../../forge/support/Test.sol";
import {CommitteeHandler} from "./CommitteeHandler.sol";

/// @title What holds however the committee changes
contract CommitteeInvariants is Test {
    CommitteeHandler private handler;

    function setUp() external {
        handler = new CommitteeHandler();
        bytes4[] memory actions = new bytes4[](10);
        actions[0] = handler.addMember.selector;
        actions[1] = handler.removeMember.selector;
        actions[2] = handler.depositBond.selector;
        actions[3] = handler.withdrawBond.selector;
        actions[4] = handler.suspend.selector;
        actions[5] = handler.release.selector;
        actions[6] = handler.slashBond.selector;
        actions[7] = handler.warp.selector;
        actions[8] = handler.signTruly.selector;
        actions[9] = handler.signWildly.selector;
        _target(address(handler), actions);
    }

    /// @dev A quorum is so many different members that count, each by its own signature, and each such set is one.
    // solhint-disable-next-line func-name-mixedcase
    function invariant_QuorumDistinctSigners() external view {
        vm.assertFalse(handler.quorumFaked());
        vm.assertFalse(handler.quorumRefused());
    }

    /// @dev The set of an issuance epoch is what it was one epoch before its start, to its end.
    // solhint-disable-next-line func-name-mixedcase
    function invariant_SetFrozenPerEpoch() external view {
        vm.assertFalse(handler.setMoved());
    }
}
