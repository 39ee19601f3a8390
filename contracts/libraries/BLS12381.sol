// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title BLS signatures over BLS12-381 with signatures in G1
/// @dev Points are in the form of EIP-2537: 128 bytes in G1, 256 in G2. The precompiles refuse what is not canonical or
/// not on the curve; products and pairings also refuse what is not in the prime-order subgroup. Every signature and
/// every signed point passes one of these two.
/// Source: EIP-2537; RFC 9380, BLS12381G1_XMD:SHA-256_SSWU_RO_; docs/spec/payments.md, QN-PAY-012.
library BLS12381 {
    /// @dev Signatures of one key, as two lists of G1MSM inputs (point, then scalar).
    /// @param hashes What was signed.
    /// @param signatures What is held against it.
    struct Batch {
        bytes hashes;
        bytes signatures;
    }

    /// @notice The signature, or one of the batch, is not of the key.
    error InvalidSignature();
    /// @notice The precompile refused its input: not canonical, not on the curve, or not in the subgroup.
    error InvalidPoint(uint256 precompile);
    /// @notice The point is the identity, or the key is.
    error IdentityPoint();
    /// @notice The input has another length than expected, in bytes.
    error WrongLength(uint256 expected, uint256 got);

    uint256 internal constant G1_BYTES = 128;
    uint256 internal constant G2_BYTES = 256;
    uint256 internal constant COMPRESSED_BYTES = 48;
    uint256 private constant TERM_BYTES = 160;
    uint256 private constant PAIR_BYTES = 384;

    uint256 private constant G1ADD = 0x0b;
    uint256 private constant G1MSM = 0x0c;
    uint256 private constant PAIRING = 0x0f;
    uint256 private constant MAP_FP_TO_G1 = 0x10;

    /// @dev p, and (p - 1) / 2, as 384 bits in two words of 128 and 256 bits.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    uint256 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @dev The negative of the generator of G2.
    bytes32 private constant NEG_G2_0 = 0x00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051;
    bytes32 private constant NEG_G2_1 = 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8;
    bytes32 private constant NEG_G2_2 = 0x0000000000000000000000000000000013e02b6052719f607dacd3a088274f65;
    bytes32 private constant NEG_G2_3 = 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e;
    bytes32 private constant NEG_G2_4 = 0x000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bc;
    bytes32 private constant NEG_G2_5 = 0xb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa;
    bytes32 private constant NEG_G2_6 = 0x0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d;
    bytes32 private constant NEG_G2_7 = 0x993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed;

    /// @dev An empty batch of `count` signatures. Fill every place.
    function batchOf(uint256 count) internal pure returns (Batch memory batch) {
        batch.hashes = new bytes(count * TERM_BYTES);
        batch.signatures = new bytes(count * TERM_BYTES);
    }

    /// @dev Place j of a batch: a signature over a message.
    function putMessage(Batch memory batch, uint256 j, bytes32 message, bytes32[4] calldata signature)
        internal
        view
    {
        uint256 at = _term(batch.signatures, j);
        assembly ("memory-safe") {
            calldatacopy(at, signature, 128)
        }
        _hashToG1(message, _term(batch.hashes, j));
    }

    /// @dev Place j of a batch: a signature over a point, both at `offset` of their lists.
    function putPoint(Batch memory batch, uint256 j, bytes calldata points, bytes calldata signatures)
        internal
        pure
    {
        _copyPoint(_term(batch.hashes, j), points, j * G1_BYTES, true);
        _copyPoint(_term(batch.signatures, j), signatures, j * G1_BYTES, false);
    }

    /// @dev Revert unless every signature of a batch is of the key, the first of a list. Checked under a random linear
    /// combination whose coefficients hash all points, all signatures, the key and the caller: none of them can be chosen
    /// to cancel another.
    function checkBatch(Batch memory batch, bytes calldata keys) internal view {
        uint256 input;
        assembly ("memory-safe") {
            input := mload(0x40)
            mstore(0x40, add(input, 768))
        }
        _putNegativeGenerator(input + G1_BYTES);
        _copyKey(input + PAIR_BYTES + G1_BYTES, keys, 0);
        bytes32 key;
        assembly ("memory-safe") {
            key := keccak256(add(input, 512), 256)
        }
        bytes32 seed =
            keccak256(abi.encode(keccak256(batch.hashes), keccak256(batch.signatures), key, msg.sender));
        _putCoefficients(batch.hashes, seed);
        _putCoefficients(batch.signatures, seed);
        _sum(batch.signatures, input);
        _sum(batch.hashes, input + PAIR_BYTES);
        _checkPairing(input, 2);
    }

    /// @dev Revert unless the signature over a message is of the key, the first of a list.
    function checkSignature(bytes32[4] calldata signature, bytes32 message, bytes calldata keys)
        internal
        view
    {
        uint256 input;
        assembly ("memory-safe") {
            input := mload(0x40)
            mstore(0x40, add(input, 768))
            calldatacopy(input, signature, 128)
        }
        _putNegativeGenerator(input + G1_BYTES);
        _hashToG1(message, input + PAIR_BYTES);
        _copyKey(input + PAIR_BYTES + G1_BYTES, keys, 0);
        _checkPairing(input, 2);
    }

    /// @dev Revert unless each signature of a batch is of the key at its own index; as checkBatch.
    function checkEach(Batch memory batch, bytes calldata keys, uint8[] memory indices) internal view {
        uint256 count = indices.length;
        uint256 input;
        assembly ("memory-safe") {
            input := mload(0x40)
            mstore(0x40, add(input, mul(add(count, 1), 384)))
        }
        _putNegativeGenerator(input + G1_BYTES);
        bytes32 seed = keccak256(
            abi.encode(keccak256(batch.hashes), keccak256(batch.signatures), keccak256(keys), indices, msg.sender)
        );
        _putCoefficients(batch.hashes, seed);
        _putCoefficients(batch.signatures, seed);
        _sum(batch.signatures, input);
        for (uint256 j = 0; j < count; ++j) {
            uint256 at = input + (j + 1) * PAIR_BYTES;
            _call(G1MSM, _term(batch.hashes, j), TERM_BYTES, at, G1_BYTES);
            _copyKey(at + G1_BYTES, keys, indices[j]);
        }
        _checkPairing(input, count + 1);
    }

    /// @dev The point a message is hashed to.
    function hashToG1(bytes32 message) internal view returns (bytes32[4] memory point) {
        uint256 at;
        assembly ("memory-safe") {
            at := point
        }
        _hashToG1(message, at);
    }

    /// @dev Point j of a list as 48 bytes: x, with flags in its highest bits for the form and for the larger y. Points of
    /// canonical form only; whether it is on the curve shows when it is used.
    /// Source: ZCash serialisation, as in draft-irtf-cfrg-pairing-friendly-curves-11, appendix C.
    function compress(bytes calldata points, uint256 j) internal pure returns (bytes16 high, bytes32 low) {
        uint256 offset = j * G1_BYTES;
        uint256 x = uint256(bytes32(points[offset:offset + 32]));
        low = bytes32(points[offset + 32:offset + 64]);
        uint256 y = uint256(bytes32(points[offset + 64:offset + 96]));
        uint256 yLow = uint256(bytes32(points[offset + 96:offset + 128]));
        if (!_isBelow(x, uint256(low), P_HIGH, P_LOW) || !_isBelow(y, yLow, P_HIGH, P_LOW)) revert InvalidPoint(0);
        x |= 1 << 127;
        if (_isBelow(HALF_HIGH, HALF_LOW, y, yLow)) x |= 1 << 125;
        high = bytes16(uint128(x));
    }

    function _isBelow(uint256 high, uint256 low, uint256 otherHigh, uint256 otherLow) private pure returns (bool) {
        return high < otherHigh || (high == otherHigh && low < otherLow);
    }

    /// @dev expand_message_xmd to 128 bytes, two field elements, two points, their sum: 128 bytes at `at`.
    function _hashToG1(bytes32 message, uint256 at) private view {
        bool done;
        assembly ("memory-safe") {
            let m := mload(0x40)
            // b_0 = H(64 zeros, message, 128 as two bytes, 0, DST, its length)
            mstore(m, 0)
            mstore(add(m, 32), 0)
            mstore(add(m, 64), message)
            mstore(add(m, 96), 0x008000514e45542d5630312d424c53313233383147315f584d443a5348412d32)
            mstore(add(m, 128), 0x35365f535357555f524f5f280000000000000000000000000000000000000000)
            done := staticcall(gas(), 2, m, 140, m, 32)
            let b0 := mload(m)
            // b_i = H(b_0 xor b_(i-1), i, DST, its length); pairs of them are the bases of 0x05
            mstore8(add(m, 32), 1)
            mstore(add(m, 33), 0x514e45542d5630312d424c53313233383147315f584d443a5348412d3235365f)
            mstore(add(m, 65), 0x535357555f524f5f280000000000000000000000000000000000000000000000)
            let e := add(m, 128)
            mstore(e, 64)
            mstore(add(e, 32), 1)
            mstore(add(e, 64), 48)
            mstore8(add(e, 160), 1)
            mstore(add(e, 161), 0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f624)
            mstore(add(e, 193), 0x1eabfffeb153ffffb9feffffffffaaab00000000000000000000000000000000)
            let f := add(m, 384)
            let g := add(m, 448)
            mstore(f, 0)
            done := and(done, staticcall(gas(), 2, m, 74, add(e, 96), 32))
            mstore(m, xor(b0, mload(add(e, 96))))
            mstore8(add(m, 32), 2)
            done := and(done, staticcall(gas(), 2, m, 74, add(e, 128), 32))
            let previous := mload(add(e, 128))
            done := and(done, staticcall(gas(), 5, e, 209, add(f, 16), 48))
            done := and(done, staticcall(gas(), 0x10, f, 64, g, 128))
            mstore(m, xor(b0, previous))
            mstore8(add(m, 32), 3)
            done := and(done, staticcall(gas(), 2, m, 74, add(e, 96), 32))
            mstore(m, xor(b0, mload(add(e, 96))))
            mstore8(add(m, 32), 4)
            done := and(done, staticcall(gas(), 2, m, 74, add(e, 128), 32))
            done := and(done, staticcall(gas(), 5, e, 209, add(f, 16), 48))
            done := and(done, staticcall(gas(), 0x10, f, 64, add(g, 128), 128))
            done := and(done, staticcall(gas(), 0x0b, g, 256, at, 128))
        }
        if (!done) revert InvalidPoint(MAP_FP_TO_G1);
    }

    function _copyPoint(uint256 at, bytes calldata points, uint256 offset, bool identityRefused) private pure {
        if (points.length < offset + G1_BYTES) revert WrongLength(offset + G1_BYTES, points.length);
        uint256 any;
        assembly ("memory-safe") {
            calldatacopy(at, add(points.offset, offset), 128)
            any := or(or(mload(at), mload(add(at, 32))), or(mload(add(at, 64)), mload(add(at, 96))))
        }
        if (identityRefused && any == 0) revert IdentityPoint();
    }

    /// @dev Under the identity as key every signature would be the identity.
    function _copyKey(uint256 at, bytes calldata keys, uint256 index) private pure {
        uint256 offset = index * G2_BYTES;
        if (keys.length < offset + G2_BYTES) revert WrongLength(offset + G2_BYTES, keys.length);
        uint256 any;
        assembly ("memory-safe") {
            calldatacopy(at, add(keys.offset, offset), 256)
            for { let i := 0 } lt(i, 256) { i := add(i, 32) } { any := or(any, mload(add(at, i))) }
        }
        if (any == 0) revert IdentityPoint();
    }

    function _putNegativeGenerator(uint256 at) private pure {
        assembly ("memory-safe") {
            mstore(at, NEG_G2_0)
            mstore(add(at, 32), NEG_G2_1)
            mstore(add(at, 64), NEG_G2_2)
            mstore(add(at, 96), NEG_G2_3)
            mstore(add(at, 128), NEG_G2_4)
            mstore(add(at, 160), NEG_G2_5)
            mstore(add(at, 192), NEG_G2_6)
            mstore(add(at, 224), NEG_G2_7)
        }
    }

    /// @dev The scalar of place j is keccak256(seed, j).
    function _putCoefficients(bytes memory terms, bytes32 seed) private pure {
        assembly ("memory-safe") {
            mstore(0, seed)
            let at := add(terms, 160)
            let end := add(at, mload(terms))
            for { let j := 0 } lt(at, end) { j := add(j, 1) } {
                mstore(32, j)
                mstore(at, keccak256(0, 64))
                at := add(at, 160)
            }
        }
    }

    function _sum(bytes memory terms, uint256 at) private view {
        uint256 input;
        assembly ("memory-safe") {
            input := add(terms, 32)
        }
        _call(G1MSM, input, terms.length, at, G1_BYTES);
    }

    function _checkPairing(uint256 input, uint256 pairs) private view {
        uint256 isOne;
        _call(PAIRING, input, pairs * PAIR_BYTES, input, 32);
        assembly ("memory-safe") {
            isOne := mload(input)
        }
        if (isOne != 1) revert InvalidSignature();
    }

    function _call(uint256 precompile, uint256 input, uint256 length, uint256 output, uint256 size) private view {
        bool done;
        assembly ("memory-safe") {
            done := staticcall(gas(), precompile, input, length, output, size)
        }
        if (!done) revert InvalidPoint(precompile);
    }

    function _term(bytes memory terms, uint256 j) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := add(add(terms, 32), mul(j, 160))
        }
    }
}
