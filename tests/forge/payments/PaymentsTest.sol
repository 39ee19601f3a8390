// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BLS12381} from "../../../contracts/libraries/BLS12381.sol";
import {Instruments} from "../../../contracts/libraries/Instruments.sol";
import {Redeemer} from "../../../contracts/payments/Redeemer.sol";
import {INodeRegistry} from "../../../interfaces/INodeRegistry.sol";
import {IPremiumChannels} from "../../../interfaces/IPremiumChannels.sol";
import {IRedeemer} from "../../../interfaces/IRedeemer.sol";
import {Bls} from "../support/Bls.sol";
import {MainTerms} from "../support/MainTerms.sol";
import {World} from "../support/World.sol";

/// @dev Four bonded members, relays 1 (of Alice) and 2 (of Bob), and a user with a deposit; the keys of issuance epoch 1
/// are registered. The clocks are those of the main network.
abstract contract PaymentsTest is World {
    uint256 internal constant UNIT = MainTerms.UNIT;
    uint256 internal constant BOND = MainTerms.BOND;
    uint256 internal constant DEPOSIT = 1_000 ether;
    uint32 internal constant EPOCH = 1;
    uint32 internal constant RELAY = 1;
    uint32 internal constant OTHER = 2;
    bytes32 internal constant LOG = keccak256("log");
    address internal mallory = address(0xBAD);

    Redeemer internal redeemer;
    address internal alice;
    address internal bob;
    address internal user;
    uint256 internal userKey;
    address internal payee = address(0x9A1D);
    uint256 internal collectedSum;

    function setUp() public virtual {
        _deploy(_members());
        _bondCommittee();
        alice = _person("alice", 1_000_000 * QNET);
        bob = _person("bob", 1_000_000 * QNET);
        _node(alice, INodeRegistry.Role.Relay, 20_000 * QNET);
        _node(bob, INodeRegistry.Role.Relay, 20_000 * QNET);
        redeemer = Redeemer(channels.redeemer());
        (user, userKey) = _account("user");
        _payer("user");
        _payer("bob");
        vm.prank(user);
        channels.open(DEPOSIT);
        _registerKeys(EPOCH);
    }

    function _members() internal pure virtual returns (uint256) {
        return 4;
    }

    /// @dev An account with tokens that lets the contracts of payments take them.
    function _payer(string memory name) internal returns (address account) {
        account = _person(name, 10 * DEPOSIT);
        vm.startPrank(account);
        token.approve(address(channels), type(uint256).max);
        token.approve(address(redeemer), type(uint256).max);
        vm.stopPrank();
    }

    // time

    function _end(uint32 epoch) internal view returns (uint256) {
        return epochs.epochStart((epoch + 1) * 7);
    }

    /// @dev Go to `offset` seconds after the end of an issuance epoch.
    function _after(uint32 epoch, uint256 offset) internal {
        vm.warp(_end(epoch) + offset);
    }

    // keys

    function _secret(uint32 epoch, uint256 class) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("issuance key", epoch, class))) % Bls.ORDER;
    }

    function _keys(uint32 epoch) internal view returns (bytes memory keys) {
        for (uint256 class = 0; class < 8; ++class) {
            keys = bytes.concat(keys, Bls.key(_secret(epoch, class)));
        }
    }

    function _hashes(uint32 epoch) internal view returns (bytes memory hashes) {
        for (uint256 class = 0; class < 8; ++class) {
            hashes = bytes.concat(hashes, keccak256(Bls.key(_secret(epoch, class))));
        }
    }

    /// @dev The key of a class, with the hashes of all.
    function _key(uint32 epoch, uint256 class) internal view returns (bytes memory) {
        return bytes.concat(Bls.key(_secret(epoch, class)), _hashes(epoch));
    }

    function _keysHash(uint32 epoch) internal view returns (bytes32) {
        bytes memory place = abi.encode(Instruments.DOMAIN, block.chainid, address(channels), epoch);
        return keccak256(bytes.concat(place, _hashes(epoch)));
    }

    function _registerKeys(uint32 epoch) internal {
        if (_now() < epochs.epochStart((epoch - 1) * 7)) vm.warp(epochs.epochStart((epoch - 1) * 7));
        bytes32 hash = _keysHash(epoch);
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.keysDigest(epoch, hash), committee.quorum());
        channels.registerKeys(epoch, hash, bitmap, signatures);
    }

    // vouchers

    function _voucher(uint32 epoch, uint64 nonce, uint256 cumulative, bytes32 batchHash)
        internal
        view
        returns (IPremiumChannels.Voucher memory)
    {
        return IPremiumChannels.Voucher(user, uint128(cumulative), nonce, epoch, batchHash);
    }

    function _collect(IPremiumChannels.Voucher memory voucher) internal {
        IPremiumChannels.Voucher[] memory vouchers = new IPremiumChannels.Voucher[](1);
        bytes[] memory signatures = new bytes[](1);
        vouchers[0] = voucher;
        signatures[0] = _sign(userKey, channels.voucherDigest(voucher));
        channels.collect(vouchers, signatures);
    }

    /// @dev Collect so many units more for an epoch.
    function _pay(uint32 epoch, uint256 units) internal {
        collectedSum += units * UNIT;
        _collect(_voucher(epoch, 1, collectedSum, keccak256("batch")));
    }

    // what the committee states

    function _close(uint32 epoch, uint256 units) internal {
        IPremiumChannels.Closing memory closing = IPremiumChannels.Closing(epoch, uint128(units), LOG);
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.closingDigest(closing), committee.quorum());
        channels.closeEpoch(closing, bitmap, signatures);
    }

    function _attest(uint32 epoch, bytes32 root, uint256 units) internal {
        _attest(IPremiumChannels.Attestation(epoch, root, uint128(units), 1, LOG));
    }

    function _attest(IPremiumChannels.Attestation memory a) internal {
        (uint256 bitmap, bytes memory signatures) = _quorum(channels.attestationDigest(a), committee.quorum());
        channels.attest(a, bitmap, signatures);
    }

    /// @dev Leaves of relays 1, 2, ... with so many units in the epoch and in all; their paths and root.
    function _tree(uint32 epoch, uint256[] memory units, uint256[] memory cums)
        internal
        view
        returns (bytes32 root, IPremiumChannels.Claim[] memory claims)
    {
        claims = new IPremiumChannels.Claim[](units.length);
        bytes32[] memory level = new bytes32[](units.length + 1);
        for (uint256 i = 0; i < units.length; ++i) {
            claims[i].relay = uint32(i + 1);
            claims[i].epochUnits = uint64(units[i]);
            claims[i].cumUnits = uint128(cums[i]);
            claims[i].tokens = uint32((units[i] + 63) / 64);
            claims[i].path = new bytes32[](16);
            level[i + 1] = Instruments.leafHash(
                address(channels), epoch, uint32(i + 1), claims[i].epochUnits, claims[i].cumUnits, claims[i].tokens
            );
        }
        bytes32 zero;
        for (uint256 depth = 0; depth < 16; ++depth) {
            for (uint256 i = 0; i < units.length; ++i) {
                uint256 sibling = ((i + 1) >> depth) ^ 1;
                claims[i].path[depth] = sibling < level.length ? level[sibling] : zero;
            }
            bytes32[] memory next = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < next.length; ++i) {
                bytes32 right = 2 * i + 1 < level.length ? level[2 * i + 1] : zero;
                next[i] = keccak256(abi.encode(level[2 * i], right));
            }
            zero = keccak256(abi.encode(zero, zero));
            level = next;
        }
        root = level[0];
        for (uint256 i = 0; i < units.length; ++i) {
            claims[i].path = _shortened(claims[i].path, 10);
        }
    }

    /// @dev The first siblings of a path: as much as is shown of one that ends in empty trees.
    function _shortened(bytes32[] memory path, uint256 length) internal pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            shorter[i] = path[i];
        }
    }

    /// @dev A tree in which relay 1 earned so much, and nobody else anything.
    function _tree(uint32 epoch, uint256 units, uint256 cum)
        internal
        view
        returns (bytes32 root, IPremiumChannels.Claim[] memory claims)
    {
        uint256[] memory all = new uint256[](1);
        uint256[] memory cums = new uint256[](1);
        (all[0], cums[0]) = (units, cum);
        return _tree(epoch, all, cums);
    }

    /// @dev Close an epoch in which so much was bought, and attest so many units of relay 1.
    function _settled(uint32 epoch, uint256 bought, uint256 units)
        internal
        returns (IPremiumChannels.Claim[] memory claims)
    {
        _pay(epoch, bought);
        _after(epoch, 30 minutes);
        _close(epoch, bought);
        _after(epoch, 30 hours);
        bytes32 root;
        (root, claims) = _tree(epoch, units, units);
        _attest(epoch, root, units);
    }

    // instruments

    function _refundKey(uint256 number) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("refund", number)));
    }

    function _preimage(uint256 number, uint256 units) internal pure returns (bytes32 value) {
        value = keccak256(abi.encode("chain", number));
        for (uint256 k = units; k < 64; ++k) {
            value = keccak256(abi.encode(value));
        }
    }

    /// @dev Token `number` of a relay, spent up to `units`.
    function _token(uint32 epoch, uint32 relay, uint256 number, uint256 units)
        internal
        view
        returns (IRedeemer.Token memory made)
    {
        made.top = _preimage(number, 0);
        made.refund = vm.addr(_refundKey(number));
        made.units = uint8(units);
        made.preimage = _preimage(number, units);
        bytes32 message = redeemer.tokenMessage(epoch, relay, made.top, made.refund);
        made.signature = Bls.sign(_secret(epoch, 7), message);
    }

    /// @dev So many tokens in ascending order of T, each spent up to `units`.
    function _tokens(uint32 epoch, uint32 relay, uint256 count, uint256 units)
        internal
        view
        returns (IRedeemer.Token[] memory made)
    {
        made = new IRedeemer.Token[](count);
        for (uint256 i = 0; i < count; ++i) {
            IRedeemer.Token memory next = _token(epoch, relay, i, units);
            uint256 at = i;
            while (at > 0 && _id(made[at - 1]) > _id(next)) {
                made[at] = made[at - 1];
                --at;
            }
            made[at] = next;
        }
    }

    function _id(IRedeemer.Token memory shown) internal pure returns (bytes32) {
        return keccak256(abi.encode(shown.top, shown.refund));
    }

    /// @dev Blinded points, each a multiple of some point.
    function _points(uint256 salt, uint256 count) internal view returns (bytes memory points) {
        for (uint256 i = 0; i < count; ++i) {
            points = bytes.concat(points, abi.encodePacked(BLS12381.hashToG1(keccak256(abi.encode(salt, i)))));
        }
    }

    /// @dev Signatures of one key over all points.
    function _signed(bytes memory points, uint256 secret) internal view returns (bytes memory signatures) {
        for (uint256 at = 0; at < points.length; at += 128) {
            bytes memory point = new bytes(128);
            for (uint256 i = 0; i < 128; ++i) {
                point[i] = points[at + i];
            }
            signatures = bytes.concat(
                signatures, abi.encodePacked(Bls.multiply(abi.decode(point, (bytes32[4])), secret))
            );
        }
    }

    function _batchHash(bytes memory points) internal view returns (bytes32) {
        return this.hashOfPoints(points, "");
    }

    function hashOfPoints(bytes calldata points, bytes calldata classes) external pure returns (bytes32) {
        return Instruments.pointsHash(points, classes);
    }

    /// @dev A leaf for calls to which it means nothing.
    function _noLeaf(uint32 relay) internal pure returns (IPremiumChannels.Claim memory leaf) {
        leaf.relay = relay;
        leaf.path = new bytes32[](10);
    }
}
