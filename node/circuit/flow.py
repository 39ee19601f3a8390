"""Credits: how much a peer may send before more is granted.

The link record CREDIT carries `(circuit id u32, cells u16)` entries; the message CREDIT carries
bytes of one stream. Both sides start from the same fixed credit; the receiver's window then
follows the rate at which it gets rid of what arrives, times the delay the window is meant to
bridge, and grants the difference.

Source: docs/spec/circuits.md, section "Flow control".
"""

import struct
from collections.abc import Iterable
from typing import Final

from qnet.errors import DecodeError, RemoteProtocolError

INITIAL_CELLS: Final = 16
"""Credit that every circuit has on a link at first, in each direction."""
INITIAL_STREAM_BYTES: Final = 1 << 17
"""Credit that every stream has at first, in each direction."""
LINK_DELAY_S: Final = 0.1
"""Round trip that the window of a circuit on one link bridges."""
STREAM_DELAY_S: Final = 0.4
"""Round trip that the window of a stream bridges."""
CLOCK_STEP_S: Final = 1e-6
"""Shorter times count as none."""
GRANT_PARTS: Final = 4
"""A grant goes out once it is worth a quarter of the window."""
ENTRY_BYTES: Final = 6
MAX_ENTRIES: Final = 384
"""Entries of one CREDIT record: what fits the 2,336-byte record."""
MAX_GRANT_CELLS: Final = (1 << 16) - 1
MAX_CREDIT: Final = (1 << 32) - 1

_ENTRY: Final = struct.Struct(">IH")


def encode_credits(grants: Iterable[tuple[int, int]]) -> list[bytes]:
    """Return contents of CREDIT records for (circuit id, cells) pairs."""
    entries = [_ENTRY.pack(circuit_id, cells) for circuit_id, cells in grants]
    return [
        b"".join(entries[start : start + MAX_ENTRIES])
        for start in range(0, len(entries), MAX_ENTRIES)
    ]


def decode_credits(content: bytes) -> list[tuple[int, int]]:
    """Return the (circuit id, cells) pairs of a CREDIT record.

    Raises:
        DecodeError: empty, too long, a broken entry, or a grant of nothing.
    """
    if not content or len(content) % ENTRY_BYTES or len(content) > MAX_ENTRIES * ENTRY_BYTES:
        raise DecodeError("malformed CREDIT record")
    grants = list(_ENTRY.iter_unpack(content))
    if not all(cells for _, cells in grants):
        raise DecodeError("a grant of nothing")
    return grants


def add_credit(credit: int, grant: int) -> int:
    """Return the sum.

    Raises:
        RemoteProtocolError: it exceeds 2^32 - 1.
    """
    if credit + grant > MAX_CREDIT:
        raise RemoteProtocolError("credit overflows")
    return credit + grant


class ReceiveWindow:
    """The receiver's side of one credit.

    Args:
        initial: credit that the sender has without asking.
        maximum: largest window; below `initial` it counts as `initial`.
        delay_s: round trip that the window is to bridge.
        now: time in seconds.
    """

    __slots__ = (
        "_consumed",
        "_delay_s",
        "_granted",
        "_initial",
        "_maximum",
        "_received",
        "_round_consumed",
        "_round_start",
        "window",
    )

    def __init__(self, initial: int, maximum: int, delay_s: float, now: float) -> None:
        self._initial = initial
        self._maximum = max(initial, maximum)
        self._delay_s = delay_s
        self.window = initial
        self._granted = initial
        self._received = 0
        self._consumed = 0
        self._round_start = now
        self._round_consumed = 0

    @property
    def held(self) -> int:
        """Received and not yet consumed."""
        return self._received - self._consumed

    def receive(self, count: int) -> None:
        """Count what arrived.

        Raises:
            RemoteProtocolError: the peer had no credit for it.
        """
        self._received += count
        if self._received > self._granted:
            raise RemoteProtocolError("the peer sent without credit")

    def consume(self, count: int) -> None:
        """Count what was written onward or used up."""
        self._consumed += count
        self._round_consumed += count

    def grant(self, now: float, *, pressed: bool) -> int:
        """Return how much to grant now, 0 if it is not worth a message.

        Args:
            now: time in seconds.
            pressed: whether memory is short; the window then shrinks.
        """
        self._measure(now, pressed=pressed)
        due = self._consumed + self.window - self._granted
        if due < max(1, self.window // GRANT_PARTS):
            return 0
        self._granted += due
        return due

    def _measure(self, now: float, *, pressed: bool) -> None:
        """After each window's worth of traffic, set the window to twice rate times delay."""
        if self._round_consumed < self.window:
            return
        elapsed = now - self._round_start
        if pressed:
            self.window = max(self._initial, self.window // 2)
        elif elapsed < CLOCK_STEP_S:
            self.window = min(self._maximum, 2 * self.window)
        else:
            wanted = int(2 * self._round_consumed / elapsed * self._delay_s)
            self.window = max(self._initial, min(wanted, 2 * self.window, self._maximum))
        self._round_start = now
        self._round_consumed = 0
