"""The few entries a client keeps using, so that a hostile one is met rarely.

Guards stand in an order: those that carried a circuit first, by when they first did, then those
never reached, by when they were chosen. The first two that the consensus lists are primary.
State changes are pure: every function takes a state and returns the next one; the driver stores it.

Source: docs/spec/directory.md, section Guards.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self, cast

from node.directory.atlas import NO_ATLAS, Atlas
from node.directory.diversity import are_distinct
from qnet.errors import DecodeError
from qnet.messages.consensus import Consensus
from qnet.messages.consensus_node import ConsensusNode
from qnet.messages.descriptor import Role
from qnet.sampling import RandomBytes, uniform_below, weighted_place

PRIMARY_GUARDS: Final = 2
MAX_GUARDS: Final = 8
"""Guards remembered, including those that are not listed at the moment."""
LIFETIME_MIN_S: Final = 60 * 86_400
LIFETIME_MAX_S: Final = 120 * 86_400
MIN_CIRCUITS: Final = 20
"""Circuits before a guard is judged."""
MAX_FAILED_PERCENT: Final = 30
MAX_BROKEN_PERCENT: Final = 40
"""Share of circuits that break after the guard at which people are warned."""
WINDOW_CIRCUITS: Final = 100
"""Counts are halved here, so that the past fades."""
REPLACEMENT_GAP_S: Final = 3600
"""Least time between two guards being dropped."""
MAX_NEW_PER_DAY: Final = 6
DAY_S: Final = 86_400
_NODE_ID_BYTES: Final = 32
_TIME_MAX: Final = 1 << 53


class Outcome(StrEnum):
    """How a circuit through a guard went."""

    BUILT = "built"
    FAILED = "failed"
    """At the guard."""
    BROKEN = "broken"
    """After the guard."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard.

    Args:
        node_id: 32 bytes.
        chosen_at: unix time.
        expires_at: unix time at which it is replaced.
        confirmed: whether a circuit was ever built through it.
        built: circuits that were built through it.
        failed: circuits that failed at it.
        broken: circuits that broke after it.
    """

    node_id: bytes
    chosen_at: int
    expires_at: int
    confirmed: bool = False
    built: int = 0
    failed: int = 0
    broken: int = 0

    @property
    def circuits(self) -> int:
        """All that were tried, as far as they are remembered."""
        return self.built + self.failed + self.broken

    @property
    def is_failing(self) -> bool:
        """Whether so many circuits failed that it is dropped."""
        return self._exceeds(self.failed, MAX_FAILED_PERCENT)

    @property
    def is_suspicious(self) -> bool:
        """Whether so many circuits broke after it that it may choose whom its clients reach."""
        return self._exceeds(self.broken, MAX_BROKEN_PERCENT)

    def _exceeds(self, count: int, percent: int) -> bool:
        return self.circuits >= MIN_CIRCUITS and 100 * count > percent * self.circuits


@dataclass(frozen=True, slots=True)
class GuardState:
    """All guards in their order.

    Args:
        guards: at most MAX_GUARDS; the confirmed ones first.
        drawn_at: unix times of the draws of the last day, at most MAX_NEW_PER_DAY.
        dropped_at: unix time at which one was dropped last, 0 for never.
    """

    guards: tuple[Guard, ...] = ()
    drawn_at: tuple[int, ...] = ()
    dropped_at: int = 0

    def to_json(self) -> dict[str, object]:
        """Return plain values for the driver to store."""
        return {
            "guards": [
                {name: getattr(guard, name) for name in _FIELDS} | {"node_id": guard.node_id.hex()}
                for guard in self.guards
            ],
            "drawn_at": list(self.drawn_at),
            "dropped_at": self.dropped_at,
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` returned.

        Raises:
            DecodeError: anything else.
        """
        if not isinstance(value, dict) or value.keys() != {"guards", "drawn_at", "dropped_at"}:
            raise DecodeError("guard state: not a map of the expected fields")
        items, drawn_at, dropped_at = value["guards"], value["drawn_at"], value["dropped_at"]
        if not isinstance(items, list) or len(items) > MAX_GUARDS:
            raise DecodeError(f"guard state: not a list of at most {MAX_GUARDS} guards")
        if not isinstance(drawn_at, list) or len(drawn_at) > MAX_NEW_PER_DAY:
            raise DecodeError(f"guard state: not at most {MAX_NEW_PER_DAY} draws")
        if not all(_is_number(number) for number in (*drawn_at, dropped_at)):
            raise DecodeError("guard state: a time is out of bounds")
        guards = tuple(_parse_guard(item) for item in items)
        if len({guard.node_id for guard in guards}) != len(guards):
            raise DecodeError("guard state names a node twice")
        return cls(_ordered(guards), tuple(drawn_at), cast("int", dropped_at))

    def record(self, node_id: bytes, outcome: Outcome) -> Self:
        """Note how a circuit through a guard went; the first that is built confirms it."""
        counted = [
            _count(guard, outcome) if guard.node_id == node_id else guard for guard in self.guards
        ]
        return replace(self, guards=_ordered(counted))


