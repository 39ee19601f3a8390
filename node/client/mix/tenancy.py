"""What a client has at its mailbox node: delivery ids to give away, and claims of its addresses.

Source: docs/spec/mixnet.md, section Mailboxes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from node.mix.account import Mailbox
from node.mix.mailbox_wire import MAX_IDS, MailboxGrant, MailboxRequest, make_claim

IDS_PER_PACKET: Final = 8
"""Ids that a packet of streams may use up, so that fast clients keep more of them."""
KEPT_FOR_S: Final = 16.0
"""Ids kept suffice for so long."""
ANSWER_S: Final = 15.0
"""A request without an answer by then is lost."""
CLAIM_AGAIN_S: Final = 600.0
"""Claims are repeated at least so often."""
MAX_OPEN: Final = 8
"""Requests for ids under way at once."""
MAX_UNANSWERED: Final = 64
"""Requests of which it is known what they claimed."""


class Tenancy:
    """Ids and claims at one node, over one link after another.

    Args:
        target: ids to keep.

    Attributes:
        kept: keys (32 bytes) of the addresses that the node keeps for us.
        grants: answers so far.
    """

    __slots__ = (
        "_asked_at",
        "_claimed",
        "_claimed_at",
        "_ids",
        "_target",
        "_unanswered",
        "grants",
        "kept",
    )

    def __init__(self, target: int) -> None:
        self._target = target
        self._ids: deque[bytes] = deque(maxlen=target + MAX_OPEN * MAX_IDS)
        self._asked_at: deque[float] = deque()
        self._claimed: tuple[bytes, ...] = ()
        self._claimed_at = float("-inf")
        self._unanswered: deque[tuple[bytes, ...]] = deque(maxlen=MAX_UNANSWERED)
        self.kept: frozenset[bytes] = frozenset()
        self.grants = 0

    def __len__(self) -> int:
        return len(self._ids)

    def new_id(self) -> bytes | None:
        """Take a fresh delivery id (16 bytes), if there is one."""
        return self._ids.popleft() if self._ids else None

    def begin(self) -> None:
        """A new link: what was asked for over the old one will not come."""
        self._ids.clear()
        self._asked_at.clear()
        self._claimed_at = float("-inf")
        self._unanswered.clear()
        self.kept = frozenset()

    def wants(self, mailboxes: Sequence[Mailbox], now: float) -> int:
        """How many ids to ask for now; -1 if nothing is to be asked.

        Args:
            mailboxes: to be claimed, home first.
            now: seconds.
        """
        while self._asked_at and now - self._asked_at[0] >= ANSWER_S:
            self._asked_at.popleft()
        if len(self._asked_at) >= MAX_OPEN:
            return -1
        missing = self._target - len(self._ids) - MAX_IDS * len(self._asked_at)
        if missing >= MAX_IDS // 2:
            return min(missing, MAX_IDS)
        due = self._claimed_at + CLAIM_AGAIN_S <= now or self._claimed != _keys(mailboxes)
        return 0 if due else -1

    def request(
        self, ids: int, mailboxes: Sequence[Mailbox], node_key: bytes, phase: int, now: float
    ) -> MailboxRequest:
        """Ask for ids and claim addresses; it counts as sent.

        Args:
            ids: how many.
            mailboxes: at this node, home first, at most 8.
            node_key: onion key of the node in this phase, 32 bytes.
            phase: current key phase, u24.
            now: seconds.

        Raises:
            CryptoError: the onion key has low order.
        """
        claims = [make_claim(each.key, each.node_index, node_key, phase) for each in mailboxes]
        self._claimed, self._claimed_at = _keys(mailboxes), now
        self._unanswered.append(self._claimed)
        if ids:
            self._asked_at.append(now)
        return MailboxRequest(phase, ids, claims)

    def granted(self, grant: MailboxGrant) -> None:
        """The node answered."""
        if grant.ids and self._asked_at:
            self._asked_at.popleft()
        self._ids.extend(grant.ids)
        claimed = self._unanswered.popleft() if self._unanswered else ()
        self.kept = frozenset(
            key for place, key in enumerate(claimed) if grant.accepted >> place & 1
        )
        self.grants += 1

    def keeps(self, mailboxes: Sequence[Mailbox]) -> bool:
        """Whether the node said that it keeps all of these."""
        return self.kept.issuperset(_keys(mailboxes))


def ids_to_keep(packets_hz: float) -> int:
    """How many ids a client keeps that sends so many packets in a second."""
    needed = round(packets_hz * IDS_PER_PACKET * KEPT_FOR_S)
    return -(-needed // MAX_IDS) * MAX_IDS


def _keys(mailboxes: Sequence[Mailbox]) -> tuple[bytes, ...]:
    return tuple(each.key.public for each in mailboxes)
