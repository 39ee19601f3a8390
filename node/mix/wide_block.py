"""The wide block of a payload: change any bit, and every bit of the result is a coin toss.

Three rounds of an unbalanced Feistel network: stream, hash, stream. A mix undoes one layer (D);
who builds a packet or reads a reply applies layers (E). Every key serves one packet at one mix.

Source: docs/spec/mixnet.md, QN-MIX-005; Anderson, Biham: Two Practical and Provably Secure Block
Ciphers: BEAR and LION (1996); Danezis et al.: Outfox (2024).
"""

from typing import Final

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

LEFT_BYTES: Final = 32

_START: Final = bytes(16)
"""Block counter and nonce of ChaCha20: no key streams twice."""


def unwrap_block(keys: bytes, block: bytes) -> tuple[bytes, bytes]:
    """Undo one layer, as a mix does (D).

    Args:
        keys: k1, k2 and k3, 96 bytes.
        block: any block longer than 32 bytes.

    Returns:
        L (32 bytes) and R; the block is both joined, which the caller does with what precedes it.
    """
    left = block[:LEFT_BYTES]
    first = blake3(left, key=keys[:32]).digest()
    stream = Cipher(ChaCha20(first, _START), None).encryptor()
    middle = stream.update(block[LEFT_BYTES:])
    hashed = blake3(middle, key=keys[32:64]).digest()
    left = (int.from_bytes(left, "big") ^ int.from_bytes(hashed, "big")).to_bytes(32, "big")
    last = blake3(left, key=keys[64:]).digest()
    return left, Cipher(ChaCha20(last, _START), None).encryptor().update(middle)


def wrap_block(keys: bytes, block: bytes) -> bytes:
    """Apply one layer, which `unwrap_block` undoes (E).

    The rounds are their own inverses, so E is D with the keys in the other order.

    Args:
        keys: k1, k2 and k3, 96 bytes.
        block: any block longer than 32 bytes.
    """
    left, right = unwrap_block(keys[64:] + keys[32:64] + keys[:32], block)
    return left + right
