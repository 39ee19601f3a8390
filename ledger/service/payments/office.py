"""All that a member does for premium payments, in one object: what routes call, what runs.

Source: docs/spec/payments.md, section Interfaces between programs.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from ledger.domain.issuing import input_place
from ledger.domain.votes import Kind
from ledger.errors import NotIssuedError
from ledger.service.member import Member
from ledger.service.payments.attesting import AttestingService
from ledger.service.payments.claiming import Claiming
from ledger.service.payments.closing import ClosingService
from ledger.service.payments.collecting import Collecting
from ledger.service.payments.combining import split_points
from ledger.service.payments.cycle import Cycle
from ledger.service.payments.desk import Desk
from ledger.service.payments.exchange import Exchange, Showing
from ledger.service.payments.facts import IssuingFacts, Keys
from ledger.service.payments.paying import Paying
from ledger.service.payments.pooling import Pooling
from ledger.service.payments.watching import Watching
from ledger.service.peers import Peers
from ledger.service.quorum import Quorum
from ledger.storage.payment_requests import RequestRow
from qnet import cbor
from qnet.crypto.points import G2_BYTES
from qnet.issuance import IssuanceClock
from qnet.messages.claims import Claims
from qnet.messages.swap import Swap
from qnet.messages.voucher import Purchase

ANSWER_BYTES: Final = (1 << 20) - 4096
PURCHASES_PAGE: Final = 256
NO_SHARE: Final = b"\xc0".ljust(G2_BYTES, b"\0")
"""The identity, which no partial signature verifies under."""


class Duty(Protocol):
    """Something that runs as long as the member does."""

    async def run(self) -> None:
        """Go on for ever."""
        ...


@dataclass(frozen=True, slots=True)
class PaymentsOffice:
    """The member's part in premium payments; make it with `open`.

    Args:
        facts: keys, times and chain.
        desk: purchases and swaps.
        claiming: claims of relays.
        attesting: leaves.
        exchange: answers other members.
        pooling: asks other members.
        duties: what runs for ever.
    """

    facts: IssuingFacts
    desk: Desk
    claiming: Claiming
    attesting: AttestingService
    exchange: Exchange
    pooling: Pooling
    duties: tuple[Duty, ...]

    @classmethod
    async def open(cls, member: Member, peers: Peers, quorum: Quorum, keys: Keys) -> Self:
        """Wire everything together, and name the handlers of closings and attestations.

        Raises:
            ChainError: the chain does not answer.
        """
        terms = await member.reader.contracts.channels.terms()
        facts = IssuingFacts(member, keys, IssuanceClock(member.clock, terms))
        showing, desk, collecting = Showing(peers), Desk(facts), Collecting(facts)
        pooling, claiming = Pooling(desk, showing), Claiming(facts, showing)
        attesting = AttestingService(facts, claiming)
        quorum.handle(Kind.CLOSING, ClosingService(desk, pooling, collecting))
        quorum.handle(Kind.ATTESTATION, attesting)
        paying = Paying(facts, attesting)
        cycle = Cycle(desk, quorum, collecting=collecting, attesting=attesting, paying=paying)
        watching = Watching(facts, collecting, attesting)
        duties = (pooling, cycle, watching)
        return cls(facts, desk, claiming, attesting, Exchange(member), pooling, duties)

    # ---- what wallets and relays ask ---------------------------------------------------------

    async def buy(self, data: bytes) -> bytes:
        """Partial signatures for a purchase.

        Raises:
            DecodeError: malformed.
            IssuingRefusedError: not served, with the reason.
        """
        return await self.desk.serve(Purchase.decode(data))

    async def swap(self, data: bytes) -> bytes:
        """Partial signatures for a swap; errors as in `buy`."""
        return await self.desk.serve(Swap.decode(data))

    async def claim(self, data: bytes) -> int:
        """Take a relay's claims; how many of its tokens are known now. Errors as in `buy`."""
        return await self.claiming.take(Claims.decode(data))

    async def keys(self, epoch: int) -> bytes:
        """CBOR of an epoch's public keys and public shares.

        Raises:
            NotIssuedError: they are not agreed on yet, or nobody keeps them any more.
        """
        public = await self.facts.keys.public(epoch)
        if public is None:
            raise NotIssuedError(f"no keys of issuance epoch {epoch}")
        return cbor.dumps(
            {
                "keys": [key.encode_eip2537() for key in public.keys],
                "shares": [
                    [NO_SHARE if share.is_identity else share.encode() for share in shares]
                    for shares in public.shares
                ],
                "threshold": public.threshold,
            }
        )

    async def purchases(self, channel: bytes, after: int) -> bytes:
        """CBOR of a channel's purchases above a nonce, as many as fit into an answer."""
        async with self.facts.member.work() as rows:
            found = await rows.payments.of_channel(channel, after, PURCHASES_PAGE)
        listed, size = [], 0
        for row in found:
            size += len(row.wire) + len(row.combined or b"") + 4 * len(row.wire) // 48
            if size > ANSWER_BYTES:
                break
            listed.append(_entry(row))
        return cbor.dumps(listed)

    async def input(self, message: bytes) -> bytes:
        """CBOR of the swap that stands in an instrument's place.

        Raises:
            NotIssuedError: the instrument is unspent.
        """
        async with self.facts.member.work() as rows:
            standing = await rows.payments.at([input_place(message)])
            found = await rows.payments.some(standing.values())
        if not found:
            raise NotIssuedError("the instrument is unspent")
        return cbor.dumps(_entry(found[0]))

    async def leaf(self, epoch: int, relay: int) -> dict[str, Any]:
        """JSON of a relay's leaf with its path under the attested root.

        Raises:
            NotIssuedError: there is no root, or it is not known here.
        """
        proven = await self.attesting.proven_leaf(epoch, relay)
        if proven is None:
            raise NotIssuedError(f"no attested root of issuance epoch {epoch}")
        return proven.to_json()

    async def status(self) -> dict[str, Any]:
        """JSON of where issuing stands."""
        facts = self.facts
        running = facts.running
        known = [
            epoch
            for epoch in (*facts.clock.kept(facts.member.now()), running + 1)
            if await facts.keys.public(epoch) is not None
        ]
        is_open = running in known and await facts.keys.shares(running) is not None
        async with facts.member.work() as rows:
            buyers, swaps = await rows.payments.crowd(running)
        left = 0
        if is_open:
            await facts.cap(running)
            async with facts.member.work() as rows:
                left = await self.desk.left_units(running, rows)
        return {
            "running": running,
            "keys": known,
            "buyers": buyers,
            "swaps": swaps,
            "open": is_open and left > 0,
            "left_units": left,
            "turned_away": self.desk.turned_away + self.claiming.turned_away,
        }


def _entry(row: RequestRow) -> list[object]:
    return [row.wire[1:], list(split_points(row.combined or b""))]
