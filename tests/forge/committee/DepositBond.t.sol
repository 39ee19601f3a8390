// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {CommitteeTest} from "./CommitteeTest.sol";

/// @title Putting down a member's bond
contract DepositBondTest is CommitteeTest {
    uint256 private index;
    address private account;

    function setUp() public override {
        super.setUp();
        (index,) = _admit("newcomer");
        account = _info(index).owner;
    }

    function test_TheBondIsTheParameterOfTheMoment() external {
        _set("committee_bond_wei", 7 * QNET);
        _fund(account, 8 * QNET);
        vm.expectEmit(address(committee));
        emit ICommittee.BondDeposited(index, account, 7 * QNET);
        vm.prank(account);
        committee.depositBond();
        vm.assertEq(committee.bondOf(index), 7 * QNET);
        vm.assertEq(token.balanceOf(account), QNET);
        vm.assertEq(token.balanceOf(address(committee)), 4 * BOND + 7 * QNET);
        vm.assertTrue(_info(index).bonded);
        _set("committee_bond_wei", 9 * QNET);
        vm.assertEq(committee.bondOf(index), 7 * QNET);
    }

    function test_OneBondAMember() external {
        vm.prank(memberOwners[0]);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.AlreadyBonded.selector, 0));
        committee.depositBond();
    }

    function test_OnlyMembersBond() external {
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotMember.selector, mallory));
        committee.depositBond();
        vm.expectRevert(abi.encodeWithSelector(ICommittee.NotMember.selector, mallory));
        committee.memberOf(mallory);
    }

    function test_WithoutTokensOrApprovalItFails() external {
        vm.prank(account);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(committee), 0, BOND)
        );
        committee.depositBond();
        vm.startPrank(account);
        token.approve(address(committee), BOND);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, account, 0, BOND));
        committee.depositBond();
        vm.assertFalse(_info(index).bonded);
    }

    function test_ASuspendedMemberDoesNotBond() external {
        _suspend(index);
        _fund(account, BOND);
        vm.prank(account);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongSuspension.selector, index, true));
        committee.depositBond();
    }

    function test_ASlashedMemberNeverBondsAgain() external {
        _slash(0);
        _fund(memberOwners[0], BOND);
        vm.startPrank(memberOwners[0]);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.AlreadyBonded.selector, 0));
        committee.depositBond();
        vm.warp(GENESIS + 1000 * DAY);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.AlreadyBonded.selector, 0));
        committee.depositBond();
    }
}
