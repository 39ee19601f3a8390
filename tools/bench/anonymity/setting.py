"""Constants of the simulation, the modes it compares, and how large a network a load needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.mix.packet import LAYERS
from node.mix.poisson import MEAN_DELAY_MS
from node.mix.rates import MESSAGES
from qnet.parameters import NetworkParameters

MEAN_DELAY_S: Final = MEAN_DELAY_MS / 1000
"""Mean of the delay at one mix."""
USERS: Final = (1_000, 10_000, 100_000, 1_000_000)

PAYLOAD_PER_S: Final = 0.05
"""Packets of a user who sends without covers: a short message every 20 s."""
MIX_LOOPS_PER_S: Final = 5.0
"""Loops that each mix sends through the network to itself."""

NODE_PACKETS_PER_S: Final = 12_500
"""What a mix carries on two cores (issue 6)."""
LOAD_TARGET: Final = 0.5
"""Share of it that is used."""
MIXES_MIN: Final = 3
"""In a layer, however little traffic there is."""
MIXES_MAX: Final = NetworkParameters.profile("main").slots_mix // LAYERS
"""In a layer: the paid mixes of the main network."""
LINKS: Final = LAYERS + 1
"""Of a packet after the guard: one into each mix and one to the mailbox."""
RECORD_BYTES: Final = 2_336
"""One packet in one PACKETS record."""

JITTER_S: Final = 0.002
"""Mean time a cell waits at one node of a circuit."""
ACTIVE_SHARE: Final = 0.1
"""Users of circuits who fetch something at a given moment."""
CELLS_PER_S: Final = 20.0
"""Cells of a user of circuits while active."""


class Mode(StrEnum):
    """How users send."""

    CIRCUITS = "fast circuits"
    MIX = "mix mode"
    COVERED = "mix with covers"


MIX_MODES: Final = (Mode.MIX, Mode.COVERED)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Users who send alike, as an observer of their links sees them.

    Attributes:
        users: Who send at present.
        rate: Packets or cells per second of each.
        mean_delay_s: Mean of the delay at each of three nodes.
    """

    users: int
    rate: float
    mean_delay_s: float = MEAN_DELAY_S

    @property
    def load(self) -> float:
        """Packets per second of all."""
        return self.users * self.rate


def crowd_of(mode: Mode, users: int) -> Crowd:
    """Users in a mode, with the rates of this module."""
    if mode is Mode.CIRCUITS:
        return Crowd(max(2, round(ACTIVE_SHARE * users)), CELLS_PER_S, JITTER_S)
    return Crowd(users, PAYLOAD_PER_S if mode is Mode.MIX else MESSAGES.total_hz)


def mixes_for(load: float) -> int:
    """Mixes in each layer that carry a load at `LOAD_TARGET`.

    Args:
        load: Packets per second, each of which passes one mix of each layer.
    """
    needed = math.ceil(load / (LOAD_TARGET * NODE_PACKETS_PER_S))
    return min(max(needed, MIXES_MIN), MIXES_MAX)
