"""`qnet bench circuit --peer tor`: QNet and C-Tor in one call, interleaved A B A B.

Both run three relays and a client, each a process of its own on the same cores, over loopback and
then over the same wires; both fetch from the same file server, and every byte is compared.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from qnet.cli.output import say
from qnet.errors import NetworkError, QnetError
from tools.bench.circuit import FIRST_BYTE_SIZE, MIB, ROLES, WARM_UP_MIB, Plan
from tools.bench.lane import Shape
from tools.bench.machine import cpu_seconds, machine, spread
from tools.bench.network import local_network
from tools.bench.place import HERE, Place
from tools.bench.subject import (
    RELAYS,
    QnetSubject,
    Subject,
    TorSubject,
    qnet_subject,
    resident_bytes,
)
from tools.bench.tor import TorNetwork, tor_network, version
from tools.bench.transfer import FileServer, Sample, download, file_server
from tools.bench.wire import star, wire

GIB = 2**30
KIB = 2**10
SETTLE_S = 2.0
TOR_TRIES = 3
MEASURE_TRIES = 3
NETWORKS = 3
"""Pairs of networks that one call measures on loopback."""
IDLE_CIRCUITS = 1000
LONG_WIRES_MS = (50.0, 100.0)
"""Round trips of one link: those of 3 x 50 ms, and of 300 ms over three hops."""

HOSTS = ("client", *RELAYS)
QNET, PEER = "qnet", "tor"

UNITS = ("MB/s", "ms", "s/GiB", "KiB")
"""The order in which figures are shown: the headline first."""


@dataclass(slots=True)
class Pair:
    """One quantity measured on both.

    Attributes:
        name: What.
        unit: In what.
        more_is_better: Whether the larger figure wins.
        samples: Measurements of `qnet` and of the peer.
    """

    name: str
    unit: str
    more_is_better: bool = False
    samples: dict[str, list[float]] = field(default_factory=lambda: {QNET: [], PEER: []})

    def row(self) -> dict[str, Any]:
        """Medians, how many times better QNet is, and half the range between quartiles."""
        ours = statistics.median(self.samples[QNET])
        row = {
            "name": self.name,
            "unit": self.unit,
            "n": len(self.samples[QNET]),
            "qnet": round(ours, 3),
            "peer": None,
            "ratio": None,
            "spread": round(spread(self.samples[QNET]), 3),
        }
        if not self.samples[PEER]:
            return row
        theirs = statistics.median(self.samples[PEER])
        better, worse = (ours, theirs) if self.more_is_better else (theirs, ours)
        return row | {
            "n": min(map(len, self.samples.values())),
            "peer": round(theirs, 3),
            "ratio": round(better / worse, 2) if min(ours, theirs) > 0 else None,
            "peer_spread": round(spread(self.samples[PEER]), 3),
        }


@dataclass(slots=True)
class Comparison:
    """Both networks, the file server and what was measured so far.

    Attributes:
        subjects: By name.
        server: The file server.
        place: Where the clients are.
        plan: What to measure.
        pairs: Figures by name.
    """

    subjects: Mapping[str, Subject]
    server: FileServer
    place: Place
    plan: Plan
    pairs: dict[str, Pair] = field(default_factory=dict)

    def run(self, idle_circuits: int) -> dict[str, Pair]:
        """Measure everything; the figures by name."""
        if idle_circuits:  # first, while no freed memory of transfers hides the growth
            self._each(partial(self._memory, circuits=idle_circuits))
        self._each(lambda _, subject: self._warm_up(subject))
        for _ in range(self.plan.repeats):
            for streams in self.plan.streams:
                self._each(partial(self._throughput, streams=streams))
        for number in range(self.plan.builds):
            self._each(partial(self._latency, number=number))
        return self.pairs

    def _each(self, measure: Callable[[str, Subject], None]) -> None:
        """Measure one after the other; a failure is tried again and then names whose it is."""
        for who, subject in self.subjects.items():
            for left in reversed(range(MEASURE_TRIES)):
                try:
                    measure(who, subject)
                    break
                except (QnetError, OSError) as error:
                    why = getattr(error, "why", "") or str(error)
                    if left == 0:
                        told = f"the bench of {who} failed: {error}"
                        raise NetworkError(told, why=why) from error
                    say(f"{who} failed: {why}; once more")

    def _warm_up(self, subject: Subject) -> None:
        self._fetch(subject, WARM_UP_MIB, 1)

    def _note(
        self, who: str, name: str, unit: str, value: float, *, more_is_better: bool = False
    ) -> None:
        pair = self.pairs.setdefault(name, Pair(name, unit, more_is_better))
        pair.samples[who].append(value)

    def _throughput(self, who: str, subject: Subject, streams: int) -> None:
        before = _cpu(subject)
        samples = self._fetch(subject, self.plan.size_mib, streams)
        spent = {role: seconds - before[role] for role, seconds in _cpu(subject).items()}
        moved = sum(sample.size for sample in samples)
        name = f"throughput, {streams} stream{'s' * (streams > 1)}"
        rate = moved / max(sample.total_s for sample in samples) / 1e6
        self._note(who, name, "MB/s", rate, more_is_better=True)
        relays = sum(spent[role] for role in RELAYS)
        self._note(who, "processor time of three relays", "s/GiB", relays * GIB / moved)
        self._note(who, "processor time of the client", "s/GiB", spent["client"] * GIB / moved)

    def _latency(self, who: str, subject: Subject, number: int) -> None:
        self._note(who, "circuit build", "ms", subject.build() * 1000)
        for name in ("first byte, fresh circuit", "first byte, ready circuit"):
            sample = download(
                subject.socks,
                self.server,
                FIRST_BYTE_SIZE,
                label=f"label {number}",
                place=self.place,
            )
            self._note(who, name, "ms", sample.first_byte_s * 1000)
        subject.forget()

    def _memory(self, who: str, subject: Subject, circuits: int) -> None:
        before = {role: resident_bytes(pid) for role, pid in subject.pids.items()}
        subject.hold(circuits)
        for role in ("relay", "client"):
            grown = resident_bytes(subject.pids[role]) - before[role]
            name = f"memory of 1,000 idle circuits, {role}"
            self._note(who, name, "KiB", grown / KIB * 1000 / circuits)
        subject.forget()

    def _fetch(self, subject: Subject, size_mib: int, streams: int) -> Sequence[Sample]:
        share = size_mib * MIB // streams
        with ThreadPoolExecutor(streams) as pool:
            waiting = [
                pool.submit(download, subject.socks, self.server, share, place=self.place)
                for _ in range(streams)
            ]
            return [future.result() for future in waiting]


@dataclass(frozen=True, slots=True)
class Course:
    """Where the figures are taken.

    Attributes:
        plan: What to measure.
        wire_ms: Round trip of each link in ms; 0 for loopback.
        idle_circuits: Circuits held open to see what they cost in memory; 0 for none.
        networks: How often both networks are begun anew; their figures are pooled.
    """

    plan: Plan
    wire_ms: float = 0.0
    idle_circuits: int = 0
    networks: int = 1

    @property
    def words(self) -> str:
        """What figures of this course are called in addition."""
        return f" at 3 x {self.wire_ms:g} ms" if self.wire_ms else ""


def courses_of(
    plan: Plan, wires_ms: Sequence[float], idle: int | None, networks: int = 1
) -> list[Course]:
    """The same plan over each of the wires; loopback if none is named."""
    return [Course(plan, wire_ms, idle or 0, networks) for wire_ms in wires_ms or (0.0,)]


def whole(plan: Plan, idle: int | None, networks: int) -> list[Course]:
    """Loopback with idle circuits, then less of everything over each of the long wires.

    On loopback both networks are begun anew several times: from one to the next the rate of a
    single Tor stream differs by a factor of four, within one it hardly does.
    """
    less = Plan(
        max(1, plan.size_mib // 2), plan.streams, plan.repeats // 2 + 1, max(1, plan.builds // 2)
    )
    share = replace(plan, builds=-(-plan.builds // networks))
    first = Course(share, 0.0, IDLE_CIRCUITS if idle is None else idle, networks)
    return [first, *(Course(less, wire_ms) for wire_ms in LONG_WIRES_MS)]


def run(courses: Sequence[Course], *, beside_tor: bool) -> dict[str, Any]:
    """Measure over one course after the other.

    Args:
        courses: Each starts its networks anew.
        beside_tor: Measure C-Tor too.

    Raises:
        NetworkError: Tor is not installed, no wires can be laid, or a transfer was short or wrong.
    """
    told: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    if beside_tor:
        told["peer"] = {"name": "C-Tor", "version": version()}
    rows: list[dict[str, Any]] = []
    for course in courses:
        found = _measure(course, beside_tor=beside_tor)
        rows += [row | {"name": row["name"] + course.words} for row in found]
    return {
        "machine": machine(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **told,
        "cores_of_every_process": sorted(os.sched_getaffinity(0)),
        "courses": [
            {
                "link_round_trip_ms": course.wire_ms,
                "size_mib": course.plan.size_mib,
                "networks": course.networks,
            }
            for course in courses
        ],
        "results": rows,
    }


def _measure(course: Course, *, beside_tor: bool) -> list[dict[str, Any]]:
    found = [
        _measure_network(course, course.idle_circuits if number == 0 else 0, beside_tor=beside_tor)
        for number in range(course.networks)
    ]
    return pooled(found)


def pooled(found: Sequence[Mapping[str, Pair]]) -> list[dict[str, Any]]:
    """Rows over all networks; where there were several, with the median of each."""
    rows = []
    for name, pair in sorted(found[0].items(), key=lambda item: UNITS.index(item[1].unit)):
        parts = [pairs[name] for pairs in found if name in pairs]
        samples = {
            who: [value for part in parts for value in part.samples[who]] for who in pair.samples
        }
        row = replace(pair, samples=samples).row()
        if len(parts) > 1:
            row["networks"] = {
                "qnet": _medians(parts, QNET),
                "peer": _medians(parts, PEER) if samples[PEER] else [],
            }
        rows.append(row)
    return rows


def _medians(parts: Sequence[Pair], who: str) -> list[float]:
    return [round(statistics.median(part.samples[who]), 3) for part in parts]


def _measure_network(course: Course, idle_circuits: int, *, beside_tor: bool) -> Mapping[str, Pair]:
    with ExitStack() as stack:
        places: Mapping[str, Place] = {}
        if course.wire_ms:
            lanes = star(HOSTS, Shape(delay_s=course.wire_ms / 2000))
            places = stack.enter_context(wire(lanes)).places
        peers: dict[str, Subject] = {}
        if beside_tor:
            tor = _start_tor(stack, places)
            peers[PEER] = TorSubject(tor)
            say(f"tor has a path after {tor.bootstrap_s:.0f} s; starting QNet")
        server = stack.enter_context(file_server(places.get("hub", HERE)))
        return asyncio.run(
            _run(replace(course, idle_circuits=idle_circuits), places, server, peers)
        )


def _start_tor(stack: ExitStack, places: Mapping[str, Place]) -> TorNetwork:
    """A tor network, begun anew when its authorities could not agree in time."""
    left = TOR_TRIES
    while True:
        left -= 1
        try:
            return stack.enter_context(tor_network(places))
        except NetworkError as error:
            if left == 0:
                raise
            say(f"{error.message}: {error.why}; once more")


async def _run(
    course: Course,
    places: Mapping[str, Place],
    server: FileServer,
    peers: Mapping[str, Subject],
) -> Mapping[str, Pair]:
    async with _qnet(places) as qnet:
        subjects: dict[str, Subject] = {QNET: qnet, **peers}
        comparison = Comparison(subjects, server, places.get("client", HERE), course.plan)
        await asyncio.sleep(SETTLE_S)
        return await asyncio.to_thread(comparison.run, course.idle_circuits)


@asynccontextmanager
async def _qnet(places: Mapping[str, Place]) -> AsyncIterator[QnetSubject]:
    async with (
        local_network(ROLES, places=places) as network,
        qnet_subject(network, places.get("client", HERE)) as subject,
    ):
        yield subject


def _cpu(subject: Subject) -> dict[str, float]:
    return {role: cpu_seconds(pid) for role, pid in subject.pids.items()}
