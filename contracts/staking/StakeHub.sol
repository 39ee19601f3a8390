// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEpochs} from "../../interfaces/IEpochs.sol";
import {INodeRegistry} from "../../interfaces/INodeRegistry.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IPausing} from "../../interfaces/IPausing.sol";
import {IReportOracle} from "../../interfaces/IReportOracle.sol";
import {IRewardVault} from "../../interfaces/IRewardVault.sol";
import {Delegation} from "./Delegation.sol";
import {HubStore} from "./HubStore.sol";
import {Settlement} from "./Settlement.sol";
import {Slashing} from "./Slashing.sol";
import {Terms} from "./Terms.sol";

/// @title Implementation of IStakeHub
/// @dev Documented in IStakeHub; each part of it stands in a contract of its own beside this one.
contract StakeHub is Delegation, Settlement, Slashing, Terms, Initializable, UUPSUpgradeable {
    constructor(
        address owner_,
        IERC20 token_,
        IParameters parameters_,
        IEpochs epochs_,
        INodeRegistry registry_,
        IReportOracle oracle_,
        IRewardVault vault_,
        address slasher_,
        IPausing court_
    ) HubStore(owner_, token_, parameters_, epochs_, registry_, oracle_, vault_, slasher_, court_) {
        _disableInitializers();
    }

    /// @notice Set up the proxy, once.
    function initialize() external initializer {
        _initPausing(owner);
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}
