// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../../interfaces/IRedeemer.sol";
import {PaymentsTest} from "../payments/PaymentsTest.sol";

/// @dev 16 members; relays of different people, each paid before.
contract PaymentsGas is PaymentsTest {
    uint32 private constant RELAYS = 20;

    function _members() internal pure override returns (uint256) {
        return 16;
    }

    function setUp() public override {
        super.setUp();
        for (uint256 i = 2; i < RELAYS; ++i) {
            address operator = _person(string.concat("operator ", vm.toString(i)), 1 ether);
            _register(operator, INodeRegistry.Role.Relay);
        }
    }

    function _measured(string memory name) private {
        vm.snapshotGasLastCall("transactions", name);
    }

    /// @dev What each of `count` parts of the last call cost.
    function _measuredEach(string memory name, uint256 count) private {
        uint256 gas = vm.snapshotGasLastCall("batches", name);
        vm.snapshotValue("transactions", name, gas / count);
    }

    function _cums(uint256 epoch) private pure returns (uint256[] memory units, uint256[] memory cums) {
        units = new uint256[](RELAYS);
        cums = new uint256[](RELAYS);
        for (uint256 i = 0; i < RELAYS; ++i) {
            units[i] = 1000 + i;
            cums[i] = units[i] * epoch;
        }
    }

    function test_Channels() external {
        address dora = _payer("dora");
        vm.prank(dora);
        channels.open(DEPOSIT);
        _measured("premium open");
        vm.prank(dora);
        channels.topUp(DEPOSIT);
        _measured("premium topUp");
        _pay(EPOCH, 640);
        _pay(EPOCH, 640);
        _measured("premium collect");
        IPremiumChannels.Voucher[] memory vouchers = new IPremiumChannels.Voucher[](20);
        bytes[] memory signatures = new bytes[](20);
        for (uint256 round = 1; round < 3; ++round) {
            for (uint256 i = 0; i < 20; ++i) {
                string memory name = string.concat("payer ", vm.toString(i));
                (address account, uint256 key) = _account(name);
                if (round == 1) {
                    _payer(name);
                    vm.prank(account);
                    channels.open(DEPOSIT);
                }
                vouchers[i] = IPremiumChannels.Voucher(
                    account, uint128(round * 64 * UNIT), uint64(round), EPOCH, keccak256(abi.encode(i))
                );
                signatures[i] = _sign(key, channels.voucherDigest(vouchers[i]));
            }
            channels.collect(vouchers, signatures);
        }
        _measuredEach("premium collect, batched", 20);
    }

    function test_FromKeysToClaims() external {
        _registerKeys(2);
        _measured("premium registerKeys");
        for (uint32 epoch = 1; epoch < 3; ++epoch) {
            _pay(epoch, 50_000);
            _after(epoch, 30 minutes);
            _close(epoch, 50_000);
            _measured("premium closeEpoch");
            _after(epoch, 30 hours);
            (uint256[] memory units, uint256[] memory cums) = _cums(epoch);
            (bytes32 root, IPremiumChannels.Claim[] memory claims) = _tree(epoch, units, cums);
            _attest(epoch, root, 40_000);
            _measured("premium attest");
            _after(epoch, 60 hours);
            uint256 state = vm.snapshotState();
            IPremiumChannels.Claim[] memory one = new IPremiumChannels.Claim[](1);
            one[0] = claims[7];
            channels.claim(epoch, one);
            _measured("premium claim");
            vm.revertToState(state);
            channels.claim(epoch, claims);
            _measuredEach("premium claim, batched", RELAYS);
        }
        channels.flushBurn();
        _measured("premium flushBurn");
    }

    function test_RedeemTheMost() external {
        _pay(EPOCH, 50_000);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 128, 56);
        bytes memory key = _key(EPOCH, 7);
        _after(EPOCH, 50 hours);
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
        _measuredEach("premium redeem, a token of 128", 128);
    }

    function test_Redeem() external {
        _pay(EPOCH, 50_000);
        IRedeemer.Token[] memory tokens = _tokens(EPOCH, RELAY, 64, 56);
        bytes memory key = _key(EPOCH, 7);
        _after(EPOCH, 50 hours);
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, tokens, _noLeaf(RELAY), key, "");
        _measuredEach("premium redeem, a token of 64", 64);
        IRedeemer.Token[] memory one = new IRedeemer.Token[](1);
        for (uint256 number = 64; _id(one[0]) <= _id(tokens[63]) || one[0].units == 0; ++number) {
            one[0] = _token(EPOCH, RELAY, number, 56);
        }
        vm.prank(alice);
        redeemer.redeem(EPOCH, RELAY, one, _noLeaf(RELAY), key, "");
        _measured("premium redeem");
    }
}
