"""Prometheus metrics on loopback, read from counters when they are asked for.

Nothing on the path of cells touches a metric: a collector reads plain counters at scrape time.
No label names a peer, circuit, destination or path.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)

from node.config import Endpoint


@dataclass(slots=True)
class Counters:
    """Counters kept outside the cores, by label."""

    dns_queries: dict[str, int] = field(default_factory=dict)
    policy_rejects: dict[str, int] = field(default_factory=dict)

    def dns(self, rcode: str) -> None:
        """One DNS question was answered."""
        self.dns_queries[rcode] = self.dns_queries.get(rcode, 0) + 1

    def refused(self, rule: str) -> None:
        """The exit refused a destination."""
        self.policy_rejects[rule] = self.policy_rejects.get(rule, 0) + 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Values of one scrape.

    Attributes:
        info: Labels of `qnet_build_info`.
        gauges: Gauge name to (label name, values by label); an empty label name means none.
        counters: The same for counters, names without `_total`.
    """

    info: Mapping[str, str]
    gauges: Mapping[str, tuple[str, Mapping[str, float]]]
    counters: Mapping[str, tuple[str, Mapping[str, float]]]


class SnapshotCollector:
    """Turns snapshots into metric families.

    Args:
        take: Makes a snapshot now.
    """

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def describe(self) -> Iterable[Metric]:
        """No families are known in advance."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families of one snapshot."""
        snapshot = self._take()
        yield InfoMetricFamily("qnet_build", "Version and role.", value=dict(snapshot.info))
        for name, (label, values) in snapshot.gauges.items():
            gauge = GaugeMetricFamily(name, name.replace("_", " "), labels=_labels(label))
            for key, value in values.items():
                gauge.add_metric([key] if label else [], value)
            yield gauge
        for name, (label, values) in snapshot.counters.items():
            counter = CounterMetricFamily(name, name.replace("_", " "), labels=_labels(label))
            for key, value in values.items():
                counter.add_metric([key] if label else [], value)
            yield counter


@asynccontextmanager
async def serve_metrics(listen: str, take: Callable[[], Snapshot]) -> AsyncIterator[int]:
    """Serve `/metrics`, `/livez` and `/readyz` for as long as the context lasts.

    Args:
        listen: `host:port`; empty serves nothing.
        take: Makes a snapshot.

    Yields:
        The port, 0 when nothing is served.
    """
    if not listen:
        yield 0
        return
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(take))

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_request: web.Request) -> web.Response:
        consensus = take().gauges["qnet_consensus_valid_after_seconds"][1][""]
        return web.Response(
            status=200 if consensus else 503, text="ok\n" if consensus else "no consensus yet\n"
        )

    app = web.Application()
    app.add_routes(
        [web.get("/metrics", metrics), web.get("/livez", alive), web.get("/readyz", ready)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    where = Endpoint.parse(listen)
    site = web.TCPSite(runner, where.host, where.port)
    await site.start()
    try:
        addresses: list[Any] = runner.addresses
        yield int(addresses[0][1])
    finally:
        await runner.cleanup()


def _labels(label: str) -> list[str] | None:
    return [label] if label else None
