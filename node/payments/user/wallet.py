"""A premium wallet at work: it orders, sends, takes what comes back, and pays circuits out of it.

Source: docs/spec/payments.md, QN-PAY-022, 030 to 033, 043 and 081.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import astuple, dataclass, field
from typing import Final

import structlog

from node.errors import (
    IssuerKeysError,
    IssuersRefusedError,
    IssuersSilentError,
    SpendingLimitError,
)
from node.payments.keys import EpochKeys
from node.payments.user.blinding import Blinded, blinded_all
from node.payments.user.derivation import Slot
from node.payments.user.issuers import Issuers
from node.payments.user.lookups import InputLookup, delivered
from node.payments.user.requests import Maker
from node.payments.user.states import Request, RequestKind, RequestState, State
from node.payments.user.stock import SwapOrder
from node.payments.user.till import Till
from qnet.errors import LocalProtocolError, RejectedError
from qnet.issuance import IssuanceClock, PaymentTerms
from qnet.messages.instruments import (
    KEY_BYTES,
    TOKEN_UNITS,
)
from qnet.units import format_qnet

PATHS: Final = {RequestKind.BUY: "/v1/payments/buy", RequestKind.SWAP: "/v1/payments/swap"}
POOLED: Final = 2
"""Members tell each other what they served until `FINISH_S`; after twice that it is over."""
ANOTHER: Final = "another request stands in this place already"
"""A member's word for an input or a nonce that is used up; `ledger` says the same."""
WRONG_AMOUNT: Final = "what goes out is not worth what comes in"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Wallet(Till):
    """One wallet; as a `Till` it is the `Purse` of circuits."""

    maker: Maker = field(init=False)
    issuers: Issuers = field(init=False)
    _hashes: dict[int, bytes] = field(default_factory=dict)
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
        self.look()

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
            IssuersRefusedError: they refuse it; it was given up, unless some serve it.
            IssuerKeysError: no member has the epoch's keys.
            ChainError: the chain does not answer.
        """
        number = request.number
        if number in self._sending or self.store.request(number).state is not RequestState.OPEN:
            return False
        self._sending.add(number)
        try:
            keys = await self.keys(request.epoch)
            blinded = await asyncio.to_thread(
                blinded_all, self.seed, self.around.place, request.blanks
            )
            if not request.sent:
                await asyncio.to_thread(self.store.mark_sent, number)
            is_buy = request.kind is RequestKind.BUY
            route = self.around.direct if is_buy else self.around.fresh()
            try:
                signatures = await self.issuers.sign(
                    route, PATHS[request.kind], request.body, blinded, keys
                )
            except (IssuersSilentError, IssuersRefusedError) as error:
                found = await self._delivered(request, blinded, keys, error)
                if found is None:
                    raise
                signatures = found
            await asyncio.to_thread(self.store.finish, number, signatures, at=self.around.wall())
            return True
        finally:
            self._sending.discard(number)
            self.look()

    async def _delivered(
        self,
        request: Request,
        blinded: tuple[Blinded, ...],
        keys: EpochKeys,
        error: IssuersSilentError | IssuersRefusedError,
    ) -> tuple[bytes, ...] | None:
        """What members combined by themselves; without it, a request that is refused is given up.

        A purchase that some serve is never given up: its money may be collected, and only while it
        stands can it be disputed.
        """
        clock = await self.terms()
        since_s = clock.elapsed(request.epoch, self.around.wall())
        is_buy = request.kind is RequestKind.BUY
        reasons = error.reasons if isinstance(error, IssuersRefusedError) else ()
        if since_s >= 0 or ANOTHER in reasons:
            route = self.around.direct if is_buy else self.around.fresh()
            found = await delivered(self.issuers, route, request, blinded, keys)
            if found is not None:
                return found
        if not isinstance(error, IssuersRefusedError):
            return None
        if error.served and (is_buy or since_s < POOLED * clock.terms.finish_s):
            return None
        used = await self._used(request, keys) if ANOTHER in reasons or error.served else ()
        self.store.fail(request.number, error.why, stuck=used)
        return None

    def give_up(self, request: Request) -> float:
        """Free the inputs of a swap for exits on chain.

        One that left is waited for, because members may have served it: they would refute the exit
        of what it took, and the bond would be lost.

        Returns:
            Unix time before which it cannot be given up; 0 if it was.
        """
        clock, now = self.clock, self.around.wall()
        assert clock is not None
        is_being_sent = request.number in self._sending
        if request.sent or is_being_sent:
            until = clock.bounds(request.epoch)[1] + POOLED * clock.terms.finish_s
            if now < until or is_being_sent:
                return max(until, now + 1)
        self.store.fail(request.number, "given up for an exit on chain")
        return 0

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

    @property
    def is_leaving(self) -> bool:
        """Whether all is on its way to the chain: nothing new is ordered then."""
        return self.store.noted("leaving") == b"yes"

    def leave(self) -> None:
        """Order nothing from now on."""
        self.store.note("leaving", b"yes")

    def stay(self) -> None:
        """Order what is wanted again."""
        self.store.note("leaving", b"no")

    def tries(self) -> dict[Slot, int]:
        """How often the rest of a token was refused for being another amount."""
        return Counter(
            slot
            for request in self.store.requests(RequestState.FAILED)
            if WRONG_AMOUNT in request.why
            for slot in request.inputs
        )