def usable_guards(
    state: GuardState, consensus: Consensus, unreachable: Collection[bytes] = ()
) -> tuple[ConsensusNode, ...]:
    """Entries to use: the primary guards that can be reached, else the next one that can be.

    Args:
        state: guards so far.
        consensus: a current consensus.
        unreachable: ids of nodes that do not answer at the moment.
    """
    listed = _listed(state.guards, consensus)
    answering = [node for node in listed if node.node_id not in unreachable]
    primary = [node for node in answering if node in listed[:PRIMARY_GUARDS]]
    return tuple(primary or answering[:1])


def maintain_guards(
    state: GuardState,
    consensus: Consensus,
    *,
    now: float,
    random: RandomBytes,
    unreachable: Collection[bytes] = (),
    network_is_up: bool = False,
    atlas: Atlas = NO_ATLAS,
) -> GuardState:
    """Drop a guard that expired or fails, and choose new ones where that is called for.

    One is chosen while fewer than two are listed, and when none can be reached. In the second case
    it may be the network that is down: without a sign that it is up, only one guard is tried beyond
    the primary ones.

    Args:
        state: guards so far.
        consensus: a current consensus.
        now: unix time.
        random: source of random bytes.
        unreachable: ids of nodes that do not answer at the moment.
        network_is_up: whether anybody answered since the last guard was lost.
        atlas: knows autonomous systems.
    """
    state = _forget(state, int(now))
    state, barred = _drop_one(state, int(now))
    is_whole = True
    while len(_listed(state.guards, consensus)) < PRIMARY_GUARDS:
        grown = _grow(state, consensus, barred, int(now), random, atlas)
        if grown is None:
            return state
        state, is_whole = grown, False
    if not is_whole or usable_guards(state, consensus, unreachable):
        return state  # who was just chosen is tried first
    extras = [g for g in state.guards if _is_listed(g, consensus)][PRIMARY_GUARDS:]
    if network_is_up or all(guard.confirmed for guard in extras):
        grown = _grow(state, consensus, barred | set(unreachable), int(now), random, atlas)
        return grown or state
    return state


def _forget(state: GuardState, now: int) -> GuardState:
    """Forget draws older than a day, and cut times that a wrong clock put into the future."""
    guards = tuple(
        replace(
            guard,
            chosen_at=min(guard.chosen_at, now),
            expires_at=min(guard.expires_at, now + LIFETIME_MAX_S),
        )
        for guard in state.guards
    )
    drawn_at = tuple(min(at, now) for at in state.drawn_at if at > now - DAY_S)
    return GuardState(guards, drawn_at, min(state.dropped_at, now))


def _drop_one(state: GuardState, now: int) -> tuple[GuardState, set[bytes]]:
    """Drop at most one guard; returns who must not be chosen instead."""
    leaving = next((g for g in state.guards if g.is_failing or g.expires_at <= now), None)
    if leaving is None or (state.dropped_at and now - state.dropped_at < REPLACEMENT_GAP_S):
        return state, set()
    guards = tuple(guard for guard in state.guards if guard is not leaving)
    barred = {leaving.node_id} if leaving.is_failing else set()
    return replace(state, guards=guards, dropped_at=now), barred


