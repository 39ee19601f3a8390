// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICommittee} from "../../../interfaces/ICommittee.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {QNetToken} from "../../../contracts/token/QNetToken.sol";
import {Test} from "../../forge/support/Test.sol";
import {PaymentsHandler} from "./PaymentsHandler.sol";

/// @title What holds whatever is claimed, redeemed, exited and refunded
contract PaymentsInvariants is Test {
    uint32 private constant EPOCH = 1;
    uint256 private constant BOND = 1 ether;

    PaymentsHandler private handler;
    IPremiumChannels private channels;
    QNetToken private token;
    ICommittee private committee;
    address private redeemer;
    address private user;

    function setUp() external {
        handler = new PaymentsHandler();
        handler.prepare();
        (address a, address b, address c, address d, address e) = handler.world();
        (channels, redeemer, token, user, committee) = (IPremiumChannels(a), b, QNetToken(c), d, ICommittee(e));
        bytes4[] memory actions = new bytes4[](20);
        actions[0] = handler.passTime.selector;
        actions[1] = handler.passOn.selector;
        actions[2] = handler.pause.selector;
        actions[3] = handler.registerNext.selector;
        actions[4] = handler.close.selector;
        actions[5] = handler.attest.selector;
        actions[6] = handler.claim.selector;
        actions[7] = handler.redeem.selector;
        actions[8] = handler.redeem.selector;
        actions[9] = handler.demand.selector;
        actions[10] = handler.answer.selector;
        actions[11] = handler.expireDemand.selector;
        actions[12] = handler.exitToken.selector;
        actions[13] = handler.exitCredit.selector;
        actions[14] = handler.finalizeExit.selector;
        actions[15] = handler.dispute.selector;
        actions[16] = handler.refund.selector;
        actions[17] = handler.closeChannel.selector;
        actions[18] = handler.flushBurn.selector;
        actions[19] = handler.refill.selector;
        _target(address(handler), actions);
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_ChannelsSolvent() external view {
        (uint256 pool, uint256 toBurn,) = channels.money();
        IPremiumChannels.Channel memory channel = channels.channelOf(user);
        uint256 owed = channel.deposit - channel.collected + pool + toBurn + handler.openDemands() * BOND;
        vm.assertEq(token.balanceOf(address(channels)), owed);
        vm.assertEq(token.balanceOf(redeemer), handler.openBonds() * BOND);
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_NoTokenPaidTwice() external view {
        IPremiumChannels.Issuance memory i = channels.issuanceOf(EPOCH);
        vm.assertLe(handler.relayUnits(), handler.unitsShown());
        vm.assertLe(uint256(i.attested) + i.redeemed, handler.unitsShown());
        for (uint256 number = 0; number < handler.TOKENS(); ++number) {
            vm.assertLe(handler.exitedOf(number) + handler.spentOf(number), 64);
        }
        for (uint256 number = 100; number < 100 + handler.CREDITS(); ++number) {
            vm.assertLe(handler.creditPaidOf(number), 64);
        }
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_OutLeIssuedLeCap() external view {
        IPremiumChannels.Issuance memory i = channels.issuanceOf(EPOCH);
        uint256 out = uint256(i.attested) + i.redeemed + i.exited;
        vm.assertLe(out, i.issued < i.cap ? i.issued : i.cap);
    }

    // solhint-disable-next-line func-name-mixedcase
    function invariant_OpenCapsLeHalfBonds() external view {
        uint256 caps;
        for (uint32 epoch = EPOCH; epoch <= handler.lastEpoch(); ++epoch) {
            IPremiumChannels.Issuance memory i = channels.issuanceOf(epoch);
            if (channels.elapsedSince(epoch) >= 42 days) continue;
            caps += i.isClosed && i.issued < i.cap ? i.issued : i.cap;
        }
        uint256 bonds;
        for (uint256 member = 0; member < 4; ++member) {
            bonds += committee.bondOf(member);
        }
        vm.assertLe(caps * channels.unitWei(), bonds / 2);
    }
}
