// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {Reports} from "../support/Reports.sol";

/// @title Attacks on storage, initialisers and callbacks, by row of docs/explanation/contract-security.md
contract StorageAttacks is Reports {
    /// @dev ERC-1967's place of the implementation.
    bytes32 private constant IMPLEMENTATION = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);
    uint256 private constant PLAIN_SLOTS = 64;

    address private operator;

    function setUp() public {
        _deploy(4);
        _bondCommittee();
        operator = _person("operator", 1_000_000 * QNET);
    }

    function test_ReInit_NeitherProxiesNorImplementationsStartAgain() public {
        bytes memory plain = abi.encodeWithSignature("initialize()");
        bytes memory withSlasher = abi.encodeCall(registry.initialize, (operator));
        _cannotStart(address(registry), withSlasher);
        _cannotStart(address(hub), plain);
        _cannotStart(address(oracle), plain);
        _cannotStart(address(court), plain);
        vm.assertEq(registry.slasher(), address(slasher));
    }

    function test_ReInit_AProxyWithoutSetupIsNotDeployed() public {
        address implementation = _implementationOf(address(hub));
        vm.expectRevert(ERC1967Proxy.ERC1967ProxyUninitialized.selector);
        new ERC1967Proxy(implementation, "");
    }

    function test_Upgrade_OnlyTheTimelockUpgrades() public {
        address[4] memory proxies = [address(registry), address(hub), address(oracle), address(court)];
        for (uint256 i = 0; i < proxies.length; ++i) {
            address implementation = _implementationOf(proxies[i]);
            vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, operator, owner));
            vm.prank(operator);
            UUPSUpgradeable(proxies[i]).upgradeToAndCall(implementation, "");
            vm.expectRevert(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector);
            vm.prank(owner);
            UUPSUpgradeable(implementation).upgradeToAndCall(implementation, "");
            vm.prank(owner);
            UUPSUpgradeable(proxies[i]).upgradeToAndCall(implementation, "");
        }
    }

    /// @dev What the proxies hold lies where ERC-7201's formula says, and nothing where inherited variables would lie.
    function test_StorageClash_EverythingLiesInANamespace() public {
        _node(operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        _reportEpoch(0);
        vm.prank(operator);
        court.open("a challenge");
        address[4] memory proxies = [address(registry), address(hub), address(oracle), address(court)];
        for (uint256 i = 0; i < proxies.length; ++i) {
            for (uint256 slot = 0; slot < PLAIN_SLOTS; ++slot) {
                vm.assertEq(vm.load(proxies[i], bytes32(slot)), 0);
            }
            vm.assertEq(uint256(vm.load(proxies[i], _place("openzeppelin.storage.Initializable"))), 1);
        }
        for (uint256 i = 1; i < proxies.length; ++i) {
            vm.assertEq(address(uint160(uint256(vm.load(proxies[i], _place("qnet.Pausing"))))), owner);
        }
        vm.assertGt(_used(address(registry), "qnet.NodeRegistry"), 0);
        vm.assertGt(_used(address(hub), "qnet.StakeHub"), 0);
        vm.assertGt(_used(address(oracle), "qnet.ReportOracle"), 0);
        vm.assertGt(_used(address(court), "qnet.DisputeCourt"), 0);
    }

    /// @dev The token calls back into the vault while it is paid out.
    function test_Reentrancy_APaymentIsNotRepeated() public {
        HostileToken hostile = new HostileToken(address(this), 1000);
        RewardVault paying = new RewardVault(hostile, address(this), address(hostile));
        hostile.transfer(address(paying), 1000);
        paying.fund(0, 1000);
        paying.release(0, 1000);
        bytes memory pull = abi.encodeCall(paying.pull, (operator, 100));
        hostile.setCallback(address(paying), pull);
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        hostile.run(address(paying), pull);
        vm.assertEq(paying.totalPaid(), 0);
    }

    function _cannotStart(address proxy, bytes memory call) private {
        address[2] memory targets = [proxy, _implementationOf(proxy)];
        for (uint256 i = 0; i < 2; ++i) {
            (bool done, bytes memory answer) = targets[i].call(call);
            vm.assertFalse(done);
            vm.assertEq(bytes32(bytes4(answer)), bytes32(Initializable.InvalidInitialization.selector));
        }
    }

    function _implementationOf(address proxy) private view returns (address) {
        return address(uint160(uint256(vm.load(proxy, IMPLEMENTATION))));
    }

    /// @dev ERC-7201's formula.
    function _place(string memory name) private pure returns (bytes32) {
        return keccak256(abi.encode(uint256(keccak256(bytes(name))) - 1)) & ~bytes32(uint256(0xff));
    }

    /// @dev How many of the first slots of a namespace hold something.
    function _used(address proxy, string memory name) private view returns (uint256 used) {
        uint256 place = uint256(_place(name));
        for (uint256 slot = 0; slot < PLAIN_SLOTS; ++slot) {
            if (vm.load(proxy, bytes32(place + slot)) != 0) ++used;
        }
    }
}
