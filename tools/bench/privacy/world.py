"""What issuers and relays see of many purchases, made with the wallet's and the signers' own code.

Every purchase gives two views, named by nobody in common: the blinded point and the answer to it,
and what is shown later, the message's point and its signature. First credits are bought and shown
in swaps, then tokens are issued in swaps and shown to relays.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from node.payments.user.derivation import SEED_BYTES, Seed, Slot
from qnet.crypto.bls import hash_to_g1
from qnet.crypto.scalars import Scalar, encode_scalar, random_scalar
from qnet.messages.instruments import TOKEN_CLASS, Place

POINT_BYTES: Final = 48
CREDIT_CLASS: Final = 6
SLOTS_PER_WALLET: Final = 16
EPOCH: Final = 3
RELAYS: Final = 1000
PLACE: Final = Place(31337, bytes(range(20)))


@dataclass(frozen=True, slots=True)
class Views:
    """Purchases in one order, each as two halves.

    Attributes:
        issued: 96 bytes each: what was signed blindly, and the answer.
        shown: 96 bytes each: the point of the message, and its signature.
    """

    issued: bytes
    shown: bytes

    @property
    def count(self) -> int:
        """Purchases."""
        return len(self.issued) // (2 * POINT_BYTES)


def purchases(count: int, class_: int) -> Views:
    """Make views of so many purchases; all processors work.

    Args:
        count: of instruments, at least 1.
        class_: 6 for credits, 7 for tokens.
    """
    secret = encode_scalar(random_scalar(secrets.token_bytes))
    workers = os.cpu_count() or 1
    shares = [count // workers + (place < count % workers) for place in range(workers)]
    with ProcessPoolExecutor(workers) as pool:
        parts = list(pool.map(_some, shares, [class_] * workers, [secret] * workers))
    return Views(b"".join(part[0] for part in parts), b"".join(part[1] for part in parts))


def _some(count: int, class_: int, secret: bytes) -> tuple[bytes, bytes]:
    key = Scalar(int.from_bytes(secret, "big"))
    issued, shown = bytearray(), bytearray()
    for message, factor in _instruments(count, class_):
        point = hash_to_g1(message)
        blinded = point * factor
        answer = blinded * key
        issued += blinded.encode() + answer.encode()
        shown += point.encode() + (answer * factor.inverse()).encode()
    return bytes(issued), bytes(shown)


def _instruments(count: int, class_: int) -> Iterator[tuple[bytes, Scalar]]:
    """Messages and blinding factors as wallets derive them."""
    for number in range(count):
        counter = number % SLOTS_PER_WALLET
        if counter == 0:
            seed = Seed(secrets.token_bytes(SEED_BYTES))
        slot = Slot(EPOCH, class_, counter)
        relay = 1 + secrets.randbelow(RELAYS) if class_ == TOKEN_CLASS else 0
        message = seed.message(slot, PLACE, relay=relay)
        yield message, seed.factor(slot, message)
