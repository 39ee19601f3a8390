// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {Gas} from "./Gas.sol";

contract StakingGas is Gas {
    function test_BondAndUnbond() public {
        for (uint256 hour = 1; hour <= 2; ++hour) {
            vm.warp(GENESIS + hour * 1 hours);
            vm.prank(operators[1]);
            hub.bond(1, 1_000 * QNET);
            _measured("bond");
        }
        for (uint256 hour = 1; hour <= 2; ++hour) {
            vm.warp(GENESIS + DAY + hour * 1 hours);
            vm.prank(operators[1]);
            hub.unbond(1, 500 * QNET);
            _measured("unbond");
        }
        vm.warp(GENESIS + 60 * DAY);
        vm.prank(operators[1]);
        hub.withdraw(0);
        _measured("withdraw");
    }

    function test_DelegateAndUndelegate() public {
        for (uint256 hour = 1; hour <= 3; ++hour) {
            vm.warp(GENESIS + hour * 1 hours);
            vm.prank(delegator);
            hub.delegate(1, 1_000 * QNET, 1);
            _measured("delegate");
        }
        for (uint256 hour = 1; hour <= 2; ++hour) {
            vm.warp(GENESIS + DAY + hour * 1 hours);
            (uint256 shares,,) = hub.positionOf(delegator, 1);
            vm.prank(delegator);
            hub.undelegate(1, shares / 4);
            _measured("undelegate");
        }
    }

    function test_FirstDelegation() public {
        vm.warp(GENESIS + 1 hours);
        vm.prank(delegator);
        hub.delegate(1, 1_000 * QNET, 1);
        _measured("delegate, the node's first");
    }

    function test_Redelegate() public {
        for (uint32 node = 1; node <= 2; ++node) {
            vm.warp(GENESIS + node * 1 hours);
            vm.prank(delegator);
            hub.delegate(node, 1_000 * QNET, 1);
        }
        for (uint256 quarter = 1; quarter <= 2; ++quarter) {
            vm.warp(GENESIS + quarter * 6 hours);
            (uint256 shares,,) = hub.positionOf(delegator, 1);
            vm.prank(delegator);
            hub.redelegate(1, 2, shares / 4, 1);
            _measured("redelegate");
        }
        vm.warp(GENESIS + 13 hours);
        vm.prank(anyone);
        hub.poke(delegator, 2);
        _measured("poke");
    }

    function test_SetTerms() public {
        for (uint256 day = 1; day <= 3; ++day) {
            vm.warp(GENESIS + day * DAY);
            vm.prank(operators[1]);
            hub.setTerms(1, 0, 150_000);
            _measured("setTerms");
        }
    }

    function test_Register() public {
        (address key, uint256 secret) = _account("fresh receipts");
        bytes32 nodeId = keccak256("fresh node");
        bytes memory proof =
            _sign(secret, registry.keyProofDigest(operators[1], nodeId, key, type(uint256).max));
        vm.prank(operators[1]);
        registry.register(
            INodeRegistry.Role.Relay, nodeId, keccak256("identity"), key, operators[1], type(uint256).max, proof
        );
        _measured("register");
    }

    function test_RotateKey() public {
        for (uint256 day = 1; day <= 2; ++day) {
            vm.warp(GENESIS + day * DAY);
            (address key, uint256 secret) = _account(string.concat("rotated ", vm.toString(day)));
            bytes32 digest = registry.keyProofDigest(operators[1], keccak256("node 1"), key, type(uint256).max);
            vm.prank(operators[1]);
            registry.rotateKey(1, key, type(uint256).max, _sign(secret, digest));
            _measured("rotateKey");
        }
    }
}
