"""What an auditor does in a slot, decided without I/O: when, over which nodes, with what verdict.

A probe runs over an ordinary circuit in which the target stands at its role's position. When it
fails, a control probe runs over the same other hops with the control node in the target's place.

Source: docs/spec/rewards.md, QN-REW-012 and 041; docs/spec/directory.md, QN-DIR-066.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from node.accounting.assignments import SlotWork, Target
from node.directory.diversity import are_distinct
from node.directory.path import Path, select_path
from node.directory.wishes import ROLES, Position, Wishes
from node.errors import Stage, StageError
from qnet.messages.consensus import Consensus, ConsensusNode
from qnet.messages.descriptor import Role
from qnet.sampling import RandomBytes, shuffle, uniform_below, weighted_place

POSITIONS: Final[Mapping[Role, Position]] = {role: position for position, role in ROLES.items()}
"""Where a node of a role stands in circuits; mixes are probed otherwise (`mix_probes`)."""
PROBE_SHARE: Final = 0.3
"""Longest deadline of a probe, and of its control, as a share of the slot."""
SLACK_SHARE: Final = 0.125
"""Share of the slot in which nothing is planned, for jobs that start late."""
SUSPECT_S: Final = 60.0
"""A node that spoilt a probe is avoided as another target's hop for this long."""
_MOMENTS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Measure:
    """One target of a capacity burst, by registry index."""

    index: int


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do in a slot.

    Args:
        start_s: seconds after the slot's plan was made.
        task: what.
    """

    start_s: float
    task: Target | Measure


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """When everything in a slot happens.

    Args:
        window_s: seconds from the plan to the end of the slot.
        probe_s: deadline of one probe or control, in seconds.
        jobs: ascending by start.
    """

    window_s: float
    probe_s: float
    jobs: tuple[Job, ...]

    def has_time(self, elapsed_s: float) -> bool:
        """Whether a probe and its control fit into the rest of the slot."""
        return elapsed_s + 2 * self.probe_s <= self.window_s


def plan_slot(
    work: SlotWork, *, probes: int, window_s: float, latency_max_ms: int, random: RandomBytes
) -> SlotPlan:
    """Spread a slot's work over it at random moments, in random order.

    Args:
        work: what the member wants.
        probes: of each target, `probes_per_slot`.
        window_s: seconds to the end of the slot, above 0.
        latency_max_ms: `audit_latency_max_ms`.
        random: source of random bytes.
    """
    tasks: list[Target | Measure] = [*work.targets * probes, *(Measure(i) for i in work.capacity)]
    shuffle(tasks, random)
    probe_s = min(latency_max_ms / 1000, window_s * PROBE_SHARE)
    span_s = window_s * (1 - SLACK_SHARE) - 2 * probe_s
    starts = sorted(span_s * uniform_below(_MOMENTS, random) / _MOMENTS for _ in tasks)
    jobs = tuple(Job(start_s, task) for start_s, task in zip(starts, tasks, strict=True))
    return SlotPlan(window_s, probe_s, jobs)


class Verdict(StrEnum):
    """What a probe says about its target."""

    RETURNED = "returned"
    """It answered: one sent, one returned."""
    FAILED = "failed"
    """It did not, and its control did: one sent, none returned."""
    UNDECIDED = "undecided"
    """Neither did, or there was no control: none sent."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Outcome of one probe.

    Args:
        micros: round trip in microseconds, None if it did not return in time.
        control_ok: whether the control succeeded; None if none ran.
    """

    micros: int | None
    control_ok: bool | None = None

    @property
    def verdict(self) -> Verdict:
        """A success counts, a failure only if the control succeeded (QN-REW-041)."""
        if self.micros is not None:
            return Verdict.RETURNED
        return Verdict.FAILED if self.control_ok else Verdict.UNDECIDED


def in_time(micros: int | None, latency_max_ms: int) -> int | None:
    """A round trip if it counts as one, None if it took too long."""
    return micros if micros is not None and micros <= 1000 * latency_max_ms else None


class Planned(Protocol):
    """What a probe's outcome is laid to."""

    @property
    def target(self) -> int:
        """Registry index of the node probed."""

    @property
    def hops(self) -> tuple[int, ...]:
        """Registry indexes of the nodes on its way, in order."""

    @property
    def others(self) -> frozenset[int]:
        """The hops that probe and control share."""


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """The two paths of one probe.

    Args:
        target: registry index of the node probed.
        path: holds it at its role's position.
        control: the same with the control node there; None if no path allows it.
    """

    target: int
    path: Path
    control: Path | None

    @property
    def hops(self) -> tuple[int, ...]:
        """Registry indexes of the path, in order."""
        return tuple(node.index for node in self.path.nodes)

    @property
    def others(self) -> frozenset[int]:
        """The hops that probe and control share."""
        return frozenset(self.hops) - {self.target}


