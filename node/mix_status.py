"""What the mixnet side of a node tells about itself: status and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from node.io.mix_role import MAX_INBOUND, Shed
from node.io.mixing import Refused
from node.io.packet_links import Unsent
from node.mix.holding import Refusal
from node.mix.mailboxes import Loss
from node.mix.streams.exit import Cause as TunnelEnd
from node.mix.unwrap import Cause

if TYPE_CHECKING:
    from node.io.mix_exit import MixExitService
    from node.io.mixing import Mixing

Families: TypeAlias = dict[str, tuple[str, Mapping[str, float]]]


def mix_status(mixing: Mixing, now: float) -> dict[str, Any]:
    """The `mix` part of `qnet node status`."""
    mix, boxes = mixing.mix, mixing.boxes
    shown: dict[str, Any] = {
        "packets": _packets(mixing),
        "drops": {cause: count for cause, count in _drops(mixing).items() if count},
        "mailboxes": {
            "addresses": boxes.addresses,
            "stored": boxes.stored,
            "lost": {cause.value: count for cause, count in boxes.lost.items()},
        },
    }
    if mix is None:
        return shown
    report = mix.relay.report(now)
    return shown | {
        "layer": mix.layer,
        "pool": len(mix.relay.holding),
        "waiting": mix.waiting,
        "late_ms": round(mix.late_s * 1000, 1),
        "loops": {"judged": report.judged, "lost": report.lost, "alarm": report.alarm},
    }


def mix_gauges(mixing: Mixing, now: float) -> Families:
    """Gauges of one scrape; mixes have more than others."""
    boxes = mixing.boxes
    gauges: Families = {
        "qnet_mix_mailboxes": ("", {"": float(boxes.addresses)}),
        "qnet_mix_stored_deliveries": ("", {"": float(boxes.stored)}),
    }
    mix = mixing.mix
    if mix is None:
        return gauges
    report = mix.relay.report(now)
    return gauges | {
        "qnet_mix_layer": ("", {"": float(mix.layer)}),
        "qnet_mix_pool_packets": ("", {"": float(len(mix.relay.holding))}),
        "qnet_mix_inbound_share": ("", {"": mix.waiting / MAX_INBOUND}),
        "qnet_mix_late_seconds": ("", {"": mix.late_s}),
        "qnet_mix_loops_window": (
            "result",
            {"passed": float(report.judged - report.lost), "lost": float(report.lost)},
        ),
        "qnet_mix_alarm": ("", {"": float(report.alarm)}),
    }


def mix_counters(mixing: Mixing) -> Families:
    """Counters of one scrape."""
    return {
        "qnet_mix_packets": ("action", _floats(_packets(mixing))),
        "qnet_mix_drops": ("cause", _floats(_drops(mixing))),
        "qnet_mix_mailbox_losses": ("cause", _floats(_by_cause(Loss, mixing.boxes.lost))),
    }


def tunnel_status(service: MixExitService | None) -> dict[str, Any] | None:
    """What an exit carries for the mixnet; None for others."""
    if service is None:
        return None
    core = service.core
    return {
        "open": len(core),
        "streams": core.streams,
        "memory_bytes": core.memory_bytes,
        "packets_sent": core.packets_sent,
        "blocks_dropped": core.blocks_dropped,
        "ends": {cause.value: count for cause, count in core.dropped.items()},
    }


def tunnel_gauges(service: MixExitService | None) -> Families:
    """Gauges of an exit's tunnels."""
    if service is None:
        return {}
    return {
        "qnet_mix_tunnels": ("", {"": float(len(service.core))}),
        "qnet_mix_tunnel_streams": ("", {"": float(service.core.streams)}),
        "qnet_mix_tunnel_memory_bytes": ("", {"": float(service.core.memory_bytes)}),
    }


def tunnel_counters(service: MixExitService | None) -> Families:
    """Counters of an exit's tunnels; `full` and `memory` mean overload."""
    if service is None:
        return {}
    ends = _by_cause(TunnelEnd, service.core.dropped)
    return {
        "qnet_mix_tunnel_ends": ("cause", _floats(ends)),
        "qnet_mix_tunnel_packets": ("", {"": float(service.core.packets_sent)}),
    }


def _packets(mixing: Mixing) -> dict[str, int]:
    stats, mix = mixing.stats, mixing.mix
    counts = {
        "received": stats.received,
        "sent": mixing.links.sent,
        "entered": stats.entered,
        "handed_over": stats.handed_over,
    }
    if mix is not None:
        counts |= {"forwarded": mix.forwarded, "delivered": mix.delivered, "loops": mix.loops}
    return counts


def _drops(mixing: Mixing) -> dict[str, int]:
    """Every drop by its cause; causes that have not come up are 0."""
    counts = _by_cause(Refused, mixing.refused) | _by_cause(Unsent, mixing.links.unsent)
    mix = mixing.mix
    if mix is not None:
        counts |= _by_cause(Cause, mix.relay.unwrapper.dropped)
        counts |= _by_cause(Refusal, mix.relay.holding.refused)
        counts |= _by_cause(Shed, mix.shed)
    return counts


def _by_cause(causes: Iterable[StrEnum], counts: Mapping[Any, int]) -> dict[str, int]:
    return {cause.value: counts.get(cause, 0) for cause in causes}


def _floats(counts: Mapping[str, int]) -> dict[str, float]:
    return {name: float(count) for name, count in counts.items()}
