// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Queueing the slash of a member
contract QueueMemberTest is SlasherTest {
    bytes32 private constant EVIDENCE = keccak256("evidence");

    function test_TheMemberIsSuspended() external {
        uint64 until = uint64(_now() + ESCROW);
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashQueued(1, true, 3, 5, ALL, EVIDENCE, challenger, until);
        vm.expectEmit(address(committee));
        emit ICommittee.MemberSuspended(3, vm.addr(memberKeys[3]));
        vm.prank(address(court));
        slasher.queueMember(3, 5, 77, challenger, EVIDENCE);
        ISlasher.Slash memory slash = slasher.slashOf(1);
        vm.assertTrue(slash.state == ISlasher.State.Escrow && slash.isMember);
        vm.assertEq(slash.subject, 3);
        vm.assertEq(slash.epoch, 5);
        vm.assertEq(slash.ppm, ALL);
        vm.assertEq(slash.refill, 77);
        vm.assertTrue(_isSuspended(3));
        vm.assertEq(committee.bondOf(3), MEMBER_BOND);
    }

    function test_ASecondAccusationFindsItSuspended() external {
        _queueMember(3, 0, EVIDENCE);
        _queueMember(3, 0, keccak256("more"));
        vm.assertEq(slasher.count(), 2);
        vm.assertTrue(_isSuspended(3));
    }

    function test_AnExpelledMemberIsAccusedAllTheSame() external {
        _queueMember(3, 0, EVIDENCE);
        _afterEscrow();
        slasher.execute(1);
        _queueMember(3, 0, keccak256("more"));
        _afterEscrow();
        vm.expectEmit(address(slasher));
        emit ISlasher.SlashExecuted(2, 0, 0, 0);
        slasher.execute(2);
        vm.assertTrue(_isSuspended(3));
    }

    function test_OnlyTheCourtAndTheChannelsQueue() external {
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotAccuser.selector, address(this)));
        slasher.queueMember(3, 0, 0, challenger, EVIDENCE);
        vm.prank(address(channels));
        slasher.queueMember(3, 0, 0, challenger, EVIDENCE);
        vm.assertTrue(slasher.slashOf(1).isPremium);
        vm.assertTrue(_isSuspended(3));
        vm.prank(address(court));
        slasher.queueMember(3, 0, 0, challenger, keccak256("more"));
        vm.assertFalse(slasher.slashOf(2).isPremium);
    }

    function test_TheChannelsAccuseNoNode() external {
        vm.startPrank(address(channels));
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotCourt.selector, address(channels)));
        slasher.queueNode(index, 0, 1, challenger, EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotCourt.selector, address(channels)));
        slasher.jail(index);
        vm.stopPrank();
    }

    function test_TheMemberMustExist() external {
        vm.startPrank(address(court));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NoSuchMember.selector, 4));
        slasher.queueMember(4, 0, 0, challenger, EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 32, 1 << 32));
        slasher.queueMember(1 << 32, 0, 0, challenger, EVIDENCE);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        slasher.queueMember(3, 0, 0, address(0), EVIDENCE);
    }

    function test_OneEvidenceSlashesOnce() external {
        _queueMember(3, 0, EVIDENCE);
        vm.prank(address(court));
        vm.expectRevert(abi.encodeWithSelector(ISlasher.EvidenceUsed.selector, EVIDENCE));
        slasher.queueMember(2, 0, 0, challenger, EVIDENCE);
        vm.assertFalse(_isSuspended(2));
    }
}
