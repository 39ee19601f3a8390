"""Keeps a wallet stocked: looks again and again at what is wanted, stores it, sends what is due.

A request that was stored is sent again until it is answered or refused for good, by whichever run
of the program; between two tries it waits longer and longer.

Source: docs/spec/payments.md, QN-PAY-033 and 081.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from node.payments.user.policy import Marks, Situation, jitter_s, plan
from node.payments.user.states import Request, RequestKind, RequestState, State
from node.payments.user.stock import BuyOrder
from node.payments.user.wallet import WRONG_AMOUNT, Wallet
from qnet.errors import QnetError, RejectedError
from qnet.issuance import IssuanceClock

_LIVE: Final = (
    *(State.REQUESTED, State.HELD, State.SPENDING, State.SPENT, State.UNSURE, State.SWAPPING),
)
"""States that the policy looks at; the others only grow in number."""
ALLOWANCE_S: Final = 20.0
"""How long the deposit is taken to be what the chain said."""
SENDING_MAX: Final = 4
"""Requests under way at once: each swap builds a circuit."""
FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 300.0
REST_SHARE: Final = 8
"""What was refused waits for an eighth of an issuance epoch, an hour at most."""
REST_MAX_S: Final = 3_600

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Upkeep:
    """Runs beside a client for as long as its wallet is open.

    Args:
        wallet: the wallet.
        relays: weight by registry index of the relays that take payment now.
        marks: how much to keep.
        problem: what went wrong last; empty if nothing did.
    """

    wallet: Wallet
    relays: Callable[[], Mapping[int, int]]
    marks: Marks = field(default_factory=Marks)
    problem: str = ""
    _told: str = ""
    _tries: dict[int, tuple[float, float]] = field(default_factory=dict)
    _allowance: tuple[float, int] = (0.0, 0)
    _pruned: int = -1

    async def try_look(self) -> None:
        """Look once; what goes wrong is told, and tried again the next time."""
        try:
            await self.look()
        except QnetError as error:
            self._note(error)

    async def look(self) -> None:
        """Order what is wanted, unless the user leaves, and send all that is due.

        Raises:
            ChainError: the terms are not known yet, and the chain does not answer.
        """
        clock = await self.wallet.terms()
        now = self.wallet.around.wall()
        if clock.epoch_at(now) < 0:
            return
        self._tidy(clock, now)
        self.problem = ""
        if not self.wallet.is_leaving:
            try:
                await self._order(clock, now)
            except QnetError as error:
                self._note(error)
        due = [request for request in self._open() if self._is_due(request, now)]
        async with asyncio.TaskGroup() as group:
            for request in due[:SENDING_MAX]:
                group.create_task(self._send(request))
        if self._tries and not self.problem:
            self.problem = self._told

    def situation(self, clock: IssuanceClock, now: float, *, may_buy: int = 0) -> Situation:
        """What the policy decides by."""
        start, end = clock.bounds(clock.epoch_at(now))
        since = now - min(REST_MAX_S, (end - start) / REST_SHARE)
        failed = [one for one in self.wallet.store.requests(RequestState.FAILED) if one.at > since]
        resting = {slot for one in failed if WRONG_AMOUNT not in one.why for slot in one.inputs}
        if any(one.kind is RequestKind.BUY for one in failed):
            may_buy = 0
        return Situation(
            clock=clock,
            now=now,
            marks=self.marks,
            relays=self.relays(),
            may_buy=may_buy,
            tries=self.wallet.tries(),
            resting=resting,
        )

    def _note(self, error: QnetError) -> None:
        """Remember what is wrong; the log tells it once."""
        self.problem = f"{error.message}: {error.why}".removesuffix(": ")
        if self.problem != self._told:
            self._told = self.problem
            _log.info("wallet waits", cause=self.problem)

    async def _order(self, clock: IssuanceClock, now: float) -> None:
        wallet = self.wallet
        # asked for openly, so long before a swap that is not
        await wallet.keys(clock.epoch_at(now))
        at = self.situation(clock, now, may_buy=await self._may_buy(now))
        stock = wallet.store.instruments(*_LIVE)
        for order in plan(stock, at, wallet.around.random):
            if isinstance(order, BuyOrder):
                await self._buy(order)
                continue
            wait_s = jitter_s(at, stock, wallet.around.random)
            await wallet.order_swap(order, wait_s=wait_s)

    async def _buy(self, order: BuyOrder) -> None:
        self._allowance = (0.0, 0)
        try:
            await self.wallet.order_credits(order.credits)
        except RejectedError as error:  # the purchase before is still under way
            _log.debug("no purchase", cause=error.why)

    async def _may_buy(self, now: float) -> int:
        if not self.wallet.is_auto:
            return 0
        known_at, allowance = self._allowance
        if now - known_at > ALLOWANCE_S:
            allowance = await self.wallet.allowance()
            self._allowance = (now, allowance)
        return allowance

    async def _send(self, request: Request) -> None:
        number = request.number
        try:
            await self.wallet.send(request)
        except QnetError as error:
            self._note(error)
            _, wait_s = self._tries.get(number, (0.0, FIRST_WAIT_S / 2))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            self._tries[number] = (self.wallet.around.wall() + wait_s, wait_s)
            if self.wallet.store.request(number).state is not RequestState.OPEN:
                self._tries.pop(number, None)
        else:
            self._tries.pop(number, None)

    def _open(self) -> list[Request]:
        return self.wallet.store.requests(RequestState.OPEN)

    def _is_due(self, request: Request, now: float) -> bool:
        at, _ = self._tries.get(request.number, (0.0, 0.0))
        return now >= max(request.due, at)

    def _tidy(self, clock: IssuanceClock, now: float) -> None:
        """Give up what members keep no longer, and tokens whose circuit never ended properly."""
        store = self.wallet.store
        for entry in store.instruments(State.SPENDING):
            if clock.elapsed(entry.slot.epoch, now) >= clock.terms.token_s:
                store.change(entry.slot, State.SPENT)
        kept = clock.kept(now)
        if kept.start > self._pruned:
            for request in self._open():
                if request.epoch < kept.start:
                    store.fail(request.number, "never served", stuck=request.inputs)
            store.forget_epochs(kept.start)
            self._pruned = kept.start
