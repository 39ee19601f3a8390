// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {NodeRegistry} from "../../../contracts/staking/NodeRegistry.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {HostileToken} from "../support/HostileToken.sol";
import {StakingTest} from "./StakingTest.sol";

/// @dev A hub of a token that misbehaves, with a registry and a vault of its own. The token itself owns two nodes and
/// delegates, so that it can call back as somebody with something to gain.
contract HostileTokensTest is StakingTest {
    HostileToken private _bad;
    address private _me;
    IReportOracle.NodeLeaf private _reward;
    bytes32[] private _none;

    function setUp() public override {
        super.setUp();
        _reward = _leaf(0, 1, 200, 0, M);
        _report(_reward, 0);
        _bad = new HostileToken(address(this), type(uint128).max);
        _me = address(_bad);
        uint256 nonce = vm.getNonce(address(this));
        StakeHub badHub = StakeHub(vm.computeCreateAddress(address(this), nonce + 4));
        address implementation = address(new NodeRegistry(owner, parameters, epochs, badHub));
        registry = NodeRegistry(
            address(new ERC1967Proxy(implementation, abi.encodeCall(NodeRegistry.initialize, (address(this)))))
        );
        vault = new RewardVault(IERC20(_me), address(this), address(badHub));
        implementation = address(
            new StakeHub(owner, IERC20(_me), parameters, epochs, registry, oracle, vault, address(this), court)
        );
        hub = StakeHub(address(new ERC1967Proxy(implementation, abi.encodeCall(StakeHub.initialize, ()))));
        vm.assertEq(address(hub), address(badHub));

        _bad.transfer(_me, (1 << 127) - 1);
        _bad.transfer(address(vault), 1000);
        vault.fund(0, 1000);
        vault.release(0, 1000);
        _set("register_fee_wei", 0);
        node = _register(_me, INodeRegistry.Role.Relay);
        other = _register(_me, INodeRegistry.Role.Relay);
        vm.prank(_me);
        _bad.approve(address(hub), type(uint256).max);
        _run(abi.encodeCall(hub.bond, (node, BOND)));
        _run(abi.encodeCall(hub.bond, (other, BOND)));
    }

    function test_AHonestOneWorks() external {
        _run(_delegation());
        _run(abi.encodeCall(hub.undelegate, (node, 1000)));
        vm.warp(block.timestamp + 30 days);
        _run(abi.encodeCall(hub.withdraw, (0)));
        _finalize(0);
        hub.settleNode(_reward, _none);
        hub.claimOperator(node);
        vm.assertEq(hub.poolOf(node), 99);
    }

    function test_AFeeIsRefused() external {
        _open();
        _bad.setMode(HostileToken.Mode.Fee);
        _expectWrong(100, 99);
        _run(abi.encodeCall(hub.bond, (node, 100)));
        _expectWrong(100, 99);
        _run(_delegation());
        _expectWrong(500, 495);
        _run(abi.encodeCall(hub.withdraw, (0)));
        _expectWrong(200, 198);
        hub.claimOperator(node);
        uint256 part = hub.bondOf(other) / 10;
        _expectWrong(part, part - part / 100);
        hub.slash(other, 60, 100_000, type(uint256).max);
    }

    function test_ALieIsRefused() external {
        _open();
        _bad.setMode(HostileToken.Mode.Lie);
        _expectWrong(100, 0);
        _run(abi.encodeCall(hub.bond, (node, 100)));
        _expectWrong(100, 0);
        _run(_delegation());
        _expectWrong(500, 0);
        _run(abi.encodeCall(hub.withdraw, (0)));
        _expectWrong(200, 0);
        hub.claimOperator(node);
        _expectWrong(hub.bondOf(other) / 10, 0);
        hub.slash(other, 60, 100_000, type(uint256).max);
    }

    function test_ARefusalIsRefused() external {
        _open();
        _bad.setMode(HostileToken.Mode.Refuse);
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, _me);
        vm.expectRevert(failed);
        _run(abi.encodeCall(hub.bond, (node, 100)));
        vm.expectRevert(failed);
        _run(_delegation());
        vm.expectRevert(failed);
        _run(abi.encodeCall(hub.withdraw, (0)));
        vm.expectRevert(failed);
        hub.claimOperator(node);
    }

    function test_ASurchargeIsRefused() external {
        _open();
        _bad.setMode(HostileToken.Mode.Surcharge);
        _expectWrong(500, 501);
        _run(abi.encodeCall(hub.withdraw, (0)));
        _expectWrong(200, 201);
        hub.claimOperator(node);
    }

    function test_AGiftIsRefused() external {
        _open();
        _bad.setMode(HostileToken.Mode.Gift);
        _expectWrong(100, 101);
        _run(abi.encodeCall(hub.bond, (node, 100)));
        _expectWrong(500, 501);
        _run(abi.encodeCall(hub.withdraw, (0)));
    }

    function test_RewardsThatDoNotArriveAreRefused() external {
        _finalize(0);
        _bad.setMode(HostileToken.Mode.Lie);
        _expectWrong(200, 0);
        hub.settleNode(_reward, _none);
        _bad.setMode(HostileToken.Mode.Fee);
        _expectWrong(200, 198);
        hub.settleNode(_reward, _none);
    }

    function test_ABurnThatDoesNotHappenIsRefused() external {
        _run(abi.encodeCall(hub.delegate, (node, 1000, 0)));
        _run(abi.encodeCall(hub.redelegate, (node, other, 1_000_000, 0)));
        hub.slash(node, 1, M, type(uint256).max);
        _bad.setMode(HostileToken.Mode.Lie);
        _expectWrong(100, 0);
        hub.poke(_me, other);
    }

    function test_CallingBackIsRefused() external {
        _open();
        _tryInside(abi.encodeCall(hub.bond, (node, 1)));
        _tryInside(_delegation());
        _tryInside(abi.encodeCall(hub.unbond, (node, 1)));
        _tryInside(abi.encodeCall(hub.undelegate, (node, 1000)));
        _tryInside(abi.encodeCall(hub.redelegate, (node, other, 1000, 0)));
        _tryInside(abi.encodeCall(hub.withdraw, (0)));
        _tryInside(abi.encodeCall(hub.poke, (_me, node)));
        _tryInside(abi.encodeCall(hub.claimOperator, (node)));
        _tryInside(abi.encodeCall(hub.settleNode, (_reward, _none)));
    }

    function test_MoreThanCanBeCountedIsRefused() external {
        _run(abi.encodeCall(hub.bond, (node, 1 << 95)));
        bytes memory expected =
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 96, 1 << 96);
        vm.expectRevert(expected);
        _run(abi.encodeCall(hub.delegate, (node, 1 << 96, 0)));
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 128, 1 << 128));
        _run(abi.encodeCall(hub.bond, (other, (1 << 128) - (1 << 95) - 2 * BOND)));
    }

    /// @dev A ticket of 500 wei that is free, a delegation, a claim of 200 wei.
    function _open() private {
        _run(abi.encodeCall(hub.delegate, (node, 10_000, 0)));
        _run(abi.encodeCall(hub.unbond, (other, 500)));
        vm.warp(block.timestamp + 30 days);
        _finalize(0);
        hub.settleNode(_reward, _none);
    }

    function _run(bytes memory data) private {
        _bad.run(address(hub), data);
    }

    function _delegation() private view returns (bytes memory) {
        return abi.encodeCall(hub.delegate, (node, 100, 0));
    }

    function _expectWrong(uint256 expected, uint256 got) private {
        vm.expectRevert(abi.encodeWithSelector(IStakeHub.WrongTransfer.selector, expected, got));
    }

    function _tryInside(bytes memory data) private {
        _bad.setCallback(address(hub), data);
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        _run(abi.encodeCall(hub.bond, (other, 7)));
        _bad.setCallback(address(0), "");
    }
}
