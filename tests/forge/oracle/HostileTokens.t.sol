// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ReportOracle} from "../../../contracts/reporting/ReportOracle.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {OracleTest} from "./OracleTest.sol";

/// @title Demands hold their own against tokens that misbehave
contract OracleHostileTokensTest is OracleTest {
    HostileToken private hostile;

    function setUp() public override {
        super.setUp();
        hostile = new HostileToken(address(this), 100 * BOND);
        address implementation =
            address(new ReportOracle(owner, parameters, epochs, committee, hostile, court));
        vm.prank(owner);
        oracle.upgradeToAndCall(implementation, "");
        hostile.transfer(carol, 10 * BOND);
        vm.prank(carol);
        hostile.approve(address(oracle), type(uint256).max);
        _reported(0);
    }

    function test_ABondMustArriveWhole() external {
        hostile.setMode(HostileToken.Mode.Fee);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongTransfer.selector, BOND, BOND - BOND / 100));
        _demand(0, 1);
        hostile.setMode(HostileToken.Mode.Lie);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongTransfer.selector, BOND, 0));
        _demand(0, 1);
        hostile.setMode(HostileToken.Mode.Gift);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongTransfer.selector, BOND, BOND + 1));
        _demand(0, 1);
        hostile.setMode(HostileToken.Mode.Refuse);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        _demand(0, 1);
    }

    function test_ABondMustLeaveWhole() external {
        _demand(0, 1);
        IReportOracle.NodeLeaf memory leaf = _leaf(0, 1);
        bytes32[] memory proof = _proofOf(0, 1);
        hostile.setMode(HostileToken.Mode.Surcharge);
        vm.expectRevert();
        oracle.answerLeaf(leaf, proof);
        hostile.setMode(HostileToken.Mode.Lie);
        vm.expectRevert(abi.encodeWithSelector(IReportOracle.WrongTransfer.selector, BOND, 0));
        oracle.answerLeaf(leaf, proof);
        hostile.setMode(HostileToken.Mode.Honest);
        oracle.answerLeaf(leaf, proof);
    }

    function test_NothingComesInBetween() external {
        _demand(0, 1);
        bytes[3] memory calls = [
            abi.encodeCall(oracle.demandLeaf, (0, 2)),
            abi.encodeCall(oracle.answerLeaf, (_leaf(0, 1), _proofOf(0, 1))),
            abi.encodeCall(oracle.expireDemand, (0, 1))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            hostile.setCallback(address(oracle), calls[i]);
            vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
            _demand(0, 2);
        }
    }
}
