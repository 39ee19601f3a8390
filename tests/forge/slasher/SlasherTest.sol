// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {World} from "../support/World.sol";

/// @dev A node with a bond and delegators, and a bonded committee of four; tests act as the court.
abstract contract SlasherTest is World {
    uint256 internal constant NODE_BOND = 100_000 * QNET;
    uint256 internal constant NODE_POOL = 300_000 * QNET;
    uint256 internal constant MEMBER_BOND = 1_000_000 * QNET;
    uint256 internal constant ESCROW = 7 * DAY;
    uint256 internal constant WINDOW = 30 * DAY;
    uint32 internal constant FIVE_PERCENT = 50_000;
    uint32 internal constant ALL = 1_000_000;
    /// @dev A rate cut down to the cap is a whole number of millionths: so much less than the cap may be taken.
    uint256 internal constant GRAIN = QNET;

    address internal alice;
    address internal carol;
    address internal challenger = address(0xC4A11);
    uint32 internal index;

    function setUp() public virtual {
        _deploy(4);
        _bondCommittee();
        alice = _person("alice", 1_000_000 * QNET);
        carol = _person("carol", 1_000_000 * QNET);
        index = _node(alice, INodeRegistry.Role.Relay, NODE_BOND);
        vm.prank(carol);
        hub.delegate(index, NODE_POOL, 0);
    }

    function _queueNode(uint32 ppm, bytes32 evidence) internal returns (uint256 id) {
        uint32 epoch = epochs.currentEpoch();
        vm.prank(address(court));
        return slasher.queueNode(index, epoch, ppm, challenger, evidence);
    }

    function _queueMember(uint256 member, uint256 refill, bytes32 evidence) internal returns (uint256 id) {
        vm.prank(address(court));
        return slasher.queueMember(member, 0, refill, challenger, evidence);
    }

    function _afterEscrow() internal {
        vm.warp(_now() + ESCROW);
    }

    function _veto(uint256 id) internal {
        vm.prank(owner);
        slasher.veto(id);
    }

    function _expectState(uint256 id, ISlasher.State expected) internal view {
        vm.assertEq(uint256(slasher.slashOf(id).state), uint256(expected));
    }

    function _expectNode(INodeRegistry.State expected) internal view {
        vm.assertEq(uint256(registry.stateOf(index)), uint256(expected));
    }

    function _isSuspended(uint256 member) internal view returns (bool) {
        return committee.members()[member].suspended;
    }
}
