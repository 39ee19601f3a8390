// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Ending a membership
contract RemoveMemberTest is CommitteeTest {
    function test_AMemberServesToTheNextChange() external {
        vm.warp(GENESIS + 6 * DAY);
        uint256 until = GENESIS + 2 * ISSUANCE;
        vm.expectEmit(address(committee));
        emit ICommittee.MemberRemoved(3, vm.addr(memberKeys[3]), until);
        vm.prank(owner);
        committee.removeMember(3);
        vm.warp(until - 1);
        vm.assertTrue(committee.isMember(vm.addr(memberKeys[3])));
        vm.assertEq(committee.size(), 4);
        committee.checkQuorum(DIGEST, 14, _signatures(14, DIGEST));
        vm.warp(until);
        vm.assertFalse(committee.isMember(vm.addr(memberKeys[3])));
        vm.assertEq(committee.size(), 3);
        vm.assertEq(committee.quorum(), 2);
        bytes memory signatures = _signatures(12, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 3));
        committee.checkQuorum(DIGEST, 12, signatures);
    }

    function test_AMembershipEndsOnce() external {
        vm.startPrank(owner);
        committee.removeMember(3);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 3));
        committee.removeMember(3);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        committee.removeMember(4);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, type(uint256).max));
        committee.removeMember(type(uint256).max);
    }

    function test_TheLastMemberWhoCanSignStays() external {
        vm.startPrank(owner);
        committee.removeMember(0);
        committee.removeMember(1);
        vm.stopPrank();
        _suspend(2);
        vm.prank(owner);
        vm.expectRevert(ICommittee.LastMember.selector);
        committee.removeMember(3);
        vm.prank(owner);
        committee.removeMember(2);
        (uint256 newcomer,) = _admit("newcomer");
        vm.prank(owner);
        committee.removeMember(3);
        vm.warp(GENESIS + ISSUANCE);
        vm.assertEq(committee.size(), 1);
        vm.assertTrue(_info(newcomer).active);
    }

    function test_OneRemovedBeforeItBeganNeverCounts() external {
        (uint256 index,) = _admit("newcomer");
        vm.prank(owner);
        committee.removeMember(index);
        vm.warp(GENESIS + ISSUANCE);
        vm.assertEq(committee.size(), 4);
        vm.assertFalse(_info(index).active);
    }

    function test_OnlyTheOwnerRemoves() external {
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, mallory, owner));
        committee.removeMember(0);
    }
}
