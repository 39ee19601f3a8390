// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {ChannelStore} from "./ChannelStore.sol";

/// @title Deposits, vouchers, and the way out
/// @dev Documented in IPremiumChannels.
abstract contract Channels is ChannelStore {
    using ExactTransfers for IERC20;

    bytes32 private constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address channel,uint128 cumulative,uint64 nonce,uint32 epoch,bytes32 batchHash)");

    /// @inheritdoc IPremiumChannels
    function open(uint256 amount) external override {
        _open(amount);
    }

    /// @inheritdoc IPremiumChannels
    function openWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external override {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _open(amount);
    }

    /// @inheritdoc IPremiumChannels
    function topUp(uint256 amount) external override whenNotPaused nonReentrant {
        if (amount == 0) revert ZeroAmount();
        Channel storage channel = _openChannel(msg.sender);
        uint256 oldDeposit = channel.deposit;
        channel.deposit = SafeCast.toUint96(oldDeposit + amount);
        emit ChannelToppedUp(msg.sender, oldDeposit, oldDeposit + amount);
        token.take(msg.sender, amount);
    }

    /// @inheritdoc IPremiumChannels
    function collect(Voucher[] calldata vouchers, bytes[] calldata signatures) external override nonReentrant {
        if (vouchers.length != signatures.length) revert LengthMismatch(vouchers.length, signatures.length);
        uint256 sum;
        for (uint256 i = 0; i < vouchers.length; ++i) {
            sum += _collect(vouchers[i], signatures[i]);
        }
        if (sum != 0) _money.pool = SafeCast.toUint96(_money.pool + sum);
    }

    /// @inheritdoc IPremiumChannels
    function startClose() external override {
        _openChannel(msg.sender).closingSince = uint40(block.timestamp);
        emit CloseStarted(msg.sender, block.timestamp + CLOSING_S);
    }

    /// @inheritdoc IPremiumChannels
    function finalizeClose(address account) external override nonReentrant {
        Channel storage channel = _channels[account];
        if (channel.isOpen) {
            if (channel.closingSince == 0) revert NotClosable(type(uint256).max);
            uint256 closesAt = uint256(channel.closingSince) + CLOSING_S;
            if (block.timestamp < closesAt) revert NotClosable(closesAt);
        }
        uint256 amount = channel.deposit - channel.collected;
        if (!channel.isOpen && amount == 0) revert ChannelNotOpen(account);
        channel.deposit = channel.collected;
        channel.closingSince = 0;
        channel.isOpen = false;
        emit ChannelClosed(account, amount);
        if (amount != 0) token.pay(account, amount);
    }

    /// @inheritdoc IPremiumChannels
    function voucherDigest(Voucher calldata voucher) public view override returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER_TYPEHASH, voucher)));
    }

    function _open(uint256 amount) private whenNotPaused nonReentrant {
        if (amount == 0) revert ZeroAmount();
        Channel storage channel = _channels[msg.sender];
        if (channel.isOpen) revert ChannelIsOpen(msg.sender);
        uint256 deposit = channel.deposit + amount;
        channel.deposit = SafeCast.toUint96(deposit);
        channel.isOpen = true;
        emit ChannelOpened(msg.sender, amount, deposit);
        token.take(msg.sender, amount);
    }

    /// @dev What the voucher adds to what was collected, in wei. It counts for its epoch while that is known.
    function _collect(Voucher calldata voucher, bytes calldata signature) private returns (uint256 growth) {
        (address signer,,) = ECDSA.tryRecoverCalldata(voucherDigest(voucher), signature);
        if (signer != voucher.channel || signer == address(0)) revert WrongSigner(voucher.channel, signer);
        Channel storage channel = _channels[signer];
        uint256 collected = channel.collected;
        if (voucher.cumulative > channel.deposit) revert DepositExceeded(voucher.cumulative, channel.deposit);
        if (voucher.cumulative <= collected) return 0;
        growth = voucher.cumulative - collected;
        channel.collected = uint96(voucher.cumulative);
        Issuance storage issuance = _place(voucher.epoch);
        if (issuance.epoch == voucher.epoch && issuance.end != 0) {
            issuance.issued = SafeCast.toUint64(issuance.issued + growth / unitWei);
        }
        emit VoucherCollected(
            signer, voucher.epoch, voucher.nonce, collected, voucher.cumulative, voucher.batchHash
        );
    }

    function _openChannel(address account) private view returns (Channel storage channel) {
        channel = _channels[account];
        if (!channel.isOpen) revert ChannelNotOpen(account);
        if (channel.closingSince != 0) revert ChannelClosing(account);
    }
}
