// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Committee} from "../../../contracts/reporting/Committee.sol";
import {Slasher} from "../../../contracts/reporting/Slasher.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {World} from "../support/World.sol";

/// @title The slasher holds its own against tokens that misbehave
contract HostileTokensTest is World {
    uint256 private constant BOND = 1_000_000 * QNET;
    HostileToken private hostile;
    Slasher private guarded;
    Committee private bonds;

    function setUp() public {
        _deploy(1);
        hostile = new HostileToken(address(this), 10 * BOND);
        ICommittee.Member[] memory founders = new ICommittee.Member[](1);
        founders[0] = ICommittee.Member(address(this), address(1), "");
        uint64 nonce = vm.getNonce(address(this));
        bonds = new Committee(
            owner, hostile, parameters, epochs, vm.computeCreateAddress(address(this), nonce + 1), founders
        );
        guarded = new Slasher(
            owner, hostile, parameters, registry, hub, bonds, address(this), address(vault), channels
        );
        vm.assertEq(bonds.slasher(), address(guarded));
        hostile.approve(address(bonds), BOND);
        bonds.depositBond();
        guarded.queueMember(0, 0, 0, address(0xC4A11), "a");
        guarded.queueMember(0, 0, 0, address(0xC4A11), "b");
        vm.warp(GENESIS + 7 * DAY);
    }

    function test_AnExecutionIsNotEnteredAgain() external {
        hostile.setCallback(address(guarded), abi.encodeCall(guarded.execute, (2)));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        guarded.execute(1);
        vm.assertTrue(guarded.slashOf(1).state == ISlasher.State.Escrow);
    }

    function test_PartsAreExactOrNothingIsPaid() external {
        hostile.setMode(HostileToken.Mode.Fee);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.WrongTransfer.selector, BOND, BOND - BOND / 100));
        guarded.execute(1);
        hostile.setMode(HostileToken.Mode.Honest);
        guarded.execute(1);
        vm.assertEq(hostile.balanceOf(address(0xC4A11)), BOND / 20);
        vm.assertEq(hostile.balanceOf(address(guarded)), 0);
    }
}
