"""`qnet bench`: measured figures of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from qnet.cli.output import emit, say

MAX_WIRE_MS = 2000


class RoundTrip(click.ParamType[float]):
    """A duration like `50ms`, in ms."""

    name = "ms"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it."""
        text = str(value).removesuffix("ms")
        try:
            milliseconds = float(text)
        except ValueError:
            milliseconds = -1.0
        if not 0 <= milliseconds <= MAX_WIRE_MS:
            self.fail(f"{value!r} is not a round trip of 0 to {MAX_WIRE_MS} ms", param, ctx)
        return milliseconds


@click.group()
def bench() -> None:
    """Measure speed, balance, endurance and the economy."""


@bench.command()
@click.option("--size-mib", type=click.IntRange(1, 4096), default=64, show_default=True)
@click.option("--repeats", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--builds", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--streams", type=click.IntRange(1, 64), multiple=True, help="At once; repeat.")
@click.option("--peer", type=click.Choice(["tor"]), help="Measure this network beside QNet.")
@click.option("--wire", "wires_ms", type=RoundTrip(), multiple=True, help="50ms; repeat.")
@click.option("--idle", type=click.IntRange(0, 1000), help="Circuits held open for their memory.")
@click.option(
    "--networks",
    type=click.IntRange(1, 100),
    help="Times to begin anew on loopback; 3 beside a peer.",
)
def circuit(
    size_mib: int,
    repeats: int,
    builds: int,
    streams: tuple[int, ...],
    peer: str | None,
    wires_ms: tuple[float, ...],
    idle: int | None,
    networks: int | None,
) -> None:
    """A file through three hops, every byte compared; alone or side by side with a peer.

    With --peer tor and no --wire: on loopback with 1,000 idle circuits and three networks one
    after the other, then over wires of 50 and of 100 ms with half the bytes and repeats, in one
    call of about 20 minutes. --wire 50ms puts every host into a network namespace of its own
    (root), with a link of that round trip between any two; 0ms is loopback.
    """
    from tools.bench import circuit as alone
    from tools.bench.compare import NETWORKS, courses_of, run, whole

    plan = alone.Plan(size_mib, streams or alone.DEFAULT_STREAMS, repeats, builds)
    if peer is None and not wires_ms and not idle:
        say("starting a committee, three nodes and a client on loopback")
        _show("qnet.bench.circuit/1", alone.run(plan))
        return
    if wires_ms or peer is None:
        courses = courses_of(plan, wires_ms, idle, networks or 1)
    else:
        courses = whole(plan, idle, networks or NETWORKS)
    say("starting a QNet" + (" and a private tor network, about 45 s" if peer else ""))
    _show("qnet.bench.circuit/1", run(courses, beside_tor=peer is not None))


@bench.command()
def crypto() -> None:
    """The building blocks: what one cell, one setup and one handshake cost."""
    from tools.bench.crypto import run

    _show("qnet.bench.crypto/1", run())


@bench.command()
@click.option("--rounds", type=click.IntRange(10, 100_000), default=200, show_default=True)
def parts(rounds: int) -> None:
    """What one cell of a download costs at each node: TLS, records, circuit."""
    from tools.bench.parts import run

    _show("qnet.bench.parts/1", run(rounds))


@bench.command()
@click.option("--minutes", type=click.FloatRange(0.1, 24 * 60), default=10.0, show_default=True)
def soak(minutes: float) -> None:
    """Browse through a network with hostile nodes; exit code 1 if it hangs, leaks or lies."""
    from tools.bench.soak import Plan, run

    say(f"starting eight nodes, three of them hostile, and a client; {minutes:g} min and a bit")
    data = run(Plan(minutes))
    _show("qnet.bench.soak/1", data)
    for failure in data["failures"]:
        say(failure)
    if not data["passed"]:
        raise SystemExit(1)


@bench.command()
@click.option("--circuits", type=click.IntRange(100, 10**6), default=12_000, show_default=True)
@click.option("--size", type=click.IntRange(1, 2**20), default=32_768, show_default=True)
def balance(circuits: int, size: int) -> None:
    """Whether load follows capacity: 12 unequal nodes; exit code 1 beyond 10 %."""
    from tools.bench.balance import Plan, run

    say("starting a committee and twelve nodes; many clients fetch one file each")
    data = run(Plan(circuits, size))
    _show("qnet.bench.balance/1", data)
    say(f"largest deviation: {data['max_deviation_percent']} % of capacity share")
    if not data["passed"]:
        raise SystemExit(1)


@bench.command()
@click.option("--epochs", type=click.IntRange(1, 3650), default=365, show_default=True)
@click.option("--runs", type=click.IntRange(2, 100), default=3, show_default=True, help="Seeds.")
@click.option("--probes", type=click.IntRange(1, 64), help="Of one auditor in one slot.")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Charts go here.")
def economy(epochs: int, runs: int, probes: int | None, plots: Path | None) -> None:
    """Whether honesty pays: attackers over a year of rewards; exit code 1 if a claim fails."""
    from tools.bench.economy.run import run, save_charts
    from tools.bench.economy.sweep import Plan

    say(f"{epochs} epochs of a network of 60 nodes, {runs} seeds for each attack and share")
    data = run(Plan(epochs, runs, probes=probes))
    _show("qnet.bench.economy/1", data)
    for claim in data["claims"]:
        say(f"{'holds' if claim['holds'] else 'FAILS'}  {claim['claim']}: {claim['found']}")
    for concession in data["concessions"]:
        say(f"conceded  {concession['concession']}: {concession['found']}")
    if plots is not None:
        for path in save_charts(data["results"], plots):
            say(f"wrote {path}")
    if not data["passed"]:
        raise SystemExit(1)


