"""What members show each other: requests they served with their answers, and claims they took.

A member asks for the names that came in after a row of the other's, then for what it lacks.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from ledger.service.member import Member
from ledger.service.peers import MAX_ANSWER_BYTES, Peers
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.fields import U32_MAX, U64_MAX, Fields
from qnet.messages.instruments import HASH_BYTES

INVENTORY_PATH: Final = "/v1/peer/payments/inventory"
FETCH_PATH: Final = "/v1/peer/payments/fetch"
PATHS: Final = frozenset({INVENTORY_PATH, FETCH_PATH})
PAGE_NAMES: Final = 8192
FETCH_NAMES: Final = 128
"""Of the largest requests and claims: 10 MiB at most."""
PATIENCE_S: Final = 1.0
"""An agreement waits no longer for members that do not answer."""
_INVENTORY_KEYS: Final = frozenset({"what", "epoch", "after"})
_FETCH_KEYS: Final = frozenset({"what", "names"})
_PAGE_KEYS: Final = frozenset({"last", "names"})
_ITEM_FIELDS: Final = 3
_CALL_BYTES: Final = HASH_BYTES * FETCH_NAMES + 128


class What(IntEnum):
    """What is asked for."""

    REQUESTS = 0
    ANSWERS = 1
    CLAIMS = 2


@dataclass(frozen=True, slots=True)
class Item:
    """What a member showed.

    Args:
        name: 32 bytes.
        wire: of a request or of claims; empty if only answers were asked for.
        own: the member's partial signatures; empty if it did not serve the request.
    """

    name: bytes
    wire: bytes
    own: bytes


class Exchange:
    """The side that answers.

    Args:
        member: ours.
    """

    def __init__(self, member: Member) -> None:
        self._member = member

    async def answer(self, path: str, body: bytes) -> bytes:
        """Answer a call of another member.

        Raises:
            DecodeError: malformed.
        """
        value = cbor.loads(body, max_bytes=_CALL_BYTES, max_depth=1)
        if path == INVENTORY_PATH:
            return await self._inventory(Fields(value, _INVENTORY_KEYS, "inventory call"))
        return await self._fetch(Fields(value, _FETCH_KEYS, "fetch call"))

    async def _inventory(self, fields: Fields) -> bytes:
        what = What(fields.uint("what", max(What)))
        epoch, after = fields.uint("epoch", U32_MAX), fields.uint("after", U64_MAX >> 1)
        async with self._member.work() as rows:
            source = rows.payment_claims if what is What.CLAIMS else rows.payments
            found = await source.names(epoch, after, PAGE_NAMES)
        last = found[-1][0] if found else after
        return cbor.dumps({"last": last, "names": b"".join(name for _, name in found)})

    async def _fetch(self, fields: Fields) -> bytes:
        what = What(fields.uint("what", max(What)))
        joined = fields.blob("names", multiple=HASH_BYTES, maximum=FETCH_NAMES)
        names = _split(joined)
        async with self._member.work() as rows:
            if what is What.CLAIMS:
                wires = await rows.payment_claims.some(names)
                return cbor.dumps([[name, wire, b""] for name, wire in wires.items()])
            found = await rows.payments.some(names)
        whole = what is What.REQUESTS
        return cbor.dumps([[row.name, row.wire if whole else b"", row.own or b""] for row in found])


class Showing:
    """The side that asks.

    Args:
        peers: the others.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    @property
    def others(self) -> list[int]:
        """Numbers of the other members."""
        return self._peers.others

    async def inventory(
        self, peer: int, what: What, epoch: int, after: int
    ) -> tuple[int, list[bytes]]:
        """(last row, names) of what came in at a member after one of its rows.

        Raises:
            PeerError: it does not answer.
            DecodeError: it answers nonsense.
        """
        body = cbor.dumps({"what": int(what), "epoch": epoch, "after": after})
        answer = await self._peers.call(peer, INVENTORY_PATH, body)
        value = cbor.loads(answer, max_bytes=HASH_BYTES * PAGE_NAMES + 128, max_depth=1)
        last = Fields(value, _PAGE_KEYS, "inventory").uint("last", U64_MAX >> 1)
        joined = value.get("names") if isinstance(value, dict) else None
        if not isinstance(joined, bytes) or len(joined) % HASH_BYTES:
            raise DecodeError("inventory: names are not 32 bytes each")
        if last < after or (joined and last == after):
            raise DecodeError("inventory: it does not go forward")
        return last, _split(joined)

    async def fetch(self, peer: int, what: What, names: Sequence[bytes]) -> list[Item]:
        """What a member has of some names, at most 128, all of them asked for.

        Raises:
            PeerError: it does not answer.
            DecodeError: it answers nonsense.
        """
        body = cbor.dumps({"what": int(what), "names": b"".join(names)})
        answer = await self._peers.call(peer, FETCH_PATH, body)
        value = cbor.loads(answer, max_bytes=MAX_ANSWER_BYTES, max_depth=2)
        if not isinstance(value, list) or len(value) > len(names):
            raise DecodeError("fetch: not a list of what was asked for")
        items, wanted = [_item(entry) for entry in value], set(names)
        if any(item.name not in wanted for item in items):
            raise DecodeError("fetch: something else than was asked for")
        return items


async def briefly(pull: Coroutine[Any, Any, None]) -> None:
    """Wait for what others show, not for those that do not answer; what came in is kept."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await pull


def _split(joined: bytes) -> list[bytes]:
    return [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]


def _item(entry: object) -> Item:
    if not isinstance(entry, list) or len(entry) != _ITEM_FIELDS:
        raise DecodeError("fetch: an item is not three byte strings")
    if not all(isinstance(part, bytes) for part in entry):
        raise DecodeError("fetch: an item is not three byte strings")
    return Item(*entry)
