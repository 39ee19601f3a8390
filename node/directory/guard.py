"""The few entries a client keeps using, so that a hostile one is met rarely.

State changes are pure: every function takes a state and returns the next one; the driver stores
it (:meth:`GuardState.to_json`) whenever it changed.

Source: docs/spec/directory.md, section Guards.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self, cast

from node.directory.diversity import are_distinct
from qnet.errors import DecodeError
from qnet.messages.consensus import Consensus, ConsensusNode
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
WINDOW_CIRCUITS: Final = 100
"""Counts are halved here, so that the past fades."""
_NODE_ID_BYTES: Final = 32
_TIME_MAX: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard.

    Args:
        node_id: 32 bytes.
        chosen_at: unix time.
        expires_at: unix time at which it is replaced.
        built: circuits that were built through it.
        failed: circuits that failed at it.
    """

    node_id: bytes
    chosen_at: int
    expires_at: int
    built: int = 0
    failed: int = 0

    @property
    def is_failing(self) -> bool:
        """Whether so many circuits failed that it is dropped."""
        total = self.built + self.failed
        return total >= MIN_CIRCUITS and 100 * self.failed > MAX_FAILED_PERCENT * total


@dataclass(frozen=True, slots=True)
class GuardState:
    """All guards, in the order they were chosen.

    Args:
        guards: at most MAX_GUARDS.
    """

    guards: tuple[Guard, ...] = ()

    def to_json(self) -> list[dict[str, object]]:
        """Return plain values for the driver to store."""
        return [
            {
                "node_id": guard.node_id.hex(),
                "chosen_at": guard.chosen_at,
                "expires_at": guard.expires_at,
                "built": guard.built,
                "failed": guard.failed,
            }
            for guard in self.guards
        ]

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what :meth:`to_json` returned.

        Raises:
            DecodeError: anything else.
        """
        if not isinstance(value, list) or len(value) > MAX_GUARDS:
            raise DecodeError(f"guard state is not a list of at most {MAX_GUARDS}")
        guards = tuple(_parse_guard(item) for item in value)
        if len({guard.node_id for guard in guards}) != len(guards):
            raise DecodeError("guard state names a node twice")
        return cls(guards)

    def record(self, node_id: bytes, *, built: bool) -> Self:
        """Note that a circuit through a guard was built or failed at it."""
        return replace(
            self,
            guards=tuple(
                _count(guard, built=built) if guard.node_id == node_id else guard
                for guard in self.guards
            ),
        )


def usable_guards(state: GuardState, consensus: Consensus) -> tuple[ConsensusNode, ...]:
    """The primary guards: the first two that the consensus lists as entries with weight."""
    listed = (consensus.by_node_id.get(guard.node_id) for guard in state.guards)
    usable = [node for node in listed if node is not None and _is_entry(node)]
    return tuple(usable[:PRIMARY_GUARDS])


def maintain_guards(
    state: GuardState, consensus: Consensus, *, now: float, random: RandomBytes
) -> GuardState:
    """Drop one guard that expired or fails, then choose new ones until two are usable.

    Only one is dropped at a time, so that the set never changes all at once.

    Args:
        state: guards so far.
        consensus: a current consensus.
        now: unix time.
        random: source of random bytes.
    """
    leaving = next(
        (guard for guard in state.guards if guard.is_failing or guard.expires_at <= now), None
    )
    guards = [guard for guard in state.guards if guard is not leaving]
    barred = {guard.node_id for guard in guards}
    if leaving is not None and leaving.is_failing:
        barred.add(leaving.node_id)
    while len(usable_guards(GuardState(tuple(guards)), consensus)) < PRIMARY_GUARDS:
        chosen = _choose(guards, barred, consensus, random)
        if chosen is None:
            break
        lifetime = LIFETIME_MIN_S + uniform_below(LIFETIME_MAX_S - LIFETIME_MIN_S + 1, random)
        if len(guards) == MAX_GUARDS:
            guards.remove(_first_unlisted(guards, consensus))
        guards.append(Guard(chosen.node_id, int(now), int(now) + lifetime))
        barred.add(chosen.node_id)
    return GuardState(tuple(guards))


def _choose(
    guards: Iterable[Guard], barred: set[bytes], consensus: Consensus, random: RandomBytes
) -> ConsensusNode | None:
    """Draw an entry by weight, independent of the guards there are if that is possible."""
    candidates = [
        node for node in consensus.nodes if _is_entry(node) and node.node_id not in barred
    ]
    held = [
        node for guard in guards if (node := consensus.by_node_id.get(guard.node_id)) is not None
    ]
    independent = [node for node in candidates if all(are_distinct(node, other) for other in held)]
    pool = independent or candidates
    return pool[weighted_place([node.weight for node in pool], random)] if pool else None


def _is_entry(node: ConsensusNode) -> bool:
    return node.role is Role.ENTRY and node.weight > 0


def _first_unlisted(guards: Iterable[Guard], consensus: Consensus) -> Guard:
    """The guard unusable longest; there is one, since fewer than two of all are usable."""
    usable = {node.node_id for node in consensus.nodes if _is_entry(node)}
    return next(guard for guard in guards if guard.node_id not in usable)


def _count(guard: Guard, *, built: bool) -> Guard:
    counted = replace(guard, built=guard.built + int(built), failed=guard.failed + int(not built))
    if counted.built + counted.failed < WINDOW_CIRCUITS:
        return counted
    return replace(counted, built=counted.built // 2, failed=counted.failed // 2)


def _parse_guard(item: object) -> Guard:
    names = {"node_id", "chosen_at", "expires_at", "built", "failed"}
    if not isinstance(item, dict) or item.keys() != names:
        raise DecodeError("guard state: not a map of the expected fields")
    numbers = [item[name] for name in ("chosen_at", "expires_at", "built", "failed")]
    if not all(type(number) is int and 0 <= number <= _TIME_MAX for number in numbers):
        raise DecodeError("guard state: a number is out of bounds")
    try:
        node_id = bytes.fromhex(cast("str", item["node_id"]))
    except (TypeError, ValueError) as error:
        raise DecodeError("guard state: a node id is not hexadecimal") from error
    if len(node_id) != _NODE_ID_BYTES:
        raise DecodeError("guard state: a node id is not 32 bytes")
    return Guard(node_id, *numbers)
