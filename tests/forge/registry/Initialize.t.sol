// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {NodeRegistry} from "../../../contracts/staking/NodeRegistry.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {RegistryTest} from "./RegistryTest.sol";

/// @title Setting the registry up, once
contract InitializeTest is RegistryTest {
    function test_LinksStandAsGiven() external view {
        vm.assertEq(registry.owner(), address(timelock));
        vm.assertEq(address(registry.parameters()), address(parameters));
        vm.assertEq(address(registry.epochs()), address(epochs));
        vm.assertEq(address(registry.hub()), address(hub));
        vm.assertEq(registry.slasher(), address(slasher));
        vm.assertEq(registry.count(), 0);
    }

    function test_InitialiseNamesTheSlasher() external {
        NodeRegistry code = new NodeRegistry(owner, parameters, epochs, hub);
        vm.expectEmit();
        emit INodeRegistry.SlasherSet(address(0), address(slasher));
        new ERC1967Proxy(address(code), abi.encodeCall(NodeRegistry.initialize, (address(slasher))));
    }

    function test_NobodyInitialisesTwice() external {
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        registry.initialize(alice);
    }

    function test_NobodyInitialisesTheImplementation() external {
        NodeRegistry code = new NodeRegistry(owner, parameters, epochs, hub);
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        code.initialize(alice);
    }

    function test_EmptyLinksAreRefused() external {
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new NodeRegistry(owner, parameters, epochs, StakeHub(address(0)));
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new NodeRegistry(address(0), parameters, epochs, hub);
        NodeRegistry code = new NodeRegistry(owner, parameters, epochs, hub);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new ERC1967Proxy(address(code), abi.encodeCall(NodeRegistry.initialize, (address(0))));
    }

    function test_AProxyWithoutInitialisationIsRefused() external {
        NodeRegistry code = new NodeRegistry(owner, parameters, epochs, hub);
        vm.expectRevert(ERC1967Proxy.ERC1967ProxyUninitialized.selector);
        new ERC1967Proxy(address(code), "");
    }

    function test_OnlyTheOwnerUpgrades() external {
        uint32 index = _node(alice, INodeRegistry.Role.Mix, MIN_BOND);
        NodeRegistry code = new NodeRegistry(owner, parameters, epochs, hub);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, alice, owner));
        registry.upgradeToAndCall(address(code), "");
        vm.prank(owner);
        registry.upgradeToAndCall(address(code), "");
        _expectState(index, INodeRegistry.State.Active);
    }

    function test_TheImplementationIsNotUpgradedDirectly() external {
        NodeRegistry code = new NodeRegistry(owner, parameters, epochs, hub);
        vm.prank(owner);
        vm.expectRevert(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector);
        code.upgradeToAndCall(address(code), "");
    }
}
