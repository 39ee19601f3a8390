"""Hands in what a relay was paid, and fetches itself what the committee leaves out.

From `SPEND_S` to `CLAIM_S` after an issuance epoch its tokens go to every member, in parts, until a
quorum has them all. Once there is a root, the relay's leaf is compared with what it holds; what is
missing it shows to the chain, if the owner's key is at hand, and otherwise says so.

Source: docs/spec/payments.md, QN-PAY-051, 052 and 054.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from node.payments.relay.relay_chain import Issuance, RelayChain
from node.payments.relay.toll_keys import TollKeys
from node.payments.relay.toll_store import EpochRow, TollStore
from qnet.crypto.keys import ReceiptKey, constant_time_equal
from qnet.eip712 import qnet_domain
from qnet.errors import DecodeError, QnetError, RejectedError
from qnet.issuance import IssuanceClock
from qnet.messages.claims import CLAIMS_MAX, Claims, SpentToken
from qnet.messages.settlement import ProvenLeaf, Redeem

REDEEM_BATCH: Final = 128
"""Tokens of one transaction: as many as the contract takes, for each is cheaper among many."""
LOOKS: Final = 12
"""How often claims are sent in the time there is for them."""
PAUSE_MAX_S: Final = 60.0

_log = structlog.get_logger(__name__)


class Members(Protocol):
    """The committee."""

    @property
    def members(self) -> tuple[str, ...]:
        """Base URLs."""

    async def submit_claims(self, member: str, claims: bytes) -> bool:
        """Hand claims to one member; whether it took them."""

    async def leaves(self, epoch: int, relay: int) -> list[bytes]:
        """What is attested to a relay, as each member shows it."""


@dataclass(slots=True)
class Claiming:
    """The settlement of one relay.

    Args:
        relay: registry index.
        key: signs claims.
        quorum: members that must have them.
        store: what was paid.
        keys: of the issuance epochs.
        chain: says what was attested; pays.
        ledger: the committee.
        clock: calendar of issuance epochs.
        now: unix clock.
        problems: why something earned is not settled, by epoch.
    """

    relay: int
    key: ReceiptKey
    quorum: int
    store: TollStore
    keys: TollKeys
    chain: RelayChain
    ledger: Members
    clock: IssuanceClock
    now: Callable[[], float]
    problems: dict[int, str] = field(default_factory=dict)

    @property
    def pause_s(self) -> float:
        """Between two looks."""
        terms = self.clock.terms
        return min((terms.claim_s - terms.spend_s) / LOOKS, PAUSE_MAX_S)

    async def run(self) -> None:
        """Settle every epoch in its time, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(self.pause_s)

    async def look(self) -> None:
        """Do for each epoch what its time asks for; failures are tried again at the next look."""
        terms = self.clock.terms
        for row in await asyncio.to_thread(self.store.epochs):
            elapsed = self.clock.elapsed(row.epoch, self.now())
            try:
                if elapsed >= terms.keep_s:
                    await asyncio.to_thread(self.store.forget, row.epoch + 1)
                    self.problems.pop(row.epoch, None)
                elif elapsed >= terms.claim_s:
                    await self._compare(row, redeems=terms.attest_s <= elapsed < terms.redeem_s)
                elif elapsed >= terms.spend_s + min(1.0, self.pause_s):
                    await self._claim(row.epoch)
            except QnetError as error:
                self._note(
                    row.epoch, f"{error.message}: {error.why}" if error.why else error.message
                )

    async def takers(self, epoch: int) -> int:
        """How many members have all claims of an epoch."""
        tokens = await asyncio.to_thread(self.store.spent, epoch)
        parts = set(range(len(_parts(tokens, CLAIMS_MAX))))
        took = await asyncio.to_thread(self.store.deliveries, epoch)
        return sum(1 for member in self.ledger.members if took.get(member, set()) >= parts)

    async def redemption(self, epoch: int) -> str:
        """What becomes of an epoch's tokens that are shown now: `redeemed`, `later` or `over`."""
        terms, elapsed = self.clock.terms, await self.chain.elapsed(epoch)
        if elapsed < terms.attest_s:
            return "later"
        return "redeemed" if elapsed < terms.redeem_s else "over"

    async def redeem(self, epoch: int) -> int:
        """Show the chain the tokens of an epoch that it has not seen; returns units paid in all.

        Raises:
            RejectedError: there is nothing to show, or no leaf or keys to show it with.
            QnetError: the chain refuses, or does not answer.
        """
        issuance = await self.chain.issuance(epoch)
        if issuance is None:
            raise RejectedError(f"the chain knows no issuance epoch {epoch}")
        proven = await self.leaf(epoch, issuance)
        keys = await self._keys(epoch)
        if proven is None or not keys:
            what = "our leaf under its root" if keys else "its keys"
            raise RejectedError(f"no member shows {what}", why=f"issuance epoch {epoch}")
        before = await self.chain.shown(epoch, self.relay)
        tokens = [
            token
            for token in await asyncio.to_thread(self.store.spent, epoch)
            if token.token_id[: len(before.last_t)] > before.last_t
        ]
        for part in _parts(tokens, REDEEM_BATCH):
            shown = Redeem.of(epoch, self.relay, part)
            await self.chain.redeem(shown, proven, keys)
        after = await self.chain.shown(epoch, self.relay)
        await asyncio.to_thread(self.store.redeemed, epoch, after.credited_units)
        return after.credited_units

    async def _keys(self, epoch: int) -> tuple[bytes, ...]:
        """The epoch's keys: our copy, or what members show; empty without either."""
        kept = await asyncio.to_thread(self.store.keys, epoch)
        if kept:
            return kept
        shown = await self.keys.keys_of(epoch)
        return () if shown is None else shown.encoded

    async def leaf(self, epoch: int, issuance: Issuance) -> ProvenLeaf | None:
        """Our leaf under the attested root, kept; the empty one without a root.

        None if there is a root, and no member shows a leaf that stands under it.
        """
        if issuance.root is None:
            return ProvenLeaf.nothing(self.relay)
        place = self.chain.place
        for body in await self.ledger.leaves(epoch, self.relay):
            try:
                proven = ProvenLeaf.from_json(json.loads(body), self.relay)
            except (DecodeError, ValueError, RecursionError):
                continue
            root = proven.root(place.chain_id, place.channels, epoch)
            if constant_time_equal(root, issuance.root):
                found = proven.leaf
                await asyncio.to_thread(
                    self.store.attested, epoch, found.epoch_units, found.cum_units
                )
                return proven
        return None

    async def _claim(self, epoch: int) -> None:
        """Send each member the parts that it lacks, until a quorum has all."""
        if await self.takers(epoch) >= self.quorum:
            return
        tokens = await asyncio.to_thread(self.store.spent, epoch)
        domain = qnet_domain(self.chain.place.chain_id, self.chain.place.channels)
        took = await asyncio.to_thread(self.store.deliveries, epoch)
        for part, chosen in enumerate(_parts(tokens, CLAIMS_MAX)):
            claims = Claims.make(self.key, domain, epoch=epoch, relay=self.relay, tokens=chosen)
            body = claims.encode()
            lacking = [url for url in self.ledger.members if part not in took.get(url, ())]
            taken = await asyncio.gather(
                *(self.ledger.submit_claims(member, body) for member in lacking)
            )
            for member, is_taken in zip(lacking, taken, strict=True):
                if is_taken:
                    await asyncio.to_thread(self.store.delivered, epoch, part, member)
        takers = await self.takers(epoch)
        if takers >= self.quorum:
            self.problems.pop(epoch, None)
            _log.info("claimed", epoch=epoch, tokens=len(tokens), members=takers)
        else:
            self._note(epoch, f"{takers} of {self.quorum} members took our claims")

    async def _compare(self, row: EpochRow, *, redeems: bool) -> None:
        """Hold what was attested against what we have; redeem the rest when it is time."""
        if not row.units or row.redeemed_units + (row.attested_units or 0) >= row.units:
            self.problems.pop(row.epoch, None)
            return
        issuance = await self.chain.issuance(row.epoch)
        if issuance is None or (issuance.root is None and not redeems):
            return
        proven = await self.leaf(row.epoch, issuance)
        attested = 0 if proven is None else proven.leaf.epoch_units
        if proven is not None and attested >= row.units:
            self.problems.pop(row.epoch, None)
            return
        missing = row.units - attested - row.redeemed_units
        if redeems and self.chain.may_redeem:
            paid = await self.redeem(row.epoch)
            self.problems.pop(row.epoch, None)
            _log.warning("redeemed on chain", epoch=row.epoch, units=paid)
        else:
            self._note(row.epoch, f"{missing} units are not attested: qnet node redeem")

    def _note(self, epoch: int, problem: str) -> None:
        if self.problems.get(epoch) != problem:
            _log.warning("earnings", epoch=epoch, cause=problem)
        self.problems[epoch] = problem


def _parts(tokens: Sequence[SpentToken], size: int) -> list[Sequence[SpentToken]]:
    return [tokens[start : start + size] for start in range(0, len(tokens), size)]
