"""The client's guards and its links to them.

Guards are chosen by `node.directory.guard` and kept in `state/guards.json`. An entry that cannot be
reached is set aside, longer each time, and tried again in the background; when it answers it is
used again. When no guard answers it may be this machine's network: then hardly any other is tried.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from node.circuit.origin import OriginLink
from node.client.doors.answers import admitted_answers
from node.client.paths.dialler import Dialler
from node.client.paths.entry import EntryLink
from node.client.paths.guard_file import GuardFile
from node.directory.atlas import NO_ATLAS, Atlas
from node.directory.guard import Guard, GuardState, Outcome, maintain_guards, usable_guards
from node.errors import CircuitError, LinkError, Stage
from node.htx.events import Role
from node.view import NetworkView, address_of
from qnet.errors import QnetError
from qnet.messages.consensus import Consensus
from qnet.messages.consensus_node import ConsensusNode
from qnet.messages.descriptor import Role as NodeRole

SET_ASIDE_S: Final = 30
"""An entry that could not be reached is not tried again for this long; doubled every time."""
SET_ASIDE_MAX_S: Final = 1800
RETRY_GRACE_S: Final = 10
"""After this time beyond its pause, an entry nobody tried again is used as any other."""
DIAL_TIMEOUT_S: Final = 4.0
MAX_STALLS: Final = 2
"""Circuits in a row that an entry may leave without an answer."""
ONE_FAILURE_S: Final = 1.0
"""Failures at an entry within this time are one: a link that breaks takes all its circuits."""
LOST_S: Final = 1.0
"""An entry whose link broke is used after any other for this long."""
STORE_S: Final = 60.0
"""Counts of circuits are stored at most this much later; which guards there are, at once."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Pause:
    """An entry that is left alone.

    Attributes:
        began: Monotonic time of the first failure in a row.
        until: When it may be tried again.
        times: Failures in a row.
        cause: Why, for people.
    """

    began: float
    until: float
    times: int
    cause: str


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
        atlas: Knows autonomous systems.
        report: Told in words what happens to a guard, with its registry index (0 for unlisted).
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
    atlas: Atlas = NO_ATLAS
    report: Callable[[int, str], None] = lambda _index, _what: None
    _aside: dict[bytes, Pause] = field(default_factory=dict)
    _doubted: set[bytes] = field(default_factory=set)
    _stalls: dict[bytes, int] = field(default_factory=dict)
    _dialling: dict[bytes, asyncio.Lock] = field(default_factory=dict)
    _failed_at: dict[bytes, float] = field(default_factory=dict)
    _warned: set[bytes] = field(default_factory=set)
    _heard_at: float = -1.0
    _unstored_since: float | None = None

    def __post_init__(self) -> None:
        """Take every new consensus for a sign that the network is up."""
        self.view.on_change(lambda _consensus: self._hear())

    # guards

    def load(self) -> None:
        """Read the guards of earlier runs; a damaged file is kept aside."""
        self.state = GuardFile(self.path).load()

    def guards(self, consensus: Consensus) -> tuple[ConsensusNode, ...]:
        """Entries to use now: the primary guards that can be reached, or one more."""
        if not self.uses_guards:
            return tuple(node for node in consensus.nodes if node.role is NodeRole.ENTRY)
        unreachable = frozenset() if self.is_cut_off else self._unreachable()
        state = maintain_guards(
            self.state,
            consensus,
            now=self.wall(),
            random=secrets.token_bytes,
            unreachable=unreachable,
            network_is_up=self._network_is_up(),
            atlas=self.atlas,
        )
        self._change(state, consensus)
        shunned = unreachable | self._just_lost()
        for avoided in (shunned, unreachable, unreachable - self._doubted):
            usable = usable_guards(self.state, consensus, avoided)
            if usable:
                break
        return usable

    def record(self, node_id: bytes, outcome: Outcome) -> None:
        """Note how a circuit through a guard went."""
        if outcome is Outcome.BUILT:
            self._stalls.pop(node_id, None)
        elif outcome is Outcome.FAILED:
            last = self._failed_at.get(node_id)
            self._failed_at[node_id] = self.now()
            if last is not None and self.now() - last < ONE_FAILURE_S:
                return
        self._change(self.state.record(node_id, outcome))
        self._look_for_bias(node_id)

    def stalled(self, node: ConsensusNode) -> None:
        """A circuit got no answer in time; after a few in a row the entry itself is given up."""
        self._stalls[node.node_id] = self._stalls.get(node.node_id, 0) + 1
        if self._stalls[node.node_id] < MAX_STALLS:
            return
        self.give_up(node, "answers nothing", cut=True)

    def give_up(self, node: ConsensusNode, cause: str, *, cut: bool) -> None:
        """Leave an entry alone for a while; it is cut off if nothing can come from there.

        One that is only doubted serves again as soon as there is no other.
        """
        self._stalls.pop(node.node_id, None)
        if cut:
            self._doubted.discard(node.node_id)
            link = self.links.get(node.node_id)
            if link is not None:
                link.abandon(cause)
        else:
            self._doubted.add(node.node_id)
        self._set_aside(node.node_id, cause)
        self.record(node.node_id, Outcome.FAILED)

    @property
    def is_stranded(self) -> bool:
        """Whether every entry this client may use was set aside."""
        nodes = self.view.held.consensus.nodes if self.view.held is not None else ()
        held = {guard.node_id for guard in self.state.guards}
        mine = [
            node.node_id
            for node in nodes
            if node.role is NodeRole.ENTRY and (not self.uses_guards or node.node_id in held)
        ]
        return self._unreachable().issuperset(mine)

    def causes(self) -> str:
        """Why the entries set aside are set aside, for people."""
        return "; ".join(sorted({pause.cause for pause in self._aside.values()}))

    def forgive(self) -> None:
        """Forget who could not be reached: it was this machine's network."""
        self._aside.clear()
        self._stalls.clear()

    async def return_to_primary(self) -> None:
        """Try entries again whose pause is over, for ever; check about once a second."""
        while True:
            await asyncio.sleep(1.0)
            for node in self._due():
                try:
                    await self.link_to(node)
                except CircuitError:
                    continue
                self._tell(node.index, "guard answers again")

    # links

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
        if self._unstored_since is not None and self.now() - self._unstored_since >= STORE_S:
            self._store()

    def close(self) -> None:
        """Close every link and store what was counted."""
        for link in list(self.links.values()):
            link.close()
        if self._unstored_since is not None:
            self._store()

    # inside

    async def _dial(self, node: ConsensusNode) -> EntryLink:
        parameters = self.view.parameters
        entry = EntryLink(
            origin=OriginLink(random=secrets.token_bytes, parameters=parameters),
            name=f"node {node.index}",
            now=self.now,
            on_closed=lambda _link, cause: self._lost(node, cause),
            admits=partial(
                admitted_answers,
                chain_id=self.view.held.consensus.chain_id if self.view.held is not None else 0,
            ),
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
            self._set_aside(node.node_id, cause)
            _log.info("entry cannot be reached", node=node.index, cause=error.message)
            raise CircuitError(
                Stage.LINK, f"no link to entry node {node.index}", why=cause
            ) from error
        self.links[node.node_id] = entry
        self._aside.pop(node.node_id, None)
        self._hear()
        return entry

    def _lost(self, node: ConsensusNode, cause: str) -> None:
        self.links.pop(node.node_id, None)
        if node.node_id not in self._aside:
            now = self.now()
            self._aside[node.node_id] = Pause(now, now + LOST_S, 0, cause)

    def _set_aside(self, node_id: bytes, cause: str) -> None:
        now = self.now()
        last = self._aside.get(node_id)
        times = last.times if last is not None else 0
        pause_s = min(SET_ASIDE_S * 2**times, SET_ASIDE_MAX_S)
        began = last.began if last is not None else now
        self._aside[node_id] = Pause(began, now + pause_s, times + 1, cause)

    def _unreachable(self) -> frozenset[bytes]:
        """Entries that could not be reached and were not reached since."""
        now = self.now()
        return frozenset(
            node_id
            for node_id, pause in self._aside.items()
            if pause.times and pause.until + RETRY_GRACE_S > now
        )

    def _just_lost(self) -> frozenset[bytes]:
        now = self.now()
        return frozenset(node_id for node_id, pause in self._aside.items() if pause.until > now)

    def _network_is_up(self) -> bool:
        """Whether anybody answered since the last guard was lost."""
        held = {guard.node_id for guard in self.state.guards}
        lost = [pause.began for node_id, pause in self._aside.items() if node_id in held]
        return self._heard_at > max(lost, default=0.0)

    def _hear(self) -> None:
        self._heard_at = self.now()

    def _due(self) -> list[ConsensusNode]:
        """Guards whose pause is over."""
        if self.view.held is None or not self.uses_guards:
            return []
        listed = self.view.held.consensus.by_node_id
        held = {guard.node_id for guard in self.state.guards}
        now = self.now()
        return [
            listed[node_id]
            for node_id, pause in self._aside.items()
            if node_id in held and node_id in listed and pause.times > 0 and pause.until <= now
        ]

    def _change(self, state: GuardState, consensus: Consensus | None = None) -> None:
        if state == self.state:
            return
        before, self.state = self.state, state
        had = {guard.node_id: guard for guard in before.guards}
        held = {guard.node_id for guard in state.guards}
        if had.keys() == held:
            if self._unstored_since is None:
                self._unstored_since = self.now()
            return
        listed = consensus.by_node_id if consensus is not None else {}

        def index(node_id: bytes) -> int:
            return listed[node_id].index if node_id in listed else 0

        for node_id in had.keys() - held:
            self._warned.discard(node_id)
            self._tell(index(node_id), f"guard dropped: {_why_dropped(had[node_id], self.wall())}")
        for node_id in held - had.keys():
            self._tell(index(node_id), "guard chosen")
        self._store()

    def _store(self) -> None:
        self._unstored_since = None
        try:
            GuardFile(self.path).store(self.state)
        except OSError as error:
            _log.warning("guards cannot be stored", cause=str(error))

    def _look_for_bias(self, node_id: bytes) -> None:
        guard = next((g for g in self.state.guards if g.node_id == node_id), None)
        if guard is None or not guard.is_suspicious:
            self._warned.discard(node_id)
        elif node_id not in self._warned:
            self._warned.add(node_id)
            percent = 100 * guard.broken // guard.circuits
            try:
                found = self.view.node(node_id).index
            except QnetError:
                found = 0
            what = f"{percent} % of the circuits through this guard broke after it"
            _log.warning("guard may choose its clients' paths", node=found, broken_percent=percent)
            self._tell(found, what)

    def _tell(self, index: int, what: str) -> None:
        _log.info("guard", node=index, what=what)
        self.report(index, what)


def _why_dropped(guard: Guard, now: float) -> str:
    if guard.is_failing:
        return f"{100 * guard.failed // guard.circuits} % of its circuits failed"
    return "its time is over" if guard.expires_at <= now else "no longer listed"
