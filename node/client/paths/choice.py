"""Which path a client takes next: consensus, guards, wishes, and what it learnt about nodes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from node.client.paths.entries import Entries
from node.client.paths.exits import exit_allows, exit_rows
from node.client.paths.measure import Measure, NodeSpeeds
from node.client.paths.suspicion import Suspects, Suspicion
from node.directory.atlas import NO_ATLAS, Atlas
from node.directory.path import Chooser, Path
from node.directory.wishes import Wishes
from node.errors import Stage, StageError
from node.view import NetworkView
from qnet.epochs import phase_at

READY_PORT = 443


@dataclass(slots=True)
class Choice:
    """Draws paths for one client.

    Attributes:
        view: The network.
        entries: Guards.
        now: Monotonic clock in seconds.
        wall: Unix clock in seconds.
        atlas: Knows autonomous systems and countries.
        countries: Countries where exits may stand; empty for any.
        barred_countries: Countries where exits must not stand.
        suspicion: Who may have broken circuits.
        speeds: Who was slow.
    """

    view: NetworkView
    entries: Entries
    now: Callable[[], float]
    wall: Callable[[], float]
    atlas: Atlas = NO_ATLAS
    countries: frozenset[str] = frozenset()
    barred_countries: frozenset[str] = frozenset()
    suspicion: Suspicion = field(default_factory=Suspicion)
    speeds: NodeSpeeds = field(default_factory=NodeSpeeds)
    _chooser: Chooser | None = None

    def path(self, wishes: Wishes) -> Path:
        """Draw a path now; nodes that broke circuits are left out where that is possible.

        Raises:
            StageError: No consensus, no guard that answers, or nothing fits; names the rule.
        """
        chooser = self._current()
        guards = [node.index for node in self.entries.guards(chooser.consensus)]
        if not guards and self.entries.is_stranded:
            raise StageError(Stage.LINK, "no guard can be reached", why=self.entries.causes())
        now = self.now()
        wished = self._wished(wishes, now)
        pinned = frozenset(wishes.pinned.values())
        for avoided in self.suspicion.exclusions(now):
            if not avoided:
                break
            excluded = wishes.excluded | (avoided - pinned)
            try:
                return chooser.path(
                    replace(wished, excluded=excluded), guards=guards, random=secrets.token_bytes
                )
            except StageError:
                continue
        return chooser.path(wished, guards=guards, random=secrets.token_bytes)

    def suspect(self, path: Path, found: Suspects, cause: str) -> None:
        """Remember who may have broken a circuit; the entry is given up if it was too often."""
        indexes = [node.index for node in path.nodes]
        if self.suspicion.broke(indexes, found, self.now()):
            self.entries.give_up(path.entry, cause, cut=found.is_certain)

    def learn(self, path: Path, measure: Measure) -> None:
        """Learn from what a circuit took; its entry was not chosen for speed."""
        self.speeds.observe([node.index for node in path.nodes[1:]], measure, self.now())

    def is_wished(self, path: Path) -> bool:
        """Whether a circuit's exit stands where exits are wished to stand now."""
        return self._current().is_in_country(path.exit, self._wished(Wishes(), self.now()))

    def exits(self, port: int) -> list[dict[str, Any]]:
        """All exits, for people; see `node.client.paths.exits`.

        Raises:
            StageError: No consensus.
        """
        now = self.now()
        avoided = self.suspicion.exclusions(now)[0]
        return exit_rows(self._current(), self._wished(Wishes(), now), port, avoided)

    def ready_port(self) -> int:
        """A port that spare circuits should reach: the web's, or any an exit offers."""
        nodes = self.view.for_circuits().nodes
        offers = any(node.policy and exit_allows(node, "", READY_PORT) for node in nodes)
        return READY_PORT if offers else 0

    def _wished(self, wishes: Wishes, now: float) -> Wishes:
        return replace(
            wishes,
            damping_ppm={**self.speeds.damping_ppm(now), **wishes.damping_ppm},
            countries=wishes.countries or self.countries,
            barred_countries=wishes.barred_countries | self.barred_countries,
        )

    def _current(self) -> Chooser:
        consensus = self.view.for_circuits()
        phase = phase_at(self.wall(), consensus.parameters.key_phase_s)
        held = self._chooser
        if (
            held is None
            or held.consensus is not consensus
            or held.phase != phase
            or held.atlas is not self.atlas
        ):
            held = Chooser(consensus, phase, exit_allows=exit_allows, atlas=self.atlas)
            self._chooser = held
        return held
