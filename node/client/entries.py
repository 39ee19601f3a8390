"""The client's guards and its links to them.

Guards are chosen by `node.directory.guard` and kept in `state/guards.json`. An entry that cannot be
reached is set aside for a while; when no guard is left, another one is added rather than waiting.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from node.circuit.origin import OriginLink
from node.client.dialler import Dialler
from node.client.entry import EntryLink
from node.directory.guard import GuardState, maintain_guards, usable_guards
from node.errors import CircuitError, LinkError, Stage
from node.htx.events import Role
from node.view import NetworkView, address_of
from qnet.errors import DecodeError
from qnet.files import write_atomic
from qnet.messages.consensus import Consensus, ConsensusNode
from qnet.messages.descriptor import Role as NodeRole

SET_ASIDE_S = 30.0
"""An entry that could not be reached is not tried again for this long."""

DIAL_TIMEOUT_S = 4.0
MAX_STALLS = 2
"""Circuits in a row that an entry may leave without an answer."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Entries:
    """Guards and links of one client.

    Attributes:
        view: The network.
        path: Where the guards are kept; None keeps them in memory only.
        now: Monotonic clock in seconds.
        wall: Unix clock in seconds.
        dialler: Opens links.
        uses_guards: Whether entries are limited to guards; probes use all of them.
        links: Open links by node id.
        is_cut_off: Whether this machine's network fails, not the guards: none is exchanged.
    """

    view: NetworkView
    path: Path | None
    now: Callable[[], float]
    wall: Callable[[], float]
    dialler: Dialler
    uses_guards: bool = True
    state: GuardState = field(default_factory=GuardState)
    links: dict[bytes, EntryLink] = field(default_factory=dict)
    is_cut_off: bool = False
    _aside: dict[bytes, tuple[float, str]] = field(default_factory=dict)
    _stalls: dict[bytes, int] = field(default_factory=dict)
    _dialling: dict[bytes, asyncio.Lock] = field(default_factory=dict)

    def load(self) -> None:
        """Read the guards of earlier runs; a damaged file is replaced."""
        if self.path is None or not self.path.exists():
            return
        try:
            self.state = GuardState.from_json(json.loads(self.path.read_bytes()))
        except (ValueError, DecodeError) as error:
            _log.warning("guard file is damaged; choosing new guards", cause=str(error))

    def guards(self, consensus: Consensus) -> tuple[ConsensusNode, ...]:
        """Entries to use now: the primary guards that can be reached, or one more."""
        if not self.uses_guards:
            return tuple(node for node in consensus.nodes if node.role is NodeRole.ENTRY)
        self._change(
            maintain_guards(self.state, consensus, now=self.wall(), random=secrets.token_bytes)
        )
        reachable = consensus if self.is_cut_off else self._reachable(consensus)
        usable = usable_guards(self.state, reachable)
        if not usable:
            self._change(
                maintain_guards(self.state, reachable, now=self.wall(), random=secrets.token_bytes)
            )
            usable = usable_guards(self.state, reachable)
        return usable

    def record(self, node_id: bytes, *, built: bool) -> None:
        """Note how a circuit through a guard went."""
        if built:
            self._stalls.pop(node_id, None)
        self._change(self.state.record(node_id, built=built))

    def stalled(self, node: ConsensusNode) -> None:
        """A circuit got no answer in time; after a few in a row the entry itself is given up."""
        self._stalls[node.node_id] = self._stalls.get(node.node_id, 0) + 1
        if self._stalls[node.node_id] < MAX_STALLS:
            return
        self.give_up(node, "answers nothing")

    def give_up(self, node: ConsensusNode, cause: str) -> None:
        """Cut the link to an entry that fails and leave it alone for a while."""
        self._stalls.pop(node.node_id, None)
        link = self.links.get(node.node_id)
        if link is not None:
            link.abandon(cause)
        self._aside[node.node_id] = (self.now() + SET_ASIDE_S, cause)
        self._change(self.state.record(node.node_id, built=False))

    @property
    def is_stranded(self) -> bool:
        """Whether every entry there is was set aside."""
        nodes = self.view.held.consensus.nodes if self.view.held is not None else ()
        return all(node.node_id in self._aside for node in nodes if node.role is NodeRole.ENTRY)

    def forgive(self) -> None:
        """Forget who could not be reached: it was this machine's network."""
        self._aside.clear()
        self._stalls.clear()

    async def link_to(self, node: ConsensusNode) -> EntryLink:
        """The link to an entry, dialled if there is none.

        Raises:
            CircuitError: It cannot be reached.
        """
        lock = self._dialling.setdefault(node.node_id, asyncio.Lock())
        async with lock:
            found = self.links.get(node.node_id)
            if found is not None and found.is_open:
                return found
            return await self._dial(node)

    def tick(self) -> None:
        """Deadlines of all links; call about once a second."""
        for link in list(self.links.values()):
            link.tick()

    def close(self) -> None:
        """Close every link."""
        for link in list(self.links.values()):
            link.close()

    async def _dial(self, node: ConsensusNode) -> EntryLink:
        parameters = self.view.parameters
        entry = EntryLink(
            origin=OriginLink(random=secrets.token_bytes, parameters=parameters),
            name=f"node {node.index}",
            now=self.now,
            on_closed=lambda _link, cause: self._lost(node, cause),
        )
        try:
            await self.dialler.dial(
                address_of(node),
                handler=entry,
                parameters=parameters,
                role=Role.ENTRY,
                timeout_s=DIAL_TIMEOUT_S,
            )
        except LinkError as error:
            cause = f"entry node {node.index}: {error.message}"
            self._aside[node.node_id] = (self.now() + SET_ASIDE_S, cause)
            _log.info("entry cannot be reached", node=node.index, cause=error.message)
            raise CircuitError(
                Stage.LINK, f"no link to entry node {node.index}", why=cause
            ) from error
        self.links[node.node_id] = entry
        self._aside.pop(node.node_id, None)
        return entry

    def _lost(self, node: ConsensusNode, cause: str) -> None:
        self.links.pop(node.node_id, None)
        self._aside[node.node_id] = (self.now() + 1.0, cause)

    def _reachable(self, consensus: Consensus) -> Consensus:
        now = self.now()
        self._aside = {key: value for key, value in self._aside.items() if value[0] > now}
        return replace(
            consensus,
            nodes=tuple(node for node in consensus.nodes if node.node_id not in self._aside),
        )

    def _change(self, state: GuardState) -> None:
        if state == self.state:
            return
        self.state = state
        if self.path is not None:
            write_atomic(self.path, json.dumps(state.to_json()).encode())
