"""Credits: how much a peer may send before more is granted.

The link record CREDIT carries `(circuit id u32, cells u16)` entries; the message CREDIT carries
bytes of one stream. Both sides start from the same fixed credit; the receiver then measures how
long a grant takes to bring what it allowed, and how fast it gets rid of what arrives. Its window
follows the product of the two, as long as it is the window that limits the sender.

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
MIN_DELAY_S: Final = 0.05
"""Least round trip that a window bridges: processes that share a processor wait for their turn."""
MAX_DELAY_S: Final = 2.0
"""What takes longer tells of a sender without data, not of a round trip."""
DELAY_MEMORY_S: Final = 10.0
"""After this time a round trip that was never as short again is forgotten, for paths change."""
LIMITED: Final = 1.5
"""A sender waits for credit if a grant takes effect within so many round trips."""
GAIN: Final = 4
"""A window is at most so many times rate by round trip; it grows by as much in a round trip."""
SHRINK_PARTS: Final = 8
"""A window of which the receiver holds half gives up 1/8 in a round trip."""
SCARCE_PARTS: Final = 16
"""While memory is short windows go down to 1/16 of the largest, those of slow readers further."""
CLOCK_STEP_S: Final = 1e-6
"""Shorter times count as none."""
GRANT_PARTS: Final = 4
"""A grant goes out once it is worth a quarter of the window."""
ENTRY_BYTES: Final = 6
MAX_ENTRIES: Final = 384
"""Entries of one CREDIT record: what fits the 2,336-byte record."""
MAX_GRANT_CELLS: Final = (1 << 16) - 1
MAX_CREDIT: Final = (1 << 32) - 1
NEVER: Final = 1 << 62
"""More than ever arrives: no measurement runs."""

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


class CreditLoop:
    """Measures the way of a grant to the sender and of what it allowed back to the receiver.

    A sender that waits for credit uses a grant at once, so what it allowed begins to arrive one
    round trip after the grant; from any other sender it comes later. The least time is the round
    trip. What came until the whole of the grant was used tells the rate.

    Attributes:
        delay_s: round trip, as far as it is known.
        end: everything received when the grant will be used up; NEVER if nothing is measured.
    """

    __slots__ = ("_at", "_consumed", "_recent_s", "_since", "_took_s", "delay_s", "end")

    def __init__(self) -> None:
        self.delay_s = self._recent_s = self._took_s = MAX_DELAY_S
        self._since = self._at = 0.0
        self._consumed = 0
        self.end = NEVER

    def granted(self, end: int, consumed: int, now: float) -> None:
        """A grant goes out that lets the sender reach `end`, when so much was consumed."""
        self._at = now
        self._consumed = consumed
        self.end = end

    def arrived(self, now: float) -> None:
        """The first of what the grant allowed is here."""
        took = self._took_s = now - self._at
        if took > MAX_DELAY_S:
            return
        self._recent_s = min(self._recent_s, took)
        if now - self._since > DELAY_MEMORY_S:
            self.delay_s, self._recent_s, self._since = self._recent_s, took, now
        self.delay_s = min(self.delay_s, took)

    def wanted(self, consumed: int, now: float) -> int | None:
        """End the measurement; return the window it asks for, None if credit limits nobody."""
        self.end = NEVER
        delay = max(self.delay_s, MIN_DELAY_S)
        if self._took_s > LIMITED * delay:
            return None
        elapsed = max(now - self._at, CLOCK_STEP_S)
        return int(GAIN * (consumed - self._consumed) * delay / elapsed)


class ReceiveWindow:
    """The receiver's side of one credit.

    Args:
        initial: credit that the sender has without asking.
        maximum: largest window; below `initial` it counts as `initial`.
        largest_grant: most that one grant can say.
    """

    __slots__ = (
        "_consumed",
        "_granted",
        "_initial",
        "_largest_grant",
        "_loop",
        "_mark",
        "_maximum",
        "_received",
        "window",
    )

    def __init__(self, initial: int, maximum: int, largest_grant: int) -> None:
        self._initial = initial
        self._maximum = max(initial, maximum)
        self._largest_grant = largest_grant
        self.window = initial
        self._granted = initial
        self._received = 0
        self._consumed = 0
        self._mark = NEVER
        self._loop: CreditLoop | None = None

    def widen(self, window: int) -> None:
        """Begin with a window that others of the same path have grown to."""
        self.window = max(self.window, min(window, self._maximum))

    @property
    def held(self) -> int:
        """Received and not yet consumed."""
        return self._received - self._consumed

    def receive(self, count: int, now: float) -> None:
        """Count what arrived.

        Raises:
            RemoteProtocolError: the peer had no credit for it.
        """
        received = self._received = self._received + count
        if received > self._mark:
            self._mark = NEVER
            assert self._loop is not None  # it has set the mark
            self._loop.arrived(now)
        if received > self._granted:
            raise RemoteProtocolError("the peer sent without credit")

    def consume(self, count: int) -> None:
        """Count what was written onward or used up."""
        self._consumed += count

    def grant(self, now: float, *, pressed: bool) -> int:
        """Return how much to grant now, 0 if it is not worth a message.

        Args:
            now: time in seconds.
            pressed: whether memory is short; the window then shrinks.
        """
        loop = self._loop
        if loop is not None and self._received >= loop.end:
            self._resize(loop.wanted(self._consumed, now), pressed=pressed)
        due = self._consumed + self.window - self._granted
        if due < max(1, self.window // GRANT_PARTS):
            return 0
        due = min(due, self._largest_grant)
        if loop is None:
            loop = self._loop = CreditLoop()
        if loop.end == NEVER:
            self._mark = self._granted
            loop.granted(self._granted + due, self._consumed, now)
        self._granted += due
        return due

    def _resize(self, wanted: int | None, *, pressed: bool) -> None:
        """Grow as far as the measure says; shrink for a slow reader, and when memory is short.

        Then those give most who hold most, so that nobody takes the others' windows by not reading.
        """
        window, maximum = self.window, self._maximum
        if pressed:
            maximum = max(self._initial, maximum // SCARCE_PARTS)
        if 2 * self.held > window:
            window -= window // (2 if pressed else SHRINK_PARTS)
        elif window > maximum:
            window = max(maximum, window - window // SHRINK_PARTS)
        elif wanted is not None and wanted > window:
            window = min(wanted, GAIN * window, maximum)
        self.window = max(self._initial, window)
