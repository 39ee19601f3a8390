// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "../../forge/support/Test.sol";
import {UpgradeHandler} from "./UpgradeHandler.sol";

/// @title Code changes by the timelock alone
contract UpgradeInvariants is Test {
    UpgradeHandler private handler;

    function setUp() external {
        handler = new UpgradeHandler();
        bytes4[] memory actions = new bytes4[](3);
        actions[0] = handler.upgradeAsAnother.selector;
        actions[1] = handler.upgradeAsAContract.selector;
        actions[2] = handler.upgradeAsTheOwner.selector;
        _target(address(handler), actions);
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_OnlyTimelockUpgrades() external view {
        address[] memory proxies = handler.proxies();
        for (uint256 i = 0; i < proxies.length; ++i) {
            vm.assertEq(handler.implementationOf(proxies[i]), handler.expected(proxies[i]));
        }
    }
}
