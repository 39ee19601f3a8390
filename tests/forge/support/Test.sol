// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "./Vm.sol";

/// @title Base of all Forge tests
/// @dev Forge's own cheat codes check what is expected, so no library of assertions is needed.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    // solhint-disable-next-line func-name-mixedcase
    bool public constant IS_TEST = true;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    address[] private _targets;
    FuzzSelector[] private _selectors;

    /// @dev Contracts the invariant fuzzer calls.
    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    /// @dev Functions of them it calls; all if none are named.
    function targetSelectors() external view returns (FuzzSelector[] memory) {
        return _selectors;
    }

    function _target(address handler) internal {
        _targets.push(handler);
    }

    function _target(address handler, bytes4[] memory selectors) internal {
        _targets.push(handler);
        _selectors.push(FuzzSelector(handler, selectors));
    }

    /// @dev An account that holds nothing, and its key.
    function _account(string memory name) internal returns (address account, uint256 key) {
        key = uint256(keccak256(bytes(name)));
        account = vm.addr(key);
        vm.label(account, name);
    }

    /// @dev `x` folded into [low, high].
    function _bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        if (x >= low && x <= high) return x;
        uint256 span = high - low + 1;
        return span == 0 ? x : low + x % span;
    }
}
