// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Taking the bond of a member
contract SlashBondTest is CommitteeTest {
    function test_TheWholeBondAndThePlaceAreLost() external {
        _suspend(2);
        vm.expectEmit(address(committee));
        emit ICommittee.MemberRemoved(2, vm.addr(memberKeys[2]), GENESIS + ISSUANCE);
        vm.expectEmit(address(committee));
        emit ICommittee.BondSlashed(2, memberOwners[2], BOND);
        vm.prank(address(slasher));
        vm.assertEq(committee.slashBond(2), BOND);
        vm.assertEq(token.balanceOf(address(slasher)), BOND);
        vm.assertEq(token.balanceOf(address(committee)), 3 * BOND);
        vm.assertEq(committee.bondOf(2), 0);
        ICommittee.MemberInfo memory info = _info(2);
        vm.assertTrue(info.suspended && !info.bonded && info.active);
        vm.assertEq(info.activeUntil, GENESIS + ISSUANCE);
    }

    function test_TheQuorumStandsStillWithinAFrozenSet() external {
        vm.warp(GENESIS + 6 * DAY);
        _slash(2);
        vm.warp(GENESIS + 2 * ISSUANCE - 1);
        vm.assertEq(committee.size(), 4);
        vm.assertEq(committee.quorum(), 3);
        bytes memory two = _signatures(3, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadQuorum.selector, 2, 3));
        committee.checkQuorum(DIGEST, 3, two);
        committee.checkQuorum(DIGEST, 11, _signatures(11, DIGEST));
        vm.warp(GENESIS + 2 * ISSUANCE);
        vm.assertEq(committee.size(), 3);
        committee.checkQuorum(DIGEST, 3, two);
    }

    function test_ASecondSlashTakesNothing() external {
        vm.assertEq(_slash(2), BOND);
        uint40 until = _info(2).activeUntil;
        vm.warp(GENESIS + 30 * DAY);
        vm.recordLogs();
        vm.prank(address(slasher));
        vm.assertEq(committee.slashBond(2), 0);
        vm.assertEq(vm.getRecordedLogs().length, 0);
        vm.assertEq(_info(2).activeUntil, until);
        vm.assertEq(token.balanceOf(address(slasher)), BOND);
    }

    function test_AMemberWithoutABondLosesItsPlace() external {
        (uint256 index,) = _admit("newcomer");
        vm.warp(GENESIS + ISSUANCE);
        vm.assertEq(_slash(index), 0);
        vm.assertEq(_info(index).activeUntil, GENESIS + 2 * ISSUANCE);
    }

    function test_AMemberWhoseTimeEndedKeepsItsEnd() external {
        vm.prank(owner);
        committee.removeMember(2);
        vm.warp(GENESIS + 3 * ISSUANCE);
        vm.assertEq(_slash(2), BOND);
        vm.assertEq(_info(2).activeUntil, GENESIS + ISSUANCE);
    }

    function test_EvenTheLastMemberIsExpelled() external {
        for (uint256 i = 0; i < 4; ++i) {
            _slash(i);
        }
        vm.warp(GENESIS + ISSUANCE);
        vm.assertEq(committee.size(), 0);
        vm.assertEq(committee.quorum(), 1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadQuorum.selector, 0, 1));
        committee.checkQuorum(DIGEST, 0, "");
    }

    function test_OnlyTheSlasherAndOnlyTheSuspended() external {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotSlasher.selector, owner));
        committee.slashBond(1);
        vm.startPrank(address(slasher));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongSuspension.selector, 1, false));
        committee.slashBond(1);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        committee.slashBond(4);
    }
}
