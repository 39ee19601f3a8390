// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Slasher} from "../../../contracts/reporting/Slasher.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {SlasherTest} from "./SlasherTest.sol";

/// @title Deploying the slasher
contract ConstructTest is SlasherTest {
    function _make(address owner_, address court_, address vault_) private returns (Slasher) {
        return _make(owner_, court_, vault_, channels);
    }

    function _make(address owner_, address court_, address vault_, IPremiumChannels channels_)
        private
        returns (Slasher)
    {
        return new Slasher(owner_, token, parameters, registry, hub, committee, court_, vault_, channels_);
    }

    function test_LinksStandAsGiven() external view {
        vm.assertEq(slasher.owner(), address(timelock));
        vm.assertEq(address(slasher.token()), address(token));
        vm.assertEq(address(slasher.parameters()), address(parameters));
        vm.assertEq(address(slasher.registry()), address(registry));
        vm.assertEq(address(slasher.hub()), address(hub));
        vm.assertEq(address(slasher.committee()), address(committee));
        vm.assertEq(slasher.court(), address(court));
        vm.assertEq(slasher.vault(), address(vault));
        vm.assertEq(address(slasher.channels()), address(channels));
        vm.assertEq(slasher.count(), 0);
    }

    function test_TheOwnerIsGuardianAndVetoerAtFirst() external {
        vm.expectEmit();
        emit IPausing.GuardianSet(address(0), owner);
        vm.expectEmit();
        emit ISlasher.VetoerSet(address(0), owner);
        Slasher fresh = _make(owner, address(court), address(vault));
        vm.assertEq(fresh.guardian(), owner);
        vm.assertEq(fresh.vetoer(), owner);
    }

    function test_EmptyLinksAreRefused() external {
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _make(address(0), address(court), address(vault));
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _make(owner, address(0), address(vault));
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _make(owner, address(court), address(0));
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _make(owner, address(court), address(vault), IPremiumChannels(address(0)));
    }
}
