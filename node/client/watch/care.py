"""Keeps a client alive: notices what happens to the machine, says so, and acts.

A suspended machine or a new address ends every link at once, so that applications see a reset and
not silence; guards are never blamed or exchanged for what this machine's network did.

Source: docs/spec/exits-and-clients.md, section "Recovery".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from node.client.network.bootstrap import Bootstrap
from node.client.paths.circuits import Circuits
from node.client.paths.dialler import Dialler
from node.client.paths.entries import Entries
from node.client.watch.conditions import Clocks, Facts, JumpKind, judge
from node.client.watch.portal import WINDOW_S, Finding, Obstacle, clock_skew, diagnose
from node.client.watch.stages import Progress, StageState
from node.client.watch.uplink import RouteNews, is_address, is_same_place, source_towards
from node.errors import BootstrapError, CircuitError, Stage, StageError
from node.view import NetworkView
from qnet.errors import QnetError

LOOK_S: Final = 1
"""Pause between two looks; a change that the kernel tells of is looked at at once."""
NO_ROUTE_S: Final = 2
"""Links whose address is gone are kept this long: it may come back."""
CUT_OFF_NODES: Final = 4
"""Nodes that must fail, and none answer, before guards are kept as they are."""
STRANDED_S: Final = 5
"""Pause after which entries that all failed are tried again."""
KEPT_INCIDENTS: Final = 32

Unexplained = BootstrapError | CircuitError
"""What a start fails with."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Incident:
    """Something that happened to the machine or its network.

    Attributes:
        at: Unix time by the local clock.
        stage: Where it belongs.
        cause: What happened, in words.
        recovered_s: Seconds until a circuit stood again; None while none does.
    """

    at: float
    stage: Stage
    cause: str
    recovered_s: float | None = None

    def as_event(self) -> dict[str, Any]:
        """In the form of a circuit's event; it has no path."""
        return {
            "at": self.at,
            "path": (),
            "what": self.stage.value,
            "cause": self.cause,
            "rebuilt_s": self.recovered_s,
        }


