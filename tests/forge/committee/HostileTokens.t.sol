// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Committee} from "../../../contracts/reporting/Committee.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {World} from "../support/World.sol";

/// @title The committee holds its own against tokens that misbehave
contract HostileTokensTest is World {
    uint256 private constant BOND = 1_000_000 * QNET;
    HostileToken private hostile;
    Committee private guarded;
    address private alice;

    function setUp() public {
        _deploy(1);
        (alice,) = _account("alice");
        hostile = new HostileToken(address(this), 10 * BOND);
        ICommittee.Member[] memory founders = new ICommittee.Member[](2);
        founders[0] = ICommittee.Member(alice, address(1), "");
        founders[1] = ICommittee.Member(address(hostile), address(2), "");
        guarded = new Committee(owner, hostile, parameters, epochs, address(slasher), founders);
        hostile.transfer(alice, BOND);
        hostile.transfer(address(hostile), BOND);
        hostile.transfer(address(guarded), BOND);
        vm.prank(alice);
        hostile.approve(address(guarded), BOND);
        hostile.run(address(hostile), abi.encodeCall(hostile.approve, (address(guarded), BOND)));
    }

    function _deposit() private {
        vm.prank(alice);
        guarded.depositBond();
    }

    /// @dev Alice, bonded, at the moment her bond unlocks.
    function _unlock() private {
        _deposit();
        vm.prank(owner);
        guarded.removeMember(0);
        vm.warp(GENESIS + 56 * DAY);
    }

    function _suspend() private {
        vm.prank(address(slasher));
        guarded.suspend(0);
    }

    function test_HonestItWorks() external {
        _unlock();
        vm.prank(alice);
        guarded.withdrawBond();
        vm.assertEq(hostile.balanceOf(alice), BOND);
    }

    function test_ADepositMovesExactlyTheBond() external {
        hostile.setMode(HostileToken.Mode.Fee);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, BOND - BOND / 100));
        _deposit();
        hostile.setMode(HostileToken.Mode.Lie);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, 0));
        _deposit();
        hostile.setMode(HostileToken.Mode.Gift);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, BOND + 1));
        _deposit();
        hostile.setMode(HostileToken.Mode.Refuse);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        _deposit();
        vm.assertEq(guarded.bondOf(0), 0);
    }

    function test_AWithdrawalMovesExactlyTheBond() external {
        _unlock();
        vm.startPrank(alice);
        hostile.setMode(HostileToken.Mode.Fee);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, BOND - BOND / 100));
        guarded.withdrawBond();
        hostile.setMode(HostileToken.Mode.Lie);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, 0));
        guarded.withdrawBond();
        hostile.setMode(HostileToken.Mode.Surcharge);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, BOND + 1));
        guarded.withdrawBond();
        hostile.setMode(HostileToken.Mode.Refuse);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        guarded.withdrawBond();
        vm.assertEq(guarded.bondOf(0), BOND);
    }

    function test_ASlashMovesExactlyTheBond() external {
        _deposit();
        _suspend();
        hostile.setMode(HostileToken.Mode.Fee);
        vm.prank(address(slasher));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, BOND - BOND / 100));
        guarded.slashBond(0);
        vm.assertEq(guarded.bondOf(0), BOND);
    }

    function test_ADepositIsNotEnteredAgain() external {
        hostile.setCallback(address(guarded), abi.encodeCall(guarded.depositBond, ()));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        _deposit();
    }

    function test_AWithdrawalIsNotEnteredAgain() external {
        bytes memory deposit = abi.encodeCall(guarded.depositBond, ());
        bytes memory withdraw = abi.encodeCall(guarded.withdrawBond, ());
        hostile.run(address(guarded), deposit);
        vm.prank(owner);
        guarded.removeMember(1);
        vm.warp(GENESIS + 56 * DAY);
        hostile.setCallback(address(guarded), withdraw);
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        hostile.run(address(guarded), withdraw);
        hostile.setCallback(address(guarded), deposit);
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        hostile.run(address(guarded), withdraw);
        vm.assertEq(guarded.bondOf(1), BOND);
    }

    function test_ASlashIsNotEnteredAgain() external {
        _deposit();
        _suspend();
        hostile.setCallback(address(guarded), abi.encodeCall(guarded.withdrawBond, ()));
        vm.prank(address(slasher));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        guarded.slashBond(0);
    }
}
