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
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        uint256 got = token.balanceOf(address(this)) - before;
        if (got != amount) revert WrongTransfer(amount, got);
    }

    /// @dev Pay tokens to another account.
    function pay(IERC20 token, address to, uint256 amount) internal {
        uint256 before = token.balanceOf(address(this));
        uint256 beforeTo = token.balanceOf(to);
        token.safeTransfer(to, amount);
        uint256 sent = before - token.balanceOf(address(this));
        if (sent != amount) revert WrongTransfer(amount, sent);
        uint256 got = token.balanceOf(to) - beforeTo;
        if (got != amount) revert WrongTransfer(amount, got);
    }
}
