"""A premium wallet at work: it orders, sends, takes what comes back, and pays circuits out of it.

Source: docs/spec/payments.md, QN-PAY-022, 030 to 033, 043 and 081.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from typing import Final

import structlog

from node.errors import IssuerKeysError, IssuersRefusedError, SpendingLimitError
from node.payments.blinding import blinded_all
from node.payments.chain_view import ChainView
from node.payments.derivation import Seed, Slot
from node.payments.issuers import Issuers
from node.payments.keys import EpochKeys
from node.payments.lookups import InputLookup
from node.payments.purse import Spending
from node.payments.requests import Maker
from node.payments.routes import FreshRoute, Route
from node.payments.states import Instrument, Request, RequestKind, RequestState, State
from node.payments.stock import SwapOrder
from node.payments.store import Store
from qnet.crypto.hash_chain import HashChain
from qnet.epochs import EpochClock
from qnet.errors import LocalProtocolError, RejectedError
from qnet.issuance import IssuanceClock, PaymentTerms
from qnet.messages.instruments import (
    KEY_BYTES,
    TOKEN_CLASS,
    TOKEN_UNITS,
    Opening,
    Place,
)
from qnet.sampling import RandomBytes, uniform_below
from qnet.units import format_qnet

RETIRE_MIN: Final = 48
"""A token retires at a random k from here to 64."""
SPEND_MARGIN_SHARE: Final = 8
"""A token is not taken in the last eighth of `SPEND_S`: a circuit lives for a while."""
PATHS: Final = {RequestKind.BUY: "/v1/payments/buy", RequestKind.SWAP: "/v1/payments/swap"}
ANOTHER: Final = "another request stands in this place already"
"""A member's word for an input or a nonce that is used up; `ledger` says the same."""
WRONG_AMOUNT: Final = "what goes out is not worth what comes in"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a wallet needs from outside.

    Args:
        place: chain and contract.
        rewards: calendar of the reward epochs.
        chain: what is asked of the chain.
        members: base URLs of the committee.
        direct: route for purchases.
        fresh: makes a route over circuits of its own.
        wall: unix clock.
        random: the operating system's source.
    """

    place: Place
    rewards: EpochClock
    chain: ChainView
    members: tuple[str, ...]
    direct: Route
    fresh: FreshRoute
    wall: Callable[[], float]
    random: RandomBytes


@dataclass(slots=True)
class Wallet:
    """One wallet; also the `Purse` of circuits.

    Args:
        seed: its root.
        store: its file.
        around: what it needs from outside.
    """

    seed: Seed
    store: Store
    around: Surroundings
    maker: Maker = field(init=False)
    issuers: Issuers = field(init=False)
    clock: IssuanceClock | None = None
    _hashes: dict[int, bytes] = field(default_factory=dict)
    _tokens: dict[int, list[Instrument]] = field(default_factory=dict)
    _spending: dict[bytes, Slot] = field(default_factory=dict)
    _sending: set[int] = field(default_factory=set)
    _ordering: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Take up what an earlier run left: tokens it was spending are not shown again."""
        around = self.around
        self.maker = Maker(self.seed, around.place, self.store)
        self.issuers = Issuers(around.members, around.place, around.random)
        for entry in self.store.instruments(State.SPENDING):
            self.store.change(entry.slot, State.SPENT)
        terms = self.store.noted("terms")
        if terms is not None:
            self.clock = IssuanceClock(around.rewards, PaymentTerms(*json.loads(terms)))
        self._look()

    @property
    def account(self) -> bytes:
        """Owner of the channel, 20 bytes."""
        return self.seed.channel.address

    async def terms(self) -> IssuanceClock:
        """Calendar and terms; from the chain the first time.

        Raises:
            ChainError: the chain does not answer.
        """
        if self.clock is None:
            terms = await self.around.chain.terms()
            self.clock = IssuanceClock(self.around.rewards, terms)
            self.store.note("terms", json.dumps(astuple(terms)).encode())
        return self.clock

    # ordering and sending

    async def order_credits(self, count: int) -> Request:
        """Store a purchase; `send` does the rest.

        Raises:
            SpendingLimitError: more than may be spent today, or than the channel holds.
            RejectedError: the purchase before is not over.
        """
        clock = await self.terms()
        async with self._ordering:
            allowed = await self.allowance()
            if count > allowed:
                price = format_qnet(count * TOKEN_UNITS * clock.terms.unit_wei)
                raise SpendingLimitError(
                    f"{count} credits cost {price} QNET",
                    why=f"limit and deposit allow {allowed} credits now",
                    try_=("qnet pay limit", "qnet pay topup"),
                )
            now = self.around.wall()
            try:
                return self.maker.purchase(count, clock.epoch_at(now), clock.terms.unit_wei, at=now)
            except LocalProtocolError as error:
                raise RejectedError("no purchase now", why=error.message) from error

    async def order_swap(self, order: SwapOrder, *, wait_s: float = 0.0) -> Request:
        """Store a swap that leaves after a while; `send` does the rest."""
        clock = await self.terms()
        now = self.around.wall()
        async with self._ordering:
            return await asyncio.to_thread(
                self.maker.swap, order, clock.epoch_at(now), at=now, due=now + wait_s
            )

    async def allowance(self) -> int:
        """Credits of 64 units that may be bought now: what deposit and daily limit leave."""
        clock = await self.terms()
        channel = await self.around.chain.channel(self.account)
        if not channel.is_open or channel.closing_since_s:
            return 0
        left_wei = channel.deposit_wei - max(self.maker.last_voucher()[1], channel.collected_wei)
        limit = self.limit_wei
        if limit is not None:
            left_wei = min(left_wei, limit - self.maker.spent_wei(self.around.wall()))
        return max(0, left_wei // (TOKEN_UNITS * clock.terms.unit_wei))

    async def send(self, request: Request) -> bool:
        """Send a stored request, the first time or again; whether it is done.

        Raises:
            IssuersSilentError: too few members answered; the same request may be sent again.
            IssuersRefusedError: they refuse it; it was given up.
            IssuerKeysError: no member has the epoch's keys.
            ChainError: the chain does not answer.
        """
        if request.number in self._sending:
            return False
        self._sending.add(request.number)
        try:
            keys = await self.keys(request.epoch)
            blinded = await asyncio.to_thread(
                blinded_all, self.seed, self.around.place, request.blanks
            )
            is_buy = request.kind is RequestKind.BUY
            route = self.around.direct if is_buy else self.around.fresh()
            try:
                signatures = await self.issuers.sign(
                    route, PATHS[request.kind], request.body, blinded, keys
                )
            except IssuersRefusedError as error:
                used = await self._used(request, keys) if ANOTHER in error.reasons else ()
                self.store.fail(request.number, error.why, stuck=used)
                raise
            await asyncio.to_thread(
                self.store.finish, request.number, signatures, at=self.around.wall()
            )
            return True
        finally:
            self._sending.discard(request.number)
            self._look()

    async def keys(self, epoch: int) -> EpochKeys:
        """Keys of an issuance epoch that the chain stands for.

        Raises:
            IssuerKeysError: none are registered, or no member shows them.
            ChainError: the chain does not answer.
        """
        keys_hash = self._hashes.get(epoch)
        if keys_hash is None:
            keys_hash = await self.around.chain.keys_hash(epoch)
            if keys_hash is None:
                raise IssuerKeysError(f"issuance epoch {epoch} has no keys on the chain")
            self._hashes[epoch] = keys_hash
        keys = await self.issuers.keys(epoch, keys_hash, self.around.direct)
        if self.store.noted(f"keys {epoch}") is None:
            self.store.note(f"keys {epoch}", b"".join(keys.encoded))
        return keys

    async def encoded_keys(self, epoch: int) -> tuple[bytes, ...]:
        """The eight keys as contracts take them, 256 bytes each; the wallet's own copy, if any.

        Raises:
            IssuerKeysError: there is no copy, and no member shows them.
        """
        noted = self.store.noted(f"keys {epoch}")
        if noted is None:
            return (await self.keys(epoch)).encoded
        return tuple(noted[start : start + KEY_BYTES] for start in range(0, len(noted), KEY_BYTES))

    async def _used(self, request: Request, keys: EpochKeys) -> list[Slot]:
        """Inputs of a refused swap that members have in another one; each over its own route."""
        used = []
        for slot in request.inputs:
            entry = self.store.instrument(slot)
            assert entry is not None
            message = self.seed.message(slot, self.around.place, relay=entry.relay)
            lookup = InputLookup(self.around.place, message)
            if await lookup.ask(self.issuers, self.around.fresh(), keys.threshold) is not None:
                used.append(slot)
        return used

    # settings

    @property
    def limit_wei(self) -> int | None:
        """What may be spent in a day (UTC); None for no limit."""
        noted = self.store.noted("limit")
        return None if noted is None else int(noted)

    @property
    def is_auto(self) -> bool:
        """Whether credits are bought when few are left."""
        return self.store.noted("auto") == b"on"

    def tries(self) -> dict[Slot, int]:
        """How often the rest of a token was refused for being another amount."""
        return Counter(
            slot
            for request in self.store.requests(RequestState.FAILED)
            if WRONG_AMOUNT in request.why
            for slot in request.inputs
        )

    # Purse

    def covers(self, relay: int) -> bool:
        """Whether a token for a relay is in stock."""
        return bool(self._spendable(relay))

    async def take(self, relay: int) -> Spending | None:
        """Take a token for a relay out of the stock, stored as being spent; None without one."""
        stock = self._spendable(relay)
        if not stock:
            return None
        entry = stock[0]
        self._tokens[relay].remove(entry)
        chain = self.seed.chain(entry.slot)
        self._spending[chain.top] = entry.slot
        last = RETIRE_MIN + uniform_below(TOKEN_UNITS + 1 - RETIRE_MIN, self.around.random)
        await asyncio.to_thread(self.store.change, entry.slot, State.SPENDING, last=last)
        return Spending(relay, self._opening(entry, chain), chain, last)

    async def spend(self, token: Spending, k: int) -> None:
        """Store that a token is spent up to k: before its preimage leaves. Sets `token.k`."""
        slot = self._spending.get(token.opening.top)
        if slot is None or not token.k <= k <= token.last:
            raise LocalProtocolError(f"a token that retires at {token.last} cannot pay {k} units")
        is_over = k == token.last
        state = State.SPENT if is_over else State.SPENDING
        await asyncio.to_thread(self.store.change, slot, state, k=k)
        token.k = k
        if is_over:
            self._spending.pop(token.opening.top, None)

    def refused(self, token: Spending, why: str) -> None:
        """A relay did not take a token; it is not shown to it again."""
        slot = self._spending.pop(token.opening.top, None)
        if slot is not None:
            _log.info("token refused", relay=token.relay, cause=why)
            self.store.change(slot, State.SPENT)

    # inside

    def _opening(self, entry: Instrument, chain: HashChain) -> Opening:
        refund = self.seed.key(entry.slot).address
        return Opening(entry.slot.epoch, chain.top, refund, entry.signature)

    def _spendable(self, relay: int) -> list[Instrument]:
        """Tokens of a relay that it still takes, oldest first."""
        if self.clock is None:
            return []
        spend_s, now = self.clock.terms.spend_s, self.around.wall()
        until_s = spend_s - spend_s // SPEND_MARGIN_SHARE
        stock = self._tokens.get(relay, [])
        return [entry for entry in stock if self.clock.elapsed(entry.slot.epoch, now) < until_s]

    def _look(self) -> None:
        """Bring the list of tokens up to what is stored."""
        self._tokens = {}
        taken = set(self._spending.values())
        for entry in self.store.instruments(State.HELD):
            if entry.slot.class_ == TOKEN_CLASS and entry.slot not in taken:
                self._tokens.setdefault(entry.relay, []).append(entry)
