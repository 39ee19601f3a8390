// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPremiumChannels} from "../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../interfaces/IRedeemer.sol";
import {BLS12381} from "../libraries/BLS12381.sol";
import {ExactTransfers} from "../libraries/ExactTransfers.sol";
import {Instruments} from "../libraries/Instruments.sol";
import {RedeemerStore} from "./RedeemerStore.sol";

/// @title Paid and not served
/// @dev Documented in IRedeemer. A voucher stands for the money between the channel's sum before it and its own. Only one
/// voucher can have been served for the same money, and a channel disputes the same money but once.
abstract contract Disputes is RedeemerStore {
    using ExactTransfers for IERC20;

    uint256 private constant BATCH_MAX = 64;

    /// @inheritdoc IRedeemer
    mapping(address channel => uint256) public override disputedThrough;

    mapping(bytes32 id => Dispute) private _disputes;

    /// @inheritdoc IRedeemer
    function disputeIssuance(IPremiumChannels.Voucher calldata voucher, bytes calldata points)
        external
        override
        nonReentrant
        whenNotPaused
    {
        if (msg.sender != voucher.channel) revert NotChannel(voucher.channel, msg.sender);
        _checkTime(voucher.epoch, 0, EXIT_S);
        uint256 collected = channels.channelOf(msg.sender).collected;
        if (voucher.cumulative > collected) revert NotCollected(voucher.cumulative, collected);
        (uint256 units, uint256 low) = _batchOf(voucher, points);
        uint256 through = disputedThrough[msg.sender];
        if (low < through) revert AlreadyDisputed(low, through);
        disputedThrough[msg.sender] = voucher.cumulative;
        bytes32 id = channels.voucherDigest(voucher);
        uint40 startedAt = uint40(block.timestamp);
        _disputes[id] = Dispute(
            Status.Open, voucher.epoch, startedAt, uint64(units), msg.sender, uint128(low), voucher.cumulative
        );
        emit IssuanceDisputed(id, msg.sender, voucher.epoch, units, startedAt + DELIVER_S);
        token.take(msg.sender, BOND_WEI);
    }

    /// @inheritdoc IRedeemer
    function deliver(
        bytes32 id,
        IPremiumChannels.Voucher calldata voucher,
        bytes calldata signature,
        bytes calldata points,
        bytes calldata signatures,
        bytes calldata key
    ) external override nonReentrant whenNotPaused {
        Dispute storage dispute = _disputes[id];
        _checkOpen(id, dispute.status);
        uint256 until = _endOf(dispute.startedAt, DELIVER_S);
        if (block.timestamp >= until) revert TooLate(until);
        bytes32 digest = channels.voucherDigest(voucher);
        (uint256 units, uint256 low) = _batchOf(voucher, points);
        if (digest != id) {
            if (voucher.channel != dispute.channel) revert NoConflict();
            if (low >= dispute.high || voucher.cumulative <= dispute.low) revert NoConflict();
            _checkSigner(digest, signature, voucher.channel);
        }
        _checkKey(voucher.epoch, Instruments.BOUGHT_CLASS, key);
        uint256 count = units / Instruments.TOKEN_UNITS;
        BLS12381.Batch memory batch = BLS12381.batchOf(count);
        for (uint256 j = 0; j < count; ++j) {
            BLS12381.putPoint(batch, j, points, signatures);
        }
        BLS12381.checkBatch(batch, key);
        dispute.status = Status.Refuted;
        emit IssuanceDelivered(id, digest, msg.sender);
        token.pay(msg.sender, BOND_WEI);
    }

    /// @inheritdoc IRedeemer
    function refundIssuance(bytes32 id) external override nonReentrant {
        Dispute storage dispute = _disputes[id];
        _checkOpen(id, dispute.status);
        uint256 until = _endOf(dispute.startedAt, DELIVER_S);
        if (block.timestamp < until) revert TooEarly(until);
        _checkFrom(dispute.epoch, REDEEM_S);
        dispute.status = Status.Done;
        emit IssuanceRefunded(id, dispute.units);
        channels.refund(dispute.epoch, dispute.channel, dispute.units);
        token.pay(dispute.channel, BOND_WEI);
    }

    /// @inheritdoc IRedeemer
    function disputeOf(bytes32 id) external view override returns (Dispute memory) {
        return _disputes[id];
    }

    /// @dev Units a voucher pays for, and the sum of its channel before it; its points must be the ones it names.
    function _batchOf(IPremiumChannels.Voucher calldata voucher, bytes calldata points)
        private
        view
        returns (uint256 units, uint256 low)
    {
        uint256 count = points.length / BLS12381.G1_BYTES;
        if (count == 0 || count > BATCH_MAX) revert TooMany(BATCH_MAX, count);
        bytes32 got = Instruments.pointsHash(points, points[0:0]);
        if (got != voucher.batchHash) revert WrongBatch(voucher.batchHash, got);
        units = count * Instruments.TOKEN_UNITS;
        uint256 price = units * UNIT_WEI;
        if (voucher.cumulative < price) revert NotCollected(price, voucher.cumulative);
        low = voucher.cumulative - price;
    }
}
