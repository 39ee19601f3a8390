// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Changing where a node's rewards go
contract SetPayoutTest is RegistryTest {
    function test_TheOwnerNamesAnotherAccount() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        vm.expectEmit(address(registry));
        emit INodeRegistry.PayoutChanged(index, alice, bob);
        vm.prank(alice);
        registry.setPayout(index, bob);
        vm.assertEq(registry.payoutOf(index), bob);
        vm.assertEq(registry.node(index).payout, bob);
    }

    function test_ItWorksForATombstonedNode() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        _tombstone(index);
        vm.prank(alice);
        registry.setPayout(index, bob);
        vm.assertEq(registry.payoutOf(index), bob);
    }

    function test_AnEmptyAccountAndOthersAreRefused() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        vm.prank(alice);
        vm.expectRevert(INodeRegistry.EmptyField.selector);
        registry.setPayout(index, address(0));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotNodeOwner.selector, index, bob));
        registry.setPayout(index, bob);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, 9));
        registry.setPayout(9, bob);
    }
}
