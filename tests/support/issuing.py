"""A small committee that issues: real shares, real signatures, real HTTP, time that tests set.

Members decide with `ledger.domain.issuing`, as the ledger's do; what they store is in memory.
"""

import contextlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from ledger.domain.issuing import (
    ChannelFacts,
    EpochFacts,
    InputFacts,
    InputState,
    Served,
    serve_purchase,
    serve_swap,
)
from ledger.errors import IssuingRefusedError
from node.payments.keys import ShownKeys
from qnet import cbor
from qnet.chain.payments import ChannelState
from qnet.crypto.blind import sign_blinded
from qnet.crypto.bls import SignedPoint, hash_to_g1, holds
from qnet.crypto.errors import PointError
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import SecretScalar
from qnet.crypto.threshold import Committee, Polynomial, combine
from qnet.eip712 import qnet_domain
from qnet.epochs import EpochClock
from qnet.errors import DecodeError
from qnet.issuance import IssuanceClock, PaymentTerms
from qnet.messages.instruments import KEYS, TOKEN_CLASS, Place
from qnet.messages.swap import Swap, TokenInput
from qnet.messages.voucher import Purchase

PLACE = Place(31337, b"\x0c" * 20)
REWARDS = EpochClock(genesis_s=1_000_000, slot_s=5, slots_per_epoch=6)
TERMS = PaymentTerms.profile("devnet")
CLOCK = IssuanceClock(REWARDS, TERMS)
DOMAIN = qnet_domain(PLACE.chain_id, PLACE.channels)
QNET = 10**18
PAGE = 2
"""Purchases in one answer; those of the ledger have more."""


class Time:
    """A wall clock that tests set."""

    def __init__(self) -> None:
        self.now = REWARDS.genesis_s + 5.0

    def __call__(self) -> float:
        return self.now

    def enter(self, epoch: int, after_s: float = 5.0) -> None:
        """Go to a moment after the beginning of an issuance epoch."""
        self.now = CLOCK.bounds(epoch)[0] + after_s


@dataclass
class Chain:
    """What the chain knows: deposits, and hashes of keys."""

    channels: dict[bytes, ChannelState] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)

    def deposit(self, account: bytes, qnet: int) -> None:
        self.channels[account] = ChannelState(qnet * QNET, 0, 0, is_open=True)

    async def terms(self) -> PaymentTerms:
        return TERMS

    async def channel(self, account: bytes) -> ChannelState:
        return self.channels.get(account, ChannelState(0, 0, 0, is_open=False))

    async def keys_hash(self, epoch: int) -> bytes | None:
        return self.hashes.get(epoch)


class Keys:
    """The eight keys of an epoch, whole: what a real committee never has in one place."""

    def __init__(self, committee: Committee) -> None:
        self.committee = committee
        self.polynomials = [
            Polynomial.draw(committee.threshold, secrets.token_bytes) for _ in range(KEYS)
        ]
        self.public = [G2.generator() * one.secret for one in self.polynomials]

    @property
    def encoded(self) -> tuple[bytes, ...]:
        return tuple(key.encode_eip2537() for key in self.public)

    def shown(self) -> ShownKeys:
        shares = tuple(
            tuple((G2.generator() * one.share(i)).encode() for i in self.committee.indices)
            for one in self.polynomials
        )
        return ShownKeys(self.encoded, shares, self.committee.threshold)