@dataclass(slots=True)
class Care:
    """Watches over one client.

    Attributes:
        view: The network.
        entries: Guards and links.
        circuits: Circuits.
        bootstrap: Where consensuses come from.
        dialler: What became of our dials.
        clocks: Clocks to compare.
        renew: Called when a consensus is to be asked for now.
        source: Which local address the kernel would use towards an address; empty for none.
    """

    view: NetworkView
    entries: Entries
    circuits: Circuits
    bootstrap: Bootstrap
    dialler: Dialler
    clocks: Clocks
    renew: Callable[[], None]
    source: Callable[[str], str] = source_towards
    incidents: deque[Incident] = field(default_factory=lambda: deque(maxlen=KEPT_INCIDENTS))
    progress: Progress = field(init=False)
    _open_incidents: list[tuple[float, Incident]] = field(default_factory=list)
    _no_route_since: float | None = None
    _forgiven_at: float = 0.0

    def __post_init__(self) -> None:
        """Stages begin where nothing is known."""
        self.progress = Progress(self.clocks.wall)

    async def run(self) -> None:
        """Look again and again, for ever."""
        with RouteNews() as news:
            while True:
                self.look()
                await news.wait(LOOK_S)

    def look(self) -> None:
        """Notice what changed since the last look, and act."""
        for jump in self.clocks.look():
            stage = Stage.CLOCK if jump.kind is JumpKind.CLOCK_SET else Stage.SUSPEND
            self._happened(stage, jump.words)
            if stage is Stage.SUSPEND:
                self._cut(jump.words)
            self._start_over()
        self._look_at_links()
        self._look_at_entries()
        self.judge()
        self._look_at_recovery()

    def judge(self) -> None:
        """Bring the stages up to date."""
        for verdict in self.progress.apply(judge(self.facts())):
            if verdict.state is StageState.FAILED and verdict.stage in _OWN:
                self._happened(verdict.stage, verdict.cause)
            _log.info(
                "stage",
                stage=verdict.stage.value,
                state=verdict.state.name.lower(),
                cause=verdict.cause,
            )

    def facts(self) -> Facts:
        """What is known now."""
        now = self.clocks.now()
        attempts = self.dialler.attempts
        links = sum(link.is_open for link in self.entries.links.values())
        reached = any(a.error is None and now - a.at < WINDOW_S for a in attempts)
        is_fit, consensus_problem = self._consensus()
        circuits = sum(made.circuit.is_open for made in self.circuits.open)
        failed = self._failed_link()
        return Facts(
            has_route=self._no_route_since is None,
            was_reached=reached or links > 0,
            finding=self._finding(),
            skew=clock_skew(attempts, now),
            is_fit=is_fit,
            consensus_problem=consensus_problem,
            links=links,
            link_problem="" if links else failed,
            circuits=circuits,
            circuit_problem="" if circuits else self.circuits.problem,
        )

    def explain(self, error: Unexplained) -> Unexplained:
        """Say what the machine's own conditions make of a failed start."""
        self.judge()
        failed = self.progress.failed
        if error.stage is Stage.CLOCK or failed is None or failed.stage not in _OWN:
            return error
        cause = "; ".join(part for part in (failed.cause, error.why) if part)
        if failed.stage is Stage.PORTAL and not self._is_intercepted():
            return type(error)(error.stage, _told(error), why=cause, try_=failed.try_)
        return BootstrapError(failed.stage, _OWN[failed.stage], why=cause, try_=failed.try_)

    # inside

    def _look_at_links(self) -> None:
        """Cut links that stand on an address this machine would no longer use."""
        had_route = self._no_route_since is None
        targets = [
            (link, link.link.own_address, self.source(link.link.peer_address))
            for link in self.entries.links.values()
            if link.link is not None and link.link.own_address
        ]
        self._note_route(is_there=any(source for *_, source in targets) or self._finds_route())
        moved = [link for link, own, source in targets if source and not is_same_place(own, source)]
        if moved:
            cause = "this machine's address changed"
            self._happened(Stage.ADDRESS, cause)
            for link in moved:
                link.abandon(cause)
            self._start_over()
        elif self._no_route_since is not None:
            if targets and self.clocks.now() - self._no_route_since >= NO_ROUTE_S:
                self._cut(Obstacle.NO_ROUTE.value)
        elif not had_route:
            self._start_over()

    def _note_route(self, *, is_there: bool) -> None:
        if is_there:
            self._no_route_since = None
        elif self._no_route_since is None:
            self._no_route_since = self.clocks.now()

    def _finds_route(self) -> bool:
        """Whether any known node can be addressed; without a known address nobody can tell."""
        held = self.view.held
        guards = {guard.node_id for guard in self.entries.state.guards}
        nodes = held.consensus.nodes if held is not None else ()
        known_nodes = (*self.bootstrap.seeds, *self.bootstrap.bridges)
        hosts = [node.host for node in known_nodes]
        hosts += [node.host for node in nodes if node.node_id in guards]
        known = [host for host in hosts if is_address(host)]
        return not known or any(self.source(host) for host in known)

    def _look_at_entries(self) -> None:
        """Keep the guards while the network fails; try again when every entry failed."""
        finding = self._finding()
        failing = finding is not None and (
            finding.failed >= CUT_OFF_NODES or finding.obstacle is Obstacle.INTERCEPTED
        )
        self.entries.is_cut_off = failing or self._no_route_since is not None
        now = self.clocks.now()
        if self.circuits.open or not self.entries.is_stranded:
            return
        if now - self._forgiven_at >= STRANDED_S:
            self._forgiven_at = now
            self.entries.forgive()

    def _look_at_recovery(self) -> None:
        if self._open_incidents and self.progress.state(Stage.CIRCUIT) is StageState.PASSED:
            now = self.clocks.now()
            for at, incident in self._open_incidents:
                incident.recovered_s = round(now - at, 3)
            self._open_incidents.clear()

    def _finding(self) -> Finding | None:
        return diagnose(self.dialler.attempts, self.clocks.now())

    def _is_intercepted(self) -> bool:
        finding = self._finding()
        return finding is not None and finding.obstacle is Obstacle.INTERCEPTED

    def _consensus(self) -> tuple[bool, str]:
        try:
            self.view.for_circuits()
        except QnetError as error:
            if self.view.held is not None:
                return False, f"{error.message}: {error.why}"
            return False, self.bootstrap.problem
        return True, ""

    def _failed_link(self) -> str:
        """Why the last dial failed, if it did."""
        last = self.dialler.attempts[-1] if self.dialler.attempts else None
        if last is None or last.error is None:
            return ""
        return f"{last.error.message} ({last.error.heard.value})"

    def _happened(self, stage: Stage, cause: str) -> None:
        incident = Incident(self.clocks.wall(), stage, cause)
        self.incidents.append(incident)
        self._open_incidents.append((self.clocks.now(), incident))
        del self._open_incidents[:-KEPT_INCIDENTS]
        _log.info("incident", stage=stage.value, cause=cause)

    def _cut(self, cause: str) -> None:
        for link in list(self.entries.links.values()):
            link.abandon(cause)

    def _start_over(self) -> None:
        """What was learnt about nodes and network holds no more."""
        self.entries.forgive()
        self.dialler.attempts.clear()
        self.renew()


_OWN: Final = {
    Stage.ADDRESS: "this machine has no way to the network",
    Stage.PORTAL: "something answers in place of the network",
    Stage.CLOCK: "this machine's clock is wrong",
}


def _told(error: StageError) -> str:
    """The message of an error without its stage."""
    return error.message.removeprefix(f"{error.stage}: ")
