"""Measures what the network gives now: building a circuit, round trips, and goodput.

Goodput is measured with random bytes that the exit itself sends over a directory stream, so that
no third party takes part. A node gives such bytes only now and then.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from node.client.network.directory import DirectoryStream
from node.client.paths.circuits import Circuits
from node.client.paths.path_circuit import PathCircuit
from node.directory.exchange import DirRequest, Kind
from node.directory.wishes import Wishes
from qnet.errors import QnetError

BUILDS = 3
PROBES = 5
PROBE_PAUSE_S = 0.15
"""A hop answers at most 8 probes a second."""

PROBE_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Speed:
    """What was measured; None where it could not be.

    Attributes:
        path: Registry indexes of the measured circuit, entry first.
        build_s: Median time to build a circuit.
        round_trip_s: Median round trip to each hop, entry first.
        goodput_bytes_s: Bytes a second from the exit.
        size: Bytes that goodput was measured with.
        problem: Why something is missing.
    """

    path: list[int]
    build_s: float
    round_trip_s: list[float | None]
    goodput_bytes_s: float | None
    size: int
    problem: str

    def to_json(self) -> dict[str, Any]:
        """The figures in milliseconds and bytes a second."""
        return {
            "path": self.path,
            "build_ms": round(self.build_s * 1000, 1),
            "round_trip_ms": [_millis(seconds) for seconds in self.round_trip_s],
            "goodput_bytes_s": self.goodput_bytes_s and round(self.goodput_bytes_s),
            "bytes": self.size,
            "problem": self.problem,
        }


async def measure_speed(circuits: Circuits, *, size: int, within_s: float) -> Speed:
    """Build circuits of its own, measure, and close them.

    Args:
        circuits: The client's circuits.
        size: Bytes asked of the exit; it may give fewer. 0 leaves goodput out.
        within_s: Longest time for those bytes.

    Raises:
        StageError: No circuit could be built; the cause.
    """
    with ExitStack() as opened:
        built = []
        for _ in range(BUILDS):
            made = await circuits.build_path(circuits.choose(Wishes(port=0)))
            opened.callback(made.circuit.destroy)
            built.append(made.built_s)
        path = [node.index for node in made.path.nodes]
        trips = [await _round_trip(made, hop) for hop in range(len(path))]
        goodput, received, problem = None, 0, ""
        if size:
            goodput, received, problem = await _goodput(made, size, within_s)
        return Speed(path, median(built), trips, goodput, received, problem)


async def _round_trip(made: PathCircuit, hop: int) -> float | None:
    """Median of a few echoes; None when the hop answers none."""
    found = []
    for _ in range(PROBES):
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                found.append(await made.circuit.probe(hop))
        except TimeoutError:
            break
        await asyncio.sleep(PROBE_PAUSE_S)
    return median(found) if found else None


async def _goodput(made: PathCircuit, size: int, within_s: float) -> tuple[float | None, int, str]:
    """Bytes a second from the last hop, how many came, and why there are none."""
    request = DirRequest(secrets.randbelow(2**16), Kind.MEASURE, size_bytes=size)
    started = time.perf_counter()
    stream = DirectoryStream(made.circuit, request, hop=len(made.path.nodes) - 1)
    try:
        await stream.answer(within_s)
    except QnetError as error:
        if not stream.received_bytes:
            return None, 0, f"{error.message}: {error.why}" if error.why else error.message
    seconds = time.perf_counter() - started
    return stream.received_bytes / seconds, stream.received_bytes, ""


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
