"""The tollgate's shell: verifies in a thread, stores in another, and tells circuits.

Openings that come within a few milliseconds are verified together. Whatever is worth money goes to
disk with all that came while the transaction before was being written; then weight is granted. A
failing disk takes the node down: premium bandwidth that nobody can account for is given to nobody.

Source: docs/spec/payments.md, QN-PAY-040 to 044.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from node.circuit.actions import EndPayments, TakeToken, TakeUnit
from node.circuit.payment import PaymentStatus, Refusal
from node.payments.relay.toll_store import TollStore, UnitRow
from node.payments.relay.tollgate import (
    CLIENT_PATIENCE,
    NODE_PATIENCE,
    Action,
    Pending,
    Refused,
    SetWeight,
    StoreToken,
    StoreUnit,
    Tollgate,
)
from qnet.crypto.bls import find_bad
from qnet.crypto.points import G2

WINDOW_S: Final = 0.004
"""Openings that come within this time are verified together."""
BATCH_MAX: Final = 32
"""Openings verified together at most; a longer batch makes those in it, and cells, wait."""
WRITES_MAX: Final = 65_536
"""Tokens and units that wait for the disk."""


class Circuits(Protocol):
    """What of the relay's core payments touch."""

    def set_premium(self, circuit: int, *, premium: bool) -> None:
        """Give a circuit more weight than a free one, or take it away."""

    def tell_payment(self, circuit: int, status: PaymentStatus) -> None:
        """Tell the client what became of its payment."""


@dataclass(slots=True)
class TollStats:
    """What came so far; read by metrics and status.

    Attributes:
        tokens: Tokens that held and are stored.
        units: Units stored.
        used_bytes: Bytes carried at premium weight.
    """

    tokens: int = 0
    units: int = 0
    used_bytes: int = 0


@dataclass(slots=True)
class TollBooth:
    """Takes payments of all circuits of a node; `run` is its life.

    Args:
        gate: Decides.
        store: Keeps.
        circuits: The relay's core.
        wake: Lets the driver send what there is to say.
        now: Clock in unix seconds.
    """

    gate: Tollgate
    store: TollStore
    circuits: Circuits
    wake: Callable[[], None]
    now: Callable[[], float]
    stats: TollStats = field(default_factory=TollStats)
    _writes: list[StoreToken | StoreUnit] = field(default_factory=list)
    _shown: asyncio.Event = field(default_factory=asyncio.Event)
    _written: asyncio.Event = field(default_factory=asyncio.Event)

    # called by the driver

    def open(self, action: TakeToken, *, from_node: bool) -> None:
        """A circuit shows a token.

        Args:
            action: What came.
            from_node: Whether it came over the link of another node.
        """
        patience = NODE_PATIENCE if from_node else CLIENT_PATIENCE
        self._carry_out(
            self.gate.open(
                action.circuit, action.link, action.opening, self.now(), patience=patience
            )
        )
        if self.gate.pending:
            self._shown.set()

    def pay(self, action: TakeUnit) -> None:
        """A circuit pays."""
        if len(self._writes) >= WRITES_MAX:
            self._carry_out([Refused(action.circuit, Refusal.BUSY)])
            return
        self._carry_out(self.gate.pay(action.circuit, action.unit, self.now()))

    def ended(self, action: EndPayments) -> None:
        """A circuit that showed a token is gone."""
        self.gate.closed(action.circuit)

    def used(self, sizes: Mapping[int, int]) -> None:
        """Premium circuits carried so many bytes."""
        for circuit, size in sizes.items():
            self.stats.used_bytes += size
            self._carry_out(self.gate.used(circuit, size))

    # the loops

    async def run(self) -> None:
        """Verify and store for ever."""
        with (
            ThreadPoolExecutor(1, "toll-verify") as verifier,
            ThreadPoolExecutor(1, "toll-store") as writer,
        ):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._verify(verifier))
                group.create_task(self._write(writer))

    async def _verify(self, verifier: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._shown.wait()
            await asyncio.sleep(WINDOW_S)
            self._shown.clear()
            for epoch, waiting in self.gate.batches().items():
                key = self.gate.issued[epoch].key
                for batch in _parts(waiting):
                    bad = await loop.run_in_executor(verifier, failing, batch, key)
                    self._carry_out(self.gate.judged(batch, bad, self.now()))

    async def _write(self, writer: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._written.wait()
                self._written.clear()
                batch, self._writes = self._writes, []
                # a node that stops lets what it took go to disk
                await asyncio.shield(loop.run_in_executor(writer, self._store, batch))
                for entry in batch:
                    self._granted(entry)
        finally:
            if self._writes:  # paid, and nothing granted for it any more
                self._store(self._writes)

    def _store(self, batch: Sequence[StoreToken | StoreUnit]) -> None:
        self.store.write(
            [entry.opening for entry in batch if isinstance(entry, StoreToken)],
            [UnitRow(one.token_id, one.unit) for one in batch if isinstance(one, StoreUnit)],
        )

    def _granted(self, entry: StoreToken | StoreUnit) -> None:
        """Something is safe."""
        if isinstance(entry, StoreToken):
            self.stats.tokens += 1
            self._carry_out(self.gate.stored(entry.circuit, entry.opening))
        else:
            self.stats.units += entry.added
            self._carry_out(self.gate.paid(entry.circuit, entry.added))

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, StoreToken | StoreUnit):
                self._writes.append(action)
                self._written.set()
            elif isinstance(action, SetWeight):
                self.circuits.set_premium(action.circuit, premium=action.premium)
                self._tell(action.circuit, PaymentStatus.of(action.left_bytes))
            else:
                self._tell(action.circuit, PaymentStatus.refused(action.why))

    def _tell(self, circuit: int, status: PaymentStatus) -> None:
        self.circuits.tell_payment(circuit, status)
        self.wake()


def failing(batch: Sequence[Pending], key: G2) -> tuple[int, ...]:
    """Places of signatures of a batch that do not hold under a key."""
    pairs = [(pending.message, pending.signature) for pending in batch]
    return find_bad(pairs, key, secrets.token_bytes)


def _parts(waiting: Sequence[Pending]) -> Iterable[Sequence[Pending]]:
    return (waiting[start : start + BATCH_MAX] for start in range(0, len(waiting), BATCH_MAX))
