"""The client's circuits: built ahead, shared by isolation key, replaced when they age or break.

A circuit is unbound until a stream uses it; then it belongs to that stream's isolation key. A few
unbound ones are kept ready. What circuits take is measured: new streams go to the faster ones, and
the slowest gives way to a fresh one. A circuit that ends says why; `events` keeps the last ends.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from node.circuit.messages import EndReason
from node.client.doors.isolation import IsolationKey
from node.client.paths.choice import Choice
from node.client.paths.circuit import Circuit
from node.client.paths.echoes import LOOK_S, Echoes
from node.client.paths.entries import Entries
from node.client.paths.exits import exit_allows
from node.client.paths.measure import LEAST_ECHOES, Measure, Retirement, usual_rate
from node.client.paths.path_circuit import (
    AGED,
    OWN_CAUSES,
    RENEWED,
    SLOW,
    CircuitEvent,
    PathCircuit,
    share,
)
from node.client.paths.payments import Payments, with_openings
from node.client.paths.suspicion import Suspects, Suspicion, suspects
from node.directory.atlas import Atlas
from node.directory.guard import Outcome
from node.directory.hops import hops_of
from node.directory.path import Path
from node.directory.wishes import Wishes
from node.errors import CircuitError, Stage, StageError
from node.view import NetworkView
from qnet.errors import QnetError

READY_CIRCUITS = 2
"""Unbound circuits kept open."""
BUILD_TRIES = 4
BUILD_PATIENCE_S = 3.0
"""A circuit that is not built by then is given up for another one."""

KEPT_EVENTS = 32
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _UnderWay:
    """A circuit that is being built for a key, and why it could not be."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: QnetError | None = None


