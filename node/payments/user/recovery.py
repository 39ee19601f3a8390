"""Brings a wallet back from its seed: what members and chain know of it, read once.

The channel's purchases give its credits. Each credit is looked for among the inputs of swaps, over
a route of its own; what a swap made is found by making its points again, and looked for in turn.
Tokens that come back are UNSURE: how far they were spent nobody tells.

Source: docs/spec/payments.md, QN-PAY-080.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from node.payments.keys import EpochKeys
from node.payments.user.blinding import Blinded, unblind_all
from node.payments.user.lookups import InputLookup, PurchasesLookup, StoredPurchase, StoredSwap
from node.payments.user.matching import Matching
from node.payments.user.requests import BOUGHT_CLASS
from node.payments.user.states import Instrument, Request, RequestKind, State
from node.payments.user.wallet import Wallet
from qnet.issuance import IssuanceClock

LOOKUPS_MAX: Final = 4
"""Inputs looked up at once; each takes a circuit."""
_FREE: Final = frozenset({State.HELD, State.UNSURE, State.STUCK})


@dataclass(slots=True)
class Found:
    """What a recovery found.

    Args:
        purchases: of the channel.
        swaps: of its instruments.
        instruments: by slot, as they are in the store now.
        strangers: points of own purchases and swaps that no slot explains.
    """

    purchases: int = 0
    swaps: int = 0
    instruments: list[Instrument] = field(default_factory=list)
    strangers: int = 0

    def rows(self) -> list[dict[str, Any]]:
        """The table that the user is shown: what is worth something, by epoch and kind."""
        sums: dict[tuple[int, str, str], list[int]] = {}
        for entry in self.instruments:
            kind = f"token for {entry.relay}" if entry.is_token else f"credit of {entry.units}"
            row = sums.setdefault((entry.slot.epoch, kind, entry.state.value), [0, 0])
            row[0] += 1
            row[1] += entry.units
        return [
            {"epoch": epoch, "kind": kind, "state": state, "count": count, "units": units}
            for (epoch, kind, state), (count, units) in sorted(sums.items())
        ]


@dataclass(slots=True)
class Recovery:
    """One recovery.

    Args:
        wallet: with an empty store, or one that lacks something.
        relays: registry indexes that tokens may be bound to.
    """

    wallet: Wallet
    relays: Sequence[int]
    found: Found = field(default_factory=Found)
    _matching: Matching = field(init=False)
    _waiting: deque[Instrument] = field(default_factory=deque)
    _lacking: list[Instrument] = field(default_factory=list)
    """Inputs of swaps of which another input is not found yet."""

    def __post_init__(self) -> None:
        """Begin with nothing known."""
        around = self.wallet.around
        self._matching = Matching(self.wallet.seed, around.place, self.relays)

    async def run(self) -> Found:
        """Read everything, store it, and tell what was found.

        Raises:
            IssuersSilentError: too few members answered; what was found so far is stored.
            IssuerKeysError: keys of an epoch are not to be had.
            ChainError: the chain does not answer.
        """
        clock = await self.wallet.terms()
        now = self.wallet.around.wall()
        keys = await self.wallet.keys(clock.epoch_at(now))
        await self._purchases(clock, keys.threshold, now)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(LOOKUPS_MAX, len(self._waiting)))]
            swaps = self.found.swaps
            results = await asyncio.gather(
                *(self._follow(entry, clock, keys.threshold, now) for entry in batch),
                return_exceptions=True,
            )
            for failure in filter(None, results):
                raise failure
            if self.found.swaps > swaps:  # what lacked another input may have it now
                self._waiting.extend(self._lacking)
                self._lacking.clear()
        self.found.strangers += len(self._lacking)
        self.found.instruments = [
            entry for entry in self.wallet.store.instruments() if entry.state in _FREE
        ]
        return self.found

    async def _purchases(self, clock: IssuanceClock, threshold: int, now: float) -> None:
        by_nonce: dict[int, list[StoredPurchase]] = {}
        after = 0
        while True:
            lookup = PurchasesLookup(self.wallet.around.place, self.wallet.account, after)
            shown = await lookup.ask(self.wallet.issuers, self.wallet.around.direct, threshold)
            pages = [page for page in shown or () if page]
            for one in (one for page in pages for one in page):
                known = by_nonce.setdefault(one.purchase.voucher.nonce, [])
                if one not in known:
                    known.append(one)
            if not pages:
                break
            after = min(max(one.purchase.voucher.nonce for one in page) for page in pages)
        kept = clock.kept(now)
        for nonce in sorted(by_nonce):
            self.found.purchases += 1
            epoch = by_nonce[nonce][0].purchase.voucher.epoch
            if epoch in kept:
                await self._purchase(by_nonce[nonce], await self.wallet.keys(epoch))

    async def _purchase(self, shown: list[StoredPurchase], keys: EpochKeys) -> None:
        """Take up one purchase; of two for one nonce, the one that was served."""
        signatures = None
        for one in sorted(shown, key=lambda one: not one.signed):
            points = [(BOUGHT_CLASS, point) for point in one.purchase.points]
            blinded = await asyncio.to_thread(self._match, keys.epoch, points)
            if blinded is None:
                continue
            signatures = await asyncio.to_thread(unblind_all, blinded, one.signed, keys.keys)
            request = Request(
                number=0,
                kind=RequestKind.BUY,
                epoch=keys.epoch,
                body=one.purchase.encode(),
                blanks=tuple(each.blank for each in blinded),
                nonce=one.purchase.voucher.nonce,
            )
            if signatures is not None or one is shown[-1]:
                self._store(request, blinded, signatures)
                return
        self.found.strangers += 1

    async def _follow(
        self, entry: Instrument, clock: IssuanceClock, threshold: int, now: float
    ) -> None:
        """Look for the swap that took an instrument, and take up what it made."""
        if entry.is_token and clock.elapsed(entry.slot.epoch, now) < clock.terms.token_s:
            return
        around = self.wallet.around
        message = self.wallet.seed.message(entry.slot, around.place, relay=entry.relay)
        lookup = InputLookup(around.place, message)
        shown = await lookup.ask(self.wallet.issuers, around.fresh(), threshold)
        for one in sorted(shown or (), key=lambda one: not one.signed):
            if await self._swap(one, entry):
                return

    async def _swap(self, one: StoredSwap, entry: Instrument) -> bool:
        """Take up a swap; whether it is one of this wallet."""
        swap = one.swap
        keys = await self.wallet.keys(swap.epoch)
        points = [(output.class_, output.point) for output in swap.outputs]
        blinded = await asyncio.to_thread(self._match, swap.epoch, points)
        if blinded is None:
            self.found.strangers += 1
            return False
        store, place = self.wallet.store, self.wallet.around.place
        if store.instrument(blinded[0].blank.slot) is not None:
            return True  # found already by another of its inputs
        named = {one_.message(place) for one_ in swap.inputs}
        inputs = [
            each.slot
            for each in store.instruments(*_FREE)
            if self.wallet.seed.message(each.slot, place, relay=each.relay) in named
        ]
        if len(inputs) < len(swap.inputs):
            self._lacking.append(entry)
            return True
        signatures = await asyncio.to_thread(unblind_all, blinded, one.signed, keys.keys)
        request = Request(
            number=0,
            kind=RequestKind.SWAP,
            epoch=swap.epoch,
            body=swap.encode(),
            blanks=tuple(each.blank for each in blinded),
            inputs=tuple(inputs),
        )
        self._store(request, blinded, signatures)
        return True

    def _match(self, epoch: int, points: Sequence[tuple[int, bytes]]) -> tuple[Blinded, ...] | None:
        found = [self._matching.find(epoch, class_, point) for class_, point in points]
        whole = tuple(one for one in found if one is not None)
        return whole if len(whole) == len(found) else None

    def _store(
        self, request: Request, blinded: Sequence[Blinded], signatures: tuple[bytes, ...] | None
    ) -> None:
        """Store a request with what came out of it; one without signatures is sent again."""
        store = self.wallet.store
        is_new = store.instrument(request.blanks[0].slot) is None
        if is_new:
            stored = store.begin(request)
            self.found.swaps += request.kind is RequestKind.SWAP
            if signatures is not None:
                store.finish(stored.number, signatures, at=self.wallet.around.wall())
        for each in blinded:
            entry = store.instrument(each.blank.slot)
            if entry is not None and entry.state in _FREE:
                if is_new and entry.is_token:
                    entry = store.change(entry.slot, State.UNSURE)
                self._waiting.append(entry)
