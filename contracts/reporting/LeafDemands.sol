// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";
import {ReportStore} from "./ReportStore.sol";

/// @title Demands for leaves that a committee withholds
/// @dev Documented in IReportOracle. A demand belongs to one attempt: one left over from a disabled report neither
/// answers for the next report nor stands in the way of another demand.
abstract contract LeafDemands is ReportStore, ReentrancyGuardTransient {
    using ExactTransfers for IERC20;

    /// @inheritdoc IReportOracle
    IERC20 public immutable override token;

    constructor(IERC20 token_) {
        token = token_;
    }

    /// @inheritdoc IReportOracle
    function demandLeaf(uint32 epoch, uint32 node) external override nonReentrant whenNotPaused {
        Entry storage entry = _store().entries[epoch];
        _checkSubmitted(epoch, entry);
        if (node == 0 || node > epochs.nodeCountOf(epoch)) revert NoSuchLeaf(epoch, node);
        Demand storage demand = _store().demands[epoch][node];
        if (demand.demandedAt != 0 && demand.attempt == entry.course.attempt) revert AlreadyDemanded(epoch, node);
        uint256 answer = parameters.get(ParameterKeys.DEMAND_ANSWER_S);
        uint256 until = windowEnd(epoch);
        if (block.timestamp + answer > until) revert TooLateToDemand(until - answer);

        _giveBack(epoch, node, demand);
        uint256 bond = parameters.get(ParameterKeys.CHALLENGE_BOND_WEI);
        uint40 deadline = SafeCast.toUint40(block.timestamp + answer);
        _store().demands[epoch][node] =
            Demand(msg.sender, uint40(block.timestamp), deadline, entry.course.attempt, SafeCast.toUint128(bond));
        ++entry.openDemands;
        emit LeafDemanded(epoch, node, msg.sender, bond, deadline);
        token.take(msg.sender, bond);
    }

    /// @inheritdoc IReportOracle
    function answerLeaf(NodeLeaf calldata leaf, bytes32[] calldata proof) external override nonReentrant {
        (uint32 epoch, uint32 node) = (leaf.epoch, leaf.node);
        Entry storage entry = _store().entries[epoch];
        _checkSubmitted(epoch, entry);
        Demand storage demand = _store().demands[epoch][node];
        if (demand.demander == address(0) || demand.attempt != entry.course.attempt) revert NotDemanded(epoch, node);
        uint256 deadline = _due(demand);
        if (block.timestamp > deadline) revert DemandOver(deadline);
        if (!MerkleProof.verifyCalldata(proof, entry.nodesRoot, leafHash(leaf))) revert InvalidProof(epoch, node);

        uint256 bond = demand.bond;
        demand.demander = address(0);
        demand.bond = 0;
        --entry.openDemands;
        emit LeafAnswered(epoch, node, msg.sender, leaf);
        token.pay(msg.sender, bond);
    }

    /// @inheritdoc IReportOracle
    function expireDemand(uint32 epoch, uint32 node) external override nonReentrant {
        Entry storage entry = _store().entries[epoch];
        Demand storage demand = _store().demands[epoch][node];
        address demander = demand.demander;
        if (demander == address(0)) revert NotDemanded(epoch, node);
        if (demand.attempt == entry.course.attempt) {
            uint256 deadline = _due(demand);
            if (block.timestamp <= deadline) revert DemandPending(deadline);
            emit DemandUnanswered(epoch, node, demander);
            _disable(epoch);
        }
        _giveBack(epoch, node, demand);
    }

    /// @inheritdoc IReportOracle
    function demandOf(uint32 epoch, uint32 node)
        external
        view
        override
        returns (address demander, uint256 bond, uint64 deadline)
    {
        Demand storage demand = _store().demands[epoch][node];
        demander = demand.demander;
        if (demander != address(0)) (bond, deadline) = (demand.bond, SafeCast.toUint64(_due(demand)));
    }

    /// @dev Return the bond of a demand that was not answered, if there is one.
    function _giveBack(uint32 epoch, uint32 node, Demand storage demand) private {
        (address demander, uint256 bond) = (demand.demander, demand.bond);
        if (demander == address(0)) return;
        demand.demander = address(0);
        demand.bond = 0;
        emit DemandReturned(epoch, node, demander, bond);
        token.pay(demander, bond);
    }

    function _due(Demand storage demand) private view returns (uint256) {
        return demand.deadline + court.pausedSince(demand.demandedAt);
    }
}
