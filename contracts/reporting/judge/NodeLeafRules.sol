// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../../interfaces/IParameters.sol";
import {IReportJudge} from "../../../interfaces/IReportJudge.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {ParameterKeys} from "../../libraries/ParameterKeys.sol";
import {RewardFormula} from "../../libraries/RewardFormula.sol";
import {Facts} from "./Facts.sol";

/// @title What a node leaf must be
/// @dev Documented in IReportJudge. Rules: docs/spec/disputes.md, QN-DSP-010, and docs/spec/rewards.md.
abstract contract NodeLeafRules is Facts {
    /// @dev Values of an epoch with the keys they belong to.
    struct Values {
        bytes32[] keys;
        uint256[] values;
    }

    /// @inheritdoc IReportJudge
    function proveBadLeaf(
        uint256,
        bytes32,
        uint32 epoch,
        IDisputeCourt.ProvenLeaf calldata current,
        IDisputeCourt.ProvenLeaf calldata previous,
        uint256[] calldata values
    ) external view override returns (uint256 refill) {
        (IReportOracle.EpochReport memory r,) = _reportOf(epoch);
        bytes32 hash = _checkNodeLeaf(r.nodesRoot, current);
        if (!_isPossible(r, current.leaf)) return r.totalReward;
        _checkPrevious(r, current.leaf.node, previous);
        IReportOracle.NodeLeaf memory expected = _expected(current.leaf, previous.leaf, _valuesOf(epoch, values));
        if (hash == keccak256(bytes.concat(_encodingOf(expected)))) revert IDisputeCourt.NothingWrong();
        return Math.min(r.totalReward, _excess(current.leaf, expected));
    }

    /// @inheritdoc IReportJudge
    function proveRegression(
        uint256,
        bytes32,
        uint32 epoch,
        IDisputeCourt.ProvenLeaf calldata current,
        IDisputeCourt.ProvenLeaf calldata previous
    ) external view override returns (uint256 refill) {
        (IReportOracle.EpochReport memory r,) = _reportOf(epoch);
        _checkNodeLeaf(r.nodesRoot, current);
        (bool found,) = _checkPrevious(r, current.leaf.node, previous);
        bool fell =
            current.leaf.cumOperator < previous.leaf.cumOperator || current.leaf.cumPool < previous.leaf.cumPool;
        if (!found || !fell) revert IDisputeCourt.NothingWrong();
        return 0;
    }

    /// @inheritdoc IReportJudge
    function proveDuplicateNode(
        uint256,
        bytes32,
        uint32 epoch,
        IDisputeCourt.ProvenLeaf calldata a,
        IDisputeCourt.ProvenLeaf calldata b
    ) external view override returns (uint256 refill) {
        (IReportOracle.EpochReport memory r,) = _reportOf(epoch);
        bool differ = _checkNodeLeaf(r.nodesRoot, a) != _checkNodeLeaf(r.nodesRoot, b);
        if (!differ || a.leaf.node != b.leaf.node) revert IDisputeCourt.NothingWrong();
        return 0;
    }

    /// @inheritdoc IReportJudge
    function expectedLeaf(
        IReportOracle.NodeLeaf calldata claimed,
        IReportOracle.NodeLeaf calldata previous,
        uint256[] calldata values
    ) external view override returns (IReportOracle.NodeLeaf memory) {
        return _expected(claimed, previous, _valuesOf(claimed.epoch, values));
    }

    /// @dev Whether a leaf could be right, as far as it can be told from itself and the calendar. Only of such a leaf
    /// the rest can be computed; of what any other pays nothing is due.
    function _isPossible(IReportOracle.EpochReport memory r, IReportOracle.NodeLeaf calldata leaf)
        private
        view
        returns (bool)
    {
        return leaf.epoch == r.epoch && leaf.node != 0 && leaf.node <= r.nodeCount && leaf.w <= RewardFormula.M
            && RewardFormula.isPacked(leaf.slotP, _slots());
    }

    /// @dev The leaf that follows from the chain, the leaf before (empty if there is none) and the slots and W claimed.
    /// Sums wrap instead of overflowing: those of a wicked report may be of any size.
    function _expected(
        IReportOracle.NodeLeaf calldata claimed,
        IReportOracle.NodeLeaf calldata previous,
        Values memory v
    ) private view returns (IReportOracle.NodeLeaf memory leaf) {
        leaf = claimed;
        (INodeRegistry.State state, bool slot) = registry.statusAt(leaf.node, leaf.epoch);
        leaf.bond = _bondIn(leaf.node, leaf.epoch);
        leaf.stake = _stakeIn(leaf.node, leaf.epoch, _get(v, ParameterKeys.DELEGATION_FACTOR));
        bool takesPart = state == INodeRegistry.State.Active && leaf.stake != 0;
        if (!takesPart) (leaf.slotP, leaf.w) = (0, 0);
        uint256 p = RewardFormula.epochPerformance(leaf.slotP, _slots());
        leaf.rho = _reputation(leaf, previous, state, takesPart, p, v);
        leaf.reward = takesPart && slot ? _reward(leaf, p, v) : 0;
        (uint256 forOperator, uint256 forPool) =
            RewardFormula.split(leaf.reward, p, leaf.w, _terms(leaf, v), leaf.bond, leaf.stake);
        unchecked {
            leaf.cumOperator = previous.cumOperator + forOperator;
            leaf.cumPool = previous.cumPool + forPool;
        }
    }

    /// @dev QN-REW-002.
    function _stakeIn(uint32 node, uint32 epoch, uint256 factor) private view returns (uint256) {
        (uint48 start, uint48 end) = _boundsOf(epoch);
        return Math.min(
            RewardFormula.counted(hub.bondAt(node, start), hub.poolAt(node, start), factor),
            RewardFormula.counted(hub.bondAt(node, end), hub.poolAt(node, end), factor)
        );
    }

    /// @dev QN-REW-003, 050.
    function _reward(IReportOracle.NodeLeaf memory leaf, uint256 p, Values memory v) private view returns (uint256) {
        (, INodeRegistry.Role role) = registry.ownerAndRoleOf(leaf.node);
        (bytes32 weightKey, bytes32 slotsKey) = _keysOf(role);
        (,, uint256 budget,,) = epochs.epochInfo(leaf.epoch);
        return RewardFormula.reward(
            RewardFormula.Work({
                budget: RewardFormula.roleBudget(budget, _get(v, weightKey)),
                slots: _get(v, slotsKey),
                bond: leaf.bond,
                stake: leaf.stake,
                stakeReference: _get(v, ParameterKeys.STAKE_REFERENCE_WEI),
                alpha: _get(v, ParameterKeys.ALPHA_PPM),
                p: p,
                w: leaf.w
            })
        );
    }

    /// @dev QN-REW-060, 061.
    function _reputation(
        IReportOracle.NodeLeaf memory leaf,
        IReportOracle.NodeLeaf calldata previous,
        INodeRegistry.State state,
        bool takesPart,
        uint256 p,
        Values memory v
    ) private pure returns (uint32) {
        RewardFormula.Pace memory pace = RewardFormula.Pace(
            _get(v, ParameterKeys.REPUTATION_START_PPM),
            _get(v, ParameterKeys.REPUTATION_RISE),
            _get(v, ParameterKeys.REPUTATION_FALL)
        );
        uint256 rho = previous.node == 0 ? pace.start : previous.rho;
        if (state == INodeRegistry.State.Active && !takesPart) return uint32(rho);
        return uint32(RewardFormula.nextReputation(rho, p, leaf.w, state, pace));
    }

    function _terms(IReportOracle.NodeLeaf memory leaf, Values memory v)
        private
        view
        returns (RewardFormula.Terms memory)
    {
        (uint256 cost, uint32 margin) = hub.termsAt(leaf.node, leaf.epoch);
        return RewardFormula.Terms(
            cost, _get(v, ParameterKeys.COST_MAX_WEI), margin, _get(v, ParameterKeys.MARGIN_MIN_PPM)
        );
    }

    /// @dev The parameters an epoch was started with.
    function _valuesOf(uint32 epoch, uint256[] calldata values) private view returns (Values memory v) {
        v = Values(parameters.keys(), values);
        (bytes32 expected,,,,) = epochs.epochInfo(epoch);
        bytes32 got = keccak256(abi.encode(v.keys, v.values));
        if (got != expected) revert IDisputeCourt.WrongParameters(expected, got);
    }

    function _get(Values memory v, bytes32 key) private pure returns (uint256) {
        for (uint256 i = 0; i < v.keys.length; ++i) {
            if (v.keys[i] == key) return v.values[i];
        }
        revert IParameters.UnknownParameter(key);
    }

    function _keysOf(INodeRegistry.Role role) private pure returns (bytes32 weightKey, bytes32 slotsKey) {
        if (role == INodeRegistry.Role.Entry) return (ParameterKeys.WEIGHT_ENTRY_PPM, ParameterKeys.SLOTS_ENTRY);
        if (role == INodeRegistry.Role.Relay) return (ParameterKeys.WEIGHT_RELAY_PPM, ParameterKeys.SLOTS_RELAY);
        if (role == INodeRegistry.Role.Mix) return (ParameterKeys.WEIGHT_MIX_PPM, ParameterKeys.SLOTS_MIX);
        return (ParameterKeys.WEIGHT_EXIT_PPM, ParameterKeys.SLOTS_EXIT);
    }

    /// @dev What a leaf pays more than it should.
    function _excess(IReportOracle.NodeLeaf calldata leaf, IReportOracle.NodeLeaf memory expected)
        private
        pure
        returns (uint256)
    {
        return Math.saturatingAdd(
            Math.saturatingSub(leaf.cumOperator, expected.cumOperator),
            Math.saturatingSub(leaf.cumPool, expected.cumPool)
        );
    }
}