@dataclass(frozen=True, slots=True)
class BurstPlan:
    """The circuit of a capacity burst: two hops, the target last.

    Args:
        nodes: first hop and target.
        phase: key phase of the onion keys.
    """

    nodes: tuple[ConsensusNode, ConsensusNode]
    phase: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What paths are drawn from.

    Args:
        consensus: fresh enough for circuits.
        guards: registry indexes of the entries to prefer.
        avoided: nodes not to use for other targets' probes if it can be helped.
        phase: key phase now.
    """

    consensus: Consensus
    guards: Sequence[int]
    avoided: frozenset[int]
    phase: int

    def levels(self) -> list[tuple[Collection[int], frozenset[int]]]:
        """Pairs of (entries allowed, nodes avoided), the most demanding first."""
        entries = frozenset(n.index for n in self.consensus.nodes if n.role is Role.ENTRY)
        return [
            (guards, avoided)
            for guards in (self.guards, entries)
            for avoided in (self.avoided, frozenset[int]())
        ]


def plan_probe(target: Target, around: Surroundings, *, random: RandomBytes) -> ProbePlan:
    """Draw the path of a probe such that the control fits into it too, if that is possible.

    Wishes are given up in this order: avoid suspects, enter through guards, have a control.

    Raises:
        StageError: the target is not listed, its role has no position, or no path holds it.
    """
    node = _listed(target.index, around)
    if node.role not in POSITIONS:
        raise StageError(Stage.PATH, f"node {node.index} has no place in circuits")
    position = POSITIONS[node.role]
    control = _control(target, node, around)
    for rival in [control, None] if control is not None else [None]:
        for guards, avoided in around.levels():
            path = _draw(node, position, rival, guards, avoided, around, random)
            if path is not None:
                substitute = None if rival is None else _replaced(path, position, rival)
                return ProbePlan(node.index, path, substitute)
    raise StageError(Stage.PATH, f"no path holds node {node.index}")


def plan_burst(index: int, around: Surroundings, *, random: RandomBytes) -> BurstPlan:
    """Draw the first hop of a capacity burst: an entry independent of the target.

    Raises:
        StageError: the target is not listed, or no entry is independent of it.
    """
    node = _listed(index, around)
    entries = [
        entry
        for entry in around.consensus.nodes
        if entry.role is Role.ENTRY
        and entry.weight > 0
        and entry.phase_key(around.phase) is not None
        and are_distinct(entry, node)
    ]
    for guards, avoided in around.levels():
        fitting = [e for e in entries if e.index in guards and e.index not in avoided]
        if fitting:
            first = fitting[weighted_place([entry.weight for entry in fitting], random)]
            return BurstPlan((first, node), around.phase)
    raise StageError(Stage.PATH, f"no entry is independent of node {index}")


@dataclass(slots=True)
class Suspects:
    """Nodes that probably spoilt a probe, until they carry one.

    Args:
        until: end of suspicion by registry index, in the caller's seconds.
    """

    until: dict[int, float] = field(default_factory=dict)

    def learn(self, plan: Planned, probe: Probe, now: float) -> None:
        """Draw conclusions from a probe: about the target, or about the hops it shares."""
        if probe.verdict is Verdict.RETURNED:
            self._clear((plan.target, *plan.others))
        elif probe.verdict is Verdict.FAILED:
            self._clear(plan.others)
            self.until[plan.target] = now + SUSPECT_S
        else:
            self.until.update(dict.fromkeys(plan.others, now + SUSPECT_S))

    def current(self, now: float) -> frozenset[int]:
        """Nodes to avoid now."""
        self.until = {index: until for index, until in self.until.items() if until > now}
        return frozenset(self.until)

    def _clear(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            self.until.pop(index, None)


def _listed(index: int, around: Surroundings) -> ConsensusNode:
    node = around.consensus.by_index.get(index)
    if node is None:
        raise StageError(Stage.PATH, f"node {index} is not in the consensus")
    if node.phase_key(around.phase) is None:
        raise StageError(Stage.PATH, f"node {index} has no key for this phase")
    return node


def _control(target: Target, node: ConsensusNode, around: Surroundings) -> ConsensusNode | None:
    """The control node, if it can take the target's place."""
    control = around.consensus.by_index.get(target.control or 0)
    if control is None or control.role is not node.role or control.index == node.index:
        return None
    return control if control.phase_key(around.phase) is not None else None


def _draw(
    node: ConsensusNode,
    position: Position,
    control: ConsensusNode | None,
    guards: Collection[int],
    avoided: frozenset[int],
    around: Surroundings,
    random: RandomBytes,
) -> Path | None:
    """A path with a node at a position, all other hops independent of the control as well."""
    unfit = frozenset(
        other.index
        for other in around.consensus.nodes
        if control is not None and not are_distinct(other, control)
    )
    wishes = Wishes(pinned={position: node.index}, excluded=(unfit | avoided) - {node.index})
    try:
        return select_path(
            around.consensus,
            wishes,
            guards=list(guards),
            phase=around.phase,
            random=random,
            exit_allows=lambda _node, _host, _port: True,
        )
    except StageError:
        return None


def _replaced(path: Path, position: Position, node: ConsensusNode) -> Path:
    match position:
        case Position.ENTRY:
            return replace(path, entry=node)
        case Position.MIDDLE:
            return replace(path, middle=node)
        case Position.EXIT:
            return replace(path, exit=node)
