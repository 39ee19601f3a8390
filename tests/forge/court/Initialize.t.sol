// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {DisputeCourt} from "../../../contracts/reporting/DisputeCourt.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {IReportJudge} from "../../../interfaces/IReportJudge.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {CourtTest} from "./CourtTest.sol";

contract CourtInitializeTest is CourtTest {
    function _implementation(address owner_, ISlasher slasher_) private returns (DisputeCourt) {
        return new DisputeCourt(
            owner_, token, parameters, epochs, registry, hub, oracle, committee, slasher_
        );
    }

    function test_ItIsWired() external view {
        vm.assertEq(address(court.token()), address(token));
        vm.assertEq(address(court.parameters()), address(parameters));
        vm.assertEq(address(court.epochs()), address(epochs));
        vm.assertEq(address(court.registry()), address(registry));
        vm.assertEq(address(court.hub()), address(hub));
        vm.assertEq(address(court.oracle()), address(oracle));
        vm.assertEq(address(court.committee()), address(committee));
        vm.assertEq(address(court.slasher()), address(slasher));
        vm.assertEq(court.owner(), owner);
        vm.assertEq(court.guardian(), owner);
        IReportJudge judge = court.judge();
        vm.assertEq(address(judge.parameters()), address(parameters));
        vm.assertEq(address(judge.epochs()), address(epochs));
        vm.assertEq(address(judge.registry()), address(registry));
        vm.assertEq(address(judge.hub()), address(hub));
        vm.assertEq(address(judge.oracle()), address(oracle));
    }

    function test_Once() external {
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        court.initialize();
    }

    function test_TheImplementationNever() external {
        DisputeCourt implementation = _implementation(owner, slasher);
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        implementation.initialize();
    }

    function test_NoLinkMayBeEmpty() external {
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _implementation(address(0), slasher);
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _implementation(owner, ISlasher(address(0)));
    }

    function test_OnlyTheOwnerUpgrades() external {
        address implementation = address(_implementation(owner, slasher));
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, mallory, owner));
        vm.prank(mallory);
        court.upgradeToAndCall(implementation, "");
        vm.prank(carol);
        court.open(keccak256("proof"));
        vm.prank(owner);
        court.upgradeToAndCall(implementation, "");
        vm.assertEq(court.count(), 1);
    }
}
