// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../../interfaces/IRedeemer.sol";
import {PaymentsTest} from "./PaymentsTest.sol";

/// @dev claim, demandLeaf, answerLeaf, expireDemand, flushBurn
contract ClaimsTest is PaymentsTest {
    uint256 private constant DEMANDS = 60 hours;

    function _demand(uint16 position) private {
        vm.prank(bob);
        channels.demandLeaf(EPOCH, position);
    }

    function test_Claim() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.TooEarly.selector, _end(EPOCH) + DEMANDS));
        channels.claim(EPOCH, claims);
        _after(EPOCH, DEMANDS);
        uint256 before = token.balanceOf(alice);
        vm.expectEmit(address(channels));
        emit IPremiumChannels.Claimed(RELAY, EPOCH, alice, 0, 100, 80 * UNIT);
        channels.claim(EPOCH, claims);
        vm.assertEq(token.balanceOf(alice) - before, 80 * UNIT);
        (uint256 pool, uint256 toBurn, uint256 unclaimed) = channels.money();
        vm.assertEq(pool, 540 * UNIT);
        vm.assertEq(toBurn, 20 * UNIT);
        vm.assertEq(unclaimed, 0);
        channels.claim(EPOCH, claims); // pays nothing more
        vm.assertEq(token.balanceOf(alice) - before, 80 * UNIT);
        vm.assertEq(channels.paidUnitsOf(RELAY), 100);
    }

    function test_WithItsOwnLeafOnly() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        _after(EPOCH, DEMANDS);
        bytes memory error = abi.encodeWithSelector(IPremiumChannels.InvalidProof.selector, EPOCH, RELAY);
        claims[0].cumUnits += 1;
        vm.expectRevert(error);
        channels.claim(EPOCH, claims);
        claims[0].cumUnits -= 1;
        bytes32 last = claims[0].path[9];
        claims[0].path[9] = bytes32(uint256(1));
        vm.expectRevert(error);
        channels.claim(EPOCH, claims);
        claims[0].path[9] = last;
        claims[0].relay = 1 << 16 | 1;
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.InvalidProof.selector, EPOCH, claims[0].relay));
        channels.claim(EPOCH, claims);
    }

    /// @dev Empty trees at the top of a path may be shown or left out; a path has 10 to 16 siblings.
    function test_PathsWithAndWithoutTheirEmptyTop() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        bytes32[] memory path = claims[0].path;
        bytes32[] memory full = new bytes32[](17);
        bytes32 empty;
        for (uint256 i = 0; i < 17; ++i) {
            full[i] = i < 10 ? path[i] : empty;
            empty = keccak256(abi.encode(empty, empty));
        }
        for (uint256 length = 10; length < 17; ++length) {
            claims[0].path = _shortened(full, length);
            vm.assertEq(channels.attestedOf(EPOCH, claims[0]), 100);
            claims[0].path[length - 1] ^= bytes32(uint256(1));
            _notFound(claims[0]);
        }
        claims[0].path = full;
        _notFound(claims[0]);
        claims[0].path = _shortened(full, 9);
        _notFound(claims[0]);
        claims[0].path = path;
        claims[0].relay = RELAY + 1024; // where nobody is, but on the same path
        _notFound(claims[0]);
    }

    function _notFound(IPremiumChannels.Claim memory claim) private {
        vm.expectRevert(
            abi.encodeWithSelector(IPremiumChannels.InvalidProof.selector, EPOCH, claim.relay)
        );
        channels.attestedOf(EPOCH, claim);
    }

    /// @dev A leaf that says more than all that was attested is worth nothing, whoever signed the root.
    function test_NeverMoreThanWasAttested() external {
        _pay(EPOCH, 640);
        _after(EPOCH, 30 hours);
        (bytes32 root, IPremiumChannels.Claim[] memory claims) = _tree(EPOCH, 100, 640);
        _attest(EPOCH, root, 100);
        _after(EPOCH, DEMANDS);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.AttestedExceeded.selector, 640, 100));
        channels.claim(EPOCH, claims);
    }

    function test_AttestedWithoutMoney() external {
        _after(EPOCH, 0);
        _close(EPOCH, 640);
        _after(EPOCH, 30 hours);
        (bytes32 root, IPremiumChannels.Claim[] memory claims) = _tree(EPOCH, 100, 100);
        _attest(EPOCH, root, 100);
        _after(EPOCH, DEMANDS);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.PoolExceeded.selector, 100 * UNIT, 0));
        channels.claim(EPOCH, claims);
    }

    function test_Dust() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 1, 1);
        _after(EPOCH, DEMANDS);
        channels.claim(EPOCH, claims);
        (uint256 pool, uint256 toBurn,) = channels.money();
        vm.assertEq(pool, 0);
        vm.assertEq(toBurn, UNIT / 5);
    }

    function test_FlushBurn() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        _after(EPOCH, DEMANDS);
        channels.claim(EPOCH, claims);
        uint256 supply = token.totalSupply();
        vm.expectEmit(address(channels));
        emit IPremiumChannels.BurnFlushed(20 * UNIT);
        channels.flushBurn();
        vm.assertEq(supply - token.totalSupply(), 20 * UNIT);
        channels.flushBurn();
        vm.assertEq(supply - token.totalSupply(), 20 * UNIT);
    }

    function test_ADemandHoldsClaimsUp_UntilItIsAnswered() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        _after(EPOCH, DEMANDS - 1);
        uint256 deadline = _now() + 24 hours;
        vm.expectEmit(address(channels));
        emit IPremiumChannels.LeafDemanded(EPOCH, uint16(RELAY), bob, BOND, deadline);
        _demand(uint16(RELAY));
        (address demander, uint256 due) = channels.demandOf(EPOCH, uint16(RELAY));
        vm.assertEq(demander, bob);
        vm.assertEq(due, deadline);
        _after(EPOCH, DEMANDS);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.DemandsOpen.selector, EPOCH, 1));
        channels.claim(EPOCH, claims);
        uint256 before = token.balanceOf(mallory);
        vm.prank(mallory);
        channels.answerLeaf(EPOCH, claims[0]);
        vm.assertEq(token.balanceOf(mallory) - before, BOND);
        channels.claim(EPOCH, claims);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.NotDemanded.selector, EPOCH, RELAY));
        channels.answerLeaf(EPOCH, claims[0]);
    }

    function test_DemandedOnce_InTime() external {
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.EmptyHash.selector));
        _demand(1);
        _settled(EPOCH, 640, 100);
        _demand(1);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.AlreadyDemanded.selector, EPOCH, 1));
        _demand(1);
        _after(EPOCH, DEMANDS);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.TooLate.selector, DEMANDS));
        _demand(2);
    }

    /// @dev The committee withholds a leaf: its root falls, and relays redeem everything.
    function test_AWithheldLeafDisablesTheRoot() external {
        IPremiumChannels.Claim[] memory claims = _settled(EPOCH, 640, 100);
        _demand(1);
        _demand(7);
        uint256 deadline = _now() + 24 hours;
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.DemandPending.selector, deadline));
        channels.expireDemand(EPOCH, 1);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 3, 56);
        bytes memory key = _key(EPOCH, 7);
        _after(EPOCH, 50 hours);
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, tokens, claims[0], key, "");
        vm.assertEq(channels.issuanceOf(EPOCH).redeemed, 68);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.DemandOver.selector, deadline));
        channels.answerLeaf(EPOCH, claims[0]);
        uint256 before = token.balanceOf(bob);
        channels.expireDemand(EPOCH, 1);
        channels.expireDemand(EPOCH, 7);
        vm.assertEq(token.balanceOf(bob) - before, 2 * BOND);
        vm.assertEq(channels.issuanceOf(EPOCH).attested, 0);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.NotDemanded.selector, EPOCH, 1));
        channels.expireDemand(EPOCH, 1);
        // the relay gets the rest without showing its tokens again, and nothing from the root
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, new IRedeemer.Token[](0), _noLeaf(RELAY), "", "");
        vm.assertEq(channels.issuanceOf(EPOCH).redeemed, 168);
        _after(EPOCH, DEMANDS);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.InvalidProof.selector, EPOCH, RELAY));
        channels.claim(EPOCH, claims);
    }
}
