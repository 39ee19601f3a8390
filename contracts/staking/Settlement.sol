// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";
import {Pools} from "./Pools.sol";

/// @title Rewards: from final reports to operators and pools
abstract contract Settlement is Pools {
    using ExactTransfers for IERC20;

    /// @inheritdoc IStakeHub
    function settleNode(IReportOracle.NodeLeaf calldata leaf, bytes32[] calldata proof)
        external
        override
        whenNotPaused
        nonReentrant
    {
        uint32 index = leaf.node;
        Stake storage stake = _stake(index);
        if (leaf.epoch < stake.settledThrough) revert NothingToSettle(index, leaf.epoch);
        if (!oracle.isFinal(leaf.epoch)) revert NotFinal(leaf.epoch);
        bytes32 root = oracle.nodesRoot(leaf.epoch);
        if (!MerkleProof.verifyCalldata(proof, root, oracle.leafHash(leaf))) revert InvalidProof(index, leaf.epoch);

        uint256 forOperator = _growth(index, stake.settledOperator, leaf.cumOperator);
        uint256 forPool = _growth(index, stake.settledPool, leaf.cumPool);
        uint256 amount = forOperator + forPool;
        if (stake.shares == 0) (forOperator, forPool) = (amount, 0);
        emit NodeSettled(index, leaf.epoch, forOperator, forPool, stake.rho, leaf.rho);
        stake.settledThrough = leaf.epoch + 1;
        stake.rho = leaf.rho;
        if (amount == 0) return;
        stake.settledOperator = SafeCast.toUint112(leaf.cumOperator);
        stake.settledPool = SafeCast.toUint112(leaf.cumPool);
        stake.owed = SafeCast.toUint112(stake.owed + forOperator);
        if (forPool != 0) _stream(stake, forPool);
        _pull(amount);
    }

    /// @inheritdoc IStakeHub
    function claimOperator(uint32 index) external override whenNotPaused nonReentrant {
        Stake storage stake = _stake(index);
        uint256 amount = stake.owed;
        if (amount == 0) revert NothingToClaim(index);
        address payout = registry.payoutOf(index);
        stake.owed = 0;
        emit OperatorClaimed(index, payout, amount);
        token.pay(payout, amount);
    }

    /// @inheritdoc IStakeHub
    function owed(uint32 index) external view override returns (uint256) {
        return _stake(index).owed;
    }

    /// @inheritdoc IStakeHub
    function settledCum(uint32 index) external view override returns (uint256 cumOperator, uint256 cumPool) {
        return (_stake(index).settledOperator, _stake(index).settledPool);
    }

    /// @inheritdoc IStakeHub
    function settledThrough(uint32 index) external view override returns (uint32) {
        return _stake(index).settledThrough;
    }

    /// @inheritdoc IStakeHub
    function reputationOf(uint32 index) external view override returns (uint32) {
        INodeRegistry.State state = _stateOf(index);
        if (state == INodeRegistry.State.Retired || state == INodeRegistry.State.Tombstoned) return 0;
        uint256 rho = _stake(index).rho;
        if (state == INodeRegistry.State.Jailed) {
            rho = Math.min(rho, _parameter(ParameterKeys.REPUTATION_START_PPM));
        }
        return uint32(rho);
    }

    /// @dev What still streams and what comes new stream evenly over the next stream_s.
    function _stream(Stake storage stake, uint256 amount) private {
        uint256 streaming = _unstreamed(stake) + amount;
        stake.assets = SafeCast.toUint112(stake.assets + amount);
        stake.streaming = SafeCast.toUint112(streaming);
        stake.streamFrom = uint40(block.timestamp);
        stake.streamUntil = SafeCast.toUint40(block.timestamp + _parameter(ParameterKeys.STREAM_S));
    }

    function _pull(uint256 amount) private {
        uint256 before = token.held(address(this));
        vault.pull(address(this), amount);
        ExactTransfers.expect(amount, before, token.held(address(this)));
    }

    function _growth(uint32 index, uint256 settled, uint256 cumulative) private pure returns (uint256) {
        if (cumulative < settled) revert CumulativeRegression(index, settled, cumulative);
        return cumulative - settled;
    }
}
