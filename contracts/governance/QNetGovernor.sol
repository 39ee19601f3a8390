// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingFractional} from
    "@openzeppelin/contracts/governance/extensions/GovernorCountingFractional.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorStorage} from "@openzeppelin/contracts/governance/extensions/GovernorStorage.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IQNetGovernor} from "../../interfaces/IQNetGovernor.sol";
import {IRewardVault} from "../../interfaces/IRewardVault.sol";
import {IStakedVotes} from "../../interfaces/IStakedVotes.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title The governor of the holders
/// @dev Documented in IQNetGovernor.
contract QNetGovernor is
    IQNetGovernor,
    GovernorCountingFractional,
    GovernorStorage,
    GovernorVotes,
    GovernorTimelockControl,
    GovernorPreventLateQuorum
{
    uint256 private constant ACTIONS_MAX = 10;
    uint256 private constant PPM = 1_000_000;

    /// @inheritdoc IQNetGovernor
    IStakedVotes public immutable override hub;
    /// @inheritdoc IQNetGovernor
    IRewardVault public immutable override vault;
    /// @inheritdoc IQNetGovernor
    IParameters public immutable override parameters;

    /// @inheritdoc IQNetGovernor
    mapping(address proposer => uint256) public override latestProposalOf;

    constructor(
        IVotes token_,
        IStakedVotes hub_,
        IRewardVault vault_,
        TimelockController timelock_,
        IParameters parameters_
    ) Governor("QNet") GovernorVotes(token_) GovernorTimelockControl(timelock_) GovernorPreventLateQuorum(0) {
        hub = hub_;
        vault = vault_;
        parameters = parameters_;
    }

    /// @notice Always reverts.
    function setLateQuorumVoteExtension(uint48) public pure override {
        revert SetByParameter(ParameterKeys.LATE_EXTENSION_S);
    }

    /// @notice Seconds between a proposal and its vote.
    function votingDelay() public view override returns (uint256) {
        return parameters.get(ParameterKeys.VOTING_DELAY_S);
    }

    /// @notice Seconds a vote lasts.
    function votingPeriod() public view override returns (uint256) {
        return parameters.get(ParameterKeys.VOTING_PERIOD_S);
    }

    /// @notice Seconds a vote goes on after its quorum was reached; never more than one voting period.
    function lateQuorumVoteExtension() public view override returns (uint48) {
        return SafeCast.toUint48(Math.min(parameters.get(ParameterKeys.LATE_EXTENSION_S), votingPeriod()));
    }

    /// @notice Votes needed to propose, in wei.
    function proposalThreshold() public view override returns (uint256) {
        uint256 supply = IERC20(address(token())).totalSupply();
        return Math.mulDiv(supply, parameters.get(ParameterKeys.PROPOSAL_THRESHOLD_PPM), PPM);
    }

    /// @notice Votes for and abstaining that a proposal needs: a share of the supply without the vault's reserve.
    function quorum(uint256 timepoint) public view override returns (uint256) {
        uint256 base = token().getPastTotalSupply(timepoint) - vault.reserveAt(timepoint);
        return Math.mulDiv(base, quorumNumerator(timepoint), PPM);
    }

    /// @inheritdoc IQNetGovernor
    function quorumNumerator(uint256 timepoint) public view override returns (uint256) {
        return parameters.getPast(ParameterKeys.QUORUM_PPM, timepoint);
    }

    /// @inheritdoc IQNetGovernor
    function quorumDenominator() external pure override returns (uint256) {
        return PPM;
    }

    /// @inheritdoc Governor
    function proposalDeadline(uint256 proposalId)
        public
        view
        override(Governor, GovernorPreventLateQuorum)
        returns (uint256)
    {
        return super.proposalDeadline(proposalId);
    }

    /// @inheritdoc Governor
    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    /// @inheritdoc Governor
    function state(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (ProposalState)
    {
        return super.state(proposalId);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override(Governor, GovernorStorage) returns (uint256 proposalId) {
        if (targets.length > ACTIONS_MAX) revert TooManyActions(targets.length, ACTIONS_MAX);
        uint256 latest = latestProposalOf[proposer];
        if (latest != 0 && _isLive(latest)) revert ProposerHasLive(latest);
        proposalId = super._propose(targets, values, calldatas, description, proposer);
        latestProposalOf[proposer] = proposalId;
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }

    /// @dev The extension is a parameter; the value OpenZeppelin keeps stays unused.
    function _setLateQuorumVoteExtension(uint48) internal override {}

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }

    function _getVotes(address account, uint256 timepoint, bytes memory params)
        internal
        view
        override(Governor, GovernorVotes)
        returns (uint256)
    {
        return super._getVotes(account, timepoint, params) + hub.getPastVotes(account, timepoint);
    }

    function _isLive(uint256 proposalId) private view returns (bool) {
        ProposalState current = state(proposalId);
        return current == ProposalState.Pending || current == ProposalState.Active;
    }
}