def _grow(
    state: GuardState,
    consensus: Consensus,
    barred: set[bytes],
    now: int,
    random: RandomBytes,
    atlas: Atlas,
) -> GuardState | None:
    """Add one guard; None if none may be added or there is none to add.

    The limit of a day does not hold for a client whose guards all left the network.
    """
    if len(state.drawn_at) >= MAX_NEW_PER_DAY and _listed(state.guards, consensus):
        return None
    guards = list(state.guards)
    if len(guards) == MAX_GUARDS:
        unlisted = [guard for guard in guards if not _is_listed(guard, consensus)]
        if not unlisted:
            return None
        guards.remove(unlisted[0])
    held = {guard.node_id for guard in guards}
    chosen = _choose(guards, barred | held, consensus, random, atlas)
    if chosen is None:
        return None
    lifetime = LIFETIME_MIN_S + uniform_below(LIFETIME_MAX_S - LIFETIME_MIN_S + 1, random)
    guards.append(Guard(chosen.node_id, now, now + lifetime))
    drawn_at = (*state.drawn_at, now)[-MAX_NEW_PER_DAY:]
    return replace(state, guards=tuple(guards), drawn_at=drawn_at)


def _choose(
    guards: Iterable[Guard],
    barred: set[bytes],
    consensus: Consensus,
    random: RandomBytes,
    atlas: Atlas,
) -> ConsensusNode | None:
    """Draw an entry by weight, independent of the guards there are if that is possible."""
    candidates = [
        node for node in consensus.nodes if _is_entry(node) and node.node_id not in barred
    ]
    held = [
        node for guard in guards if (node := consensus.by_node_id.get(guard.node_id)) is not None
    ]
    independent = [
        node for node in candidates if all(are_distinct(node, other, atlas) for other in held)
    ]
    pool = independent or candidates
    return pool[weighted_place([node.weight for node in pool], random)] if pool else None


def _listed(guards: Iterable[Guard], consensus: Consensus) -> list[ConsensusNode]:
    nodes = (consensus.by_node_id.get(guard.node_id) for guard in guards)
    return [node for node in nodes if node is not None and _is_entry(node)]


def _is_listed(guard: Guard, consensus: Consensus) -> bool:
    return bool(_listed((guard,), consensus))


def _is_entry(node: ConsensusNode) -> bool:
    return node.role is Role.ENTRY and node.weight > 0


def _ordered(guards: Iterable[Guard]) -> tuple[Guard, ...]:
    """Confirmed guards first; otherwise as they stand."""
    return tuple(sorted(guards, key=lambda guard: not guard.confirmed))


def _count(guard: Guard, outcome: Outcome) -> Guard:
    counted = replace(
        guard,
        confirmed=guard.confirmed or outcome is Outcome.BUILT,
        built=guard.built + (outcome is Outcome.BUILT),
        failed=guard.failed + (outcome is Outcome.FAILED),
        broken=guard.broken + (outcome is Outcome.BROKEN),
    )
    if counted.circuits < WINDOW_CIRCUITS:
        return counted
    return replace(
        counted,
        built=counted.built // 2,
        failed=counted.failed // 2,
        broken=counted.broken // 2,
    )


_NUMBERS: Final = ("chosen_at", "expires_at", "built", "failed", "broken")
_FIELDS: Final = ("node_id", "confirmed", *_NUMBERS)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _TIME_MAX


def _parse_guard(item: object) -> Guard:
    if not isinstance(item, dict) or item.keys() != set(_FIELDS):
        raise DecodeError("guard state: not a map of the expected fields")
    numbers = {name: item[name] for name in _NUMBERS}
    if not all(_is_number(number) for number in numbers.values()):
        raise DecodeError("guard state: a number is out of bounds")
    if not isinstance(item["confirmed"], bool):
        raise DecodeError("guard state: `confirmed` is neither true nor false")
    try:
        node_id = bytes.fromhex(cast("str", item["node_id"]))
    except (TypeError, ValueError) as error:
        raise DecodeError("guard state: a node id is not hexadecimal") from error
    if len(node_id) != _NODE_ID_BYTES:
        raise DecodeError("guard state: a node id is not 32 bytes")
    return Guard(node_id, confirmed=item["confirmed"], **numbers)
