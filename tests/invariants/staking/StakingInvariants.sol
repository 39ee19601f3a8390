// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {QNetGovernor} from "../../../contracts/governance/QNetGovernor.sol";
import {RewardVault} from "../../../contracts/reporting/RewardVault.sol";
import {StakeHub} from "../../../contracts/staking/StakeHub.sol";
import {QNetToken} from "../../../contracts/token/QNetToken.sol";
import {Test} from "../../forge/support/Test.sol";
import {StakeHandler} from "./StakeHandler.sol";

/// @dev A hub in the hands of the fuzzer.
abstract contract StakingInvariants is Test {
    StakeHandler internal handler;
    StakeHub internal hub;
    QNetToken internal token;
    RewardVault internal vault;
    QNetGovernor internal governor;
    uint32[] internal nodes;
    address[] internal people;

    function setUp() external {
        handler = new StakeHandler();
        handler.setUp();
        (hub, token, vault, governor) = handler.contracts();
        nodes = handler.nodes();
        people = handler.people();
        _target(address(handler), _actions());
    }

    function _actions() internal pure returns (bytes4[] memory actions) {
        actions = new bytes4[](20);
        actions[0] = StakeHandler.bond.selector;
        actions[1] = StakeHandler.unbond.selector;
        actions[2] = StakeHandler.delegate.selector;
        actions[3] = StakeHandler.undelegate.selector;
        actions[4] = StakeHandler.redelegate.selector;
        actions[5] = StakeHandler.roundTrip.selector;
        actions[6] = StakeHandler.withdraw.selector;
        actions[7] = StakeHandler.poke.selector;
        actions[8] = StakeHandler.setTerms.selector;
        actions[9] = StakeHandler.delegateVotes.selector;
        actions[10] = StakeHandler.donate.selector;
        actions[11] = StakeHandler.wait_.selector;
        actions[12] = StakeHandler.endEpoch.selector;
        actions[13] = StakeHandler.settle.selector;
        actions[14] = StakeHandler.claim.selector;
        actions[15] = StakeHandler.accuse.selector;
        actions[16] = StakeHandler.acquit.selector;
        actions[17] = StakeHandler.slash.selector;
        actions[18] = StakeHandler.pause.selector;
        actions[19] = StakeHandler.remember.selector;
    }

    /// @dev Waiting tokens of all tickets of a node, or of all nodes for 0.
    function _waiting(uint32 index) internal view returns (uint256 sum) {
        for (uint256 i = 0; i < people.length; ++i) {
            for (uint8 ticket = 0; ticket < 16; ++ticket) {
                (uint32 from,,, uint256 amount,) = hub.ticketOf(people[i], ticket);
                if (index == 0 || from == index) sum += amount;
            }
        }
    }
}
