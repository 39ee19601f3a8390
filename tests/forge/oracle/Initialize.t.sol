// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {ReportOracle} from "../../../contracts/reporting/ReportOracle.sol";
import {IOwned} from "../../../interfaces/IOwned.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {OracleTest} from "./OracleTest.sol";

contract InitializeTest is OracleTest {
    function _implementation(address owner_, address court_) private returns (ReportOracle) {
        return new ReportOracle(owner_, parameters, epochs, committee, token, IPausing(court_));
    }

    function test_ItIsWired() external view {
        vm.assertEq(address(oracle.parameters()), address(parameters));
        vm.assertEq(address(oracle.epochs()), address(epochs));
        vm.assertEq(address(oracle.committee()), address(committee));
        vm.assertEq(address(oracle.token()), address(token));
        vm.assertEq(address(oracle.court()), address(court));
        vm.assertEq(oracle.owner(), owner);
        vm.assertEq(oracle.guardian(), owner);
    }

    function test_Once() external {
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        oracle.initialize();
    }

    function test_TheImplementationNever() external {
        ReportOracle implementation = _implementation(owner, address(court));
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        implementation.initialize();
    }

    function test_NoLinkMayBeEmpty() external {
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _implementation(address(0), address(court));
        vm.expectRevert(IOwned.ZeroAddress.selector);
        _implementation(owner, address(0));
    }

    function test_OnlyTheOwnerUpgrades() external {
        address implementation = address(_implementation(owner, address(court)));
        vm.expectRevert(abi.encodeWithSelector(IOwned.NotOwner.selector, mallory, owner));
        vm.prank(mallory);
        oracle.upgradeToAndCall(implementation, "");
        bytes32 hash = _reported(0);
        vm.prank(owner);
        oracle.upgradeToAndCall(implementation, "");
        vm.assertEq(oracle.lastReportHash(), hash);
    }

    function test_AnUnknownEpochHasNoReport() external view {
        (IReportOracle.EpochReport memory r, bytes32 hash, uint64 at, IReportOracle.Status status) = oracle.report(9);
        IReportOracle.EpochReport memory empty;
        vm.assertEq(keccak256(abi.encode(r)), keccak256(abi.encode(empty)));
        vm.assertEq(hash, bytes32(0));
        vm.assertEq(at, 0);
        vm.assertEq(uint256(status), 0);
    }
}
