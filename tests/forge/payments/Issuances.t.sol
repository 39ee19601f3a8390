// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {PremiumChannels} from "../../../contracts/payments/PremiumChannels.sol";
import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {ISlasher} from "../../../interfaces/ISlasher.sol";
import {MainTerms} from "../support/MainTerms.sol";
import {PaymentsTest} from "./PaymentsTest.sol";

/// @dev registerKeys, closeEpoch, attest, proveTwoAttestations, proveTwoClosings
contract IssuancesTest is PaymentsTest {
    uint256 private constant CAP = 500_000 ether / UNIT;

    function _register(uint32 epoch, bytes32 hash, bytes memory error) private {
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.keysDigest(epoch, hash), committee.quorum());
        vm.expectRevert(error);
        channels.registerKeys(epoch, hash, bitmap, signatures);
    }

    function _attestRefused(IPremiumChannels.Attestation memory a, bytes memory error) private {
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.attestationDigest(a), committee.quorum());
        vm.expectRevert(error);
        channels.attest(a, bitmap, signatures);
    }

    function _closeRefused(uint32 epoch, bytes memory error) private {
        IPremiumChannels.Closing memory c = IPremiumChannels.Closing(epoch, 1, LOG);
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.closingDigest(c), committee.quorum());
        vm.expectRevert(error);
        channels.closeEpoch(c, bitmap, signatures);
    }

    function _attestation(uint256 units) private pure returns (IPremiumChannels.Attestation memory) {
        return IPremiumChannels.Attestation(EPOCH, keccak256("root"), uint128(units), 1, LOG);
    }

    /// @dev Half of 4,000,000 QNET is backing; an epoch takes a quarter of it.
    function test_TheCapIsBackedByBonds() external {
        vm.assertEq(channels.issuanceOf(EPOCH).cap, CAP);
        vm.assertEq(channels.issuanceOf(EPOCH).end, _end(EPOCH));
        vm.assertEq(channels.capOf(EPOCH + 1), CAP);
        _set("emission_wei", 1_400_000 ether);
        _startEpoch(0);
        vm.assertEq(channels.capOf(EPOCH + 1), 100_000 ether / UNIT);
        vm.prank(owner);
        committee.removeMember(3);
        vm.assertEq(channels.capOf(EPOCH + 1), 0);
    }

    function test_AClosedEpochTakesNoMoreThanItIssued() external {
        for (uint32 epoch = 2; epoch < 5; ++epoch) {
            _registerKeys(epoch);
        }
        vm.assertEq(channels.capOf(5), 0);
        _after(4, 0);
        _close(4, 1000);
        vm.assertEq(channels.capOf(6), CAP - 1000);
    }

    function test_KeysInTheEpochBefore() external {
        bytes32 hash = keccak256("keys");
        _register(EPOCH, hash, abi.encodeWithSelector(IPremiumChannels.AlreadyDone.selector, EPOCH));
        _register(2, bytes32(0), abi.encodeWithSelector(IPremiumChannels.EmptyHash.selector));
        uint256 start = epochs.epochStart(7);
        _register(2, hash, abi.encodeWithSelector(IPremiumChannels.TooEarly.selector, start));
        vm.warp(start);
        _register(1, hash, abi.encodeWithSelector(IPremiumChannels.TooLate.selector, start));
        _registerKeys(2);
        vm.assertEq(channels.issuanceOf(2).keysHash, _keysHash(2));
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.UnknownIssuance.selector, 3));
        channels.issuanceOf(3);
    }

    function test_KeysByAQuorum() external {
        vm.warp(epochs.epochStart(7));
        bytes32 hash = keccak256("keys");
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.keysDigest(2, hash), 2);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadQuorum.selector, 2, 3));
        channels.registerKeys(2, hash, bitmap, signatures);
        (bitmap, signatures) = _quorum(channels.keysDigest(3, hash), 3);
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadSignature.selector, 0));
        channels.registerKeys(2, hash, bitmap, signatures);
    }

    function test_TheRingIsUsedAgain() external {
        _pay(EPOCH, 64);
        _registerKeys(EPOCH + 16);
        vm.assertEq(channels.issuanceOf(EPOCH + 16).issued, 0);
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.UnknownIssuance.selector, EPOCH));
        channels.issuanceOf(EPOCH);
    }

    function test_Close() external {
        _pay(EPOCH, 64);
        _closeRefused(EPOCH, abi.encodeWithSelector(IPremiumChannels.TooEarly.selector, _end(EPOCH)));
        _after(EPOCH, 1 hours);
        _closeRefused(EPOCH, abi.encodeWithSelector(IPremiumChannels.TooLate.selector, 1 hours));
        _after(EPOCH, 1 hours - 1);
        _close(EPOCH, 1000);
        vm.assertEq(channels.leftOf(EPOCH), 1000);
        _closeRefused(EPOCH, abi.encodeWithSelector(IPremiumChannels.AlreadyDone.selector, EPOCH));
        _pay(EPOCH, 64); // collected late: it counts
        vm.assertEq(channels.leftOf(EPOCH), 1064);
    }

    function test_NeverAboveTheCap() external {
        _after(EPOCH, 0);
        _close(EPOCH, 2 * CAP);
        vm.assertEq(channels.leftOf(EPOCH), CAP);
        _after(EPOCH, 30 hours);
        IPremiumChannels.Attestation memory a = _attestation(CAP + 1);
        _attestRefused(a, abi.encodeWithSelector(IPremiumChannels.BudgetExceeded.selector, EPOCH, CAP + 1, CAP));
        _attest(_attestation(CAP));
        vm.assertEq(channels.leftOf(EPOCH), 0);
    }

    /// @dev Without a closing, what earlier epochs have left may have been rolled into the epoch.
    function test_WithoutAClosing() external {
        _pay(EPOCH, 64);
        _registerKeys(2);
        _pay(2, 10);
        vm.assertEq(channels.leftOf(EPOCH), 64);
        vm.assertEq(channels.leftOf(2), 74);
        _after(2, 0);
        _close(2, 10);
        vm.assertEq(channels.leftOf(2), 10);
    }

    function test_AttestInTime() external {
        _pay(EPOCH, 64);
        IPremiumChannels.Attestation memory a = _attestation(64);
        _after(EPOCH, 1 hours - 1);
        _attestRefused(a, abi.encodeWithSelector(IPremiumChannels.TooEarly.selector, _end(EPOCH) + 1 hours));
        _after(EPOCH, 48 hours);
        _attestRefused(a, abi.encodeWithSelector(IPremiumChannels.TooLate.selector, 48 hours));
        _after(EPOCH, 48 hours - 1);
        a.root = bytes32(0);
        _attestRefused(a, abi.encodeWithSelector(IPremiumChannels.EmptyHash.selector));
        a.root = keccak256("root");
        vm.expectEmit(address(channels));
        emit IPremiumChannels.ClaimsAttested(EPOCH, a.root, 64, 1, LOG, 7);
        _attest(a);
        _attestRefused(a, abi.encodeWithSelector(IPremiumChannels.AlreadyDone.selector, EPOCH));
    }

    function test_AttestWithTheLogOfTheClosing() external {
        _after(EPOCH, 0);
        _close(EPOCH, 64);
        _after(EPOCH, 30 hours);
        IPremiumChannels.Attestation memory a = _attestation(1);
        a.logRoot = keccak256("another");
        _attestRefused(a, abi.encodeWithSelector(IPremiumChannels.WrongLog.selector, LOG, a.logRoot));
    }

    function test_TheTermsAreInOrder() external {
        IPremiumChannels.Clock memory clock = MainTerms.clock();
        bytes memory error = abi.encodeWithSelector(IPremiumChannels.InvalidTerms.selector);
        clock.attestS = clock.claimS;
        vm.expectRevert(error);
        new PremiumChannels(owner, token, epochs, committee, registry, clock, 7, UNIT, BOND);
        clock = MainTerms.clock();
        vm.expectRevert(error);
        new PremiumChannels(owner, token, epochs, committee, registry, clock, 7, (1 << 32) - 1, BOND);
        vm.expectRevert(error);
        new PremiumChannels(owner, token, epochs, committee, registry, clock, 7, UNIT, 0);
        vm.expectRevert(error);
        new PremiumChannels(owner, token, epochs, committee, registry, clock, 0, UNIT, BOND);
        vm.assertEq(abi.encode(channels.clock()), abi.encode(clock));
    }

    function test_TwoAttestationsCostTheBond() external {
        IPremiumChannels.Attestation memory first = _attestation(1);
        IPremiumChannels.Attestation memory second = _attestation(2);
        bytes memory one = _sign(memberKeys[2], channels.attestationDigest(first));
        bytes memory two = _sign(memberKeys[2], channels.attestationDigest(second));
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.NoEquivocation.selector));
        channels.proveTwoAttestations(2, first, one, first, one);
        (address signer,) = _account("signer 1");
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.WrongSigner.selector, signer, address(0)));
        channels.proveTwoAttestations(1, first, one, second, two);
        second.epoch = 2;
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.NoEquivocation.selector));
        channels.proveTwoAttestations(2, first, one, second, two);
        second.epoch = EPOCH;
        vm.prank(mallory);
        channels.proveTwoAttestations(2, first, one, second, two);
        _slashed(2 * UNIT);
        vm.expectPartialRevert(ISlasher.EvidenceUsed.selector);
        channels.proveTwoAttestations(2, second, two, first, one);
    }

    function test_TwoClosingsCostTheBond() external {
        IPremiumChannels.Closing memory first = IPremiumChannels.Closing(EPOCH, 1, LOG);
        IPremiumChannels.Closing memory second = IPremiumChannels.Closing(EPOCH, 2, LOG);
        bytes memory one = _sign(memberKeys[2], channels.closingDigest(first));
        bytes memory two = _sign(memberKeys[2], channels.closingDigest(second));
        second.epoch = 2;
        vm.expectRevert(abi.encodeWithSelector(IPremiumChannels.NoEquivocation.selector));
        channels.proveTwoClosings(2, first, one, second, two);
        second.epoch = EPOCH;
        vm.prank(mallory);
        channels.proveTwoClosings(2, first, one, second, two);
        _slashed(2 * UNIT);
    }

    /// @dev A member that has been accused signs nothing more until a veto.
    function test_AnAccusedMemberCountsForNothing() external {
        IPremiumChannels.Closing memory first = IPremiumChannels.Closing(EPOCH, 1, LOG);
        IPremiumChannels.Closing memory second = IPremiumChannels.Closing(EPOCH, 2, LOG);
        bytes memory one = _sign(memberKeys[1], channels.closingDigest(first));
        bytes memory two = _sign(memberKeys[1], channels.closingDigest(second));
        channels.proveTwoClosings(1, first, one, second, two);
        _after(EPOCH, 0);
        _closeRefused(EPOCH, abi.encodeWithSelector(ICommittee.BadSignature.selector, 1));
        vm.prank(owner);
        slasher.veto(1);
        _close(EPOCH, 1);
    }

    /// @dev Member 2 was accused by Mallory and loses its bond, the loss first.
    function _slashed(uint256 loss) private {
        ISlasher.Slash memory slash = slasher.slashOf(1);
        vm.assertTrue(slash.isMember && slash.isPremium);
        vm.assertEq(slash.subject, 2);
        vm.assertEq(slash.epoch, EPOCH * 7);
        vm.assertEq(slash.refill, loss);
        vm.assertEq(slash.challenger, mallory);
        vm.warp(_now() + 7 days);
        slasher.execute(1);
        (uint256 pool,,) = channels.money();
        vm.assertEq(pool, loss);
        vm.assertEq(committee.bondOf(2), 0);
        vm.assertEq(token.balanceOf(mallory), 50_000 ether);
    }
}
