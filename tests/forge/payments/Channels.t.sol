// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPausing} from "../../../interfaces/IPausing.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {PaymentsTest} from "./PaymentsTest.sol";

/// @dev open, openWithPermit, topUp, collect, startClose, finalizeClose
contract ChannelsTest is PaymentsTest {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    function _deposit() private view returns (uint256) {
        return channels.channelOf(user).deposit;
    }

    function test_Open() external {
        address dora = _payer("dora");
        vm.expectEmit(address(channels));
        emit IPremiumChannels.ChannelOpened(dora, 7, 7);
        vm.prank(dora);
        channels.open(7);
        IPremiumChannels.Channel memory channel = channels.channelOf(dora);
        vm.assertTrue(channel.isOpen);
        vm.assertEq(channel.deposit, 7);
        vm.assertEq(token.balanceOf(address(channels)), DEPOSIT + 7);
    }

    function test_OpenOnce_AndNotWithNothing() external {
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.ChannelIsOpen.selector, user));
        channels.open(1);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.ZeroAmount.selector));
        channels.open(0);
    }

    function test_OpenNotMoreThanFits() external {
        vm.prank(alice);
        vm.expectRevert();
        channels.open(1 << 96);
    }

    function test_OpenWithPermit_AlsoIfItWasUsedBefore() external {
        (address eve, uint256 key) = _account("eve");
        vm.prank(holder);
        token.transfer(eve, 9);
        bytes32 body = keccak256(abi.encode(PERMIT_TYPEHASH, eve, address(channels), 9, token.nonces(eve), _now()));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), body));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        uint256 deadline = _now();
        token.permit(eve, address(channels), 9, deadline, v, r, s);
        vm.prank(eve);
        channels.openWithPermit(9, deadline, v, r, s);
        vm.assertEq(channels.channelOf(eve).deposit, 9);
    }

    function test_NotOpenedWhilePaused() external {
        uint64 until = uint64(_now() + 1);
        vm.prank(owner);
        channels.pause(until);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        channels.open(1);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IPausing.IsPaused.selector, until));
        channels.topUp(1);
        _pay(EPOCH, 64); // the way out is open
        vm.prank(user);
        channels.startClose();
    }

    function test_TopUp() external {
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.ChannelNotOpen.selector, alice));
        channels.topUp(1);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.ZeroAmount.selector));
        channels.topUp(0);
        vm.expectEmit(address(channels));
        emit IPremiumChannels.ChannelToppedUp(user, DEPOSIT, DEPOSIT + 5);
        vm.prank(user);
        channels.topUp(5);
        vm.assertEq(_deposit(), DEPOSIT + 5);
    }

    function test_Collect_EachWeiOnce() external {
        vm.expectEmit(address(channels));
        emit IPremiumChannels.VoucherCollected(user, EPOCH, 1, 0, 64 * UNIT, keccak256("a"));
        _collect(_voucher(EPOCH, 1, 64 * UNIT, keccak256("a")));
        _collect(_voucher(EPOCH, 2, 64 * 3 * UNIT, keccak256("b")));
        _collect(_voucher(EPOCH, 1, 64 * UNIT, keccak256("a")));
        _collect(_voucher(EPOCH, 2, 64 * 3 * UNIT, keccak256("another of this nonce")));
        (uint256 pool,,) = channels.money();
        vm.assertEq(pool, 64 * 3 * UNIT);
        vm.assertEq(channels.channelOf(user).collected, 64 * 3 * UNIT);
        vm.assertEq(channels.issuanceOf(EPOCH).issued, 64 * 3);
    }

    function test_CollectNoMoreThanTheDeposit() external {
        IPremiumChannels.Voucher memory voucher = _voucher(EPOCH, 1, DEPOSIT + 1, bytes32(0));
        IPremiumChannels.Voucher[] memory vouchers = new IPremiumChannels.Voucher[](1);
        bytes[] memory signatures = new bytes[](1);
        (vouchers[0], signatures[0]) = (voucher, _sign(userKey, channels.voucherDigest(voucher)));
        vm.expectRevert(
            abi.encodeWithSelector(IPremiumChannels.DepositExceeded.selector, DEPOSIT + 1, DEPOSIT)
        );
        channels.collect(vouchers, signatures);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.LengthMismatch.selector, 1, 0));
        channels.collect(vouchers, new bytes[](0));
        _collect(_voucher(EPOCH, 1, DEPOSIT, bytes32(0)));
    }

    function test_CollectOfTheSignerOnly() external {
        IPremiumChannels.Voucher[] memory vouchers = new IPremiumChannels.Voucher[](1);
        bytes[] memory signatures = new bytes[](1);
        vouchers[0] = _voucher(EPOCH, 1, UNIT, bytes32(0));
        (address other, uint256 key) = _account("mallory");
        signatures[0] = _sign(key, channels.voucherDigest(vouchers[0]));
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.WrongSigner.selector, user, other));
        channels.collect(vouchers, signatures);
        vouchers[0].channel = address(0);
        signatures[0] = "";
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.WrongSigner.selector, address(0), address(0)));
        channels.collect(vouchers, signatures);
    }

    function test_CollectForAnUnknownEpoch() external {
        _collect(_voucher(99, 1, UNIT, bytes32(0)));
        (uint256 pool,,) = channels.money();
        vm.assertEq(pool, UNIT);
        _collect(_voucher(EPOCH + 16, 2, 2 * UNIT, bytes32(0)));
        vm.assertEq(channels.issuanceOf(EPOCH).issued, 0);
    }

    function test_Close() external {
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.NotClosable.selector, type(uint256).max));
        channels.finalizeClose(user);
        uint256 closesAt = _now() + 9 days;
        vm.expectEmit(address(channels));
        emit IPremiumChannels.CloseStarted(user, closesAt);
        vm.prank(user);
        channels.startClose();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.ChannelClosing.selector, user));
        channels.startClose();
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.ChannelClosing.selector, user));
        channels.topUp(1);
        _pay(EPOCH, 64); // vouchers are collected meanwhile
        vm.warp(closesAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.NotClosable.selector, closesAt));
        channels.finalizeClose(user);
        vm.warp(closesAt);
        uint256 before = token.balanceOf(user);
        vm.expectEmit(address(channels));
        emit IPremiumChannels.ChannelClosed(user, DEPOSIT - 64 * UNIT);
        channels.finalizeClose(user);
        vm.assertEq(token.balanceOf(user) - before, DEPOSIT - 64 * UNIT);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.ChannelNotOpen.selector, user));
        channels.finalizeClose(user);
    }

    /// @dev A channel opened again does not pay its old vouchers a second time.
    function test_OpenAgain() external {
        _pay(EPOCH, 64);
        vm.prank(user);
        channels.startClose();
        vm.warp(_now() + 9 days);
        channels.finalizeClose(user);
        vm.prank(user);
        channels.open(UNIT);
        _collect(_voucher(EPOCH, 1, collectedSum, keccak256("batch")));
        (uint256 pool,,) = channels.money();
        vm.assertEq(pool, 64 * UNIT);
        _collect(_voucher(EPOCH, 2, collectedSum + UNIT, keccak256("batch")));
        vm.assertEq(channels.channelOf(user).collected, 65 * UNIT);
    }
}
