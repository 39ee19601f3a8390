import secrets

from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from node.mix.wide_block import unwrap_block, wrap_block

KEYS = secrets.token_bytes(96)
SIZE = 2064


def unwrapped(block, keys=KEYS):
    return b"".join(unwrap_block(keys, block))


@given(st.binary(min_size=33, max_size=3000), st.binary(min_size=96, max_size=96))
@settings(deadline=None)
def test_wrap_undoes_unwrap_and_the_other_way(block, keys):
    assert wrap_block(keys, unwrapped(block, keys)) == block
    assert unwrapped(wrap_block(keys, block), keys) == block


def ones(left, right):
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).bit_count()


def test_any_bit_changes_half_of_the_bits_both_ways():
    """2,064 bytes: 8,256 bits change on average, with a deviation of 64; 6 deviations allowed."""
    block = secrets.token_bytes(SIZE)
    for transform in (unwrapped, lambda data: wrap_block(KEYS, data)):
        clean = transform(block)
        for bit in [*range(264), *range(264, SIZE * 8, 61)]:
            changed = bytearray(block)
            changed[bit // 8] ^= 1 << bit % 8
            assert abs(ones(transform(bytes(changed)), clean) - SIZE * 4) < 6 * 64.3


def test_the_formula_of_the_specification():
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

    def stream(key, data):
        return Cipher(ChaCha20(key, bytes(16)), None).encryptor().update(data)

    block = secrets.token_bytes(SIZE)
    left, right = block[:32], block[32:]
    right = stream(blake3(left, key=KEYS[:32]).digest(), right)
    hashed = blake3(right, key=KEYS[32:64]).digest()
    left = bytes(a ^ b for a, b in zip(left, hashed, strict=True))
    right = stream(blake3(left, key=KEYS[64:]).digest(), right)
    assert unwrap_block(KEYS, block) == (left, right)
