"""Probes: PADDING that asks a hop for an echo, to measure the round trip to it.

Tokens are random, so no hop can answer before it was asked, and none for another hop.

Source: docs/spec/circuits.md, section "Messages".
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from node.circuit.budget import Bucket

ANSWERS_PER_S: Final = 8
"""Probes that a hop answers in a second on one circuit; it can save up as many."""
MAX_WAITING: Final = 16
"""Probes of a circuit whose answer the client waits for; the oldest is forgotten for a new one."""
TOKEN_BYTES: Final = 8
_PROBE_BYTES: Final = 1 + TOKEN_BYTES


class PaddingKind(IntEnum):
    """First byte of PADDING; all others, and none, mean nothing."""

    NOTHING = 0
    ASK = 1
    ANSWER = 2


def encode_probe(kind: PaddingKind, token: bytes) -> bytes:
    """Data of PADDING: `kind u8 ‖ token 8`."""
    return bytes([kind]) + token


def decode_probe(data: bytes, kind: PaddingKind) -> bytes | None:
    """Return the token of a probe of this kind, None for any other padding."""
    return data[1:] if len(data) == _PROBE_BYTES and data[0] == kind else None


class Echo:
    """A hop's answers to probes of one circuit, no more than ANSWERS_PER_S.

    Args:
        now: time in seconds.
    """

    __slots__ = ("_bucket",)

    def __init__(self, now: float) -> None:
        self._bucket = Bucket(ANSWERS_PER_S, ANSWERS_PER_S, ANSWERS_PER_S, now)

    def answer(self, token: bytes, now: float) -> bytes | None:
        """Return the data of the answer, None if there were too many probes."""
        return encode_probe(PaddingKind.ANSWER, token) if self._bucket.take(now) else None


class Probes:
    """Probes that a client waits for on one circuit.

    Args:
        random: source of secret bytes.
    """

    __slots__ = ("_random", "_waiting")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._waiting: dict[bytes, tuple[int, float]] = {}

    def ask(self, position: int, now: float) -> tuple[int, bytes]:
        """Return the token of a new probe to the hop at `position`, and the data of its PADDING."""
        token = self._random(TOKEN_BYTES)
        if len(self._waiting) >= MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[token] = (position, now)
        return int.from_bytes(token, "big"), encode_probe(PaddingKind.ASK, token)

    def answered(self, position: int, data: bytes, now: float) -> tuple[int, float] | None:
        """Take PADDING of a hop; return token and seconds if it answers a probe to that hop."""
        token = decode_probe(data, PaddingKind.ANSWER)
        if token is None or token not in self._waiting:
            return None
        asked, at = self._waiting[token]
        if asked != position:
            return None
        del self._waiting[token]
        return int.from_bytes(token, "big"), now - at
