// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {StakingTest} from "./StakingTest.sol";

contract UpgradeTest is StakingTest {
    function test_KeepsWhatIsStored() external {
        _delegate(bob, node, 77);
        StakeHub next = _implementation();
        vm.prank(owner);
        hub.upgradeToAndCall(address(next), "");
        vm.assertEq(hub.bondOf(node), BOND);
        vm.assertEq(_worth(bob, node), 77);
        vm.assertEq(hub.guardian(), owner);
    }

    function test_IsForTheOwnerOnly() external {
        StakeHub next = _implementation();
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, alice, owner));
        vm.prank(alice);
        hub.upgradeToAndCall(address(next), "");
    }

    function test_HappensOnce() external {
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        hub.initialize();
    }

    function test_LeavesTheImplementationUnusable() external {
        StakeHub next = _implementation();
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        next.initialize();
    }

    function test_AppointsTheOwnerAsGuardian() external {
        StakeHub fresh =
            StakeHub(address(new ERC1967Proxy(address(_implementation()), abi.encodeCall(StakeHub.initialize, ()))));
        vm.assertEq(fresh.guardian(), owner);
        vm.assertEq(fresh.owner(), owner);
    }

    function test_KnowsItsLinks() external view {
        vm.assertEq(address(hub.token()), address(token));
        vm.assertEq(address(hub.parameters()), address(parameters));
        vm.assertEq(address(hub.epochs()), address(epochs));
        vm.assertEq(address(hub.registry()), address(registry));
        vm.assertEq(address(hub.oracle()), address(oracle));
        vm.assertEq(address(hub.vault()), address(vault));
        vm.assertEq(hub.slasher(), address(slasher));
        vm.assertEq(address(hub.court()), address(court));
    }

    function test_RefusesEmptyLinks() external {
        IReportOracle o = oracle;
        IRewardVault v = vault;
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new StakeHub(address(0), token, parameters, epochs, registry, o, v, address(slasher), court);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new StakeHub(
            owner, token, parameters, epochs, registry, IReportOracle(address(0)), v, address(slasher), court
        );
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new StakeHub(
            owner, token, parameters, epochs, registry, o, IRewardVault(address(0)), address(slasher), court
        );
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new StakeHub(owner, token, parameters, epochs, registry, o, v, address(0), court);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        new StakeHub(
            owner, token, parameters, epochs, registry, o, v, address(slasher), IPausing(address(0))
        );
    }

    function _implementation() private returns (StakeHub) {
        return new StakeHub(
            owner, token, parameters, epochs, registry, oracle, vault, address(slasher), court
        );
    }
}
