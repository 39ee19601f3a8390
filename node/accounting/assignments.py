"""JSON between an auditor and its committee member: a slot's work in, what was found out.

Source: docs/spec/ledger-api.md, section Audits.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pydantic_core import from_json

from qnet.errors import DecodeError
from qnet.messages.audit import MAX_TARGETS
from qnet.messages.fields import U32_MAX
from qnet.messages.receipt import MAX_SLOTS_PER_EPOCH

MAX_WORK_BYTES: Final = 4 << 20
"""Longest answer read from a member."""
MAX_PROBES: Final = 64
"""Probes of one target in one slot that a member takes."""
_TIME_MAX: Final = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class Target:
    """A node to probe.

    Args:
        index: registry index.
        control: node of the same role that takes its place in the control; None if there is none.
    """

    index: int
    control: int | None


@dataclass(frozen=True, slots=True)
class SlotWork:
    """What a member wants done in one slot.

    Args:
        epoch: reward epoch.
        slot: slot within it.
        ends_at: end of the slot, unix seconds.
        targets: nodes to probe, each once.
        capacity: registry indexes of nodes to measure, each once.
        burst_bytes: size of one burst.
    """

    epoch: int
    slot: int
    ends_at: int
    targets: tuple[Target, ...]
    capacity: tuple[int, ...]
    burst_bytes: int

    @property
    def key(self) -> tuple[int, int]:
        """Epoch and slot, in the order of time."""
        return self.epoch, self.slot


@dataclass(frozen=True, slots=True)
class Burst:
    """One capacity measurement.

    Args:
        size_bytes: bytes received, at least 1.
        micros: microseconds they took, at least 1.
    """

    size_bytes: int
    micros: int


class ProbeOutcome(Protocol):
    """One probe as it is told to the member."""

    @property
    def micros(self) -> int | None:
        """Round trip in microseconds, None if it did not return in time."""

    @property
    def control_ok(self) -> bool | None:
        """Whether the control succeeded; None if none ran."""


def decode_work(data: bytes) -> SlotWork:
    """Read a member's assignments.

    Raises:
        DecodeError: malformed or out of bounds.
    """
    if len(data) > MAX_WORK_BYTES:
        raise DecodeError(f"assignments exceed {MAX_WORK_BYTES} bytes")
    try:
        value = from_json(data)  # bounds its depth, whatever the recursion limit is
    except ValueError as error:
        raise DecodeError("assignments are not JSON") from error
    work = SlotWork(
        epoch=_number(value, "epoch", 0, U32_MAX),
        slot=_number(value, "slot", 0, MAX_SLOTS_PER_EPOCH - 1),
        ends_at=_number(value, "slot_ends_at", 0, _TIME_MAX),
        targets=tuple(_target(item) for item in _list(value, "targets")),
        capacity=tuple(_bounded(item, "capacity", 1, U32_MAX) for item in _list(value, "capacity")),
        burst_bytes=_number(value, "burst_bytes", 1, U32_MAX),
    )
    indexes = [target.index for target in work.targets]
    if len(set(indexes)) < len(indexes) or len(set(work.capacity)) < len(work.capacity):
        raise DecodeError("assignments name a target twice")
    return work


def encode_results(
    work: SlotWork,
    probes: Mapping[int, Sequence[ProbeOutcome]],
    bursts: Mapping[int, Burst],
) -> bytes:
    """What was found in a slot, by registry index, as the member reads it."""
    content = {
        "epoch": work.epoch,
        "slot": work.slot,
        "results": [
            {
                "target": target,
                "probes": [
                    {"micros": _capped(probe.micros), "control_ok": probe.control_ok}
                    for probe in found[:MAX_PROBES]
                ],
            }
            for target, found in sorted(probes.items())
            if found
        ],
        "capacity": [
            {"target": target, "bytes": burst.size_bytes, "micros": burst.micros}
            for target, burst in sorted(bursts.items())
        ],
    }
    return json.dumps(content).encode()


def _capped(micros: int | None) -> int | None:
    return None if micros is None else min(micros, U32_MAX)


def _target(item: Any) -> Target:
    index = _number(item, "index", 1, U32_MAX)
    if item.get("control") is None:
        return Target(index, None)
    control = _number(item, "control", 1, U32_MAX)
    if control == index:
        raise DecodeError("assignments: a target is its own control")
    return Target(index, control)


def _list(value: Any, name: str) -> list[Any]:
    items = value.get(name) if isinstance(value, dict) else None
    if not isinstance(items, list) or len(items) > MAX_TARGETS:
        raise DecodeError(f"assignments: {name} is not a list of at most {MAX_TARGETS}")
    return items


def _number(value: Any, name: str, low: int, high: int) -> int:
    return _bounded(value.get(name) if isinstance(value, dict) else None, name, low, high)


def _bounded(value: Any, name: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DecodeError(f"assignments: {name} is not a number from {low} to {high}")
    return value
