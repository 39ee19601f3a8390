// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IParameters} from "../../interfaces/IParameters.sol";
import {IQNetTimelock} from "../../interfaces/IQNetTimelock.sol";
import {ParameterKeys} from "../libraries/ParameterKeys.sol";

/// @title The timelock of the holders, owner of everything that has an owner
/// @dev Documented in IQNetTimelock.
contract QNetTimelock is TimelockController, IQNetTimelock {
    /// @inheritdoc IQNetTimelock
    IParameters public immutable override parameters;

    /// @param governor Sole proposer and canceller.
    constructor(IParameters parameters_, address governor)
        TimelockController(0, _single(governor), _single(address(0)), address(0))
    {
        parameters = parameters_;
    }

    /// @notice Least delay between queueing and execution, in seconds.
    function getMinDelay() public view override returns (uint256) {
        return parameters.get(ParameterKeys.TIMELOCK_S);
    }

    /// @notice Always reverts.
    function updateDelay(uint256) public pure override {
        revert SetByParameter(ParameterKeys.TIMELOCK_S);
    }

    function _single(address account) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }
}