@dataclass
class Member:
    """One member: what it stored, and how it misbehaves.

    `mode`: "" honest, "lie" wrong points, "garbage" no points, "keys" other keys, "shares" right
    keys and wrong shares, "silent" no answer, "forget" answers that nothing is stored.
    """

    office: "Office"
    index: int
    mode: str = ""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    requests: dict[bytes, bytes] = field(default_factory=dict)
    vouchers: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def last_voucher(self, channel: bytes) -> tuple[int, int]:
        return self.vouchers.get(channel, (0, 0))

    def request_at(self, place: bytes) -> bytes | None:
        return self.requests.get(place)

    def sign(self, served: Served, epoch: int) -> bytes:
        self.requests |= dict.fromkeys(served.places, served.request)
        polynomials = self.office.keys[epoch].polynomials
        partials = []
        for class_, point in served.points:
            share = SecretScalar(polynomials[class_].share(self.index))
            partials.append(sign_blinded(share, point, secrets.token_bytes))
        self.office.partials.setdefault(served.request, {})[self.index] = partials
        if self.mode == "lie":
            partials = [point + point for point in partials]
        return b"".join(point.encode() for point in partials)


class Office:
    """The whole committee.

    Args:
        time: the wall clock.
        chain: what members read.
        faults: f; there are 3f + 1 members.
    """

    def __init__(self, time: Time, chain: Chain, faults: int = 1) -> None:
        self.time, self.chain = time, chain
        self.committee = Committee.tolerating(faults)
        self.members = [Member(self, index) for index in self.committee.indices]
        self.keys: dict[int, Keys] = {}
        self.partials: dict[bytes, dict[int, list[G1]]] = {}
        self.purchases: list[Purchase] = []
        self.swaps: dict[bytes, Swap] = {}
        self.spent: dict[bytes, int] = {}
        self.exited: set[bytes] = set()
        self.left_units = 1 << 30

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(member.url for member in self.members)

    def prepare(self, *epochs: int) -> None:
        """Make the keys of issuance epochs and put their hashes on the chain."""
        for epoch in epochs:
            self.keys[epoch] = Keys(self.committee)
            self.chain.hashes[epoch] = PLACE.keys_hash(epoch, self.keys[epoch].encoded)

    @contextlib.asynccontextmanager
    async def open(self):
        """Serve on loopback, a port for each member."""
        async with contextlib.AsyncExitStack() as stack:
            for member in self.members:
                application = web.Application()
                application.add_routes(
                    [
                        web.get("/v1/payments/keys/{epoch}", self._answer(member, self._keys)),
                        web.get("/v1/payments/status", self._answer(member, self._status)),
                        web.post("/v1/payments/buy", self._answer(member, self._buy)),
                        web.post("/v1/payments/swap", self._answer(member, self._swap)),
                        web.get(
                            "/v1/payments/purchases/{channel}",
                            self._answer(member, self._purchases),
                        ),
                        web.get("/v1/payments/input/{message}", self._answer(member, self._input)),
                    ]
                )
                runner = web.AppRunner(application)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                port = runner.addresses[0][1]
                member.url = f"http://127.0.0.1:{port}"
            yield self

    def _answer(self, member, work):
        async def handle(request):
            member.asked.append(request.path)
            if member.mode == "silent":
                request.transport.abort()
                return web.Response()
            if member.mode == "garbage":
                return web.Response(body=b"\x80" * 96)
            try:
                return web.Response(body=work(member, request, await request.read()))
            except IssuingRefusedError as error:
                return _error(409, error.code, error.why)
            except (DecodeError, PointError) as error:
                return _error(400, "Q0905", str(error))
            except KeyError:
                return _error(404, "Q0301", "nothing")

        return handle

    def _epoch(self) -> EpochFacts:
        number = CLOCK.epoch_at(self.time())
        return EpochFacts(number, number in self.keys, self.left_units, TERMS.unit_wei)

    def _keys(self, member, request, _body) -> bytes:
        epoch = int(request.match_info["epoch"])
        if member.mode == "keys":
            return Keys(self.committee).shown().encode()
        shown = self.keys[epoch].shown()
        if member.mode == "shares":
            shown = ShownKeys(shown.encoded, Keys(self.committee).shown().shares, shown.threshold)
        return shown.encode()

    def _status(self, member, _request, _body) -> bytes:
        return json.dumps(
            {
                "running": CLOCK.epoch_at(self.time()),
                "keys": sorted(self.keys),
                "buyers": len({one.voucher.channel for one in self.purchases}),
                "swaps": len(set(self.swaps.values())),
                "open": True,
            }
        ).encode()

    def _buy(self, member, _request, body) -> bytes:
        purchase = Purchase.decode(body)
        state = self.chain.channels.get(purchase.voucher.channel)
        facts = None
        if state is not None and state.is_open:
            facts = ChannelFacts(state.deposit_wei, bool(state.closing_since_s))
        served = serve_purchase(purchase, DOMAIN, self._epoch(), facts, member)
        if not served.again:
            voucher = purchase.voucher
            member.vouchers[voucher.channel] = voucher.nonce, voucher.cumulative_wei
            if purchase not in self.purchases:
                self.purchases.append(purchase)
        return member.sign(served, purchase.voucher.epoch)

    def _swap(self, member, _request, body) -> bytes:
        swap = Swap.decode(body)
        facts = {entry.message(PLACE): self._facts(entry) for entry in swap.inputs}
        served = serve_swap(swap, DOMAIN, PLACE, self._epoch(), facts, member)
        self.swaps |= dict.fromkeys((entry.message(PLACE) for entry in swap.inputs), swap)
        return member.sign(served, swap.epoch)

    def _facts(self, entry) -> InputFacts:
        is_token = isinstance(entry, TokenInput)
        message, elapsed = entry.message(PLACE), CLOCK.elapsed(entry.epoch, self.time())
        public = self.keys[entry.epoch].public[TOKEN_CLASS if is_token else entry.class_]
        signature = G1.decode(entry.signature)
        state = InputState.TAKEN
        if is_token and elapsed < TERMS.token_s:
            state = InputState.EARLY
        elif elapsed >= TERMS.exit_s:
            state = InputState.LATE
        elif message in self.exited:
            state = InputState.EXITED
        good = holds(public, SignedPoint(hash_to_g1(message), signature))
        return InputFacts(good, state, self.spent.get(message, 0))

    def _purchases(self, member, request, _body) -> bytes:
        channel = bytes.fromhex(request.match_info["channel"])
        if member.mode == "forget":
            raise KeyError
        rows = [
            [one.encode(), self._combined(one.voucher.digest(DOMAIN))]
            for one in self.purchases
            if one.voucher.channel == channel and one.voucher.nonce > int(request.query["after"])
        ][:PAGE]
        return cbor.dumps(rows)

    def _input(self, member, request, _body) -> bytes:
        if member.mode == "forget":
            raise KeyError
        swap = self.swaps[bytes.fromhex(request.match_info["message"])]
        return cbor.dumps([swap.encode(), self._combined(swap.digest(DOMAIN))])

    def pool(self) -> None:
        """Members tell each other what they served: those who did not hear of it sign, too."""
        requests = [
            (one.voucher.digest(DOMAIN), one.voucher.epoch, [(6, point) for point in one.points])
            for one in self.purchases
        ]
        requests += [
            (one.digest(DOMAIN), one.epoch, [(each.class_, each.point) for each in one.outputs])
            for one in set(self.swaps.values())
        ]
        for digest, epoch, points in requests:
            signed = self.partials[digest]
            for index in self.committee.indices:
                if index not in signed:
                    signed[index] = [
                        G1.decode(point) * self.keys[epoch].polynomials[class_].share(index)
                        for class_, point in points
                    ]

    def _combined(self, request: bytes) -> list[bytes]:
        partials: Mapping[int, list[G1]] = self.partials.get(request, {})
        if len(partials) < self.committee.threshold:
            return []
        count = len(next(iter(partials.values())))
        return [
            combine({i: row[j] for i, row in partials.items()}, self.committee.threshold).encode()
            for j in range(count)
        ]


def _error(status: int, code: str, why: str) -> web.Response:
    body = {"error": {"code": code, "message": "the request is not served", "why": why}}
    return web.json_response(body, status=status)
