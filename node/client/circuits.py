"""The client's circuits: built ahead, shared by isolation key, replaced when they age or break.

A circuit is unbound until a stream uses it; then it belongs to that stream's isolation key. A few
unbound ones are kept ready. A circuit that ends says why; `events` keeps the last ends for people.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import structlog

from node.client.circuit import Circuit
from node.client.entries import Entries
from node.client.isolation import IsolationKey
from node.client.suspicion import Suspects, Suspicion, suspects
from node.directory.guard import Outcome
from node.directory.hops import hops_of
from node.directory.path import Path, select_path
from node.directory.wishes import Wishes
from node.errors import CircuitError, ExitPolicyError, Stage, StageError
from node.exit.address import parse_address
from node.exit.policy import ExitPolicy, Refusal
from node.view import NetworkView
from qnet.epochs import phase_at
from qnet.errors import QnetError
from qnet.messages.consensus import ConsensusNode

READY_CIRCUITS = 2
"""Unbound circuits kept open."""

BUILD_TRIES = 4
BUILD_PATIENCE_S = 3.0
"""A circuit that is not built by then is given up for another one."""

KEPT_EVENTS = 32
READY_PORT = 443

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class PathCircuit:
    """A circuit and the path it takes.

    Attributes:
        circuit: The circuit.
        path: Its nodes.
        built_s: Seconds it took to build.
        opened_at: Monotonic time.
        key: Whose streams it carries; None while unbound.
    """

    circuit: Circuit
    path: Path
    built_s: float
    opened_at: float
    key: IsolationKey | None = None


@dataclass(slots=True)
class CircuitEvent:
    """Something worth telling about a circuit.

    Attributes:
        at: Unix time.
        path: Registry indexes, entry first.
        what: `built`, `failed` or `closed`.
        cause: Why, in words.
        rebuilt_s: For the loss of a circuit in use: seconds until another one stood in for it;
            None while there is none.
    """

    at: float
    path: tuple[int, ...]
    what: str
    cause: str = ""
    rebuilt_s: float | None = None


@dataclass(slots=True)
class Circuits:
    """All circuits of one client.

    Attributes:
        view: The network.
        entries: Guards and links.
        now: Monotonic clock in seconds.
        wall: Unix clock in seconds.
        ready: Unbound circuits kept.
    """

    view: NetworkView
    entries: Entries
    now: Callable[[], float]
    wall: Callable[[], float]
    ready: int = READY_CIRCUITS
    open: list[PathCircuit] = field(default_factory=list)
    events: deque[CircuitEvent] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    built: int = 0
    failed: int = 0
    problem: str = ""
    suspicion: Suspicion = field(default_factory=Suspicion)
    _lost: tuple[float, CircuitEvent] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _stands: asyncio.Event = field(default_factory=asyncio.Event)

    async def circuit_for(self, key: IsolationKey, host: str, port: int) -> PathCircuit:
        """An open circuit for a stream: the key's own, an unbound one, or a new one.

        Raises:
            StageError: None could be built; names the stage and the cause.
        """
        for bound in (key, None):
            for candidate in self.open:
                if candidate.key == bound and self._fits(candidate, host, port):
                    candidate.key = key
                    self._changed.set()
                    self._note_recovery()
                    return candidate
        made = await self.build(Wishes(host=host, port=port))
        made.key = key
        return made

    async def build(self, wishes: Wishes) -> PathCircuit:
        """Build a circuit to share, choosing another path when one fails.

        Raises:
            StageError: Every try failed; the last cause.
        """
        failure: QnetError | None = None
        for _ in range(BUILD_TRIES):
            try:
                made = await self.build_path(self.choose(wishes))
            except CircuitError as error:
                failure = error
            else:
                self.open.append(made)
                self._stands.set()
                return made
        assert failure is not None
        raise failure

    async def build_path(self, path: Path) -> PathCircuit:
        """Build a circuit over one path.

        Raises:
            CircuitError: It failed; the cause.
        """
        started = self.now()
        link = await self.entries.link_to(path.entry)
        circuit = link.open_circuit(hops_of(path.nodes, path.phase), path.phase)
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
            self.entries.stalled(path.entry)
            self._suspect(path, Suspects(doubted=frozenset({1, 2})), cause)
            self._note_failure(path, cause)
            raise CircuitError(Stage.CIRCUIT, "circuit not built", why=cause) from error
        made = PathCircuit(circuit, path, built_s, started)
        circuit.on_closed = lambda closed: self._closed(made, closed)
        self.built += 1
        self.entries.record(path.entry.node_id, Outcome.BUILT)
        self._note_recovery()
        return made

    def choose(self, wishes: Wishes) -> Path:
        """Draw a path now.

        Raises:
            StageError: No consensus, or nothing fits.
        """
        consensus = self.view.for_circuits()
        phase = phase_at(self.wall(), consensus.parameters.key_phase_s)
        guards = self.entries.guards(consensus)
        pinned = frozenset(wishes.pinned.values())
        for avoided in (*self.suspicion.exclusions(self.now()), frozenset[int]()):
            excluded = wishes.excluded | (avoided - pinned)
            try:
                return select_path(
                    consensus,
                    Wishes(wishes.host, wishes.port, wishes.pinned, excluded, wishes.damping_ppm),
                    guards=[node.index for node in guards],
                    phase=phase,
                    random=secrets.token_bytes,
                    exit_allows=exit_allows,
                )
            except StageError:
                if not avoided:
                    raise
        raise StageError(Stage.PATH, "no path")

    async def keep_ready(self) -> None:
        """Keep unbound circuits open and retire old ones, for ever."""
        while True:
            self._changed.clear()
            self._retire()
            unbound = [c for c in self.open if c.key is None and self._is_young(c)]
            if len(unbound) < self.ready:
                try:
                    await self.build(Wishes(port=self._ready_port()))
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
        return [
            {
                "path": [node.index for node in entry.path.nodes],
                "roles": [node.role.name.lower() for node in entry.path.nodes],
                "state": "ready" if entry.key is None else "in use",
                "age_s": round(self.now() - entry.opened_at, 1),
                "built_ms": round(entry.built_s * 1000, 1),
                "streams": len(entry.circuit.streams),
                "rekeys": entry.circuit.rekeys,
                "bytes_received": entry.circuit.bytes_received,
                "bytes_sent": entry.circuit.bytes_sent,
            }
            for entry in self.open
        ]

    # inside

    def _fits(self, candidate: PathCircuit, host: str, port: int) -> bool:
        parameters = self.view.parameters
        return (
            candidate.circuit.is_open
            and self._is_young(candidate)
            and len(candidate.circuit.streams) < parameters.streams_per_circuit_max
            and exit_allows(candidate.path.exit, host, port)
        )

    def _is_young(self, candidate: PathCircuit) -> bool:
        return self.now() - candidate.opened_at < self.view.parameters.circuit_max_age_s

    def _retire(self) -> None:
        for candidate in list(self.open):
            if not self._is_young(candidate) and not candidate.circuit.streams:
                candidate.circuit.destroy("aged")

    def _closed(self, made: PathCircuit, circuit: Circuit) -> None:
        if made in self.open:
            self.open.remove(made)
        if circuit.failure not in {"aged", "no longer needed"}:
            self._blame(made.path, circuit)
            event = self._note_failure(made.path, circuit.failure)
            if made.key is not None and self._lost is None:
                self._lost = (self.now(), event)
        self._changed.set()

    def _blame(self, path: Path, circuit: Circuit) -> None:
        """Avoid the nodes that may have broken the circuit."""
        if circuit.failed_hop == 0:
            self.entries.record(path.entry.node_id, Outcome.FAILED)
        found = suspects(circuit.failed_reason, circuit.failed_hop, len(path.nodes))
        self._suspect(path, found, circuit.failure)

    def _suspect(self, path: Path, found: Suspects, cause: str) -> None:
        indexes = [node.index for node in path.nodes]
        if self.suspicion.broke(indexes, found, self.now()):
            self.entries.give_up(path.entry, cause)

    def _note_failure(self, path: Path, cause: str) -> CircuitEvent:
        self.failed += 1
        indexes = tuple(node.index for node in path.nodes)
        event = CircuitEvent(self.wall(), indexes, "failed", cause)
        self.events.append(event)
        _log.info("circuit failed", cause=cause)
        return event

    def _note_recovery(self) -> None:
        if self._lost is not None:
            lost_at, event = self._lost
            event.rebuilt_s = round(self.now() - lost_at, 3)
            self._lost = None

    def _ready_port(self) -> int:
        """A port that spare circuits should reach: the web's, or any an exit offers."""
        nodes = self.view.for_circuits().nodes
        offers = any(node.policy and exit_allows(node, "", READY_PORT) for node in nodes)
        return READY_PORT if offers else 0


def exit_allows(node: ConsensusNode, host: str, port: int) -> bool:
    """Whether an exit's published policy admits a destination, as far as a client can tell."""
    policy = _policy(node.policy)
    address = parse_address(host) if host else None
    if address is not None:
        return policy.refusal(address, port) is not Refusal.POLICY
    return policy.may_reach(port) if port else policy.is_exit


@lru_cache(maxsize=1024)
def _policy(text: str) -> ExitPolicy:
    """A published policy; one that cannot be read admits nothing."""
    try:
        return ExitPolicy.parse(text, allow_private=True)
    except ExitPolicyError:
        return ExitPolicy(())
