// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {StakeHandler} from "./StakeHandler.sol";
import {StakingInvariants} from "./StakingInvariants.sol";

/// @dev What shares are worth.
contract PoolsInvariants is StakingInvariants {
    function invariant_SharePriceDropsOnlyOnSlash() external view {
        vm.assertFalse(handler.priceFell());
    }

    function invariant_RoundTripNoGain() external view {
        vm.assertFalse(handler.gained());
    }

    function invariant_FirstDepositorNoInflation() external view {
        vm.assertFalse(handler.diluted());
    }

    /// @dev The fuzzer's actions do something, and each of them within one long run.
    function test_EveryActionHappens() external {
        bytes4[] memory actions = _actions();
        for (uint256 round = 0; round < 60; ++round) {
            for (uint256 i = 0; i < actions.length; ++i) {
                uint256 seed = uint256(keccak256(abi.encode(round, i)));
                uint256 amount = uint256(keccak256(abi.encode(seed)));
                bool three = actions[i] == StakeHandler.setTerms.selector || actions[i] == StakeHandler.slash.selector;
                bytes memory data = three
                    ? abi.encodeWithSelector(actions[i], seed, uint32(amount), amount)
                    : abi.encodeWithSelector(actions[i], seed, amount);
                if (actions[i] == StakeHandler.setTerms.selector) {
                    data = abi.encodeWithSelector(actions[i], seed, amount, uint32(amount));
                }
                if (actions[i] == StakeHandler.withdraw.selector) {
                    data = abi.encodeWithSelector(actions[i], seed, uint8(amount));
                }
                (bool success,) = address(handler).call(data);
                vm.assertTrue(success);
            }
        }
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertGt(handler.done(actions[i]), 0);
        }
    }
}
