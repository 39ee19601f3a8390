// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Permits} from "./Permits.sol";

contract BondWithPermitTest is Permits {
    function setUp() public override {
        super.setUp();
        _disallow(alice);
    }

    function test_NeedsNoApproval() external {
        Permit memory permit = _permit("alice", 9);
        vm.expectEmit(address(hub));
        emit IStakeHub.Bonded(node, alice, 9, BOND + 9);
        _bond(permit, 9);
        vm.assertEq(hub.bondOf(node), BOND + 9);
        vm.assertEq(token.allowance(alice, address(hub)), 0);
    }

    function test_SurvivesSomebodySendingThePermitFirst() external {
        Permit memory permit = _permit("alice", 9);
        token.permit(alice, address(hub), 9, permit.deadline, permit.v, permit.r, permit.s);
        _bond(permit, 9);
        vm.assertEq(hub.bondOf(node), BOND + 9);
    }

    function test_RefusesAPermitThatIsOver() external {
        Permit memory permit = _permit("alice", 9);
        vm.warp(permit.deadline + 1);
        _expectNoAllowance(9);
        _bond(permit, 9);
    }

    function test_RefusesThePermitOfAnother() external {
        Permit memory permit = _permit("bob", 9);
        _expectNoAllowance(9);
        _bond(permit, 9);
    }

    function test_RefusesAnotherAmount() external {
        Permit memory permit = _permit("alice", 9);
        _expectNoAllowance(10);
        _bond(permit, 10);
    }

    function test_StopsWhilePaused() external {
        Permit memory permit = _permit("alice", 9);
        uint64 until = _pause(hub, 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        _bond(permit, 9);
    }

    function _expectNoAllowance(uint256 needed) private {
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(hub), 0, needed)
        );
    }

    function _bond(Permit memory permit, uint256 amount) private {
        vm.prank(alice);
        hub.bondWithPermit(node, amount, permit.deadline, permit.v, permit.r, permit.s);
    }
}
