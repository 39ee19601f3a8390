// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Committee} from "../../../contracts/reporting/Committee.sol";
import {Epochs} from "../../../contracts/reporting/Epochs.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Founding the committee
contract ConstructTest is CommitteeTest {
    function test_FoundersAreActiveAtOnce() external view {
        vm.assertEq(committee.owner(), owner);
        vm.assertEq(address(committee.token()), address(token));
        vm.assertEq(address(committee.parameters()), address(parameters));
        vm.assertEq(address(committee.epochs()), address(epochs));
        vm.assertEq(committee.slasher(), address(slasher));
        vm.assertEq(committee.size(), 4);
        vm.assertEq(committee.quorum(), 3);
        ICommittee.MemberInfo[] memory all = committee.members();
        vm.assertEq(all.length, 4);
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertEq(all[i].owner, memberOwners[i]);
            vm.assertEq(all[i].signer, vm.addr(memberKeys[i]));
            vm.assertEq(all[i].url, "http://127.0.0.1:18701");
            vm.assertTrue(all[i].active && all[i].bonded && !all[i].suspended);
            vm.assertEq(all[i].activeFrom, GENESIS);
            vm.assertEq(all[i].activeUntil, 0);
            vm.assertEq(committee.memberOf(memberOwners[i]), i);
            vm.assertEq(committee.signerOf(i), vm.addr(memberKeys[i]));
            vm.assertTrue(committee.isMember(vm.addr(memberKeys[i])));
            vm.assertEq(committee.bondOf(i), BOND);
        }
    }

    function test_AFounderIsToldOf() external {
        (ICommittee.Member memory member,) = _newcomer("founder");
        ICommittee.Member[] memory founders = new ICommittee.Member[](1);
        founders[0] = member;
        vm.expectEmit();
        emit ICommittee.MemberAdded(0, member.owner, member.signer, GENESIS);
        Committee fresh = new Committee(owner, token, parameters, epochs, address(slasher), founders);
        vm.assertEq(fresh.quorum(), 1);
        vm.assertFalse(fresh.isMember(member.signer));
    }

    function test_EmptyLinksAreRefused() external {
        (ICommittee.Member memory member,) = _newcomer("founder");
        ICommittee.Member[] memory founders = new ICommittee.Member[](1);
        founders[0] = member;
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Committee(owner, token, parameters, Epochs(address(0)), address(slasher), founders);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Committee(owner, token, parameters, epochs, address(0), founders);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new Committee(address(0), token, parameters, epochs, address(slasher), founders);
    }

    function test_SomebodyMustFoundIt() external {
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadQuorum.selector, 0, 1));
        new Committee(owner, token, parameters, epochs, address(slasher), new ICommittee.Member[](0));
    }

    function test_FoundersDiffer() external {
        (ICommittee.Member memory member,) = _newcomer("founder");
        ICommittee.Member[] memory founders = new ICommittee.Member[](2);
        founders[0] = member;
        founders[1] = ICommittee.Member(member.owner, mallory, "");
        vm.expectRevert(abi.encodeWithSelector(ICommittee.InvalidMember.selector, member.owner, mallory));
        new Committee(owner, token, parameters, epochs, address(slasher), founders);
        founders[1] = ICommittee.Member(mallory, member.signer, "");
        vm.expectRevert(abi.encodeWithSelector(ICommittee.InvalidMember.selector, mallory, member.signer));
        new Committee(owner, token, parameters, epochs, address(slasher), founders);
    }

    function test_QuorumsShareAnHonestMember() external {
        uint8[8] memory sizes = [1, 2, 3, 4, 7, 10, 16, 25];
        uint8[8] memory quorums = [1, 2, 2, 3, 5, 7, 11, 17];
        for (uint256 i = 0; i < sizes.length; ++i) {
            ICommittee.Member[] memory founders = new ICommittee.Member[](sizes[i]);
            for (uint256 j = 0; j < founders.length; ++j) {
                founders[j] = ICommittee.Member(address(uint160(1000 + j)), address(uint160(2000 + j)), "");
            }
            Committee fresh = new Committee(owner, token, parameters, epochs, address(slasher), founders);
            vm.assertEq(fresh.size(), sizes[i]);
            vm.assertEq(fresh.quorum(), quorums[i]);
        }
    }
}
