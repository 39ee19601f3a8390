// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {PremiumChannels} from "../../../contracts/payments/PremiumChannels.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {MainTerms} from "../support/MainTerms.sol";
import {PaymentsTest} from "./PaymentsTest.sol";

/// @dev A token that takes fees, lies, or calls back.
contract HostileTokensTest is PaymentsTest {
    HostileToken private hostile;
    PremiumChannels private purse;

    function setUp() public override {
        super.setUp();
        hostile = new HostileToken(user, 1_000);
        purse = new PremiumChannels(owner, hostile, epochs, committee, registry, MainTerms.clock(), 7, UNIT, BOND);
        vm.prank(user);
        hostile.approve(address(purse), type(uint256).max);
    }

    function _opened() private {
        vm.prank(user);
        purse.open(100);
    }

    function test_DepositsArriveInFull() external {
        hostile.setMode(HostileToken.Mode.Fee);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.WrongTransfer.selector, 100, 99));
        _opened();
        hostile.setMode(HostileToken.Mode.Lie);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.WrongTransfer.selector, 100, 0));
        _opened();
        hostile.setMode(HostileToken.Mode.Gift);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.WrongTransfer.selector, 100, 101));
        _opened();
        hostile.setMode(HostileToken.Mode.Refuse);
        vm.expectRevert();
        _opened();
        hostile.setMode(HostileToken.Mode.Honest);
        _opened();
    }

    function test_PaymentsLeaveInFull() external {
        _opened();
        vm.prank(user);
        purse.startClose();
        vm.warp(_now() + 9 days);
        hostile.setMode(HostileToken.Mode.Surcharge);
        vm.expectRevert();
        purse.finalizeClose(user);
        hostile.setMode(HostileToken.Mode.Fee);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.WrongTransfer.selector, 100, 99));
        purse.finalizeClose(user);
        hostile.setMode(HostileToken.Mode.Honest);
        purse.finalizeClose(user);
        vm.assertEq(hostile.balanceOf(user), 1_000);
    }

    function test_NothingIsEnteredTwice() external {
        bytes memory error = abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        hostile.setCallback(address(purse), abi.encodeCall(purse.open, (1)));
        vm.expectRevert(error);
        _opened();
        hostile.setCallback(address(purse), abi.encodeCall(purse.finalizeClose, (user)));
        vm.expectRevert(error);
        _opened();
        hostile.setCallback(address(purse), abi.encodeCall(purse.flushBurn, ()));
        vm.expectRevert(error);
        _opened();
    }
}
