// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {World} from "../../forge/support/World.sol";

/// @title What can happen to nodes, members and slashes in any order
/// @dev Every call either does something the contracts must allow, or checks that they refuse. The handler keeps
/// accounts of its own, from balances, to hold the slasher's against.
contract SlashingHandler is World {
    struct Loss {
        uint256 time;
        uint256 amount;
        uint256 slashable;
    }

    uint256 public constant MEMBERS = 4;
    uint32 public constant NODES = 3;
    address public constant CHALLENGER = address(0xC4A11);

    /// @dev Wei that left the hub and the committee by slashes.
    uint256 public taken;
    uint256 public lastSupply;
    bool public supplyRose;
    mapping(uint32 index => Loss[]) private _losses;
    mapping(uint32 index => bool) public wasTombstoned;
    mapping(uint256 id => uint256) public executions;

    address private _delegator;
    uint256 private _firstSupply;

    constructor() {
        _deploy(MEMBERS);
        _bondCommittee();
        address operator = _person("operator", 10_000_000 * QNET);
        _delegator = _person("delegator", 10_000_000 * QNET);
        uint256[3] memory bonds = [100_000 * QNET, 50_000 * QNET, 10_000 * QNET];
        for (uint32 index = 1; index <= NODES; ++index) {
            _node(operator, INodeRegistry.Role.Relay, bonds[index - 1]);
            vm.prank(_delegator);
            hub.delegate(index, 2 * bonds[index - 1], 0);
        }
        lastSupply = token.totalSupply();
        _firstSupply = lastSupply;
    }

    modifier watched() {
        _;
        uint256 supply = token.totalSupply();
        if (supply > lastSupply) supplyRose = true;
        lastSupply = supply;
        for (uint32 index = 1; index <= NODES; ++index) {
            if (registry.stateOf(index) == INodeRegistry.State.Tombstoned) wasTombstoned[index] = true;
        }
    }

    // the court

    function queueNode(uint256 node, uint256 back, uint256 ppm, uint256 evidence) external watched {
        uint32 index = _index(node);
        uint32 current = epochs.currentEpoch();
        uint32 epoch = current - uint32(_bound(back, 0, current < 21 ? current : 21));
        bytes32 seen = bytes32(_bound(evidence, 1, 48));
        bool used = slasher.isUsed(seen);
        vm.prank(address(court));
        try slasher.queueNode(index, epoch, uint32(_bound(ppm, 0, 1_000_000)), CHALLENGER, seen) {
            vm.assertFalse(used, "evidence slashed twice");
        } catch {
            vm.assertTrue(used, "fresh evidence refused");
        }
    }

    function queueMember(uint256 member, uint256 refill, uint256 evidence) external watched {
        bytes32 seen = bytes32(_bound(evidence, 1, 48));
        bool used = slasher.isUsed(seen);
        vm.prank(address(court));
        try slasher.queueMember(_bound(member, 0, MEMBERS - 1), 0, _bound(refill, 0, 2e24), CHALLENGER, seen) {
            vm.assertFalse(used, "evidence slashed twice");
        } catch {
            vm.assertTrue(used, "fresh evidence refused");
        }
    }

    function jail(uint256 node) external watched {
        uint32 index = _index(node);
        INodeRegistry.State state = registry.stateOf(index);
        bool refused = state == INodeRegistry.State.Retired || state == INodeRegistry.State.Tombstoned;
        vm.prank(address(court));
        try slasher.jail(index) {
            vm.assertFalse(refused, "jailed out of an end state");
        } catch {
            vm.assertTrue(refused, "not jailed");
        }
    }

    // anyone, the vetoer, the holders

    /// @dev Carry a slash out, at the end of its escrow if that is later than now.
    function execute(uint256 seed) external watched {
        uint256 id = _id(seed);
        ISlasher.Slash memory slash = slasher.slashOf(id);
        if (slash.state != ISlasher.State.Escrow) {
            try slasher.execute(id) {
                vm.assertTrue(false, "carried out without an escrow");
            } catch {}
            return;
        }
        uint256 due = slash.executableAt + slasher.pausedSince(slash.queuedAt);
        if (slasher.pausedUntil() > due) due = slasher.pausedUntil();
        while (_now() < due) {
            try slasher.execute(id) {
                vm.assertTrue(false, "carried out too early");
            } catch {}
            vm.warp(due);
            due = slash.executableAt + slasher.pausedSince(slash.queuedAt);
        }
        uint256 held = _held();
        uint256 slashable = slash.isMember ? 0 : hub.slashableOf(slash.subject, slash.epoch);
        slasher.execute(id);
        _note(id, slash, held - _held(), slashable);
    }

    function veto(uint256 seed) external watched {
        uint256 id = _id(seed);
        if (slasher.slashOf(id).state != ISlasher.State.Escrow) return;
        vm.prank(owner);
        slasher.veto(id);
    }

    function overrule(uint256 seed) external watched {
        uint256 id = _id(seed);
        ISlasher.Slash memory slash = slasher.slashOf(id);
        if (slash.state != ISlasher.State.Vetoed) return;
        uint256 held = _held();
        uint256 slashable = slash.isMember ? 0 : hub.slashableOf(slash.subject, slash.epoch);
        vm.prank(owner);
        slasher.overrule(id);
        _note(id, slash, held - _held(), slashable);
    }

    function pause(uint256 length) external watched {
        uint256 last = slasher.pausedUntil();
        if (last != 0 && _now() < last + 30 days) return;
        vm.prank(owner);
        slasher.pause(uint64(_now() + _bound(length, 1, 14 days)));
    }

    // operators and delegators

    function bond(uint256 node, uint256 amount) external watched {
        uint32 index = _index(node);
        INodeRegistry.State state = registry.stateOf(index);
        if (state == INodeRegistry.State.Retired || state == INodeRegistry.State.Tombstoned) return;
        vm.prank(_operator(index));
        hub.bond(index, _bound(amount, 1, 50_000 * QNET));
    }

    function unbond(uint256 node, uint256 amount) external watched {
        uint32 index = _index(node);
        uint256 held = hub.bondOf(index);
        if (held == 0 || hub.ticketsOf(_operator(index)) == type(uint16).max) return;
        vm.prank(_operator(index));
        hub.unbond(index, _bound(amount, 1, held));
    }

    function undelegate(uint256 node, uint256 shares) external watched {
        uint32 index = _index(node);
        (uint256 held,, uint256 worth) = hub.positionOf(_delegator, index);
        if (held == 0 || worth == 0 || hub.ticketsOf(_delegator) == type(uint16).max) return;
        uint256 least = held / worth + 1;
        if (least > held) return;
        vm.prank(_delegator);
        hub.undelegate(index, _bound(shares, least, held));
    }

    function retire(uint256 node) external watched {
        uint32 index = _index(node);
        INodeRegistry.State state = registry.stateOf(index);
        if (state != INodeRegistry.State.Registered && state != INodeRegistry.State.Active) return;
        if (index != NODES) return;
        vm.prank(_operator(index));
        registry.retire(index);
    }

    function unjail(uint256 node) external watched {
        uint32 index = _index(node);
        INodeRegistry.Node memory info = registry.node(index);
        bool allowed = info.state == INodeRegistry.State.Jailed && _now() >= info.jailedUntil
            && hub.freezesOf(index) == 0;
        vm.prank(info.owner);
        try registry.unjail(index) {
            vm.assertTrue(allowed, "left jail too early");
        } catch {
            vm.assertFalse(allowed, "kept in jail");
        }
    }

    function warp(uint256 length) external watched {
        vm.warp(_now() + _bound(length, 1, 12 days));
    }

    // what the invariants read

    function lossesOf(uint32 index) external view returns (Loss[] memory) {
        return _losses[index];
    }

    function contracts() external view returns (address, address, address, address, address) {
        return (address(slasher), address(hub), address(registry), address(committee), address(token));
    }

    function vaultGain() external view returns (uint256) {
        return token.balanceOf(address(vault)) - VAULT;
    }

    function burned() external view returns (uint256) {
        return _firstSupply - token.totalSupply();
    }

    function capPpm() external view returns (uint256) {
        return parameters.get("slash_cap_ppm");
    }

    function window() external view returns (uint256) {
        return parameters.get("slash_window_s");
    }

    function _note(uint256 id, ISlasher.Slash memory slash, uint256 amount, uint256 slashable) private {
        ++executions[id];
        taken += amount;
        if (!slash.isMember) _losses[slash.subject].push(Loss(_now(), amount, slashable));
    }

    function _held() private view returns (uint256) {
        return token.balanceOf(address(hub)) + token.balanceOf(address(committee));
    }

    function _operator(uint32 index) private view returns (address nodeOwner) {
        (nodeOwner,) = registry.ownerAndRoleOf(index);
    }

    function _index(uint256 seed) private pure returns (uint32) {
        return uint32(_bound(seed, 1, NODES));
    }

    function _id(uint256 seed) private view returns (uint256) {
        uint256 count = slasher.count();
        return count == 0 ? 0 : _bound(seed, 1, count);
    }
}
