// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Appointing the contract that jails
contract SetSlasherTest is RegistryTest {
    function test_TheOwnerAppointsAnother() external {
        uint32 index = _register(alice, INodeRegistry.Role.Mix);
        vm.expectEmit(address(registry));
        emit INodeRegistry.SlasherSet(address(slasher), bob);
        vm.prank(owner);
        registry.setSlasher(bob);
        vm.assertEq(registry.slasher(), bob);
        vm.prank(address(slasher));
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotSlasher.selector, address(slasher)));
        registry.tombstone(index);
        vm.prank(bob);
        registry.tombstone(index);
    }

    function test_AnEmptyOneAndOthersAreRefused() external {
        vm.prank(owner);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        registry.setSlasher(address(0));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, alice, owner));
        registry.setSlasher(alice);
    }
}
