"""Random messages with the points Python hashes them to, for PySolHashEqual.

    python -m tests.qnet.crypto.hash_to_g1_cases SEED COUNT

Prints the ABI encoding of `PySolHashEqual.Case[]` (tests/invariants/payments) as hexadecimal
digits: each a message, its point as EIP-2537 writes it, and keccak256 of the compressed point.
"""

import random
import sys
from typing import Final

from qnet.crypto.bls import MESSAGE_BYTES, hash_to_g1
from qnet.crypto.keys import keccak256

WORD_BYTES: Final = 32


def cases(seed: int, count: int) -> bytes:
    """ABI encoding of so many cases."""
    source = random.Random(seed)
    head = (WORD_BYTES, count)
    encoded = b"".join(value.to_bytes(WORD_BYTES, "big") for value in head)
    for _ in range(count):
        message = source.randbytes(MESSAGE_BYTES)
        point = hash_to_g1(message)
        encoded += message + point.encode_eip2537() + keccak256(point.encode())
    return encoded


if __name__ == "__main__":
    sys.stdout.write(cases(int(sys.argv[1]), int(sys.argv[2])).hex())
