// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Suspending and releasing a member
contract SuspendTest is CommitteeTest {
    function test_ASuspendedMembersSignatureCountsForNothing() external {
        address signer = vm.addr(memberKeys[1]);
        committee.checkQuorum(DIGEST, 7, _signatures(7, DIGEST));
        vm.expectEmit(address(committee));
        emit ICommittee.MemberSuspended(1, signer);
        _suspend(1);
        vm.assertTrue(_info(1).suspended);
        vm.assertFalse(committee.isMember(signer));
        bytes memory signatures = _signatures(7, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 1));
        committee.checkQuorum(DIGEST, 7, signatures);
        // the others still are a quorum of the same four
        vm.assertEq(committee.size(), 4);
        vm.assertEq(committee.quorum(), 3);
        committee.checkQuorum(DIGEST, 13, _signatures(13, DIGEST));
        vm.assertEq(committee.signerOf(1), signer);
        vm.assertEq(committee.bondOf(1), BOND);
    }

    function test_AReleasedOneCountsAgain() external {
        _suspend(1);
        vm.expectEmit(address(committee));
        emit ICommittee.MemberReleased(1, vm.addr(memberKeys[1]));
        vm.prank(address(slasher));
        committee.release(1);
        vm.assertFalse(_info(1).suspended);
        vm.assertTrue(committee.isMember(vm.addr(memberKeys[1])));
        committee.checkQuorum(DIGEST, 7, _signatures(7, DIGEST));
    }

    function test_EachOnce() external {
        vm.startPrank(address(slasher));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongSuspension.selector, 1, false));
        committee.release(1);
        committee.suspend(1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongSuspension.selector, 1, true));
        committee.suspend(1);
        committee.slashBond(1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongSuspension.selector, 1, true));
        committee.release(1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongSuspension.selector, 1, true));
        committee.suspend(1);
    }

    function test_OnlyTheSlasherAndOnlyMembers() external {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotSlasher.selector, owner));
        committee.suspend(1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotSlasher.selector, owner));
        committee.release(1);
        vm.stopPrank();
        vm.startPrank(address(slasher));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        committee.suspend(4);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        committee.release(4);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        committee.signerOf(4);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        committee.bondOf(4);
    }
}
