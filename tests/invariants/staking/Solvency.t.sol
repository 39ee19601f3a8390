// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {StakingInvariants} from "./StakingInvariants.sol";

/// @dev What the hub holds, owes and takes.
contract SolvencyInvariants is StakingInvariants {
    /// @dev Rounding leaves wei behind, never more than a few for each ticket that ever was.
    uint256 private constant DUST = 10_000;

    function invariant_HubSolvent() external view {
        uint256 due = _waiting(0) + handler.donated();
        for (uint256 i = 0; i < nodes.length; ++i) {
            (uint256 unstreamed,) = hub.streamOf(nodes[i]);
            due += hub.bondOf(nodes[i]) + hub.poolOf(nodes[i]) + unstreamed + hub.owed(nodes[i]);
        }
        uint256 held = token.balanceOf(address(hub));
        vm.assertGe(held, due, "more is due than held");
        vm.assertLe(held, due + DUST, "tokens are stuck");
        vm.assertFalse(handler.miscounted());
    }

    function invariant_NoDoubleSettle() external view {
        uint256 settled;
        for (uint256 i = 0; i < nodes.length; ++i) {
            (uint256 cumOperator, uint256 cumPool) = hub.settledCum(nodes[i]);
            settled += cumOperator + cumPool;
        }
        vm.assertEq(settled, vault.totalPaid());
        vm.assertLe(settled, vault.totalEarned());
    }

    function invariant_SlashableUntilWithdraw() external view {
        for (uint256 i = 0; i < nodes.length; ++i) {
            uint256 least = hub.bondOf(nodes[i]) + hub.poolOf(nodes[i]) + _waiting(nodes[i]);
            vm.assertGe(hub.slashableOf(nodes[i], 0), least, "a ticket is out of reach");
        }
        vm.assertFalse(handler.miscounted(), "a slash took another amount than it reached");
    }

    function invariant_UnbondDelayHolds() external view {
        vm.assertFalse(handler.early());
    }

    /// @dev Every ticket that is free is paid, even while the hub is paused.
    function invariant_WithdrawAliveWhenPaused() external {
        uint256 before = vm.snapshotState();
        address guardian = hub.guardian();
        uint64 last = hub.pausedUntil();
        if (last != 0 && block.timestamp >= last && block.timestamp < last + 30 days) {
            vm.warp(last + 30 days);
        }
        if (!hub.isPaused()) {
            vm.prank(guardian);
            hub.pause(uint64(block.timestamp + 14 days));
        }
        for (uint256 i = 0; i < people.length; ++i) {
            for (uint8 ticket = 0; ticket < 16; ++ticket) {
                (uint32 index,,, uint256 amount, uint64 unlocksAt) = hub.ticketOf(people[i], ticket);
                if (index == 0 || block.timestamp < unlocksAt || hub.freezesOf(index) != 0) continue;
                vm.prank(people[i]);
                vm.assertEq(hub.withdraw(ticket), amount);
            }
        }
        vm.revertToState(before);
    }
}
