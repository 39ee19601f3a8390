// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRewardVault} from "../../../interfaces/IRewardVault.sol";
import {World} from "../support/World.sol";

/// @dev A vault with 400 million QNET; Epochs and the hub are played by prank.
abstract contract VaultTest is World {
    address internal mallory = address(0xBAD);

    function setUp() public virtual {
        _deploy(1);
    }

    function _fund(uint32 epoch, uint256 amount) internal returns (uint256) {
        vm.prank(address(epochs));
        return vault.fund(epoch, amount);
    }

    function _release(uint32 epoch, uint256 earned) internal {
        vm.prank(address(epochs));
        vault.release(epoch, earned);
    }

    function _pull(address to, uint256 amount) internal {
        vm.prank(address(hub));
        vault.pull(to, amount);
    }

    function _notAllowed(address expected) internal view returns (bytes memory) {
        return abi.encodeWithSelector(IRewardVault.NotAllowed.selector, mallory, expected);
    }
}
