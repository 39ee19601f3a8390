// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";
import {QNetToken} from "../../../contracts/token/QNetToken.sol";
import {Test} from "../../forge/support/Test.sol";
import {SlashingHandler} from "./SlashingHandler.sol";

/// @title What holds whatever is slashed, vetoed and overruled
contract SlashingInvariants is Test {
    SlashingHandler private handler;
    ISlasher private slasher;
    IStakeHub private hub;
    INodeRegistry private registry;
    ICommittee private committee;
    QNetToken private token;

    function setUp() external {
        handler = new SlashingHandler();
        (address a, address b, address c, address d, address e) = handler.contracts();
        (slasher, hub, registry) = (ISlasher(a), IStakeHub(b), INodeRegistry(c));
        (committee, token) = (ICommittee(d), QNetToken(e));
        bytes4[] memory actions = new bytes4[](14);
        actions[0] = handler.queueNode.selector;
        actions[1] = handler.queueMember.selector;
        actions[2] = handler.jail.selector;
        actions[3] = handler.execute.selector;
        actions[4] = handler.execute.selector;
        actions[5] = handler.veto.selector;
        actions[6] = handler.overrule.selector;
        actions[7] = handler.pause.selector;
        actions[8] = handler.bond.selector;
        actions[9] = handler.unbond.selector;
        actions[10] = handler.undelegate.selector;
        actions[11] = handler.unjail.selector;
        actions[12] = handler.warp.selector;
        actions[13] = handler.retire.selector;
        _target(address(handler), actions);
    }

    /// @dev Whatever was taken from a node within a window ending with a slash stays within the cap of what there was.
    // solhint-disable-next-line func-name-mixedcase
    function invariant_SlashLeRollingCap() external view {
        uint256 cap = handler.capPpm();
        uint256 window = handler.window();
        for (uint32 index = 1; index <= handler.NODES(); ++index) {
            SlashingHandler.Loss[] memory losses = handler.lossesOf(index);
            for (uint256 last = 0; last < losses.length; ++last) {
                uint256 before;
                for (uint256 i = 0; i < last; ++i) {
                    if (losses[i].time + window > losses[last].time) before += losses[i].amount;
                }
                uint256 whole = losses[last].slashable + before;
                if (losses[last].amount == 0) continue;
                vm.assertLe((before + losses[last].amount) * 1_000_000, whole * cap);
            }
        }
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_SlashConserves() external view {
        uint256 paid = token.balanceOf(handler.CHALLENGER()) + handler.vaultGain() + handler.burned();
        vm.assertEq(paid, handler.taken());
        vm.assertEq(token.balanceOf(address(slasher)), 0);
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_OneEvidenceOneSlash() external view {
        bytes32[] memory seen = new bytes32[](slasher.count());
        for (uint256 id = 1; id <= seen.length; ++id) {
            ISlasher.Slash memory slash = slasher.slashOf(id);
            vm.assertEq(handler.executions(id), slash.state == ISlasher.State.Executed ? 1 : 0);
            for (uint256 i = 0; i + 1 < id; ++i) {
                vm.assertTrue(seen[i] != slash.evidence);
            }
            seen[id - 1] = slash.evidence;
        }
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_TombstoneForever() external view {
        for (uint32 index = 1; index <= handler.NODES(); ++index) {
            if (!handler.wasTombstoned(index)) continue;
            vm.assertTrue(registry.stateOf(index) == INodeRegistry.State.Tombstoned);
            vm.assertFalse(registry.node(index).slot);
            vm.assertFalse(registry.isActive(index));
        }
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_TokenSupplyNeverRises() external view {
        vm.assertFalse(handler.supplyRose());
    }

    /// @dev Nothing hangs: a node is frozen, and a member suspended, exactly as long as something is in escrow.
    // solhint-disable-next-line func-name-mixedcase
    function invariant_EveryHoldHasItsSlash() external view {
        uint256[] memory freezes = new uint256[](handler.NODES() + 1);
        uint256[] memory accusations = new uint256[](handler.MEMBERS());
        bool[] memory expelled = new bool[](handler.MEMBERS());
        for (uint256 id = slasher.count(); id > 0; --id) {
            ISlasher.Slash memory slash = slasher.slashOf(id);
            bool waits = slash.state == ISlasher.State.Escrow;
            if (slash.isMember) {
                if (waits) ++accusations[slash.subject];
                if (slash.state == ISlasher.State.Executed) expelled[slash.subject] = true;
            } else if (waits) {
                ++freezes[slash.subject];
            }
        }
        for (uint32 index = 1; index < freezes.length; ++index) {
            vm.assertEq(hub.freezesOf(index), freezes[index]);
        }
        ICommittee.MemberInfo[] memory members = committee.members();
        for (uint256 i = 0; i < members.length; ++i) {
            vm.assertTrue(members[i].suspended == (accusations[i] != 0 || expelled[i]));
            vm.assertTrue(members[i].bonded == !expelled[i]);
        }
    }
}
