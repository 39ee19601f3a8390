// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Owned} from "../../../contracts/governance/Owned.sol";
import {Pausing} from "../../../contracts/governance/Pausing.sol";
import {Test} from "../support/Test.sol";

/// @dev The smallest contract that can be paused.
contract Switch is Pausing {
    constructor(address owner_, address guardian_) Owned(owner_) {
        _initPausing(guardian_);
    }

    function act() external view whenNotPaused returns (bool) {
        return true;
    }
}

/// @dev A paused thing and the accounts around it.
abstract contract PausingTest is Test {
    uint64 internal constant PAUSE_MAX = 14 days;
    uint64 internal constant PAUSE_GAP = 30 days;
    uint64 internal constant START = 1_800_000_000;

    address internal immutable owner = address(0xA11CE);
    address internal immutable guardian = address(0xB0B);
    Switch internal subject;

    function setUp() public {
        vm.warp(START);
        subject = new Switch(owner, guardian);
    }

    function _pause(uint64 until) internal {
        vm.prank(guardian);
        subject.pause(until);
    }
}
