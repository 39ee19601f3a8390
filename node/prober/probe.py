"""One probe and one burst over real circuits; each closes its circuit when it is done.

A probe asks the last hop for a consensus newer than ours, as clients do. Any answer to that very
question shows that the path carried it there and back: usually "nothing newer", 13 bytes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from node.accounting.assignments import Burst
from node.accounting.auditor import BurstPlan
from node.client.network.directory import DirectoryStream
from node.client.paths.circuit import Circuit
from node.client.paths.entries import Entries
from node.directory.exchange import DirRequest, Kind
from node.directory.hops import hops_of
from node.directory.path import Path
from node.errors import CircuitError, Stage, StreamError
from node.view import NetworkView
from qnet.errors import QnetError, RejectedError
from qnet.messages.consensus import MAX_CONSENSUS_BYTES, ConsensusNode

LINKS_MAX = 32
"""Links to entries kept between probes; beyond, those without circuits are closed."""

_MICROS = 1_000_000
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Prober:
    """Sends probes and bursts.

    Attributes:
        view: The network.
        entries: Links to first hops, one each.
    """

    view: NetworkView
    entries: Entries

    async def round_trip(self, path: Path, *, within_s: float) -> int | None:
        """Build a circuit and ask its last hop; the circuit's build counts into the deadline.

        Args:
            path: Its nodes.
            within_s: Deadline of everything, in seconds.

        Returns:
            Microseconds from question to answer, None if there was no answer in time.
        """
        request = DirRequest(secrets.randbelow(2**16), Kind.LATEST, self.view.valid_after)
        deadline = time.perf_counter() + within_s
        try:
            async with self._circuit(path.nodes, path.phase, within_s) as circuit:
                started = time.perf_counter()
                stream = DirectoryStream(circuit, request, hop=len(path.nodes) - 1)
                await self._check(stream, deadline - started)
                return _micros_since(started)
        except QnetError as error:
            _log.info("probe failed", cause=f"{error.message}: {error.why}")
        return None

    async def burst(self, plan: BurstPlan, size: int, *, within_s: float) -> Burst | None:
        """Take random bytes from the last of two hops.

        Args:
            plan: First hop and target.
            size: Bytes to ask for; what exceeds the largest directory answer is not.
            within_s: Deadline in seconds; what came by then counts.

        Returns:
            Bytes and microseconds, None if nothing came or the circuit broke.
        """
        wanted = min(size, MAX_CONSENSUS_BYTES)
        request = DirRequest(secrets.randbelow(2**16), Kind.MEASURE, size_bytes=wanted)
        deadline = time.perf_counter() + within_s
        try:
            async with self._circuit(plan.nodes, plan.phase, within_s) as circuit:
                started = time.perf_counter()
                stream = DirectoryStream(circuit, request, hop=len(plan.nodes) - 1)
                try:
                    await stream.answer(deadline - started)
                except StreamError:
                    if not circuit.is_open or stream.received_bytes == 0:
                        raise
                return Burst(stream.received_bytes, _micros_since(started))
        except QnetError as error:
            _log.info("burst failed", cause=f"{error.message}: {error.why}")
        return None

    def prune_links(self) -> None:
        """Close links that no probe uses, once there are many."""
        idle = [link for link in self.entries.links.values() if not link.circuits]
        for link in idle[: max(len(self.entries.links) - LINKS_MAX, 0)]:
            link.close()

    async def _check(self, stream: DirectoryStream, within_s: float) -> None:
        """Wait for the answer; a newer consensus must verify, and is used then.

        Raises:
            QnetError: None came, or it is malformed or forged.
        """
        try:
            newer = await stream.answer(within_s)
        except RejectedError:
            return
        self.view.offer(newer)

    @asynccontextmanager
    async def _circuit(
        self, nodes: Sequence[ConsensusNode], phase: int, within_s: float
    ) -> AsyncIterator[Circuit]:
        """A circuit of one's own, destroyed at the end.

        Raises:
            StageError: It could not be built in time.
        """
        circuit: Circuit | None = None
        try:
            try:
                async with asyncio.timeout(within_s):
                    link = await self.entries.link_to(nodes[0])
                    circuit = link.open_circuit(hops_of(nodes, phase), phase)
                    await circuit.built
            except TimeoutError as error:
                why = f"not built within {within_s:.1f} s"
                raise CircuitError(Stage.CIRCUIT, "circuit not built", why=why) from error
            yield circuit
        finally:
            if circuit is not None:
                circuit.destroy()


def _micros_since(started: float) -> int:
    return max(round((time.perf_counter() - started) * _MICROS), 1)
