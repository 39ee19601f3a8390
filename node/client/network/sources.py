"""Whom a client can ask for directory documents, and how it reaches them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from node.circuit.origin import OriginLink
from node.client.network.fetching import Ask, Pace, over_circuit, over_link
from node.client.paths.circuit import Circuit
from node.client.paths.dialler import Dialler
from node.client.paths.entries import Entries
from node.client.paths.entry import EntryLink
from node.directory.exchange import DirRequest, Kind
from node.htx.address import HtxAddress
from node.io.ledger_client import LedgerClient
from node.view import NetworkView
from qnet.errors import RejectedError
from qnet.sampling import shuffle, uniform_below

DIAL_TIMEOUT_S = 5.0
CIRCUITS_ASKED = 2
"""Circuits tried before the client's own link is."""


@dataclass(slots=True)
class Sources:
    """Nodes to ask: through circuits, over open links, or dialled for the purpose.

    Attributes:
        view: The network.
        entries: Links to the client's guards.
        dialler: Opens links.
        now: Monotonic clock in seconds.
        circuits: Circuits to ask through.
        pace: How slow an answer may be.
        anonymous: Documents that came through circuits.
    """

    view: NetworkView
    entries: Entries
    dialler: Dialler
    now: Callable[[], float]
    circuits: Callable[[], Sequence[Circuit]] = tuple
    pace: Pace = field(default_factory=Pace)
    anonymous: int = 0

    def standing(self) -> list[tuple[str, Ask]]:
        """Sources that need no dialling, by name: first hops behind the entries, then entries."""
        circuits = [circuit for circuit in self.circuits() if circuit.is_open]
        shuffle(circuits, secrets.token_bytes)
        found: list[tuple[str, Ask]] = []
        for circuit in circuits[:CIRCUITS_ASKED]:
            hops = circuit.origin.hops
            hop = 1 + uniform_below(len(hops) - 1, secrets.token_bytes) if len(hops) > 1 else 0
            found.append((source_name(hops[hop].node_id), self._through(circuit, hop)))
        for node_id, link in list(self.entries.links.items()):
            if link.is_open:
                found.append((source_name(node_id), over_link(link, self.pace)))
        return found

    @asynccontextmanager
    async def dialled(self, address: HtxAddress, name: str) -> AsyncIterator[Ask]:
        """A link for the length of the context.

        Raises:
            LinkError: It cannot be opened.
        """
        parameters = self.view.parameters
        link = EntryLink(
            origin=OriginLink(random=secrets.token_bytes, parameters=parameters),
            name=name,
            now=self.now,
        )
        await self.dialler.dial(
            address, handler=link, parameters=parameters, timeout_s=DIAL_TIMEOUT_S
        )
        try:
            yield over_link(link, self.pace)
        finally:
            link.close()

    def _through(self, circuit: Circuit, hop: int) -> Ask:
        ask = over_circuit(circuit, hop, self.pace)

        async def anonymous(request: DirRequest, base: bytes) -> bytes:
            answer = await ask(request, base)
            self.anonymous += 1
            return answer

        return anonymous


def source_name(node_id: bytes) -> str:
    """One name for one node, whichever way it is asked."""
    return f"node {node_id.hex()[:8]}"


def over_http(ledger: LedgerClient) -> Ask:
    """Ask the committee itself."""

    async def ask(request: DirRequest, base: bytes) -> bytes:
        del base
        if request.kind is not Kind.LATEST:
            raise RejectedError("the committee was read from the chain")
        data = await ledger.consensus()
        if data is None:
            raise RejectedError("the committee has no consensus yet")
        return data

    return ask
