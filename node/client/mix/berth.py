"""A client's place at one node of the mixnet: the link, what comes over it, ids and claims."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from typing import Final

from node.client.mix.tenancy import Tenancy
from node.client.paths.entry import EntryLink
from node.htx.record import RecordType
from node.mix.account import Mailbox
from node.mix.carried import Packet
from node.mix.mailbox_wire import GRANT, decode_grant
from node.mix.packet import DELIVERY, Delivery, decode_delivery, encode_unit, units_of
from qnet.errors import DecodeError

MAX_ARRIVALS: Final = 4_096
"""Deliveries that wait to be read."""


class Dropped(StrEnum):
    """Why something from our node was not read; the key in status."""

    MALFORMED = "malformed"
    TOO_MANY = "too_many"


class Berth:
    """One node that keeps mailboxes of ours.

    Args:
        node_index: registry index of the node.
        target: delivery ids to keep; 0 for a node that is asked for none.
        wake: called when something came.

    Attributes:
        tenancy: ids and claims.
        received: deliveries so far.
        sent: packets and requests so far.
        dropped: what was not read, by cause.
    """

    def __init__(self, node_index: int, target: int, wake: Callable[[], None]) -> None:
        self.node_index = node_index
        self.tenancy = Tenancy(target)
        self.received = 0
        self.sent = 0
        self.dropped: Counter[Dropped] = Counter()
        self._wake = wake
        self._arrivals: deque[Delivery] = deque()
        self._link: EntryLink | None = None
        self._reading = ExitStack()

    @property
    def is_open(self) -> bool:
        """Whether packets can be handed over."""
        return self._link is not None and self._link.is_open

    def board(self, link: EntryLink) -> None:
        """Use a link from now on."""
        self.leave()
        self._link = link
        self._reading.enter_context(link.reading(self._record))
        self.tenancy.begin()

    def leave(self) -> None:
        """Read nothing more; the link belongs to the client."""
        self._reading.close()
        self._link = None

    def send(self, packet: Packet) -> None:
        """Hand over one packet or request; lost if the link is."""
        if self._link is not None and self._link.is_open:
            self._link.send_record(RecordType.PACKETS, encode_unit(*packet))
            self.sent += 1

    def ask(
        self, mailboxes: Sequence[Mailbox], node_key: Callable[[], bytes], phase: int, now: float
    ) -> Packet | None:
        """What to ask of the node now, if anything; it counts as sent.

        Args:
            mailboxes: to be claimed, home first.
            node_key: gives the node's onion key of this phase, 32 bytes.
            phase: current key phase, u24.
            now: seconds.

        Raises:
            StageError: the node has no key of this phase.
        """
        ids = self.tenancy.wants(mailboxes, now)
        if ids < 0:
            return None
        return 0, self.tenancy.request(ids, mailboxes, node_key(), phase, now).encode()

    def take(self) -> list[Delivery]:
        """What came since the last call."""
        arrivals = list(self._arrivals)
        self._arrivals.clear()
        return arrivals

    def _record(self, kind: RecordType, content: bytes) -> None:
        if kind is not RecordType.PACKETS:
            return
        try:
            for _, unit in units_of(content):
                self._unit(unit)
        except DecodeError:
            self.dropped[Dropped.MALFORMED] += 1
        self._wake()

    def _unit(self, unit: bytes) -> None:
        if unit[0] == GRANT:
            self.tenancy.granted(decode_grant(unit))
        elif unit[0] != DELIVERY:
            self.dropped[Dropped.MALFORMED] += 1
        elif len(self._arrivals) >= MAX_ARRIVALS:
            self.dropped[Dropped.TOO_MANY] += 1
        else:
            self._arrivals.append(decode_delivery(unit))
            self.received += 1
