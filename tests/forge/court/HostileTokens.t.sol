// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {DisputeCourt} from "../../../contracts/reporting/DisputeCourt.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {CourtTest} from "./CourtTest.sol";

/// @title The court holds its own against tokens that misbehave
contract CourtHostileTokensTest is CourtTest {
    HostileToken private hostile;

    function setUp() public override {
        super.setUp();
        IReportOracle.NodeLeaf memory leaf = _leaf(EPOCH, ENTRY);
        leaf.reward += 1;
        _reportWith(ENTRY, leaf);
        hostile = new HostileToken(address(this), 100 * BOND);
        address implementation = address(
            new DisputeCourt(owner, hostile, parameters, epochs, registry, hub, oracle, committee, slasher)
        );
        vm.prank(owner);
        court.upgradeToAndCall(implementation, "");
        hostile.transfer(carol, 10 * BOND);
        vm.prank(carol);
        hostile.approve(address(court), type(uint256).max);
    }

    function _open() private returns (uint256) {
        vm.prank(carol);
        return court.open(keccak256("proof"));
    }

    function _proof() private returns (bytes memory) {
        return abi.encodeCall(
            court.proveBadLeaf, (0, _salt(), EPOCH, _proven(EPOCH, ENTRY), _proven(0, ENTRY), values)
        );
    }

    function test_ABondMustArriveWhole() external {
        hostile.setMode(HostileToken.Mode.Fee);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.WrongTransfer.selector, BOND, BOND - BOND / 100));
        _open();
        hostile.setMode(HostileToken.Mode.Lie);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.WrongTransfer.selector, BOND, 0));
        _open();
        hostile.setMode(HostileToken.Mode.Refuse);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(hostile)));
        _open();
    }

    function test_ABondMustLeaveWhole() external {
        bytes memory data = _proof();
        _openFor(carol, data);
        hostile.setMode(HostileToken.Mode.Lie);
        vm.expectRevert(abi.encodeWithSelector(IDisputeCourt.WrongTransfer.selector, BOND, 0));
        _callCourt(carol, data);
        hostile.setMode(HostileToken.Mode.Honest);
        _callCourt(carol, data);
    }

    function test_NothingComesInBetween() external {
        uint256 id = _open();
        vm.warp(court.challengeOf(id).deadline + 1);
        hostile.setCallback(address(court), abi.encodeCall(court.expire, (id)));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        _open();
        hostile.setCallback(address(court), abi.encodeCall(court.open, (keccak256("another"))));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        court.expire(id);
    }

    /// @dev The challenge is over before its bond moves.
    function test_NoProofIsPaidTwice() external {
        bytes memory data = _proof();
        uint256 id = _openFor(carol, data);
        hostile.setCallback(address(court), data);
        vm.expectRevert(
            abi.encodeWithSelector(IDisputeCourt.NotOpen.selector, id, IDisputeCourt.ChallengeState.Proven)
        );
        _callCourt(carol, data);
    }
}
