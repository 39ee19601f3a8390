"""A running client: consensus, guards, circuits and the SOCKS port, put together.

Stages on the way up: consensus (cache or seeds), path and circuit, then the port opens. Each
failure names its stage and cause.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from node.circuit.messages import Answer
from node.client.doors.answers import admitted_answers
from node.client.doors.doors import Doors, OpenDoor
from node.client.doors.isolation import IsolationKey
from node.client.doors.streams import StreamCounts, Way
from node.client.network.discovery import make_bootstrap, trust_of
from node.client.network.sources import Sources
from node.client.paths.circuit import Circuit
from node.client.paths.circuits import Circuits
from node.client.paths.dialler import Dialler
from node.client.paths.entries import Entries
from node.client.paths.liveness import Liveness
from node.client.paths.mix_tier import CONNECT_MARGIN_S, MixTier
from node.client.paths.payments import Payments
from node.client.watch.anonymity import anonymity
from node.client.watch.care import LOOK_S, Care
from node.client.watch.conditions import Clocks, boot_clock
from node.client.watch.leaks import LeakCheck
from node.config import Endpoint
from node.errors import BootstrapError, CircuitError
from node.htx.events import CloseReason
from node.manifests import Bundle
from node.payments.user.purse import Purse
from node.view import NetworkView
from qnet.errors import QnetError

if TYPE_CHECKING:
    from node.client.mix.service import MixService

TICK_S = 1.0
BOOTSTRAP_S = 60.0
HANG_UP_S = 1
"""Links have this long to say goodbye when the client stops; then they are cut."""

_log = structlog.get_logger(__name__)


class Session:
    """One client.

    Args:
        bundle: Whom to trust and where to start.
        state: Folder for guards and consensus; None keeps nothing.
        ready: Unbound circuits kept open; 0 builds none ahead.
        uses_guards: Whether entries are limited to guards.
        wall: Unix clock in seconds.
        boot: Monotonic clock that goes on while the machine sleeps.
        bridges: `htx://` lines of unlisted nodes, beside those of the bundle.
        rpc: A node of the chain to read committee and anchors from; "" for none.
    """

    def __init__(
        self,
        bundle: Bundle,
        state: Path | None,
        *,
        ready: int = 2,
        uses_guards: bool = True,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], float] = boot_clock,
        bridges: Sequence[str] = (),
        rpc: str = "",
    ) -> None:
        clock = self._clock = time.monotonic
        self.wall = wall
        self._listed: deque[set[tuple[str, int]]] = deque(maxlen=2)
        self.view = NetworkView(trust_of(bundle), bundle.parameters(), now=wall)
        self.dialler = Dialler(clock, wall)
        self.entries = Entries(
            self.view,
            state / "guards.json" if state else None,
            clock,
            wall,
            self.dialler,
            uses_guards,
        )
        self.circuits = Circuits(self.view, self.entries, clock, wall, ready, Payments(self.spawn))
        self.bootstrap = make_bootstrap(
            bundle,
            state,
            Sources(self.view, self.entries, self.dialler, clock, self._circuits_to_ask),
            wall=wall,
            bridges=bridges,
            rpc=rpc,
        )
        self.liveness = Liveness(clock)
        self.counts = StreamCounts()
        self.doors = Doors(self, self.counts)
        self.care = Care(
            self.view,
            self.entries,
            self.circuits,
            self.bootstrap,
            self.dialler,
            Clocks(clock, boot, wall, LOOK_S),
            self._renew,
        )
        self.view.on_change(
            lambda new: self._listed.append({(node.host, node.port) for node in new.nodes})
        )
        self.mix: MixService | None = None
        self.started_at = clock()
        self.first_circuit_s: float | None = None
        self.last_error: dict[str, str] = {}
        self.mix_tier: MixTier | None = None
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._following: asyncio.Task[None] | None = None

    # life

    async def start(self, group: asyncio.TaskGroup, *, timeout_s: float = BOOTSTRAP_S) -> None:
        """Get a consensus and a first circuit; a session that fails to leaves nothing running.

        Raises:
            StageError: The stage that failed and why.
        """
        self._group = group
        self.entries.load()
        self._loops = [group.create_task(self.care.run())]
        try:
            await self.bootstrap.start(timeout_s)
            self._following = group.create_task(self.bootstrap.follow())
            self._loops += [
                group.create_task(loop()) for loop in (self.circuits.keep_ready, self._tick)
            ]
            if self.circuits.ready:
                await self.circuits.first(timeout_s)
                self.first_circuit_s = self._clock() - self.started_at
        except (BootstrapError, CircuitError) as error:
            explained = self.care.explain(error)
            await self.stop()
            raise explained from error
        self.care.look()

    async def listen(self, endpoint: Endpoint, **options: Any) -> OpenDoor:
        """Open a SOCKS port; `options` as for `Doors.add`."""
        return await self.doors.add("socks", endpoint, **options)

    @property
    def listening(self) -> list[str]:
        """Addresses of the SOCKS ports."""
        return self.doors.addresses("socks")

    async def stop(self) -> None:
        """Close the doors; end every stream, circuit, link and loop."""
        self.doors.close()
        for stream in list(self.counts.active):
            stream.abort()
        await self.circuits.payments.settle([made.circuit for made in self.circuits.open])
        following, self._following = self._following, None
        tasks = [*self._loops, *self._tasks, *([following] if following is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        links = [entry.link for entry in self.entries.links.values() if entry.link is not None]
        self.entries.close()
        try:
            async with asyncio.timeout(HANG_UP_S):
                await asyncio.gather(*(link.wait_gone() for link in links))
        except TimeoutError:
            for link in links:
                link.abandon(CloseReason.DONE)

    def _renew(self) -> None:
        """Ask for a consensus now if it is due, whatever was being waited for."""
        if self._following is not None and self._group is not None:
            self._following.cancel()
            self._following = self._group.create_task(self.bootstrap.follow())

    @property
    def purse(self) -> Purse | None:
        """What circuits are paid out of; None for a client that pays nothing."""
        return self.circuits.payments.purse

    @purse.setter
    def purse(self, purse: Purse | None) -> None:
        """Pay circuits that streams use from now on."""
        self.circuits.payments.purse = purse

    def take_mixnet(self, mix: MixService) -> None:
        """Let streams take tunnels over the mixnet instead of circuits."""
        self.mix_tier = MixTier(
            mix.account,
            mix.live,
            choose=self.circuits.choose,
            parameters=lambda: self.view.parameters,
            admits=self._admitted,
            random=secrets.token_bytes,
            now=asyncio.get_running_loop().time,
        )
        mix.carried.append(self.mix_tier.tunnels)

    def _admitted(self, answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
        """Which of an exit's answers applications may hear."""
        held = self.view.held
        chain_id = held.consensus.chain_id if held is not None else 0
        return admitted_answers(answers, chain_id=chain_id)

    # StreamHost

    @property
    def connect_timeout_s(self) -> float:
        """How long an exit may take to connect, with the way to it."""
        way_s = 0.0 if self.mix_tier is None else CONNECT_MARGIN_S
        return float(self.view.parameters.stream_connect_s) + way_s

    async def circuit_for(self, key: IsolationKey, host: str, port: int) -> Way:
        """An open circuit for a destination; a tunnel if streams take the mixnet."""
        if self.mix_tier is not None:
            return await self.mix_tier.circuit_for(key, host, port)
        return await self.circuits.circuit_for(key, host, port)

    def new_identity(self) -> int:
        """Let no new stream use a circuit or tunnel that stands; returns how many there were."""
        tunnels = 0 if self.mix_tier is None else self.mix_tier.renew()
        return self.circuits.new_identity() + tunnels

    def _circuits_to_ask(self) -> list[Circuit]:
        """Circuits for directory requests; those that no stream uses come first."""
        unbound = [made.circuit for made in self.circuits.open if made.key is None]
        return unbound or [made.circuit for made in self.circuits.open]

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the session's task group."""
        assert self._group is not None
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stream_failed(self, error: QnetError) -> None:
        """Remember a failure for status."""
        self.last_error = {"code": error.code, "message": error.message, "why": error.why}
        _log.info("stream failed", cause=error.why)

    # status

    def status(self) -> dict[str, Any]:
        """Everything `qnet client status` shows."""
        held = self.view.held
        parameters = self.view.parameters
        return {
            "state": "up" if self.circuits.open else "no circuit",
            "uptime_s": int(self._clock() - self.started_at),
            "stages": self.stages(),
            "incidents": [asdict(incident) for incident in self.care.incidents],
            "socks": self.listening,
            "consensus": None
            if held is None
            else {"valid_after": self.view.valid_after, "nodes": len(held.consensus.nodes)},
            "problem": self.bootstrap.problem,
            "directory": self.bootstrap.status(),
            **self.anonymity(),
            "guards": [guard.node_id.hex()[:16] for guard in self.entries.state.guards],
            "circuits": {
                "open": len(self.circuits.open),
                "built": self.circuits.built,
                "failed": self.circuits.failed,
            },
            "mix_streams": self._mix_streams(),
            "cells": {"queued": sum(link.queued_cells for link in self.entries.links.values())},
            "first_circuit_s": self.first_circuit_s,
            "streams": {
                "active": len(self.counts.active),
                "opened": self.counts.opened,
                "connected": self.counts.connected,
                "failed": self.counts.failed,
                "raw_addresses": self.counts.raw_addresses,
            },
            "parameters_hash": parameters.hash().hex(),
            "streams_per_circuit_max": parameters.streams_per_circuit_max,
            "last_error": self.last_error,
            "events": self.events(),
        }

    def _mix_streams(self) -> dict[str, Any] | None:
        """What streams over the mixnet can expect; None if they take circuits."""
        if self.mix_tier is None:
            return None
        return self.mix_tier.status(self.anonymity()["users"])

    def events(self) -> list[dict[str, Any]]:
        """What happened to circuits and to this machine, oldest first."""
        happened = [incident.as_event() for incident in self.care.incidents]
        happened += [asdict(event) for event in self.circuits.events]
        return sorted(happened, key=lambda event: float(event["at"]))

    def stages(self) -> list[dict[str, Any]]:
        """Every stage up to an open circuit, in order: stage, state, since, cause, try."""
        self.care.judge()
        return self.care.progress.rows()

    @property
    def listed(self) -> set[tuple[str, int]]:
        """Addresses and ports of seeds, bridges and the nodes of the last two consensuses."""
        known = (*self.bootstrap.seeds, *self.bootstrap.bridges)
        return {(address.host, address.port) for address in known}.union(*self._listed)

    async def check(self, url: str = "") -> dict[str, Any]:
        """Look for leaks: `verdict`, and `rows` of name, verdict and evidence.

        Args:
            url: An `http://` page that tells the address it sees; empty for none.
        """
        return await LeakCheck(self, url).run()

    def anonymity(self) -> dict[str, Any]:
        """How many users there are, and whether that is enough."""
        held = self.view.held
        users = held.consensus.users if held is not None else 0
        return anonymity(users, self.view.parameters.anonymity_set_min_users)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.entries.tick()
            self.liveness.tick([made.circuit for made in self.circuits.open])
