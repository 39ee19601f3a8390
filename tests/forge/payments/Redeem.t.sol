// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BLS12381} from "../../../contracts/libraries/BLS12381.sol";
import {Instruments} from "../../../contracts/libraries/Instruments.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../../interfaces/IRedeemer.sol";
import {Bls} from "../support/Bls.sol";
import {PaymentsTest} from "./PaymentsTest.sol";

contract RedeemTest is PaymentsTest {
    function _redeem(IRedeemer.Token[] memory tokens) private {
        bytes memory key = _key(EPOCH, 7);
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
    }

    function _refused(IRedeemer.Token[] memory tokens, bytes memory error) private {
        bytes memory key = _key(EPOCH, 7);
        vm.prank(alice);
        vm.expectRevert(error);
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
    }

    function _opened() private {
        _pay(EPOCH, 640);
        _after(EPOCH, 48 hours);
    }

    function test_WithoutACommittee() external {
        _opened();
        uint256 before = token.balanceOf(alice);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 3, 56);
        bytes memory key = _key(EPOCH, 7);
        vm.expectEmit(address(redeemer));
        emit IRedeemer.Redeemed(RELAY, EPOCH, 0, 168, 168);
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
        vm.assertEq(token.balanceOf(alice) - before, 168 * UNIT * 8 / 10);
        (uint256 pool, uint256 toBurn,) = channels.money();
        vm.assertEq(toBurn, 168 * UNIT * 2 / 10);
        vm.assertEq(pool, (640 - 168) * UNIT);
        vm.assertEq(channels.issuanceOf(EPOCH).redeemed, 168);
        IRedeemer.Redemption memory r = redeemer.redemptionOf(EPOCH, RELAY);
        vm.assertEq(r.lastT, bytes16(_id(tokens[2])));
        vm.assertEq(r.credited, 168);
    }

    function test_OnlyBeyondWhatWasAttested() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        _after(EPOCH, 50 hours);
        bytes memory key = _key(EPOCH, 7);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 3, 56);
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, tokens, claims[0], key, "");
        vm.assertEq(channels.issuanceOf(EPOCH).redeemed, 68);
        _after(EPOCH, 70 hours);
        uint256 before = token.balanceOf(alice);
        channels.claim(EPOCH, claims);
        vm.assertEq(token.balanceOf(alice) - before, 100 * UNIT * 8 / 10);
    }

    function test_TheLeafMustBeShown() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        _after(EPOCH, 50 hours);
        _refused(
            _tokens(EPOCH, RELAY, 1, 56),
            abi.encodeWithSelector(IPremiumChannels.InvalidProof.selector, EPOCH, RELAY)
        );
        bytes memory key = _key(EPOCH, 7);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, OTHER, 1, 56);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongRelay.selector, OTHER, RELAY));
        redeemer.redeem(EPOCH, OTHER, tokens, claims[0], key, "");
    }

    /// @dev Who never earned proves so: there is nothing at its place.
    function test_ARelayWithoutALeaf() external {
        _pay(EPOCH, 640);
        _after(EPOCH, 30 minutes);
        _close(EPOCH, 640);
        _after(EPOCH, 30 hours);
        uint256[] memory units = new uint256[](2);
        units[0] = 10;
        (bytes32 root, IPremiumChannels.Claim[] memory claims) = _tree(EPOCH, units, units);
        _attest(EPOCH, root, 10);
        _after(EPOCH, 50 hours);
        bytes memory key = _key(EPOCH, 7);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, OTHER, 1, 56);
        vm.prank(bob);
        redeemer.redeem(EPOCH, OTHER, tokens, claims[1], key, "");
        vm.assertEq(channels.issuanceOf(EPOCH).redeemed, 56);
    }

    function test_NotBeforeAttestingEnds_NorLate() external {
        _pay(EPOCH, 640);
        _after(EPOCH, 48 hours - 1);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 56);
        _refused(tokens, abi.encodeWithSelector(IRedeemer.TooEarly.selector, 48 hours));
        _after(EPOCH, 96 hours);
        _refused(tokens, abi.encodeWithSelector(IRedeemer.TooLate.selector, 96 hours));
        _after(EPOCH, 96 hours - 1);
        _redeem(tokens);
    }

    function test_NotByAStranger() external {
        _opened();
        bytes memory key = _key(EPOCH, 7);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 56);
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.NotRelayOwner.selector, RELAY, mallory));
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
    }

    function test_ByAnybodyWithTheOwnersSignature_OverThisBatchOnly() external {
        _opened();
        bytes memory key = _key(EPOCH, 7);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 2, 56);
        (, uint256 aliceKey) = _account("alice");
        bytes memory signature = _sign(aliceKey, redeemer.redeemDigest(EPOCH, RELAY, tokens));
        tokens[0].units = 55;
        vm.prank(mallory);
        vm.expectPartialRevert(IRedeemer.WrongSigner.selector);
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, signature);
        tokens[0].units = 56;
        vm.prank(mallory);
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, signature);
        vm.assertEq(channels.issuanceOf(EPOCH).redeemed, 112);
    }

    function test_EachTokenOnce() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 2, 56);
        IRedeemer.Token[] memory twice = new IRedeemer.Token[](2);
        (twice[0], twice[1]) = (tokens[0], tokens[0]);
        bytes16 first = bytes16(_id(tokens[0]));
        _refused(twice, abi.encodeWithSelector(IRedeemer.NotAscending.selector, first, first));
        _redeem(tokens);
        _refused(tokens, abi.encodeWithSelector(IRedeemer.NotAscending.selector, bytes16(_id(tokens[1])), first));
    }

    function test_NoTokenOfAnotherRelay() external {
        _opened();
        _refused(_tokens(EPOCH, OTHER, 1, 56), abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
    }

    function test_NoTokenOfAnotherEpoch() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH + 1, RELAY, 1, 56);
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
    }

    function test_NoTokenOfAnotherChain() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 56);
        bytes memory key = _key(EPOCH, 7);
        vm.chainId(5);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongKeys.selector, EPOCH));
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
    }

    function test_ACreditIsNoToken() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 56);
        bytes32 message = redeemer.tokenMessage(EPOCH, RELAY, tokens[0].top, tokens[0].refund);
        tokens[0].signature = Bls.sign(_secret(EPOCH, 6), message);
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
    }

    function test_UnitsAndPreimages() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 64);
        bytes32 top = tokens[0].top;
        tokens[0].units = 0;
        _refused(tokens, abi.encodeWithSelector(Instruments.UnitsOutOfRange.selector, 0));
        tokens[0].units = 65;
        _refused(tokens, abi.encodeWithSelector(Instruments.UnitsOutOfRange.selector, 65));
        tokens[0].units = 63;
        _refused(tokens, abi.encodeWithSelector(Instruments.WrongPreimage.selector, top, 63));
        tokens[0].units = 64;
        _redeem(tokens);
        vm.assertEq(channels.issuanceOf(EPOCH).redeemed, 64);
    }

    /// @dev Two signatures exchanged by a point cancel in a plain sum; not under coefficients that depend on them.
    function test_SignaturesThatCancelInASum() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 2, 56);
        bytes32[4] memory shift = BLS12381.hashToG1("shift");
        tokens[0].signature = Bls.add(tokens[0].signature, shift);
        tokens[1].signature = Bls.add(tokens[1].signature, Bls.multiply(shift, Bls.ORDER - 1));
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
    }

    /// @dev A blind signer was made to sign H(m1) + H(m2).
    function test_OneSignatureOverTheSumOfTwo() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 2, 56);
        tokens[0].signature = Bls.add(tokens[0].signature, tokens[1].signature);
        delete tokens[1].signature;
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
    }

    function test_PointsThatAreNone() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 56);
        bytes32[4] memory right = tokens[0].signature;
        delete tokens[0].signature;
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidSignature.selector));
        tokens[0].signature = right;
        tokens[0].signature[3] = bytes32(uint256(right[3]) ^ 1); // not on the curve
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidPoint.selector, 0x0c));
        tokens[0].signature = right;
        tokens[0].signature[0] = bytes32(uint256(right[0]) | 1 << 200); // not canonical
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidPoint.selector, 0x0c));
        // (0, 2) is on the curve y^2 = x^3 + 4, of order 3
        tokens[0].signature = [bytes32(0), bytes32(0), bytes32(0), bytes32(uint256(2))];
        _refused(tokens, abi.encodeWithSelector(BLS12381.InvalidPoint.selector, 0x0c));
    }

    function test_KeysOfTheEpochOnly() external {
        _opened();
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 56);
        bytes memory key = _key(EPOCH + 1, 7);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongKeys.selector, EPOCH));
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(BLS12381.WrongLength.selector, 512, 0));
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), "", "");
        // the hashes of the epoch's keys do not make a key one of them, nor one of another class
        key = bytes.concat(Bls.key(_secret(EPOCH + 1, 7)), _hashes(EPOCH));
        _refusedKey(tokens, key);
        _refusedKey(tokens, _key(EPOCH, 6));
        key = _key(EPOCH, 7);
        key[300] ^= 0x01;
        _refusedKey(tokens, key);
    }

    function _refusedKey(IRedeemer.Token[] memory tokens, bytes memory key) private {
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRedeemer.WrongKeys.selector, EPOCH));
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
    }

    function test_NoMoreThanWasIssued() external {
        _pay(EPOCH, 100);
        _after(EPOCH, 48 hours);
        _refused(
            _tokens(EPOCH, RELAY, 2, 56),
            abi.encodeWithSelector(IPremiumChannels.BudgetExceeded.selector, EPOCH, 112, 100)
        );
    }

    function test_AtMost128_AndNothingIsNothing() external {
        _opened();
        _refused(new IRedeemer.Token[](129), abi.encodeWithSelector(IRedeemer.TooMany.selector, 128, 129));
        _refused(new IRedeemer.Token[](0), abi.encodeWithSelector(IRedeemer.NothingOwed.selector));
    }

    function test_PausedTimeDoesNotCount() external {
        _pay(EPOCH, 640);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 1, 56);
        _after(EPOCH, 90 hours);
        uint64 until = uint64(_end(EPOCH) + 100 hours);
        vm.prank(owner);
        channels.pause(until);
        _refused(tokens, abi.encodeWithSelector(IRedeemer.ChannelsPaused.selector));
        _after(EPOCH, 106 hours);
        _refused(tokens, abi.encodeWithSelector(IRedeemer.TooLate.selector, 96 hours));
        _after(EPOCH, 106 hours - 1);
        _redeem(tokens);
    }
}
