// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Taking a member's bond back
contract WithdrawBondTest is CommitteeTest {
    function _remove(uint256 index) private {
        vm.prank(owner);
        committee.removeMember(index);
    }

    function test_TheBondUnlocks49EpochsAfterMembership() external {
        _remove(1);
        uint256 unlocksAt = GENESIS + ISSUANCE + 49 * DAY;
        vm.warp(unlocksAt - 1);
        vm.startPrank(memberOwners[1]);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BondLocked.selector, unlocksAt));
        committee.withdrawBond();
        vm.warp(unlocksAt);
        vm.expectEmit(address(committee));
        emit ICommittee.BondWithdrawn(1, memberOwners[1], BOND);
        committee.withdrawBond();
        vm.assertEq(token.balanceOf(memberOwners[1]), BOND);
        vm.assertEq(token.balanceOf(address(committee)), 3 * BOND);
        vm.assertEq(committee.bondOf(1), 0);
        vm.assertFalse(_info(1).bonded);

        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotBonded.selector, 1));
        committee.withdrawBond();
    }

    function test_AMemberInOfficeKeepsItThere() external {
        vm.warp(GENESIS + 5000 * DAY);
        vm.prank(memberOwners[1]);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BondLocked.selector, type(uint256).max));
        committee.withdrawBond();
    }

    function test_ASuspendedMemberDoesNotWithdraw() external {
        _remove(1);
        vm.warp(GENESIS + ISSUANCE + 49 * DAY);
        _suspend(1);
        vm.prank(memberOwners[1]);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongSuspension.selector, 1, true));
        committee.withdrawBond();
        vm.prank(address(slasher));
        committee.release(1);
        vm.prank(memberOwners[1]);
        committee.withdrawBond();
        vm.assertEq(token.balanceOf(memberOwners[1]), BOND);
    }

    function test_ASlashedMemberHasNothingToWithdraw() external {
        _slash(1);
        vm.warp(GENESIS + 500 * DAY);
        vm.prank(memberOwners[1]);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotBonded.selector, 1));
        committee.withdrawBond();
    }

    function test_OnlyMembersWithdraw() external {
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotMember.selector, mallory));
        committee.withdrawBond();
    }
}
