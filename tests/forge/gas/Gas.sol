// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {Reports} from "../support/Reports.sol";

/// @title What whole transactions cost in the steady state
/// @dev Forge runs these with --isolate, so every call of a test is a transaction: what it costs to be sent and its data
/// are counted, and nothing is warm from the call before. Source of the operations: docs/reference/gas.md.
abstract contract Gas is Reports {
    INodeRegistry.Role[4] internal ROLES = [
        INodeRegistry.Role.Entry, INodeRegistry.Role.Relay, INodeRegistry.Role.Exit, INodeRegistry.Role.Mix
    ];
    address internal anyone = address(uint160(uint256(keccak256("anyone"))));
    /// @dev Operator of each node, by number from 1; every node has 20,000 QNET of its own.
    address[] internal operators;
    address internal delegator;

    /// @dev 16 members, 4 nodes of 4 owners, a delegator; epoch 0 has begun.
    function setUp() public virtual {
        padding = 8; // proofs are as long as in a network of a thousand nodes
        _deploy(16);
        _bondCommittee();
        operators.push();
        for (uint256 i = 0; i < ROLES.length; ++i) {
            operators.push(_person(string.concat("operator ", vm.toString(i)), 100_000 * QNET));
            _node(operators[i + 1], ROLES[i], 20_000 * QNET);
        }
        delegator = _person("delegator", 100_000 * QNET);
    }

    /// @dev Keep what the last call cost as a transaction.
    function _measured(string memory name) internal {
        vm.snapshotGasLastCall("transactions", name);
    }
}
