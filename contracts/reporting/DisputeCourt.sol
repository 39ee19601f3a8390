// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICommittee} from "../../interfaces/ICommittee.sol";
import {IDisputeCourt} from "../../interfaces/IDisputeCourt.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {ISlasher} from "../../interfaces/ISlasher.sol";
import {IStakeHub} from "../../interfaces/IStakeHub.sol";
import {Owned} from "../governance/Owned.sol";
import {Challenges} from "./court/Challenges.sol";
import {Equivocations} from "./court/Equivocations.sol";
import {WrongReports} from "./court/WrongReports.sol";

/// @title Implementation of IDisputeCourt
/// @dev Documented in IDisputeCourt. Here is the jail for bad work; the proofs are in court/.
contract DisputeCourt is Equivocations, WrongReports, Initializable, UUPSUpgradeable {
    constructor(
        address owner_,
        IERC20 token_,
        IParameters parameters_,
        IEpochs epochs_,
        INodeRegistry registry_,
        IStakeHub hub_,
        IReportOracle oracle_,
        ICommittee committee_,
        ISlasher slasher_
    )
        Owned(owner_)
        Challenges(token_, parameters_, epochs_, registry_, hub_, oracle_, committee_, slasher_)
    {
        _disableInitializers();
    }

    /// @notice Set up the proxy, once.
    function initialize() external initializer {
        _initPausing(owner);
    }

    /// @inheritdoc IDisputeCourt
    function jail(ProvenLeaf[5] calldata) external override whenNotPaused {
        (uint32 node, uint32 first, uint32 last) = abi.decode(_judgement(), (uint32, uint32, uint32));
        if (first < _store().jailedUntilEpoch[node]) revert NotBadEnough(node);
        _checkFresh(epochs.epochEnd(last));
        _store().jailedUntilEpoch[node] = epochs.currentEpoch() + 1;
        slasher.jail(node);
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}
