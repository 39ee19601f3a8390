"""What a report says about each node: rate, performance, reputation, uptime, latency."""

import statistics
from collections import defaultdict
from typing import Any, Final

from ledger.domain.blob import EpochData
from ledger.domain.report import EpochResult, recompute
from ledger.domain.state import M, NodeView
from qnet.messages.report import unpack_slot_p

UP_PERMILLE: Final = 900
"""A node was up in a slot if its performance there is at least this."""


def node_rows(blob: bytes) -> list[dict[str, Any]]:
    """JSON of every node in a report's data, in order of index.

    Raises:
        DecodeError: the blob is malformed.
        BadDataError: it contradicts itself.
    """
    data, result = EpochData.decode(blob), recompute(blob)
    latencies: defaultdict[int, list[int]] = defaultdict(list)
    audited: defaultdict[int, set[int]] = defaultdict(set)
    for audit in result.audits:
        audited[audit.target].add(audit.slot)
        if audit.returned:
            latencies[audit.target].append(audit.p50_ms)
    slots = data.parameters.slots_per_epoch
    return [
        _row(node, result, slots, audited[node.index], latencies[node.index])
        for node in data.snapshot.nodes
    ]


def _row(
    node: NodeView, result: EpochResult, slots: int, audited: set[int], latencies: list[int]
) -> dict[str, Any]:
    leaf = result.leaves[node.index - 1]
    record = result.after.records[node.index]
    performance = unpack_slot_p(leaf.slot_p, slots)
    good = sum(performance[slot] >= UP_PERMILLE for slot in audited)
    return {
        "index": node.index,
        "owner": "0x" + node.owner.hex(),
        "role": node.role.name.lower(),
        "state": node.state.name.lower(),
        "paid_slot": node.slot,
        "measured_kbps": record.kbps or None,
        "reputation_ppm": record.rho_ppm,
        "performance_ppm": record.mean_p_ppm,
        "slots_audited": len(audited),
        "uptime_ppm": good * M // len(audited) if audited else None,
        "latency_ms": int(statistics.median(latencies)) if latencies else None,
        "history_ppm": list(record.history_ppm),
    }
