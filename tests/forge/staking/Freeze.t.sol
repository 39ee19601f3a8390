// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {StakingTest} from "./StakingTest.sol";

contract FreezeTest is StakingTest {
    function test_Counts() external {
        vm.expectEmit(address(hub));
        emit IStakeHub.FreezesChanged(node, 0, 1);
        _freeze(node);
        vm.expectEmit(address(hub));
        emit IStakeHub.FreezesChanged(node, 1, 2);
        _freeze(node);
        vm.assertEq(hub.freezesOf(node), 2);
        vm.assertEq(hub.freezesOf(other), 0);
        vm.expectEmit(address(hub));
        emit IStakeHub.FreezesChanged(node, 2, 1);
        _unfreeze(node);
        _unfreeze(node);
        vm.assertEq(hub.freezesOf(node), 0);
    }

    function test_LiftsNoFreezeThatIsNotThere() external {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotFrozen.selector, node));
        _unfreeze(node);
    }

    function test_LetsTokensEnterTheQueueMeanwhile() external {
        _freeze(node);
        _unbond(5);
        vm.assertEq(_ticketAmount(alice, 0), 5);
    }

    function test_IsForTheSlasherOnly() external {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotSlasher.selector, owner));
        hub.freeze(node);
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.NotSlasher.selector, owner));
        hub.unfreeze(node);
        vm.stopPrank();
    }
}
