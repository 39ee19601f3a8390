// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BLS12381} from "../../../contracts/libraries/BLS12381.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../../interfaces/IRedeemer.sol";
import {PaymentsTest} from "./PaymentsTest.sol";

/// @dev disputeIssuance, deliver, refundIssuance
contract DisputesTest is PaymentsTest {
    uint256 private constant BATCH = 64 * UNIT;

    /// @dev A voucher over so many points that begins at `low`, and the points.
    function _bought(uint64 nonce, uint256 low, uint256 salt, uint256 count)
        private
        view
        returns (IPremiumChannels.Voucher memory voucher, bytes memory points)
    {
        points = _points(salt, count);
        voucher = _voucher(EPOCH, nonce, low + count * BATCH, _batchHash(points));
    }

    function _dispute(IPremiumChannels.Voucher memory voucher, bytes memory points) private returns (bytes32 id) {
        id = channels.voucherDigest(voucher);
        vm.prank(user);
        redeemer.disputeIssuance(voucher, points);
    }

    function test_TheMoneyGoesBack() external {
        (IPremiumChannels.Voucher memory voucher, bytes memory points) = _bought(1, 0, 1, 3);
        _collect(voucher);
        uint256 before = token.balanceOf(user);
        bytes32 id = _dispute(voucher, points);
        vm.assertEq(before - token.balanceOf(user), BOND);
        uint256 until = _now() + 24 hours;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooEarly.selector, until));
        redeemer.refundIssuance(id);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooEarly.selector, 96 hours));
        redeemer.refundIssuance(id);
        _after(EPOCH, 96 hours);
        vm.expectEmit(address(channels));
        emit IPremiumChannels.ChannelRefunded(user, EPOCH, 192, DEPOSIT, DEPOSIT + 3 * BATCH);
        redeemer.refundIssuance(id);
        vm.assertEq(token.balanceOf(user), before);
        vm.assertEq(channels.leftOf(EPOCH), 0);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongStatus.selector, id, IRedeemer.Status.Done));
        redeemer.refundIssuance(id);
    }

    function test_AlsoToAChannelThatIsClosed() external {
        (IPremiumChannels.Voucher memory voucher, bytes memory points) = _bought(1, 0, 1, 1);
        _collect(voucher);
        bytes32 id = _dispute(voucher, points);
        vm.prank(user);
        channels.startClose();
        _after(EPOCH, 96 hours);
        channels.finalizeClose(user);
        redeemer.refundIssuance(id);
        uint256 before = token.balanceOf(user);
        channels.finalizeClose(user);
        vm.assertEq(token.balanceOf(user) - before, BATCH);
    }

    /// @dev Nobody asks for the refund for 16 epochs: the epoch's place in the ring is another's by then.
    function test_ADisputeOutlivesItsPlaceInTheRing() external {
        (IPremiumChannels.Voucher memory voucher, bytes memory points) = _bought(1, 0, 1, 1);
        _collect(voucher);
        bytes32 id = _dispute(voucher, points);
        uint256 deposit = channels.channelOf(user).deposit;
        uint256 before = token.balanceOf(user);
        _registerKeys(EPOCH + 16);
        redeemer.refundIssuance(id);
        vm.assertEq(channels.channelOf(user).deposit - deposit, BATCH);
        vm.assertEq(token.balanceOf(user) - before, BOND);
        vm.assertEq(channels.leftOf(EPOCH), 0);
    }

    function test_DeliveredInTime() external {
        (IPremiumChannels.Voucher memory voucher, bytes memory points) = _bought(1, 0, 1, 3);
        _collect(voucher);
        bytes32 id = _dispute(voucher, points);
        bytes memory key = _key(EPOCH, 6);
        bytes memory signatures = _signed(points, _secret(EPOCH, 6));
        vm.warp(_now() + 24 hours - 1);
        vm.expectEmit(address(redeemer));
        emit IRedeemer.IssuanceDelivered(id, id, mallory);
        vm.prank(mallory);
        redeemer.deliver(id, voucher, "", points, signatures, key);
        vm.assertEq(token.balanceOf(mallory), BOND);
        _after(EPOCH, 96 hours);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongStatus.selector, id, IRedeemer.Status.Refuted));
        redeemer.refundIssuance(id);
    }

    function test_DeliveredIsWhatIsValidOnly() external {
        (IPremiumChannels.Voucher memory voucher, bytes memory points) = _bought(1, 0, 1, 2);
        _collect(voucher);
        bytes32 id = _dispute(voucher, points);
        bytes memory key = _key(EPOCH, 6);
        bytes memory signatures = _signed(points, _secret(EPOCH, 5));
        vm.expectRevert(abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
        redeemer.deliver(id, voucher, "", points, signatures, key);
        bytes memory few = _points(1, 1);
        vm.expectPartialRevert(IRedeemer.WrongBatch.selector);
        redeemer.deliver(id, voucher, "", few, signatures, key);
        vm.expectPartialRevert(BLS12381.WrongLength.selector);
        redeemer.deliver(id, voucher, "", points, few, key);
        vm.warp(_now() + 24 hours);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooLate.selector, _now()));
        redeemer.deliver(id, voucher, "", points, signatures, key);
    }

    /// @dev A voucher nobody ever saw, over money that another one was served for.
    function test_RefutedByWhatTheSameMoneyBought() external {
        (IPremiumChannels.Voucher memory served, bytes memory points) = _bought(1, 0, 1, 2);
        _collect(served);
        (IPremiumChannels.Voucher memory invented, bytes memory others) = _bought(1, BATCH, 2, 1);
        bytes32 id = _dispute(invented, others);
        bytes memory key = _key(EPOCH, 6);
        bytes memory signatures = _signed(points, _secret(EPOCH, 6));
        vm.expectPartialRevert(IRedeemer.WrongSigner.selector);
        redeemer.deliver(id, served, "", points, signatures, key);
        bytes memory own = _sign(userKey, channels.voucherDigest(served));
        redeemer.deliver(id, served, own, points, signatures, key);
    }

    function test_NotRefutedByOtherMoney() external {
        (IPremiumChannels.Voucher memory first, bytes memory points) = _bought(1, 0, 1, 1);
        (IPremiumChannels.Voucher memory second, bytes memory others) = _bought(2, BATCH, 2, 1);
        _collect(second);
        bytes32 id = _dispute(second, others);
        bytes memory key = _key(EPOCH, 6);
        bytes memory signatures = _signed(points, _secret(EPOCH, 6));
        bytes memory own = _sign(userKey, channels.voucherDigest(first));
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NoConflict.selector));
        redeemer.deliver(id, first, own, points, signatures, key);
    }

    /// @dev Two vouchers over the same money give it back once.
    function test_TheSameMoneyOnce() external {
        (IPremiumChannels.Voucher memory first, bytes memory points) = _bought(1, 0, 1, 2);
        (IPremiumChannels.Voucher memory second, bytes memory others) = _bought(1, BATCH, 2, 1);
        _collect(first);
        _dispute(first, points);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.AlreadyDisputed.selector, BATCH, 2 * BATCH));
        redeemer.disputeIssuance(second, others);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.AlreadyDisputed.selector, 0, 2 * BATCH));
        redeemer.disputeIssuance(first, points);
    }

    function test_WhatWasCollected_ByItsOwner_InTime() external {
        (IPremiumChannels.Voucher memory voucher, bytes memory points) = _bought(1, 0, 1, 1);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NotCollected.selector, BATCH, 0));
        redeemer.disputeIssuance(voucher, points);
        _collect(voucher);
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NotChannel.selector, user, mallory));
        redeemer.disputeIssuance(voucher, points);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooMany.selector, 64, 0));
        redeemer.disputeIssuance(voucher, "");
        _after(EPOCH, 35 days);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooLate.selector, 35 days));
        redeemer.disputeIssuance(voucher, points);
    }
}
