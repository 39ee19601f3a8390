// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputeCourt} from "../../interfaces/IDisputeCourt.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IReportJudge} from "../../interfaces/IReportJudge.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {RewardFormula} from "../libraries/RewardFormula.sol";
import {AuditRules} from "./judge/AuditRules.sol";
import {Facts} from "./judge/Facts.sol";
import {LinkRules} from "./judge/LinkRules.sol";
import {NodeLeafRules} from "./judge/NodeLeafRules.sol";

/// @title Implementation of IReportJudge
/// @dev Documented in IReportJudge. Here is what a node is jailed for; the rules of leaves are in judge/.
contract ReportJudge is NodeLeafRules, LinkRules, AuditRules {
    uint256 private constant BAD_EPOCHS = 5;
    uint256 private constant BAD_SPAN = 7;

    constructor(
        IParameters parameters_,
        IEpochs epochs_,
        INodeRegistry registry_,
        IStakeHub hub_,
        IReportOracle oracle_
    ) Facts(parameters_, epochs_, registry_, hub_, oracle_) {}

    /// @inheritdoc IReportJudge
    function jail(IDisputeCourt.ProvenLeaf[5] calldata leaves)
        external
        view
        override
        returns (uint32 node, uint32 first, uint32 last)
    {
        (node, first, last) = (leaves[0].leaf.node, leaves[0].leaf.epoch, leaves[BAD_EPOCHS - 1].leaf.epoch);
        uint256 next = first;
        for (uint256 i = 0; i < BAD_EPOCHS; ++i) {
            uint32 epoch = leaves[i].leaf.epoch;
            bool counts = leaves[i].leaf.node == node && epoch >= next && _wasBad(leaves[i]);
            if (!counts) revert IDisputeCourt.NotBadEnough(node);
            next = uint256(epoch) + 1;
        }
        if (last >= first + BAD_SPAN) revert IDisputeCourt.NotBadEnough(node);
    }

    /// @dev Whether a final report says of a node that took part that it did less than half of its work.
    function _wasBad(IDisputeCourt.ProvenLeaf calldata proven) private view returns (bool) {
        (uint32 epoch, uint32 node) = (proven.leaf.epoch, proven.leaf.node);
        if (!oracle.isFinal(epoch)) revert IDisputeCourt.UnknownReport(epoch);
        _checkNodeLeaf(oracle.nodesRoot(epoch), proven);
        uint256 p = RewardFormula.epochPerformance(proven.leaf.slotP, _slots());
        return p < RewardFormula.M / 2 && _tookPart(node, epoch);
    }
}
