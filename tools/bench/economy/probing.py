"""Audits of a node that loses circuits: the ledger's medians over simulated probes.

Outcomes are drawn once for each rate of loss and kept: an epoch then draws one of them. Whatever
turns probes into P is `ledger.domain.audits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from ledger.domain.audits import Probe, auditors_of, slot_performance
from ledger.domain.state import P_CARRY
from qnet.messages.audit import NO_PROBES, AuditResult
from qnet.parameters import NetworkParameters
from tools.bench.economy.chance import seeded

MEMBERS: Final = 16
"""Committee members; at most five of them may be wicked."""
WICKED_MAX: Final = 5
SAMPLES: Final = 32
"""Epochs drawn for each rate of loss."""
STEPS: Final = 200
"""A target's loss is rounded to one part in this many."""
OTHER_STEPS: Final = 50
"""Losses of the nodes around it likewise."""
_SIGNERS: Final = tuple(bytes([member]) * 20 for member in range(MEMBERS))


@dataclass(frozen=True, slots=True)
class Odds:
    """What a probe of a node meets.

    Attributes:
        target: Share of circuits that die at the node.
        others: Share that dies at the other hops.
        control: Share that dies at the node that takes its place in the control.
        wicked: Members that lie.
        praised: Whether they lie for the node; else against it.
        probes: Probes of one auditor in one slot.
    """

    target: float
    others: float
    control: float
    wicked: int = 0
    praised: bool = False
    probes: int = 1

    @property
    def rounded(self) -> Odds:
        """Odds that many nodes share."""
        return Odds(
            round(self.target * STEPS) / STEPS,
            round(self.others * OTHER_STEPS) / OTHER_STEPS,
            round(self.control * OTHER_STEPS) / OTHER_STEPS,
            self.wicked,
            self.praised,
            self.probes,
        )

    def probe(self, random: Random) -> Probe:
        """One probe and, if it fails, its control."""
        if random.random() < (1 - self.target) * (1 - self.others):
            return Probe(1_000, None)
        return Probe(None, random.random() < (1 - self.control) * (1 - self.others))


def draw_slots(odds: Odds, parameters: NetworkParameters, random: Random) -> tuple[int, ...]:
    """P of every slot of one epoch, in permille.

    Args:
        odds: Rounded, so that they repeat.
        parameters: Slots, and auditors of each.
        random: Source of chance.
    """
    known = _outcomes(odds, parameters.slots_per_epoch, parameters.audits_per_slot)
    return random.choice(known)


@lru_cache(maxsize=4096)
def _outcomes(odds: Odds, slots: int, audits: int) -> tuple[tuple[int, ...], ...]:
    random = seeded("probes", odds, slots, audits)
    return tuple(_epoch(odds, drawn, random) for drawn in _auditors(slots, audits))


@lru_cache(maxsize=4)
def _auditors(slots: int, audits: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Who probes in each slot of the epochs that are drawn."""
    random = seeded("auditors", slots, audits)
    return tuple(
        tuple(auditors_of(1, random.randbytes(32), _SIGNERS, audits) for _ in range(slots))
        for _ in range(SAMPLES)
    )


def _epoch(odds: Odds, drawn: tuple[tuple[int, ...], ...], random: Random) -> tuple[int, ...]:
    results = [
        _result(slot, auditor, odds, random)
        for slot, auditors in enumerate(drawn)
        for auditor in auditors
    ]
    known = [result for result in results if result is not None]
    return slot_performance(1, known, len(drawn), P_CARRY)


def _result(slot: int, auditor: int, odds: Odds, random: Random) -> AuditResult | None:
    if auditor < odds.wicked:
        returned = odds.probes if odds.praised else 0
        return AuditResult(0, slot, auditor, 1, odds.probes, returned, 0, NO_PROBES)
    counted = [probe for probe in (odds.probe(random) for _ in range(odds.probes)) if probe.counts]
    if not counted:
        return None
    returned = sum(probe.micros is not None for probe in counted)
    return AuditResult(0, slot, auditor, 1, len(counted), returned, 0, NO_PROBES)
