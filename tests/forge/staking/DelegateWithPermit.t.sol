// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {Permits} from "./Permits.sol";

contract DelegateWithPermitTest is Permits {
    function setUp() public override {
        super.setUp();
        _disallow(bob);
    }

    function test_NeedsNoApproval() external {
        Permit memory permit = _permit("bob", 9);
        vm.expectEmit(address(hub));
        emit IStakeHub.Delegated(node, bob, 9, 9 * VIRTUAL_SHARES, 9);
        vm.assertEq(_delegateBy(permit, 9, 0), 9 * VIRTUAL_SHARES);
        vm.assertEq(token.allowance(bob, address(hub)), 0);
    }

    function test_SurvivesSomebodySendingThePermitFirst() external {
        Permit memory permit = _permit("bob", 9);
        token.permit(bob, address(hub), 9, permit.deadline, permit.v, permit.r, permit.s);
        _delegateBy(permit, 9, 0);
        vm.assertEq(hub.poolOf(node), 9);
    }

    function test_RefusesFewerSharesThanWanted() external {
        Permit memory permit = _permit("bob", 9);
        uint256 wanted = 9 * VIRTUAL_SHARES + 1;
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.TooFewShares.selector, wanted - 1, wanted));
        _delegateBy(permit, 9, wanted);
    }

    function test_RefusesThePermitOfAnother() external {
        Permit memory permit = _permit("carol", 9);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(hub), 0, 9)
        );
        _delegateBy(permit, 9, 0);
    }

    function test_StopsWhilePaused() external {
        Permit memory permit = _permit("bob", 9);
        uint64 until = _pause(hub, 1);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        _delegateBy(permit, 9, 0);
    }

    function _delegateBy(Permit memory permit, uint256 amount, uint256 minShares) private returns (uint256) {
        vm.prank(bob);
        return
            hub.delegateWithPermit(node, amount, minShares, permit.deadline, permit.v, permit.r, permit.s);
    }
}
