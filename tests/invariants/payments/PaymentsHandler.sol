// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../../interfaces/IRedeemer.sol";
import {Bls} from "../../forge/support/Bls.sol";
import {PaymentsTest} from "../../forge/payments/PaymentsTest.sol";

/// @title What can happen to the money of premium payments in any order
/// @dev One epoch with ten tokens of one relay, each spent up to some k, and six credits. What a call is refused for is
/// left to the tests of each action; here it only must not move money that is not its own. A lie of an exit is always
/// challenged while it can be.
contract PaymentsHandler is PaymentsTest {
    uint256 public constant TOKENS = 10;
    uint256 public constant CREDITS = 6;
    uint8 private constant CLASS = 6;

    /// @dev Tokens, by bit, that were attested, or redeemed.
    uint256 public attestedTokens;
    uint256 public redeemedTokens;
    /// @dev Units paid for the rest of a token, and for a credit.
    mapping(uint256 number => uint256) public exitedOf;
    mapping(uint256 number => uint256) public creditPaidOf;
    /// @dev Units relays were paid, in all ways.
    uint256 public relayUnits;
    uint256 public openBonds;
    uint256 public openDemands;
    uint32 public lastEpoch = EPOCH;

    IPremiumChannels.Claim[] private _claims;
    IRedeemer.Token[] private _all;
    uint256[] private _numbers;
    bytes private _tokenKey;
    bytes private _creditKey;
    IPremiumChannels.Voucher private _disputable;
    bytes private _points1;
    mapping(bytes32 id => uint256 numberPlusOne) private _exitOf;
    bytes32[] private _exits;
    bytes32 private _disputed;
    uint256 private _lastRedeemed;

    constructor() {
        setUp();
        _tokenKey = _key(EPOCH, 7);
        _creditKey = _key(EPOCH, CLASS);
        // tokens in ascending order of T
        for (uint256 number = 0; number < TOKENS; ++number) {
            _all.push(_token(EPOCH, RELAY, number, spentOf(number)));
            _numbers.push(number);
            for (uint256 at = number; at > 0 && _id(_all[at - 1]) > _id(_all[at]); --at) {
                IRedeemer.Token memory lower = _all[at];
                _all[at] = _all[at - 1];
                _all[at - 1] = lower;
                (_numbers[at - 1], _numbers[at]) = (_numbers[at], _numbers[at - 1]);
            }
        }
    }

    /// @dev What takes calls to this contract, which its constructor cannot make.
    function prepare() external {
        _pay(EPOCH, (TOKENS + CREDITS) * 64);
        _points1 = _points(9, 1);
        collectedSum += 64 * UNIT;
        _disputable = _voucher(EPOCH, 2, collectedSum, _batchHash(_points1));
        _after(EPOCH, 0);
    }

    /// @dev Units the payer showed the relay of a token.
    function spentOf(uint256 number) public pure returns (uint256) {
        return 40 + 2 * number;
    }

    function world() external view returns (address, address, address, address, address) {
        return (address(channels), address(redeemer), address(token), user, address(committee));
    }

    // time

    function passTime(uint256 seconds_) external {
        vm.warp(_now() + _bound(seconds_, 1, 6 hours));
    }

    /// @dev To the next moment of the epoch's life.
    function passOn() external {
        uint256[8] memory at = [uint256(2 hours), 30 hours, 48 hours, 60 hours, 80 hours, 96 hours, 8 days, 12 days];
        for (uint256 i = 0; i < at.length; ++i) {
            if (_now() >= _end(EPOCH) + at[i]) continue;
            vm.warp(_end(EPOCH) + at[i]);
            return;
        }
    }

    function pause(uint256 seconds_) external {
        uint256 last = channels.pausedUntil();
        if (last != 0 && _now() < last + 30 days) return;
        uint64 until = uint64(_now() + _bound(seconds_, 1, 3 days));
        vm.prank(owner);
        channels.pause(until);
    }

    // the committee

    function registerNext() external {
        uint32 next = lastEpoch + 1;
        uint256 from = epochs.epochStart((next - 1) * 7);
        if (_now() < from || _now() >= epochs.epochStart(next * 7) || channels.isPaused()) return;
        bytes32 hash = keccak256(abi.encode(next));
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.keysDigest(next, hash), committee.quorum());
        channels.registerKeys(next, hash, bitmap, signatures);
        lastEpoch = next;
    }

    function close(uint256 units) external {
        IPremiumChannels.Issuance memory issuance = channels.issuanceOf(EPOCH);
        bool early = _now() < issuance.end || channels.elapsedSince(EPOCH) >= 1 hours;
        if (early || issuance.isClosed) return;
        _close(EPOCH, _bound(units, (TOKENS + CREDITS) * 64, (TOKENS + CREDITS) * 64 + 100));
    }

    /// @dev The committee attests some of the tokens; or it lies about their units.
    function attest(uint256 bits, bool lies) external {
        uint256 elapsed = channels.elapsedSince(EPOCH);
        IPremiumChannels.Issuance memory issuance = channels.issuanceOf(EPOCH);
        if (elapsed < 1 hours || elapsed >= 48 hours || issuance.isAttested || channels.isPaused()) return;
        bits = _bound(bits, 1, (1 << TOKENS) - 1);
        uint256 units = _unitsOf(bits);
        (bytes32 root, IPremiumChannels.Claim[] memory claims) = _tree(EPOCH, units, lies ? 3 * units : units);
        _attest(IPremiumChannels.Attestation(EPOCH, root, uint128(units), 1, issuance.logRoot));
        delete _claims;
        _claims.push(claims[0]);
        attestedTokens = bits;
    }

    // the relay

    function claim() external {
        if (_claims.length == 0) return;
        uint256 before = channels.paidUnitsOf(RELAY);
        try channels.claim(EPOCH, _claims) {} catch {}
        relayUnits += channels.paidUnitsOf(RELAY) - before;
    }

    /// @dev The next few tokens it did not redeem, in their order.
    function redeem(uint256 first, uint256 count) external {
        first = _bound(first, _lastRedeemed, TOKENS);
        count = _bound(count, 0, TOKENS - first);
        IRedeemer.Token[] memory tokens = new IRedeemer.Token[](count);
        uint256 bits;
        for (uint256 i = 0; i < count; ++i) {
            tokens[i] = _all[first + i];
            bits |= 1 << _numbers[first + i];
        }
        IPremiumChannels.Claim memory leaf = _claims.length == 0 ? _noLeaf(RELAY) : _claims[0];
        uint256 before = channels.issuanceOf(EPOCH).redeemed;
        vm.prank(alice);
        try redeemer.redeem(EPOCH, RELAY, tokens, leaf, _tokenKey, "") {
            redeemedTokens |= bits;
            _lastRedeemed = first + count;
        } catch {}
        relayUnits += channels.issuanceOf(EPOCH).redeemed - before;
    }

    function demand() external {
        vm.prank(bob);
        try channels.demandLeaf(EPOCH, uint16(RELAY)) {
            ++openDemands;
        } catch {}
    }

    function answer() external {
        if (_claims.length == 0) return;
        try channels.answerLeaf(EPOCH, _claims[0]) {
            --openDemands;
        } catch {}
    }

    function expireDemand() external {
        try channels.expireDemand(EPOCH, uint16(RELAY)) {
            --openDemands;
        } catch {}
        if (channels.issuanceOf(EPOCH).attested == 0) attestedTokens = 0;
    }

    // the user

    function exitToken(uint256 number, bool lies) external {
        number = _bound(number, 0, TOKENS - 1);
        IRedeemer.Token memory left = _token(EPOCH, RELAY, number, spentOf(number));
        if (lies) (left.units, left.preimage) = (1, _preimage(number, 1));
        bytes32 id = redeemer.tokenMessage(EPOCH, RELAY, left.top, left.refund);
        bytes memory own = _sign(_refundKey(number), redeemer.exitDigest(id, left.units, payee));
        vm.prank(user);
        try redeemer.startTokenExit(EPOCH, RELAY, left, payee, own, _tokenKey) {
            ++openBonds;
            _exits.push(id);
            _exitOf[id] = number + 1;
        } catch {}
    }

    function exitCredit(uint256 number) external {
        number = 100 + _bound(number, 0, CREDITS - 1);
        address key = vm.addr(_refundKey(number));
        bytes32 id = redeemer.creditMessage(EPOCH, CLASS, key);
        bytes memory own = _sign(_refundKey(number), redeemer.exitDigest(id, 0, payee));
        bytes32[4] memory signature = Bls.sign(_secret(EPOCH, CLASS), id);
        vm.prank(user);
        try redeemer.startCreditExit(EPOCH, CLASS, key, signature, payee, own, _creditKey) {
            ++openBonds;
            _exits.push(id);
            _exitOf[id] = number + 1;
        } catch {}
    }

    function finalizeExit(uint256 which) external {
        if (_exits.length == 0) return;
        bytes32 id = _exits[_bound(which, 0, _exits.length - 1)];
        uint256 number = _exitOf[id] - 1;
        IRedeemer.Exit memory exit = redeemer.exitOf(id);
        if (number < TOKENS && exit.units > 64 - spentOf(number) && exit.status == IRedeemer.Status.Open) {
            _challenge(id, number, exit.startedAt);
            return;
        }
        uint256 before = channels.issuanceOf(EPOCH).exited;
        try redeemer.finalizeExit(id) {
            --openBonds;
        } catch {}
        uint256 paid = channels.issuanceOf(EPOCH).exited - before;
        if (number < TOKENS) exitedOf[number] += paid;
        else creditPaidOf[number] += paid;
    }

    function dispute() external {
        try this.collectDisputable() {} catch {}
        bytes32 id = channels.voucherDigest(_disputable);
        vm.prank(user);
        try redeemer.disputeIssuance(_disputable, _points1) {
            ++openBonds;
            _disputed = id;
        } catch {}
    }

    function refund() external {
        try redeemer.refundIssuance(_disputed) {
            --openBonds;
        } catch {}
    }

    function closeChannel(bool finalize) external {
        if (finalize) {
            try channels.finalizeClose(user) {} catch {}
        } else {
            vm.prank(user);
            try channels.startClose() {} catch {}
        }
    }

    function refill(uint256 amount) external {
        vm.prank(bob);
        channels.refill(_bound(amount, 1, 100 * UNIT));
    }

    function flushBurn() external {
        channels.flushBurn();
    }

    function collectDisputable() external {
        _collect(_disputable);
    }

    // what it comes to

    function unitsShown() external view returns (uint256) {
        return _unitsOf(attestedTokens | redeemedTokens);
    }

    function _unitsOf(uint256 bits) private pure returns (uint256 units) {
        for (uint256 number = 0; number < TOKENS; ++number) {
            if ((bits >> number) & 1 == 1) units += spentOf(number);
        }
    }

    /// @dev In time it must succeed.
    function _challenge(bytes32 id, uint256 number, uint256 startedAt) private {
        uint256 until = startedAt + 7 days + channels.pausedSince(startedAt);
        if (_now() >= until) vm.warp(until - 1);
        if (channels.isPaused()) return;
        redeemer.challengeByPreimage(id, uint8(spentOf(number)), _preimage(number, spentOf(number)));
        --openBonds;
    }
}