@dataclass(slots=True)
class Circuits:
    """All circuits of one client.

    Attributes:
        view: The network.
        entries: Guards and links.
        now: Monotonic clock in seconds.
        wall: Unix clock in seconds.
        ready: Unbound circuits kept.
        payments: Pays circuits that are in use.
        open: Circuits that stand.
        events: What happened lately.
        choice: Draws paths.
        echoes: Measures circuits.
    """

    view: NetworkView
    entries: Entries
    now: Callable[[], float]
    wall: Callable[[], float]
    ready: int = READY_CIRCUITS
    payments: Payments = field(default_factory=lambda: Payments(_nobody))
    open: list[PathCircuit] = field(default_factory=list)
    events: deque[CircuitEvent] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    built: int = 0
    failed: int = 0
    problem: str = ""
    choice: Choice = field(init=False)
    echoes: Echoes = field(init=False)
    _retirement: Retirement = field(default_factory=Retirement)
    _generation: int = 0
    _building: dict[IsolationKey, _UnderWay] = field(default_factory=dict)
    _lost: tuple[float, CircuitEvent] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _stands: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Make the parts that share the clocks, and hear of guards."""
        self.choice = Choice(self.view, self.entries, self.now, self.wall)
        self.echoes = Echoes(self.now)
        self.entries.report = self._note_guard

    @property
    def suspicion(self) -> Suspicion:
        """Who may have broken circuits."""
        return self.choice.suspicion

    def use_atlas(self, atlas: Atlas) -> None:
        """Tell autonomous systems and countries by these tables from now on."""
        self.choice.atlas = self.entries.atlas = atlas

    def wish_countries(self, inside: frozenset[str], outside: frozenset[str] = frozenset()) -> None:
        """Let exits stand in some countries only, and not in others, from now on.

        Circuits whose exits stand elsewhere get no new streams.
        """
        if (inside, outside) != (self.choice.countries, self.choice.barred_countries):
            self.choice.countries, self.choice.barred_countries = inside, outside
            self.new_identity()

    async def circuit_for(self, key: IsolationKey, host: str, port: int) -> PathCircuit:
        """An open circuit for a stream: the key's own, an unbound one, or a new one.

        Raises:
            StageError: None could be built; names the stage and the cause.
        """
        while True:
            found = self._find(key, host, port)
            if found is not None:
                return found
            under_way = self._building.get(key)
            if under_way is None:
                return await self._build_for(key, Wishes(host=host, port=port))
            await under_way.ended.wait()  # streams that come together share one new circuit
            error = under_way.error
            if error is not None and not (
                isinstance(error, StageError) and error.stage is Stage.PATH
            ):
                raise error

    async def build(self, wishes: Wishes, *, paid: bool = False) -> PathCircuit:
        """Build a circuit to share, choosing another path when one fails.

        Args:
            wishes: What its path must do.
            paid: Whether a stream waits for it. Then it is paid from the start; after a try that
                failed, once it stands, for what a hop was shown is lost to others.

        Raises:
            StageError: Every try failed; the last cause.
        """
        failure: QnetError | None = None
        generation = self._generation
        for attempt in range(BUILD_TRIES):
            try:
                made = await self.build_path(self.choose(wishes), paid=paid and not attempt)
            except CircuitError as error:
                failure = error
            else:
                made.retired = "" if generation == self._generation else RENEWED
                if paid:
                    self._pay(made)
                self.open.append(made)
                self._stands.set()
                return made
        assert failure is not None
        raise failure

    async def _build_for(self, key: IsolationKey, wishes: Wishes) -> PathCircuit:
        under_way = self._building[key] = _UnderWay()
        try:
            made = await self.build(wishes, paid=True)
        except QnetError as error:
            under_way.error = error
            raise
        finally:
            del self._building[key]
            under_way.ended.set()
        made.key = key
        return made

    async def build_path(self, path: Path, *, paid: bool = False) -> PathCircuit:
        """Build a circuit over one path.

        Args:
            path: Its nodes.
            paid: Whether it is paid from the start.

        Raises:
            CircuitError: It failed; the cause.
        """
        link = await self.entries.link_to(path.entry)
        hops = hops_of(path.nodes, path.phase)
        tokens = await self.payments.tokens_for(path.nodes) if paid else []
        started = self.now()
        circuit = link.open_circuit(with_openings(hops, tokens), path.phase)
        if paid:
            self.payments.begin(circuit, path.nodes, tokens)
        try:
            return await self._built(path, circuit, started)
        except CircuitError:
            self.payments.wasted(tokens)
            raise

    async def _built(self, path: Path, circuit: Circuit, started: float) -> PathCircuit:
        """Wait until a circuit stands; if it does not, say who may have broken it."""
        try:
            async with asyncio.timeout(BUILD_PATIENCE_S):
                built_s = await circuit.built
        except CircuitError as error:
            self._blame(path, circuit)
            self._note_failure(path, error.why)
            raise
        except TimeoutError as error:
            cause = f"not built within {BUILD_PATIENCE_S:g} s"
            circuit.destroy(cause)
            self.entries.record(path.entry.node_id, Outcome.BROKEN)
            self.entries.stalled(path.entry)
            self.choice.suspect(path, Suspects(doubted=frozenset({1, 2})), cause)
            self._note_failure(path, cause)
            raise CircuitError(Stage.CIRCUIT, "circuit not built", why=cause) from error
        measure, number = Measure.of_built(built_s), self.built + 1
        made = PathCircuit(circuit, path, built_s, started, measure, number)
        circuit.on_closed = lambda closed: self._closed(made, closed)
        circuit.on_connected = made.measure.connected
        self.built += 1
        self.entries.record(path.entry.node_id, Outcome.BUILT)
        self._note_recovery()
        return made

    def _pay(self, made: PathCircuit) -> None:
        """Pay a circuit that stands, as far ahead as its round trip asks for."""
        paying = self.payments.begin(made.circuit, made.path.nodes)
        if paying is not None:
            paying.round_trip_s = lambda: made.measure.round_trip_s

    def choose(self, wishes: Wishes) -> Path:
        """Draw a path now.

        Raises:
            StageError: No consensus, or nothing fits; names the rule.
        """
        return self.choice.path(wishes)

    def new_identity(self) -> int:
        """Let no new stream use a circuit that stands; guards stay. Returns how many there were.

        Streams that are open go on; their circuits close after them.
        """
        self._generation += 1
        standing = [made for made in self.open if not made.retired]
        for made in standing:
            made.retired = RENEWED
        self._note((), "renewed", f"{len(standing)} circuits take no new streams")
        self._close_retired()
        self._changed.set()
        return len(standing)

    def exits(self, port: int) -> list[dict[str, Any]]:
        """All exits with their country, policy and share, and whether they can be used now.

        Args:
            port: port that they should reach, 0 for any.

        Raises:
            StageError: No consensus.
        """
        return self.choice.exits(port)

    async def keep_ready(self) -> None:
        """Keep unbound circuits open, measure all and retire some, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_spare())
            group.create_task(self._keep_measuring())
            group.create_task(self.entries.return_to_primary())

    async def first(self, timeout_s: float) -> None:
        """Wait until a circuit stands.

        Raises:
            CircuitError: None stood in time; the last cause.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._stands.wait()
        except TimeoutError as error:
            cause = self.events[-1].cause if self.events else self.problem
            raise CircuitError(Stage.CIRCUIT, "no circuit could be built", why=cause) from error

    def rows(self) -> list[dict[str, Any]]:
        """Open circuits for status."""
        now = self.now()
        return [made.row(now) for made in self.open]

    # which circuit

    def _find(self, key: IsolationKey, host: str, port: int) -> PathCircuit | None:
        """A circuit that stands, and is the key's from now on."""
        fitting = [made for made in self.open if self._fits(made, host, port)]
        found = share(
            key, fitting, now=self.now(), rate=usual_rate(self.open), random=secrets.token_bytes
        )
        if found is not None and found.key is None:
            found.key = key
            self._pay(found)
            self._changed.set()
        if found is not None:
            self._note_recovery()
        return found

    def _fits(self, candidate: PathCircuit, host: str, port: int) -> bool:
        return (
            candidate.circuit.is_open
            and self._is_fresh(candidate)
            and len(candidate.circuit.streams) < self.view.parameters.streams_per_circuit_max
            and exit_allows(candidate.path.exit, host, port)
        )

    def _is_fresh(self, candidate: PathCircuit) -> bool:
        """Whether it takes new streams."""
        age_s = self.now() - candidate.opened_at
        return not candidate.retired and age_s < self.view.parameters.circuit_max_age_s

    # loops

    async def _keep_spare(self) -> None:
        while True:
            self._changed.clear()
            self._close_retired()
            unbound = [c for c in self.open if c.key is None and self._is_fresh(c)]
            if len(unbound) < self.ready:
                try:
                    await self.build(Wishes(port=self.choice.ready_port()))
                except QnetError as error:
                    self.problem = f"{error.message}: {error.why}"
                    _log.info("no circuit", cause=self.problem)
                    await asyncio.sleep(0.5)
                continue
            try:
                async with asyncio.timeout(1.0):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _keep_measuring(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.echoes.look(self.open)
            self._retire_slowest()

    def _retire_slowest(self) -> None:
        now = self.now()
        for made in self.open:
            if made.measure.echoes >= LEAST_ECHOES and not made.is_judged:
                made.is_judged = True
                self.choice.learn(made.path, made.measure)
        slowest = self._retirement.slowest([c for c in self.open if self._is_fresh(c)], now)
        if slowest is not None:
            slowest.retired = SLOW
            self.choice.learn(slowest.path, slowest.measure)
            cause = f"its round trip takes {slowest.measure.delay_s(now) * 1000:.0f} ms"
            self._note([node.index for node in slowest.path.nodes], "retired", cause)
            self._close_retired()
            self._changed.set()

    def _close_retired(self) -> None:
        for candidate in list(self.open):
            if not self._is_fresh(candidate) and not candidate.circuit.streams:
                candidate.circuit.destroy(candidate.retired or AGED)

    # ends

    def _closed(self, made: PathCircuit, circuit: Circuit) -> None:
        if made in self.open:
            self.open.remove(made)
        if circuit.failure not in OWN_CAUSES:
            self._blame(made.path, circuit)
            event = self._note_failure(made.path, circuit.failure)
            if made.key is not None and self._lost is None:
                self._lost = (self.now(), event)
        self._changed.set()

    def _blame(self, path: Path, circuit: Circuit) -> None:
        """Avoid the nodes that may have broken the circuit."""
        if circuit.failed_hop == 0 and circuit.failed_reason is EndReason.BUILD_TIMEOUT:
            # nobody stands between: all circuits of the link are lost, and new ones would be
            self.entries.give_up(path.entry, circuit.failure, cut=True)
        elif circuit.failed_hop is not None:
            outcome = Outcome.BROKEN if circuit.failed_hop else Outcome.FAILED
            self.entries.record(path.entry.node_id, outcome)
        found = suspects(circuit.failed_reason, circuit.failed_hop, len(path.nodes))
        self.choice.suspect(path, found, circuit.failure)

    def _note_failure(self, path: Path, cause: str) -> CircuitEvent:
        self.failed += 1
        _log.info("circuit failed", cause=cause)
        return self._note([node.index for node in path.nodes], "failed", cause)

    def _note_guard(self, index: int, what: str) -> None:
        self._note((index,), "guard", what)

    def _note(self, path: Sequence[int], what: str, cause: str) -> CircuitEvent:
        event = CircuitEvent(self.wall(), tuple(path), what, cause)
        self.events.append(event)
        return event

    def _note_recovery(self) -> None:
        if self._lost is not None:
            lost_at, event = self._lost
            event.rebuilt_s = round(self.now() - lost_at, 3)
            self._lost = None


def _nobody(work: Coroutine[Any, Any, None]) -> None:
    """A client without a task group pays nothing."""
    work.close()
    raise AssertionError("payments need a task group")