@bench.command()
@click.option(
    "--users",
    type=click.IntRange(100, 1_000_000),
    multiple=True,
    help="Of the network; repeat.  [default: 1000, 10000, 100000 and 1000000]",
)
@click.option("--worlds", type=click.IntRange(2, 1000), default=6, show_default=True)
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Charts go here.")
def anonymity(users: tuple[int, ...], worlds: int, plots: Path | None) -> None:
    """Who sent it: observers of all links and hostile nodes; exit 1 if a closed form is missed."""
    from tools.bench.anonymity.charts import save_charts
    from tools.bench.anonymity.run import Plan, run
    from tools.bench.anonymity.setting import USERS

    sizes = tuple(sorted(set(users or USERS)))
    say(f"networks of {', '.join(f'{size:,}' for size in sizes)} users, {worlds} worlds of each")
    data = run(Plan(sizes, worlds))
    _show("qnet.bench.anonymity/1", data)
    for check in data["checks"]:
        verdict = "holds" if check["holds"] else "FAILS"
        say(f"{verdict}  {check['check']}: {check['found']}, expected {check['expected']}")
    if plots is not None:
        for path in save_charts(data, plots):
            say(f"wrote {path}")
    if not data["passed"]:
        raise SystemExit(1)


@bench.command()
@click.option(
    "--purchases", type=click.IntRange(1_000, 10_000_000), default=100_000, show_default=True
)
def privacy(purchases: int) -> None:
    """Whether payments can be told apart by issuers and relays together; exit 1 if they can."""
    from tools.bench.privacy.run import run

    say(f"{purchases:,} purchases of credits and of tokens, signed blindly; chance is 1 in 16")
    data = run(purchases)
    _show("qnet.bench.privacy/1", data)
    if not data["ok"]:
        raise SystemExit(1)


@bench.command()
@click.option("--repeats", type=click.IntRange(10, 100_000), default=200, show_default=True)
def pay(repeats: int) -> None:
    """What paying costs wallet, relay and signers, beside what is published of other systems."""
    from tools.bench.pay import run

    _show("qnet.bench.pay/1", run(repeats))


@bench.command()
@click.option("--repeats", type=click.IntRange(2, 100_000), default=50, show_default=True)
@click.option("--peer", type=click.Choice(["sphinxmix"]), help="And Nym's formats, with cargo.")
def mix(repeats: int, peer: str | None) -> None:
    """What unwrapping a mix packet costs, alone or in turn with other formats.

    With --peer, PyPI's sphinxmix and, where cargo is installed, Nym's sphinx-packet and nym-outfox
    are built once in the cache folder.
    """
    from tools.bench.mix import run, told

    data = run(repeats, beside_peers=peer is not None)
    _show("qnet.bench.mix/1", data)
    told(data)


@bench.command()
@click.option("--rate", "rates", type=float, multiple=True, help="Packets/s offered; repeat.")
@click.option("--seconds", type=click.FloatRange(0.5, 15), default=3.0, show_default=True)
@click.option("--repeats", type=click.IntRange(1, 100), default=3, show_default=True)
def mixnode(rates: tuple[float, ...], seconds: float, repeats: int) -> None:
    """Packets a second of a whole mix over real sockets, its added delay, and three hops."""
    from tools.bench.mixnode import Plan, run

    plan = Plan(rates=rates or Plan().rates, seconds=seconds, repeats=repeats)
    say("starting a committee and six nodes, twice; the mix under test has one core of its own")
    data = run(plan)
    _show("qnet.bench.mixnode/1", data)
    say(f"most without loss, p99 of added delay below 50 ms: {data['sustained_packets_per_s']:g}/s")


@bench.command()
@click.option("--rounds", type=click.IntRange(1, 1000), default=9, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=8.0, show_default=True)
@click.option("--rate-kbps", type=click.IntRange(1_000, 10**7), default=40_000, show_default=True)
def premium(rounds: int, seconds: float, rate_kbps: int) -> None:
    """What paying buys: two clients at a full relay, one of which pays."""
    from tools.bench.premium import Plan, run

    say(f"starting a committee, three nodes and two clients; {rounds} rounds of {seconds:g} s")
    _show("qnet.bench.premium/1", run(Plan(rounds, seconds, rate_kbps)))


def _show(schema: str, data: Mapping[str, Any]) -> None:
    rows: Sequence[Mapping[str, Any]] = data["results"]
    emit(schema, data, rows=rows)
    machine = data["machine"]
    say(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_1m']}")
    if "limit" in data:
        say(f"limit: {data['limit']}")
