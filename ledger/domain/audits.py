"""Audits: who probes whom, and what the results are worth.

Source: docs/spec/rewards.md, QN-REW-012 and 040 to 045.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from ledger.domain.state import P_CARRY, P_ONE, M
from qnet.codec import Writer
from qnet.crypto.kdf import Label, derive_key
from qnet.messages.audit import LOST, AuditResult, CapacityResult, probe_root
from qnet.messages.report import AuditLeaf

RESULTS_MIN: Final = 3
"""Fewer results do not make a median."""
SLOTS_PER_DROP: Final = 12
"""One worst slot is dropped for every this many."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a target.

    Args:
        micros: round trip, None if it did not return in time.
        control_ok: whether the control probe succeeded; None if none was needed.
    """

    micros: int | None
    control_ok: bool | None

    @property
    def counts(self) -> bool:
        """A success counts, a failure only if the control succeeded (QN-REW-041)."""
        return self.micros is not None or self.control_ok is True


@dataclass(frozen=True, slots=True)
class Assignment:
    """One target of a member in one slot, with the node that takes its place in the control."""

    target: int
    control: int | None


def auditors_of(
    target: int, beacon: bytes, signers: Sequence[bytes], count: int
) -> tuple[int, ...]:
    """Members that probe a target in a slot, ascending (QN-REW-040).

    Args:
        target: registry index.
        beacon: of the slot, 32 bytes.
        signers: members' addresses in member order.
        count: `audits_per_slot`.
    """
    ranked = sorted(range(len(signers)), key=lambda member: _draw(beacon, target, signers[member]))
    return tuple(sorted(ranked[:count]))


def assignments_of(
    member: int,
    targets: Mapping[int, int],
    beacon: bytes,
    signers: Sequence[bytes],
    count: int,
) -> list[Assignment]:
    """Targets of one member in a slot, ascending.

    The control is the node of the same role drawn lowest; a role with one node has none, so its
    failures never count.

    Args:
        member: our number.
        targets: role by registry index of the nodes to probe.
        beacon: of the slot.
        signers: members' addresses in member order.
        count: `audits_per_slot`.
    """
    mine = []
    for target, role in sorted(targets.items()):
        if member not in auditors_of(target, beacon, signers, count):
            continue
        peers = [other for other in targets if other != target and targets[other] == role]
        address = signers[member] + target.to_bytes(4, "big")
        control = min(peers, key=lambda other: _draw(beacon, other, address), default=None)
        mine.append(Assignment(target, control))
    return mine


def _draw(beacon: bytes, target: int, address: bytes) -> bytes:
    material = Writer().take(b"audit").take(beacon).u32(target).take(address).bytes()
    return derive_key(Label.BEACON_DRAW, material)


def summarise(
    epoch: int, slot: int, auditor: int, target: int, probes: Sequence[Probe]
) -> AuditResult | None:
    """A member's result from its probes, None if none of them counts (QN-REW-041)."""
    counted = [probe for probe in probes if probe.counts]
    if not counted:
        return None
    trips = sorted(probe.micros for probe in counted if probe.micros is not None)
    median_ms = min(trips[(len(trips) - 1) // 2] // 1000, 0xFFFFFFFF) if trips else 0
    root = probe_root([LOST if probe.micros is None else probe.micros for probe in counted])
    return AuditResult(epoch, slot, auditor, target, len(counted), len(trips), median_ms, root)


def counted_results(
    results: Iterable[AuditResult],
    *,
    epoch: int,
    targets: int,
    beacons: Sequence[bytes],
    signers: Sequence[bytes],
    count: int,
) -> list[AuditResult]:
    """Results that count, ascending by (slot, target, auditor) (QN-REW-040, 042, 043).

    Args:
        results: with signatures and commitments checked, in any order.
        epoch: the epoch.
        targets: highest registry index.
        beacons: of its slots in order.
        signers: members' addresses in member order.
        count: `audits_per_slot`.
    """
    found: dict[tuple[int, int, int], set[AuditResult]] = {}
    for result in results:
        fits = result.epoch == epoch and result.slot < len(beacons)
        if fits and 0 < result.target <= targets and result.sent > 0:
            key = (result.slot, result.target, result.auditor)
            found.setdefault(key, set()).add(result)
    drawn: dict[tuple[int, int], tuple[int, ...]] = {}
    kept: list[AuditResult] = []
    for (slot, target, auditor), bodies in sorted(found.items(), key=lambda item: item[0]):
        if (slot, target) not in drawn:
            drawn[slot, target] = auditors_of(target, beacons[slot], signers, count)
        if len(bodies) == 1 and auditor in drawn[slot, target]:
            kept.extend(bodies)
    return kept


def audit_leaves(results: Iterable[AuditResult]) -> tuple[AuditLeaf, ...]:
    """Leaves of the results that count, given ascending (QN-REW-071)."""
    groups = groupby(results, key=lambda result: (result.epoch, result.slot, result.target))
    leaves = []
    for (epoch, slot, target), group in groups:
        rows = [(result.auditor, result.sent, result.returned) for result in group]
        auditors, sent, returned = zip(*rows, strict=True)
        leaves.append(AuditLeaf(epoch, slot, target, auditors, sent, returned))
    return tuple(leaves)


def lower_median(values: Sequence[int]) -> int:
    """Median; of an even number the lower of the two in the middle."""
    return sorted(values)[(len(values) - 1) // 2]


def slot_performance(
    target: int, results: Iterable[AuditResult], slots: int, last: int
) -> tuple[int, ...]:
    """P of each slot in permille (QN-REW-043, 044).

    Args:
        target: registry index.
        results: those that count, of all targets.
        slots: slots in the epoch.
        last: what stands before the first slot.
    """
    values: list[list[int]] = [[] for _ in range(slots)]
    for result in results:
        if result.target == target:
            values[result.slot].append(result.returned * P_ONE // result.sent)
    performance = []
    for found in values:
        last = lower_median(found) if len(found) >= RESULTS_MIN else min(last, P_CARRY)
        performance.append(last)
    return tuple(performance)


def epoch_performance(slots: Sequence[int]) -> int:
    """Mean of the best slots in ppm (QN-REW-045)."""
    best = sorted(slots)[len(slots) // SLOTS_PER_DROP :]
    return sum(best) * (M // P_ONE) // len(best)


def measured_kbps(
    target: int, results: Iterable[CapacityResult], burst_bytes: int, last: int
) -> int:
    """Measured rate of a node in kbit/s, the last one without enough results (QN-REW-012).

    Args:
        target: registry index.
        results: of the epoch, of all targets.
        burst_bytes: largest burst that counts.
        last: rate before the epoch, 0 if never measured.
    """
    by_auditor = {
        result.auditor: result.kbps
        for result in sorted(results, key=lambda result: (result.auditor, result.kbps))
        if result.target == target and 0 < result.size_bytes <= burst_bytes and result.micros > 0
    }
    if len(by_auditor) < RESULTS_MIN:
        return last
    return lower_median(list(by_auditor.values()))
