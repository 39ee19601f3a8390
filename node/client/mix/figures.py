"""What a client's part in the mixnet costs, and how long messages take: as measured, not promised.

A loop goes from the client to its guard, through three mixes, to its mailbox and back: as long as a
packet to somebody else takes, and its link.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from node.client.mix.berth import Berth
from node.htx.record import UNIT_BYTES
from node.mix.client import MixClient
from node.mix.schedule import Rates

_MS: Final = 1000
_MANY: Final = 0.95


def describe(
    client: MixClient | None, berth: Berth | None, rates: Rates, problem: str, now: float
) -> dict[str, Any]:
    """What status shows of the mixnet; `now` in seconds, on the client's clock."""
    found: dict[str, Any] = {
        "state": _state(client, berth),
        "problem": problem,
        "packets_s": rates.total_hz,
        "cost_bytes_s": round(rates.total_hz * UNIT_BYTES),
    }
    if client is None or berth is None:
        return found
    loops = client.loops(now)
    return found | {
        "guard": berth.node_index,
        "ids": len(berth.tenancy),
        "packets": {"sent": berth.sent, "received": berth.received},
        "dropped": {**_named(berth.dropped), **_named(client.ignored)},
        "latency": latency(list(client.watch.trips), client.outbox.round_trips.mean_s),
        "loops": {"judged": loops.judged, "lost": loops.lost, "alarm": loops.alarm},
        "under_way": len(client.outbox),
        "repeated": client.outbox.repeated,
    }


def _state(client: MixClient | None, berth: Berth | None) -> str:
    """Waiting for a guard, claiming addresses there, or up: what is sent to them waits for us."""
    if client is None or berth is None or not berth.is_open:
        return "waiting"
    account = client.account
    own = [each for each in account.others if each.node_index == berth.node_index]
    return "up" if berth.tenancy.keeps([account.home, *own]) else "claiming"


def latency(trips: Sequence[float], acknowledged_s: float | None) -> dict[str, Any]:
    """Times in milliseconds; None where nothing was measured yet.

    Args:
        trips: of the last loops, seconds.
        acknowledged_s: mean until a message is acknowledged, with its recipient's wait for a turn.
    """
    ordered = sorted(trips)
    worst = ordered[min(int(len(ordered) * _MANY), len(ordered) - 1)] if ordered else None
    return {
        "one_way_median_ms": _ms(median(ordered)) if ordered else None,
        "one_way_p95_ms": _ms(worst),
        "loops": len(ordered),
        "acknowledged_ms": _ms(acknowledged_s),
    }


def latency_words(figures: dict[str, Any]) -> str:
    """The same in a line."""
    if figures["one_way_median_ms"] is None:
        return "not measured yet: no loop came back"
    words = (
        f"{figures['one_way_median_ms']} ms one way in the median, 95 % within "
        f"{figures['one_way_p95_ms']} ms (last {figures['loops']} loops)"
    )
    if figures["acknowledged_ms"] is not None:
        words += f"; {figures['acknowledged_ms']} ms until acknowledged"
    return words


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * _MS)


def _named(counts: Any) -> dict[str, int]:
    return {str(cause): count for cause, count in counts.items()}
