// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOwned} from "../../interfaces/IOwned.sol";

/// @title Implementation of IOwned
/// @dev Documented in IOwned.
abstract contract Owned is IOwned {
    /// @inheritdoc IOwned
    address public immutable override owner;

    constructor(address owner_) {
        if (owner_ == address(0)) revert ZeroAddress();
        owner = owner_;
    }

    modifier onlyOwner() {
        _checkOwner();
        _;
    }

    function _checkOwner() private view {
        if (msg.sender != owner) revert NotOwner(msg.sender, owner);
    }
}
