// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BLS12381} from "../../../contracts/libraries/BLS12381.sol";
import {Instruments} from "../../../contracts/libraries/Instruments.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../../interfaces/IRedeemer.sol";
import {Bls} from "../support/Bls.sol";
import {PaymentsTest} from "./PaymentsTest.sol";

/// @dev startCreditExit, startTokenExit, challengeBySwap, challengeByPreimage, finalizeExit
contract ExitsTest is PaymentsTest {
    uint8 private constant CLASS = 6;

    function _creditExit(uint256 number, address to) private returns (bytes32 id) {
        address key = vm.addr(_refundKey(number));
        id = redeemer.creditMessage(EPOCH, CLASS, key);
        bytes32[4] memory signature = Bls.sign(_secret(EPOCH, CLASS), id);
        bytes memory own = _sign(_refundKey(number), redeemer.exitDigest(id, 0, to));
        bytes memory issuanceKey = _key(EPOCH, CLASS);
        vm.prank(user);
        redeemer.startCreditExit(EPOCH, CLASS, key, signature, to, own, issuanceKey);
    }

    function _tokenExit(IRedeemer.Token memory left, uint256 number) private returns (bytes32 id) {
        id = redeemer.tokenMessage(EPOCH, RELAY, left.top, left.refund);
        bytes memory own = _sign(_refundKey(number), redeemer.exitDigest(id, left.units, payee));
        bytes memory issuanceKey = _key(EPOCH, 7);
        vm.prank(user);
        redeemer.startTokenExit(EPOCH, RELAY, left, payee, own, issuanceKey);
    }

    /// @dev A swap of credit `number` for two tokens, with what its outputs were answered.
    function _swap(uint256 number) private view returns (IRedeemer.Swap memory swap, bytes memory signatures) {
        bytes memory other = abi.encodePacked(uint8(1), EPOCH, RELAY, keccak256("top"), mallory);
        swap.epoch = EPOCH;
        swap.inputs = bytes.concat(other, abi.encodePacked(uint8(0), EPOCH, CLASS, vm.addr(_refundKey(number))));
        swap.classes = hex"0705";
        swap.outputs = _points(number, 2);
        signatures = bytes.concat(
            _signed(_points(number, 1), _secret(EPOCH, 7)),
            abi.encodePacked(
                Bls.multiply(BLS12381.hashToG1(keccak256(abi.encode(number, uint256(1)))), _secret(EPOCH, 5))
            )
        );
        bytes32 outputs = this.hashOfPoints(swap.outputs, swap.classes);
        swap.signature =
            _sign(_refundKey(number), redeemer.swapDigest(EPOCH, keccak256(swap.inputs), outputs));
    }

    function test_ACredit() external {
        _pay(EPOCH, 640);
        uint256 before = token.balanceOf(user);
        uint256 until = _now() + 7 days;
        bytes32 id = _creditExit(1, payee);
        vm.assertEq(before - token.balanceOf(user), BOND);
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooEarly.selector, until));
        redeemer.finalizeExit(id);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooEarly.selector, 96 hours)); // relays come first
        redeemer.finalizeExit(id);
        _after(EPOCH, 96 hours);
        redeemer.finalizeExit(id);
        vm.assertEq(token.balanceOf(payee), 64 * UNIT);
        vm.assertEq(token.balanceOf(user), before);
        vm.assertEq(channels.issuanceOf(EPOCH).exited, 64);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongStatus.selector, id, IRedeemer.Status.Done));
        redeemer.finalizeExit(id);
    }

    function test_OnceOnly() external {
        _pay(EPOCH, 640);
        bytes32 id = _creditExit(1, payee);
        address key = vm.addr(_refundKey(1));
        bytes32[4] memory signature = Bls.sign(_secret(EPOCH, CLASS), id);
        bytes memory own = _sign(_refundKey(1), redeemer.exitDigest(id, 0, payee));
        bytes memory issuanceKey = _key(EPOCH, CLASS);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongStatus.selector, id, IRedeemer.Status.Open));
        redeemer.startCreditExit(EPOCH, CLASS, key, signature, payee, own, issuanceKey);
    }

    function test_ByItsOwnKey_OfItsClass_InTime() external {
        address key = vm.addr(_refundKey(1));
        bytes32 id = redeemer.creditMessage(EPOCH, CLASS, key);
        bytes32[4] memory signature = Bls.sign(_secret(EPOCH, CLASS), id);
        bytes memory own = _sign(_refundKey(1), redeemer.exitDigest(id, 0, payee));
        bytes memory issuanceKey = _key(EPOCH, CLASS);
        vm.startPrank(user);
        vm.expectPartialRevert(IRedeemer.WrongSigner.selector);
        redeemer.startCreditExit(EPOCH, CLASS, key, signature, mallory, own, issuanceKey);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.UnknownClass.selector, 7));
        redeemer.startCreditExit(EPOCH, 7, key, signature, payee, own, issuanceKey);
        signature = Bls.sign(_secret(EPOCH, CLASS - 1), id);
        vm.expectRevert(abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
        redeemer.startCreditExit(EPOCH, CLASS, key, signature, payee, own, issuanceKey);
        vm.stopPrank();
        _after(EPOCH, 35 days);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooLate.selector, 35 days));
        redeemer.startCreditExit(EPOCH, CLASS, key, signature, payee, own, issuanceKey);
    }

    function test_NoMoreThanIsLeft() external {
        _pay(EPOCH, 10);
        bytes32 id = _creditExit(1, payee);
        _after(EPOCH, 8 days);
        redeemer.finalizeExit(id);
        vm.assertEq(token.balanceOf(payee), 10 * UNIT);
    }

    /// @dev Swapped and exited: whoever has the answers delivers them and gets the bond.
    function test_ASwappedCreditIsRefuted() external {
        _pay(EPOCH, 640);
        (IRedeemer.Swap memory swap, bytes memory signatures) = _swap(1);
        bytes32 id = _creditExit(1, payee);
        bytes memory keys = _keys(EPOCH);
        vm.warp(_now() + 7 days - 1);
        uint256 before = token.balanceOf(mallory);
        vm.expectEmit(address(redeemer));
        emit IRedeemer.ExitRefuted(id, mallory);
        vm.prank(mallory);
        redeemer.challengeBySwap(id, swap, signatures, keys);
        vm.assertEq(token.balanceOf(mallory) - before, BOND);
        _after(EPOCH, 9 days);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongStatus.selector, id, IRedeemer.Status.Refuted));
        redeemer.finalizeExit(id);
    }

    function test_NotRefutedWithoutDelivery_OrByAnotherSwap() external {
        _pay(EPOCH, 640);
        (IRedeemer.Swap memory swap, bytes memory signatures) = _swap(1);
        (IRedeemer.Swap memory other,) = _swap(2);
        bytes32 id = _creditExit(1, payee);
        bytes memory keys = _keys(EPOCH);
        bytes memory bad = _signed(swap.outputs, _secret(EPOCH, 7)); // the second is of class 5
        vm.expectRevert(abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
        redeemer.challengeBySwap(id, swap, bad, keys);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NotAnInput.selector, id));
        redeemer.challengeBySwap(id, other, signatures, keys);
        other.inputs = swap.inputs;
        vm.expectPartialRevert(IRedeemer.WrongSigner.selector);
        redeemer.challengeBySwap(id, other, signatures, keys);
        swap.inputs = bytes.concat(swap.inputs, hex"02");
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.BadInputs.selector));
        redeemer.challengeBySwap(id, swap, signatures, keys);
        vm.warp(_now() + 7 days);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooLate.selector, _now()));
        redeemer.challengeBySwap(id, swap, signatures, keys);
    }

    function test_TheRestOfAToken() external {
        _pay(EPOCH, 640);
        _after(EPOCH, 96 hours);
        bytes32 id = _tokenExit(_token(EPOCH, RELAY, 5, 40), 5);
        vm.warp(_now() + 7 days);
        redeemer.finalizeExit(id);
        vm.assertEq(token.balanceOf(payee), 24 * UNIT);
    }

    function test_AnUnusedToken() external {
        _pay(EPOCH, 640);
        _after(EPOCH, 96 hours);
        IRedeemer.Token memory left = _token(EPOCH, RELAY, 5, 0);
        left.preimage = bytes32(0);
        bytes32 id = _tokenExit(left, 5);
        vm.warp(_now() + 7 days);
        redeemer.finalizeExit(id);
        vm.assertEq(token.balanceOf(payee), 64 * UNIT);
    }

    function test_TokensInTime() external {
        _pay(EPOCH, 640);
        IRedeemer.Token memory left = _token(EPOCH, RELAY, 5, 40);
        bytes memory issuanceKey = _key(EPOCH, 7);
        _after(EPOCH, 96 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooEarly.selector, 96 hours));
        redeemer.startTokenExit(EPOCH, RELAY, left, payee, "", issuanceKey);
        _after(EPOCH, 96 hours);
        left.units = 64;
        vm.expectRevert(abi.encodeWithSelector(Instruments.UnitsOutOfRange.selector, 64));
        redeemer.startTokenExit(EPOCH, RELAY, left, payee, "", issuanceKey);
        left.units = 39;
        vm.expectRevert(abi.encodeWithSelector(Instruments.WrongPreimage.selector, left.top, 39));
        redeemer.startTokenExit(EPOCH, RELAY, left, payee, "", issuanceKey);
    }

    /// @dev Relay 0 does not exist, and an exit of its token would pass for one of a credit, which its swap cannot refute.
    function test_ATokenOfNoRelay() external {
        _pay(EPOCH, 640);
        _after(EPOCH, 96 hours);
        IRedeemer.Token memory left = _token(EPOCH, 0, 5, 40);
        bytes32 id = redeemer.tokenMessage(EPOCH, 0, left.top, left.refund);
        bytes memory own = _sign(_refundKey(5), redeemer.exitDigest(id, left.units, payee));
        bytes memory issuanceKey = _key(EPOCH, 7);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NotAToken.selector, id));
        redeemer.startTokenExit(EPOCH, 0, left, payee, own, issuanceKey);
    }

    /// @dev Nobody finalizes for 16 epochs: the epoch's place in the ring is another's by then.
    function test_AnExitOutlivesItsPlaceInTheRing() external {
        _pay(EPOCH, 100);
        bytes32 id = _creditExit(1, payee);
        bytes32 late = _creditExit(2, mallory);
        uint256 before = token.balanceOf(user);
        _registerKeys(EPOCH + 16);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.UnknownIssuance.selector, EPOCH));
        channels.issuanceOf(EPOCH);
        vm.assertEq(channels.leftOf(EPOCH), 100);
        vm.assertEq(channels.elapsedSince(EPOCH), type(uint256).max);
        redeemer.finalizeExit(id);
        vm.assertEq(token.balanceOf(payee), 64 * UNIT);
        vm.assertEq(channels.leftOf(EPOCH), 36);
        redeemer.finalizeExit(late);
        vm.assertEq(token.balanceOf(mallory), 36 * UNIT);
        vm.assertEq(channels.leftOf(EPOCH), 0);
        vm.assertEq(token.balanceOf(user) - before, 2 * BOND);
        (uint256 pool,,) = channels.money();
        vm.assertEq(pool, 0);
        vm.assertEq(channels.issuanceOf(EPOCH + 16).exited, 0);
        bytes memory issuanceKey = _key(EPOCH, CLASS);
        bytes32[4] memory signature = Bls.sign(_secret(EPOCH, CLASS), id);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooLate.selector, 35 days));
        redeemer.startCreditExit(EPOCH, CLASS, mallory, signature, payee, "", issuanceKey);
    }

    function test_ADeeperPreimageRefutes() external {
        _pay(EPOCH, 640);
        _after(EPOCH, 96 hours);
        bytes32 id = _tokenExit(_token(EPOCH, RELAY, 5, 40), 5);
        bytes32 same = _preimage(5, 40);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NotDeeper.selector, 40, 40));
        redeemer.challengeByPreimage(id, 40, same);
        vm.expectPartialRevert(Instruments.WrongPreimage.selector);
        redeemer.challengeByPreimage(id, 41, same);
        uint256 before = token.balanceOf(mallory);
        bytes32 deeper = _preimage(5, 41);
        vm.prank(mallory);
        redeemer.challengeByPreimage(id, 41, deeper);
        vm.assertEq(token.balanceOf(mallory) - before, BOND);
    }

    function test_ACreditHasNoPreimage() external {
        bytes32 id = _creditExit(1, payee);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NotAToken.selector, id));
        redeemer.challengeByPreimage(id, 41, bytes32(0));
    }

    function test_PausedTimeDoesNotCount() external {
        _pay(EPOCH, 640);
        (IRedeemer.Swap memory swap, bytes memory signatures) = _swap(1);
        bytes32 id = _creditExit(1, payee);
        bytes memory keys = _keys(EPOCH);
        uint256 start = _now();
        vm.prank(owner);
        channels.pause(uint64(start + 7 days));
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.ChannelsPaused.selector));
        redeemer.challengeBySwap(id, swap, signatures, keys);
        vm.warp(start + 14 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.TooEarly.selector, start + 14 days));
        redeemer.finalizeExit(id);
        redeemer.challengeBySwap(id, swap, signatures, keys);
    }

    function test_OnlyTheRedeemerPays() external {
        bytes memory error = abi.encodeWithSelector(IPremiumChannels.NotRedeemer.selector, mallory);
        vm.startPrank(mallory);
        vm.expectRevert(error);
        channels.payExit(EPOCH, mallory, 1);
        vm.expectRevert(error);
        channels.payRelay(EPOCH, RELAY, 1);
        vm.expectRevert(error);
        channels.refund(EPOCH, mallory, 1);
    }
}
