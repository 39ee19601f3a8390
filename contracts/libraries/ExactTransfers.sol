// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Transfers that move exactly what they were told to
/// @dev Tokens with fees, with changing balances, or that only claim to have moved are refused. Callers guard against
/// reentrance: the two readings must belong to one transfer.
library ExactTransfers {
    using SafeERC20 for IERC20;

    /// @notice The token moved another amount than it was told to.
    error WrongTransfer(uint256 expected, uint256 got);

    /// @dev Take tokens from an account that approved them.
    function take(IERC20 token, address from, uint256 amount) internal {
        uint256 before = held(token, address(this));
        token.safeTransferFrom(from, address(this), amount);
        expect(amount, before, held(token, address(this)));
    }

    /// @dev Pay tokens to another account.
    function pay(IERC20 token, address to, uint256 amount) internal {
        uint256 before = held(token, address(this));
        uint256 beforeTo = held(token, to);
        token.safeTransfer(to, amount);
        expect(amount, held(token, address(this)), before);
        expect(amount, beforeTo, held(token, to));
    }

    /// @dev Refuse a balance that did not grow from `low` to `high` by the amount; one that fell counts as unmoved.
    function expect(uint256 amount, uint256 low, uint256 high) internal pure {
        uint256 got = high < low ? 0 : high - low;
        if (got != amount) revert WrongTransfer(amount, got);
    }

    function held(IERC20 token, address account) internal view returns (uint256) {
        return token.balanceOf(account);
    }
}
