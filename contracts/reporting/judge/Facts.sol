// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDisputeCourt} from "../../../interfaces/IDisputeCourt.sol";
import {IEpochs} from "../../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../../interfaces/IParameters.sol";
import {IReportJudge} from "../../../interfaces/IReportJudge.sol";
import {IReportOracle} from "../../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../../interfaces/IStakeHub.sol";

/// @title What the chain says about an epoch: its report, its calendar, its nodes
/// @dev A report is held against the report it was made to follow and no other: once that one has been reported anew,
/// proofs that need it are refused.
abstract contract Facts is IReportJudge {
    /// @inheritdoc IReportJudge
    IParameters public immutable override parameters;
    /// @inheritdoc IReportJudge
    IEpochs public immutable override epochs;
    /// @inheritdoc IReportJudge
    INodeRegistry public immutable override registry;
    /// @inheritdoc IReportJudge
    IStakeHub public immutable override hub;
    /// @inheritdoc IReportJudge
    IReportOracle public immutable override oracle;

    constructor(
        IParameters parameters_,
        IEpochs epochs_,
        INodeRegistry registry_,
        IStakeHub hub_,
        IReportOracle oracle_
    ) {
        parameters = parameters_;
        epochs = epochs_;
        registry = registry_;
        hub = hub_;
        oracle = oracle_;
    }

    /// @dev The latest report of an epoch.
    function _reportOf(uint32 epoch) internal view returns (IReportOracle.EpochReport memory r, bytes32 hash) {
        IReportOracle.Status status;
        (r, hash,, status) = oracle.report(epoch);
        if (status == IReportOracle.Status.None) revert IDisputeCourt.UnknownReport(epoch);
    }

    function _checkNodeLeaf(bytes32 root, IDisputeCourt.ProvenLeaf calldata proven) internal view returns (bytes32) {
        return _checkLeaf(IDisputeCourt.LeafKind.Node, root, _encodingOf(proven.leaf), proven.proof);
    }

    /// @dev Check that a leaf, hashed once, is part of a tree, in which all are hashed twice.
    function _checkLeaf(IDisputeCourt.LeafKind kind, bytes32 root, bytes32 encoded, bytes32[] calldata proof)
        internal
        pure
        returns (bytes32 hash)
    {
        hash = keccak256(bytes.concat(encoded));
        if (!MerkleProof.verifyCalldata(proof, root, hash)) revert IDisputeCourt.InvalidProof(kind);
    }

    function _encodingOf(IReportOracle.NodeLeaf memory leaf) internal view returns (bytes32) {
        return keccak256(abi.encode(uint8(IDisputeCourt.LeafKind.Node), block.chainid, oracle, leaf));
    }

    /// @dev Check that a leaf is a node's in the report before, or that there can be none if it is empty.
    /// @return found Whether there is one.
    /// @return previousEpoch Epoch of the report before, if there is one.
    function _checkPrevious(
        IReportOracle.EpochReport memory r,
        uint32 node,
        IDisputeCourt.ProvenLeaf calldata previous
    ) internal view returns (bool found, uint32 previousEpoch) {
        uint32 previousPlusOne = oracle.predecessorOf(r.epoch);
        if (previousPlusOne != 0) {
            previousEpoch = previousPlusOne - 1;
            (IReportOracle.EpochReport memory before, bytes32 hash) = _reportOf(previousEpoch);
            if (hash != r.prevReportHash) revert IDisputeCourt.UnknownReport(previousEpoch);
            found = node <= before.nodeCount;
            if (found) _checkNodeLeaf(before.nodesRoot, previous);
        }
        IReportOracle.NodeLeaf memory none;
        bool fits = found
            ? previous.leaf.node == node && previous.leaf.epoch == previousEpoch
            : _encodingOf(previous.leaf) == _encodingOf(none);
        if (!fits) revert IDisputeCourt.WrongPredecessorLeaf();
    }

    function _slots() internal view returns (uint256) {
        return epochs.slotsPerEpoch();
    }

    /// @dev First second of an epoch and first second after it.
    function _boundsOf(uint32 epoch) internal view returns (uint48 start, uint48 end) {
        return (uint48(epochs.epochStart(epoch)), uint48(epochs.epochEnd(epoch)));
    }

    /// @dev Own bond that counts in an epoch (QN-REW-002).
    function _bondIn(uint32 node, uint32 epoch) internal view returns (uint256) {
        (uint48 start, uint48 end) = _boundsOf(epoch);
        return Math.min(hub.bondAt(node, start), hub.bondAt(node, end));
    }

    /// @dev QN-REW-005: without a bond there is no stake that counts, and with one there is.
    function _tookPart(uint32 node, uint32 epoch) internal view returns (bool) {
        (INodeRegistry.State state,) = registry.statusAt(node, epoch);
        return state == INodeRegistry.State.Active && _bondIn(node, epoch) != 0;
    }
}
