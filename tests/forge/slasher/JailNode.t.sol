// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Jailing a node without a slash
contract JailNodeTest is SlasherTest {
    function test_TheTermIsTheParameter() external {
        uint64 until = uint64(_now() + 7 * DAY);
        vm.expectEmit(address(slasher));
        emit ISlasher.NodeJailedFor(index, until);
        vm.prank(address(court));
        slasher.jail(index);
        _expectNode(INodeRegistry.State.Jailed);
        vm.assertEq(registry.node(index).jailedUntil, until);
        vm.assertEq(hub.freezesOf(index), 0);
        vm.assertEq(hub.bondOf(index), NODE_BOND);
    }

    function test_OnlyTheCourtAndOnlyNodesThatCanBeJailed() external {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ISlasher.NotCourt.selector, owner));
        slasher.jail(index);
        vm.prank(alice);
        registry.retire(index);
        vm.prank(address(court));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongState.selector, index, INodeRegistry.State.Retired));
        slasher.jail(index);
    }
}
