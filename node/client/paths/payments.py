"""Paying circuits out of a purse: the shell around `Payer`.

A circuit is paid from the moment a stream uses it, at every hop that has a price and that the purse
has a token for. What is paid is stored in the purse before it leaves. A circuit that its client
ends is paid up first.

Source: docs/spec/payments.md, QN-PAY-040, 043 and 080.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import structlog

from node.circuit.payment import Carriage, PaymentStatus
from node.circuit.setup import HopInfo
from node.payments.user.payer import (
    DropToken,
    Order,
    PaidHop,
    Payer,
    ShowToken,
    SpendUnits,
    TakeToken,
)
from node.payments.user.purse import Purse, Spending
from qnet.errors import QnetError

if TYPE_CHECKING:
    from node.client.paths.circuit import Circuit
    from qnet.messages.consensus_node import ConsensusNode

FIRST_ROUND_TRIP_S = 0.2
"""Assumed until the circuit stands."""
LEAVE_S = 2.0
"""A circuit that ends has so long to be paid up."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class CircuitPayments:
    """What one circuit pays.

    Attributes:
        circuit: The circuit.
        payer: Decides.
        purse: Holds the tokens.
        spawn: Runs a coroutine in the client's task group.
        round_trip_s: Time of the circuit's round trip now.
        over: Set when the circuit is gone.
    """

    circuit: Circuit
    payer: Payer
    purse: Purse
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    round_trip_s: Callable[[], float] = lambda: FIRST_ROUND_TRIP_S
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _carriage: Carriage = field(init=False)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Count from now on."""
        self._carriage = self.circuit.origin.count_carriage()

    def look(self) -> None:
        """Cells moved: pay what is due."""
        self._moved.set()
        if self.circuit.stands and not self.payer.is_leaving:
            now = self.circuit.entry.now()
            carried = self._carriage.bytes_by_hop()
            self._follow(self.payer.look(now, carried, self.round_trip_s()))

    def told(self, hop: int, status: PaymentStatus) -> None:
        """A hop answered."""
        self._follow(self.payer.told(hop, status))
        self.look()

    def leave(self, end: Callable[[], None]) -> None:
        """Pay up, then call `end`; more calls change nothing."""
        if not self.payer.is_leaving:
            self._follow(self.payer.leave())
            self.spawn(self._leave(end))

    def lost(self) -> None:
        """The circuit is gone; what is left of its tokens is not shown again."""
        for hop in self.payer.hops:
            token, hop.token = hop.token, None
            if token is not None and not token.is_over:
                self.purse.refused(token, "the circuit broke before it was paid up")
        self.circuit.entry.paying.discard(self.circuit)
        self.over.set()
        self._moved.set()

    def row(self) -> list[dict[str, Any]]:
        """What status shows: each hop's price, weight, units and trouble."""
        return [
            {
                "price": hop.price,
                "premium": hop.is_premium,
                "units": hop.units,
                "problem": hop.problem,
            }
            for hop in self.payer.hops
        ]

    async def _leave(self, end: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(LEAVE_S):
                while self.circuit.stands and not self.payer.is_settled:
                    self._moved.clear()
                    await self._moved.wait()
                if self.circuit.stands:
                    await self.circuit.probe()  # cells keep their order: all hops have theirs
        except (TimeoutError, QnetError):
            _log.info("circuit not paid up", circuit=self.circuit.origin.circuit_id)
        finally:
            end()

    def _follow(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if isinstance(order, DropToken):
                self.purse.refused(order.token, order.why)
            elif isinstance(order, ShowToken):
                self._send(order)
            else:
                self.spawn(self._work(order))

    async def _work(self, order: TakeToken | SpendUnits) -> None:
        try:
            following = await self._take_or_spend(order)
        except QnetError as error:
            _log.warning("purse failed", cause=error.message)
            self.payer.give_up(order.hop, error.message)
        else:
            self._follow(following)
        self._moved.set()

    async def _take_or_spend(self, order: TakeToken | SpendUnits) -> list[Order]:
        now = self.circuit.entry.now
        if isinstance(order, TakeToken):
            relay = self.payer.hops[order.hop].relay
            token = await self.purse.take(relay) if self.purse.covers(relay) else None
            return self.payer.took(order.hop, token, now())
        before = order.token.k
        if not await self.purse.spend(order.token, order.k):
            self.purse.refused(order.token, "the time in which relays take it is over")
            return self.payer.expired(order.hop)
        self._send(order)
        return self.payer.spent(order.hop, order.token.k - before)

    def _send(self, order: ShowToken | SpendUnits) -> None:
        if not self.circuit.stands:
            return
        shown = isinstance(order, ShowToken)
        payment = order.token.opening if shown else order.token.unit(order.token.k)
        self.circuit.origin.pay(order.hop, payment)
        self.circuit.entry.wake()


def with_openings(hops: Sequence[HopInfo], tokens: Sequence[Spending | None]) -> list[HopInfo]:
    """Hops of a circuit that CREATE shows these tokens; no tokens show nothing."""
    return [
        replace(hop, opening=token.opening) if token is not None else hop
        for hop, token in zip_longest(hops, tokens)
    ]


@dataclass(slots=True)
class Payments:
    """What all circuits of a client pay; does nothing without a purse.

    Attributes:
        purse: The wallet's; None for a client that pays nothing.
        spawn: Runs a coroutine in the client's task group.
    """

    spawn: Callable[[Coroutine[Any, Any, None]], None]
    purse: Purse | None = None

    async def tokens_for(self, nodes: Sequence[ConsensusNode]) -> list[Spending | None]:
        """Take a token for each node of a path that has a price; None where there is none."""
        purse = self.purse
        tokens: list[Spending | None] = []
        for node in nodes:
            wanted = purse is not None and node.price and purse.covers(node.index)
            try:
                tokens.append(await purse.take(node.index) if purse and wanted else None)
            except QnetError as error:
                _log.warning("purse failed", cause=error.message)
                tokens.append(None)
        return tokens

    def wasted(self, tokens: Sequence[Spending | None]) -> None:
        """A circuit was not built: its relays may have seen the tokens."""
        for token in tokens:
            if token is not None and self.purse is not None:
                self.purse.refused(token, "the circuit was not built")

    def begin(
        self,
        circuit: Circuit,
        nodes: Sequence[ConsensusNode],
        tokens: Sequence[Spending | None] = (),
    ) -> CircuitPayments | None:
        """Pay a circuit from now on; one that is paid already goes on.

        Args:
            circuit: The circuit, open or being built.
            nodes: Its path.
            tokens: For each hop, what CREATE shows it.

        Returns:
            What it pays; None if it pays nothing.
        """
        purse = self.purse
        if purse is None or not any(node.price for node in nodes):
            return None
        if circuit.payments is not None:
            return circuit.payments
        payer = Payer([PaidHop(node.index, node.price) for node in nodes])
        for hop, token in enumerate(tokens):
            if token is not None:
                payer.shown(hop, token)
        circuit.payments = CircuitPayments(circuit, payer, purse, self.spawn)
        circuit.entry.paying.add(circuit)
        circuit.entry.wake()
        return circuit.payments

    async def settle(self, circuits: Sequence[Circuit]) -> None:
        """The client stops: pay up circuits and end them."""
        paid = [circuit for circuit in circuits if circuit.payments is not None]
        for circuit in paid:
            circuit.destroy()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                for circuit in paid:
                    if circuit.payments is not None:
                        await circuit.payments.over.wait()
