// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BLS12381} from "./BLS12381.sol";

/// @title What credits and tokens say
/// @dev Source: docs/spec/payments.md, QN-PAY-003, 010, 011, 021, 030, 052.
library Instruments {
    /// @notice A token shows 1 to 64 units.
    error UnitsOutOfRange(uint256 units);
    /// @notice The preimage does not lead to the top of the token's chain.
    error WrongPreimage(bytes32 top, uint256 units);

    bytes32 internal constant DOMAIN = keccak256("QNet premium payments 1");
    uint256 internal constant TOKEN_UNITS = 64;
    uint8 internal constant CLASSES = 7;
    uint256 internal constant TOKEN_CLASS = 7;
    uint256 internal constant BOUGHT_CLASS = 6;
    uint256 internal constant KEYS = 8;
    uint256 internal constant KEYS_BYTES = KEYS * BLS12381.G2_BYTES;
    /// @dev One key, then the hashes of all.
    uint256 internal constant SHOWN_BYTES = BLS12381.G2_BYTES + KEYS * 32;
    uint256 internal constant DEPTH = 16;
    /// @dev A path has no fewer siblings; so one constant serves for all that it leaves out.
    uint256 internal constant PATH_MIN = 10;
    /// @dev Root of an empty tree of depth PATH_MIN.
    bytes32 private constant EMPTY = 0xf9dc3e7fe016e050eff260334f18a5d4fe391d82092319f5964f2e2eb7c1c3a5;
    uint8 private constant RELAY_LEAF = 4;

    /// @dev Hash of the hashes of an epoch's eight keys, CR_0 to CR_6, then CH: so one key is shown without the others.
    function keysHash(address channels, uint32 epoch, bytes memory hashes) internal view returns (bytes32) {
        return keccak256(bytes.concat(abi.encode(DOMAIN, block.chainid, channels, epoch), hashes));
    }

    /// @dev Hashes of eight keys, one after the other.
    function hashesOf(bytes calldata keys) internal pure returns (bytes memory hashes) {
        if (keys.length != KEYS_BYTES) revert BLS12381.WrongLength(KEYS_BYTES, keys.length);
        hashes = new bytes(KEYS * 32);
        for (uint256 i = 0; i < KEYS; ++i) {
            bytes32 hash = keccak256(keys[i * BLS12381.G2_BYTES:(i + 1) * BLS12381.G2_BYTES]);
            assembly ("memory-safe") {
                mstore(add(add(hashes, 32), shl(5, i)), hash)
            }
        }
    }

    function creditMessage(address channels, uint32 epoch, uint8 class, address key) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, block.chainid, channels, bytes32("CR"), epoch, class, key));
    }

    function tokenMessage(address channels, uint32 epoch, uint32 relay, bytes32 id) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, block.chainid, channels, bytes32("CH"), epoch, relay, id));
    }

    /// @dev What tokenMessage hashes, without T: `withToken` puts it there.
    function tokenTemplate(address channels, uint32 epoch, uint32 relay) internal view returns (bytes memory) {
        return abi.encode(DOMAIN, block.chainid, channels, bytes32("CH"), epoch, relay, bytes32(0));
    }

    function withToken(bytes memory template, bytes32 id) internal pure returns (bytes32 message) {
        assembly ("memory-safe") {
            mstore(add(template, 224), id)
            message := keccak256(add(template, 32), 224)
        }
    }

    /// @dev T of a token: keccak256(abi.encode(top, refund)).
    function tokenId(bytes32 top, address refund) internal pure returns (bytes32 id) {
        assembly ("memory-safe") {
            mstore(0, top)
            mstore(32, shr(96, shl(96, refund)))
            id := keccak256(0, 64)
        }
    }

    /// @dev Hash of a relay's leaf; nothing at all for a relay that never earned.
    function leafHash(address channels, uint32 epoch, uint32 relay, uint64 units, uint128 cumUnits, uint32 tokens)
        internal
        view
        returns (bytes32 hash)
    {
        if (units == 0 && cumUnits == 0 && tokens == 0) return bytes32(0);
        hash = keccak256(abi.encode(RELAY_LEAF, block.chainid, channels, epoch, relay, units, cumUnits, tokens));
        assembly ("memory-safe") {
            mstore(0, hash)
            hash := keccak256(0, 32)
        }
    }

    /// @dev Root over a leaf at a position, bit 0 first; a pair is hashed left then right. Of PATH_MIN to DEPTH siblings.
    function rootOf(bytes32 leaf, uint256 position, bytes32[] calldata path) internal pure returns (bytes32 root) {
        assembly ("memory-safe") {
            root := leaf
            let i := 0
            for {} lt(i, path.length) { i := add(i, 1) } {
                // where the node so far goes: left at 0, right at 32
                let side := shl(5, and(shr(i, position), 1))
                mstore(side, root)
                mstore(xor(side, 32), calldataload(add(path.offset, shl(5, i))))
                root := keccak256(0, 64)
            }
            let empty := EMPTY
            for { let depth := PATH_MIN } lt(i, DEPTH) { depth := add(depth, 1) } {
                if eq(depth, i) {
                    let side := shl(5, and(shr(i, position), 1))
                    mstore(side, root)
                    mstore(xor(side, 32), empty)
                    root := keccak256(0, 64)
                    i := add(i, 1)
                }
                mstore(0, empty)
                mstore(32, empty)
                empty := keccak256(0, 64)
            }
        }
    }

    /// @dev Revert unless hashing the preimage `units` times leads to the top, 1 to 64 times.
    function checkPreimage(bytes32 top, bytes32 preimage, uint256 units) internal pure {
        if (units == 0 || units > TOKEN_UNITS) revert UnitsOutOfRange(units);
        bool right;
        assembly ("memory-safe") {
            mstore(0, preimage)
            for { let i := shr(3, units) } i { i := sub(i, 1) } {
                mstore(0, keccak256(0, 32))
                mstore(0, keccak256(0, 32))
                mstore(0, keccak256(0, 32))
                mstore(0, keccak256(0, 32))
                mstore(0, keccak256(0, 32))
                mstore(0, keccak256(0, 32))
                mstore(0, keccak256(0, 32))
                mstore(0, keccak256(0, 32))
            }
            for { let i := and(units, 7) } i { i := sub(i, 1) } { mstore(0, keccak256(0, 32)) }
            right := eq(mload(0), top)
        }
        if (!right) revert WrongPreimage(top, units);
    }

    /// @dev keccak256 over points in compressed form, each behind its class if classes are given.
    function pointsHash(bytes calldata points, bytes calldata classes) internal pure returns (bytes32) {
        uint256 count = points.length / BLS12381.G1_BYTES;
        if (points.length != count * BLS12381.G1_BYTES) {
            revert BLS12381.WrongLength(count * BLS12381.G1_BYTES, points.length);
        }
        uint256 tagged = classes.length == 0 ? 0 : 1;
        if (tagged == 1 && classes.length != count) revert BLS12381.WrongLength(count, classes.length);
        uint256 step = BLS12381.COMPRESSED_BYTES + tagged;
        bytes memory packed = new bytes(count * step);
        for (uint256 j = 0; j < count; ++j) {
            (bytes16 high, bytes32 low) = BLS12381.compress(points, j);
            if (tagged == 1) packed[j * step] = classes[j];
            assembly ("memory-safe") {
                let at := add(add(add(packed, 32), mul(j, step)), tagged)
                // the first write spills 16 bytes, which the second takes up
                mstore(add(at, 16), low)
                mstore(at, or(high, shr(128, low)))
            }
        }
        return keccak256(packed);
    }
}
