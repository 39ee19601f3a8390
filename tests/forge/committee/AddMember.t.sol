// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Admitting a member, and the moment changes take effect
contract AddMemberTest is CommitteeTest {
    function test_AMemberCountsFromTheNextChange() external {
        (ICommittee.Member memory member,) = _newcomer("newcomer");
        vm.expectEmit(address(committee));
        emit ICommittee.MemberAdded(4, member.owner, member.signer, GENESIS + ISSUANCE);
        vm.prank(owner);
        vm.assertEq(committee.addMember(member), 4);
        _fund(member.owner, BOND);
        vm.prank(member.owner);
        committee.depositBond();

        vm.warp(GENESIS + ISSUANCE - 1);
        vm.assertEq(committee.size(), 4);
        vm.assertFalse(committee.isMember(member.signer));
        vm.assertFalse(_info(4).active);
        vm.warp(GENESIS + ISSUANCE);
        vm.assertEq(committee.size(), 5);
        vm.assertTrue(committee.isMember(member.signer));
        vm.assertTrue(_info(4).active);
    }

    function test_TheSetIsFrozenOneEpochAhead() external {
        vm.assertEq(committee.nextChange(), GENESIS + ISSUANCE);
        vm.warp(GENESIS + 6 * DAY - 1);
        vm.assertEq(committee.nextChange(), GENESIS + ISSUANCE);
        vm.warp(GENESIS + 6 * DAY);
        vm.assertEq(committee.nextChange(), GENESIS + 2 * ISSUANCE);
        vm.warp(GENESIS + 7 * DAY);
        vm.assertEq(committee.nextChange(), GENESIS + 2 * ISSUANCE);
        vm.warp(GENESIS + 13 * DAY);
        vm.assertEq(committee.nextChange(), GENESIS + 3 * ISSUANCE);
        vm.warp(GENESIS - 1);
        vm.assertEq(committee.nextChange(), GENESIS + ISSUANCE);
    }

    function test_EmptyAndKnownAccountsAreRefused() external {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.InvalidMember.selector, address(0), mallory));
        committee.addMember(ICommittee.Member(address(0), mallory, ""));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.InvalidMember.selector, mallory, address(0)));
        committee.addMember(ICommittee.Member(mallory, address(0), ""));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.InvalidMember.selector, memberOwners[2], mallory));
        committee.addMember(ICommittee.Member(memberOwners[2], mallory, ""));
        address signer = vm.addr(memberKeys[2]);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.InvalidMember.selector, mallory, signer));
        committee.addMember(ICommittee.Member(mallory, signer, ""));
    }

    function test_ASlashedMemberIsNotAdmittedAgain() external {
        _slash(2);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.InvalidMember.selector, memberOwners[2], mallory));
        committee.addMember(ICommittee.Member(memberOwners[2], mallory, ""));
    }

    function test_ThereAre256Places() external {
        vm.startPrank(owner);
        for (uint256 i = 4; i < 256; ++i) {
            committee.addMember(ICommittee.Member(address(uint160(1000 + i)), address(uint160(2000 + i)), ""));
        }
        vm.expectRevert(abi.encodeWithSelector(ICommittee.TooManyMembers.selector, 256));
        committee.addMember(ICommittee.Member(mallory, mallory, ""));
        vm.warp(GENESIS + ISSUANCE);
        vm.assertEq(committee.size(), 256);
        vm.assertEq(committee.quorum(), 171);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignatureLength.selector, 0, 65));
        committee.checkQuorum(DIGEST, 1 << 255, "");
    }

    function test_OnlyTheOwnerAdmits() external {
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, mallory, owner));
        committee.addMember(ICommittee.Member(mallory, mallory, ""));
    }
}
