// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {StakeHandler} from "./StakeHandler.sol";
import {StakingInvariants} from "./StakingInvariants.sol";

/// @dev Who votes with what.
contract VotesInvariants is StakingInvariants {
    /// @dev Power is token votes and staked votes; all staked votes are the bonds and the principals of delegations.
    function invariant_VotesEqTokenPlusStaked() external view {
        uint256 votes;
        uint256 staked;
        for (uint256 i = 0; i < people.length; ++i) {
            votes += hub.getVotes(people[i]);
            uint256 past = block.timestamp - 1;
            vm.assertEq(
                governor.getVotes(people[i], past),
                token.getPastVotes(people[i], past) + hub.getPastVotes(people[i], past)
            );
            for (uint256 j = 0; j < nodes.length; ++j) {
                (, uint256 principal,) = hub.positionOf(people[i], nodes[j]);
                staked += principal;
            }
        }
        for (uint256 j = 0; j < nodes.length; ++j) {
            staked += hub.bondOf(nodes[j]);
        }
        vm.assertEq(votes, staked);
        vm.assertEq(hub.totalBonded(), staked);
    }

    function invariant_HubHasNoTokenVotes() external view {
        vm.assertEq(token.delegates(address(hub)), address(0));
        vm.assertEq(token.getVotes(address(hub)), 0);
    }

    /// @dev Once everybody is poked, votes are backed by what is staked, so waiting tokens have none.
    function invariant_NoVoteFromUnbonding() external {
        uint256 before = vm.snapshotState();
        uint256 backed;
        for (uint256 j = 0; j < nodes.length; ++j) {
            for (uint256 i = 0; i < people.length; ++i) {
                hub.poke(people[i], nodes[j]);
                (uint256 shares, uint256 principal,) = hub.positionOf(people[i], nodes[j]);
                if (shares == 0) vm.assertEq(principal, 0, "votes without shares");
            }
            backed += hub.bondOf(nodes[j]) + hub.poolOf(nodes[j]);
        }
        vm.assertLe(hub.totalBonded(), backed);
        vm.assertLe(hub.totalBonded() + _waiting(0), token.balanceOf(address(hub)));
        vm.revertToState(before);
    }

    function invariant_PastVotesImmutable() external view {
        StakeHandler.Snapshot[] memory snapshots = handler.snapshots();
        for (uint256 i = 0; i < snapshots.length; ++i) {
            vm.assertEq(hub.getPastVotes(snapshots[i].account, snapshots[i].timestamp), snapshots[i].votes);
        }
    }
}
