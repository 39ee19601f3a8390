// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPausing} from "../../../interfaces/IPausing.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {Reports} from "../../forge/support/Reports.sol";

/// @title Epochs that are reported, disabled, reported anew, skipped, settled, in any order
/// @dev Leaves are made up: what the chain must hold does not depend on their being right. What the contracts do is
/// checked at once against the handler's own account; the rest is left to the invariants.
contract ReportingHandler is Reports {
    uint32 public constant NODES = 3;
    uint256 private constant EPOCHS_MAX = 60;
    uint256 private constant GAP = 30 days;

    struct Pause {
        uint256 since;
        uint256 until;
    }

    struct Stale {
        bytes32 root;
        IDisputeCourt.ProvenLeaf proven;
    }

    /// @dev Sum of the emissions of all epochs started.
    uint256 public scheduled;
    /// @dev What each epoch was promised at its start.
    mapping(uint32 epoch => uint256) public promised;
    /// @dev Hash of each final report when it became final.
    mapping(uint32 epoch => bytes32) public finalHash;
    /// @dev Sums of each node as settled last.
    mapping(uint32 node => uint256) public settledOperator;
    mapping(uint32 node => uint256) public settledPool;
    uint256 public settlements;

    address private _operator;
    Pause[] private _courtPauses;
    Pause[] private _oraclePauses;
    Stale[] private _stale;
    mapping(uint32 epoch => uint256) private _submittedAt;

    constructor() {
        _deploy(1);
        _bondCommittee();
        _operator = _person("operator", 1_000_000 * QNET);
        _node(_operator, INodeRegistry.Role.Entry, 20_000 * QNET);
        _node(_operator, INodeRegistry.Role.Relay, 20_000 * QNET);
        _node(_operator, INodeRegistry.Role.Exit, 20_000 * QNET);
    }

    // what the invariants read

    function world() external view returns (address, address, address, address, address) {
        return (address(token), address(vault), address(oracle), address(epochs), address(hub));
    }

    // actions

    function passTime(uint256 time) external {
        vm.warp(block.timestamp + _bound(time, 1, 12 hours));
    }

    /// @dev Time passes until the next report is due, as it would on a quiet network.
    function startEpoch() external {
        uint32 epoch = epochs.nextEpoch();
        if (epoch >= EPOCHS_MAX) return;
        if (block.timestamp < epochs.epochStart(epoch)) vm.warp(epochs.epochStart(epoch));
        epochs.startEpoch(epoch, _reveals[epoch]);
        scheduled += parameters.get("emission_wei");
        promised[epoch] = vault.fundedOf(epoch);
    }

    function setEmission(uint256 emission) external {
        _set("emission_wei", _bound(emission, 0, 50_000_000 * QNET));
    }

    function donate(uint256 amount) external {
        vm.prank(holder);
        token.transfer(address(vault), _bound(amount, 1, QNET));
        vault.recordReserve();
    }

    function submit(uint256 seed, bool greedy) external {
        uint32 epoch = oracle.nextEpoch();
        (, uint256 budget,, bool open) = epochs.reportTerms(epoch);
        if (!open || oracle.isPaused() || oracle.unfinished() == 8) return;
        if (block.timestamp < epochs.epochEnd(epoch)) vm.warp(epochs.epochEnd(epoch));
        if (block.timestamp > oracle.reportDeadline(epoch)) return;
        _makeUp(epoch, seed, budget, greedy);
        IReportOracle.EpochReport memory r = _report(epoch);
        r.dataHash = keccak256(abi.encode(seed));
        if (r.totalReward > budget) r.totalReward = uint128(budget);
        _submit(r);
        _submittedAt[epoch] = block.timestamp;
    }

    /// @dev Try to finalize any epoch at any time: it may work only after its window, in order.
    function finalize(uint256 seed, bool next) external {
        uint32 started = epochs.nextEpoch();
        if (started == 0) return;
        uint32 epoch = next ? _oldestUnfinished(started) : uint32(seed % started);
        try oracle.finalize(epoch) {
            uint256 from = _submittedAt[epoch];
            uint256 stood = _overlap(_courtPauses, from) + _overlap(_oraclePauses, from);
            vm.assertGe(block.timestamp, from + parameters.get("challenge_window_s") + stood, "too early");
            vm.assertTrue(finalHash[epoch] == bytes32(0), "final twice");
            (, finalHash[epoch],,) = oracle.report(epoch);
        } catch {}
    }

    /// @dev Wait until the next report can become final.
    function waitForWindow() external {
        uint32 epoch = _oldestUnfinished(epochs.nextEpoch());
        uint256 end = oracle.windowEnd(epoch);
        if (block.timestamp < end) vm.warp(end);
    }

    function disable(uint256 seed) external {
        uint32 started = epochs.nextEpoch();
        if (started == 0) return;
        uint32 epoch = uint32(seed % started);
        if (_statusOf(epoch) != IReportOracle.Status.Submitted) return;
        for (uint32 e = epoch; e < started; ++e) {
            if (_statusOf(e) != IReportOracle.Status.Submitted) continue;
            for (uint32 node = 1; node <= NODES; ++node) {
                _stale.push();
                Stale storage stale = _stale[_stale.length - 1];
                stale.root = oracle.nodesRoot(e);
                stale.proven = _proven(e, node);
            }
            delete leavesOf[e];
        }
        vm.prank(owner);
        oracle.disable(epoch);
    }

    function skip() external {
        uint32 epoch = oracle.nextEpoch();
        (,,, bool open) = epochs.reportTerms(epoch);
        if (open && block.timestamp > oracle.reportDeadline(epoch)) epochs.skipEpoch(epoch);
    }

    /// @dev Settle any node from any epoch that was reported: it may work only for final reports.
    function settle(uint256 seed, uint32 node) external {
        uint32 started = epochs.nextEpoch();
        if (started == 0) return;
        uint32 epoch = uint32(seed % started);
        if (leavesOf[epoch].length == 0) return;
        node = uint32(_bound(node, 1, NODES));
        bool isFinal = oracle.isFinal(epoch);
        try hub.settleNode(_leaf(epoch, node), _proofOf(epoch, node)) {
            vm.assertTrue(isFinal, "settled before it was final");
            _noteSettled(node);
        } catch {}
    }

    /// @dev Try to settle from a report that was disabled.
    function settleDisabled(uint256 seed) external {
        if (_stale.length == 0) return;
        Stale memory stale = _stale[seed % _stale.length];
        bool revived = oracle.nodesRoot(stale.proven.leaf.epoch) == stale.root;
        try hub.settleNode(stale.proven.leaf, stale.proven.proof) {
            vm.assertTrue(revived, "settled from a disabled report");
            _noteSettled(stale.proven.leaf.node);
        } catch {}
    }

    function claim(uint32 node) external {
        node = uint32(_bound(node, 1, NODES));
        if (hub.owed(node) != 0) hub.claimOperator(node);
    }

    function pauseCourt(uint256 time) external {
        _pause(court, _courtPauses, time);
    }

    function pauseOracle(uint256 time) external {
        _pause(oracle, _oraclePauses, time);
    }

    // inside

    function _pause(IPausing target, Pause[] storage pauses, uint256 time) private {
        uint256 last = target.pausedUntil();
        if (last != 0 && block.timestamp < last + GAP) return;
        uint256 until = block.timestamp + _bound(time, 1, 3 days);
        vm.prank(owner);
        target.pause(uint64(until));
        pauses.push(Pause(block.timestamp, until));
    }

    /// @dev Seconds from a moment to now in which it was paused.
    function _overlap(Pause[] storage pauses, uint256 from) private view returns (uint256 sum) {
        for (uint256 i = 0; i < pauses.length; ++i) {
            uint256 since = pauses[i].since > from ? pauses[i].since : from;
            uint256 until = pauses[i].until < block.timestamp ? pauses[i].until : block.timestamp;
            if (until > since) sum += until - since;
        }
    }

    /// @dev Leaves whose sums grow by any amounts; greedy ones by more than the budget.
    function _makeUp(uint32 epoch, uint256 seed, uint256 budget, bool greedy) private {
        delete leavesOf[epoch];
        for (uint32 node = 1; node <= epochs.nodeCountOf(epoch); ++node) {
            IReportOracle.NodeLeaf memory before = _leafBefore(epoch, node);
            IReportOracle.NodeLeaf memory leaf;
            (leaf.epoch, leaf.node) = (epoch, node);
            leaf.reward = uint256(keccak256(abi.encode(seed, node))) % (budget / NODES + 1);
            uint256 paid = greedy ? 10 * leaf.reward + 1 : leaf.reward;
            leaf.cumPool = before.cumPool + paid / 3;
            leaf.cumOperator = before.cumOperator + paid - paid / 3;
            leavesOf[epoch].push(leaf);
        }
    }

    function _noteSettled(uint32 node) private {
        (uint256 forOperator, uint256 forPool) = hub.settledCum(node);
        vm.assertGe(forOperator, settledOperator[node]);
        vm.assertGe(forPool, settledPool[node]);
        (settledOperator[node], settledPool[node]) = (forOperator, forPool);
        ++settlements;
    }

    function _oldestUnfinished(uint32 started) private view returns (uint32 epoch) {
        while (epoch < started && _statusOf(epoch) != IReportOracle.Status.Submitted) ++epoch;
    }

    function _statusOf(uint32 epoch) private view returns (IReportOracle.Status status) {
        (,,, status) = oracle.report(epoch);
    }
}
