"""What a running node tells about itself: `qnet node status` and Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from node.exit.policy import Refusal
from node.io.metrics import Snapshot
from node.mix_status import (
    mix_counters,
    mix_gauges,
    mix_status,
    tunnel_counters,
    tunnel_gauges,
    tunnel_status,
)
from qnet.messages.descriptor import Role

if TYPE_CHECKING:
    from node.runtime import NodeRuntime

CELL_BYTES = 2_048
DNS_RESULTS = ("NOERROR", "NXDOMAIN", "SERVFAIL", "TIMEOUT", "DROPPED")
"""Results of an exit's questions that a scrape shows before there are any."""


def node_status(node: NodeRuntime) -> dict[str, Any]:
    """Everything `qnet node status` shows."""
    held = node.view.held
    listed = held is not None and node.registration.index in held.consensus.by_index
    usable = listed and _has_listed_keys(node)
    return {
        "version": node.view.software,
        "role": node.config.node.role,
        "index": node.registration.index,
        "node_id": node.keys.node_id.hex(),
        "state": _state(node, listed=listed, usable=usable),
        "problem": node.upkeep.problem,
        "uptime_s": int(time.time() - node.started_at),
        "consensus": None
        if held is None
        else {
            "valid_after": held.consensus.valid_after,
            "nodes": len(held.consensus.nodes),
            "listed": listed,
            "keys_listed": usable,
        },
        "descriptor_period": node.upkeep.published,
        "descriptors_cached": len(node.view.cache.descriptors),
        "double_consensuses": [
            {"period": proof.period, "signed_by": list(proof.culprits)}
            for proof in node.view.conflicts.values()
        ],
        "phase": node.keyring.current,
        "parameters_hash": node.parameters_in_force.hash().hex(),
        "streams_per_circuit_max": node.parameters_in_force.streams_per_circuit_max,
        "circuits": node.core.circuits,
        "streams": node.core.streams,
        "links": _links(node),
        "cells": {
            "received": node.driver.stats.cells_received,
            "sent": node.driver.stats.cells_sent,
            "queued": node.core.queued_cells,
            "dropped_circuits": node.core.dropped_circuits,
            "evicted_circuits": node.core.evicted_circuits,
        },
        "receipts": {
            "signed": node.accounts.cosigner.stats.signed,
            "received": node.accounts.cosigner.stats.received,
            "matched": node.accounts.cosigner.stats.matched,
            "mismatched": node.accounts.cosigner.stats.mismatched,
            "refused": node.accounts.cosigner.stats.refused,
            "waiting": list(node.spool.counts(node.ledger.members).values()),
            "answers": {str(code): count for code, count in node.spool.answers().items()},
        },
        "mix": mix_status(node.mixing, time.monotonic()),
        "tunnels": tunnel_status(node.mix_exit),
        "payments": None if node.tolls is None else node.tolls.status(),
        "committee": node.ledger.summary(),
        "rejects": dict(node.counters.policy_rejects),
        "exit": {"policy": node.policy.summary(), **node.exits.limits.held()},
    }


def node_metrics(node: NodeRuntime) -> Snapshot:
    """Values of one scrape."""
    driver = node.driver.stats
    roles = {role.name.lower(): 0.0 for role in Role} | {"client": 0.0}
    for link in node.driver.links.values():
        key = "client" if link.peer.node_id is None else Role(link.peer.role).name.lower()
        roles[key] += 1
    links = _links(node)
    return Snapshot(
        info={"version": node.view.software, "role": node.config.node.role},
        gauges={
            "qnet_consensus_valid_after_seconds": ("", {"": float(node.view.valid_after)}),
            "qnet_relay_circuits": ("state", {"open": float(node.core.circuits)}),
            "qnet_relay_streams": ("", {"": float(node.core.streams)}),
            "qnet_relay_queued_cells": ("", {"": float(node.core.queued_cells)}),
            "qnet_exit_streams": ("state", _floats(node.exits.limits.held())),
            "qnet_link_sessions": ("state", roles),
            "qnet_key_expiry_seconds": (
                "key",
                {"online": node.upkeep.keys.service.online_until - time.time()},
            ),
            "qnet_receipts_waiting": (
                "",
                {"": float(max(node.spool.counts(node.ledger.members).values(), default=0))},
            ),
            **mix_gauges(node.mixing, time.monotonic()),
            **tunnel_gauges(node.mix_exit),
        },
        counters={
            "qnet_relay_bytes": (
                "direction",
                {
                    "received": float(driver.cells_received * CELL_BYTES),
                    "sent": float(driver.cells_sent * CELL_BYTES),
                },
            ),
            "qnet_relay_cells": (
                "action",
                {"received": float(driver.cells_received), "sent": float(driver.cells_sent)},
            ),
            "qnet_relay_handshakes": (
                "result",
                {
                    "refused": float(node.core.setups_refused),
                    "over_budget": float(node.core.setups_over_budget),
                },
            ),
            "qnet_relay_overload": (
                "cause",
                {
                    "pool_full": float(node.core.dropped_circuits),
                    "circuits_full": float(node.core.evicted_circuits),
                    "never_read": float(node.exits.lingering_dropped),
                    **_floats(node.exits.limits.refusals()),
                },
            ),
            "qnet_link_rekeys": ("", {"": float(links["rekeys"])}),
            "qnet_link_violations": ("", {"": float(driver.link_violations)}),
            "qnet_exit_dns_queries": (
                "rcode",
                dict.fromkeys(DNS_RESULTS, 0.0) | _floats(node.counters.dns_queries),
            ),
            "qnet_exit_policy_rejects": (
                "rule",
                {rule.value: 0.0 for rule in Refusal} | _floats(node.counters.policy_rejects),
            ),
            "qnet_receipts_signed": ("", {"": float(node.accounts.cosigner.stats.signed)}),
            **mix_counters(node.mixing),
            **tunnel_counters(node.mix_exit),
            **_payment_counters(node),
        },
    )


def _payment_counters(node: NodeRuntime) -> dict[str, tuple[str, dict[str, float]]]:
    if node.tolls is None:
        return {}
    stats = node.tolls.booth.stats
    return {
        "qnet_pay_tokens": ("result", node.tolls.results()),
        "qnet_pay_units": ("", {"": float(stats.units)}),
        "qnet_pay_premium_bytes": ("", {"": float(stats.used_bytes)}),
    }


def _floats(counts: dict[str, int]) -> dict[str, float]:
    return {name: float(count) for name, count in counts.items()}


def _links(node: NodeRuntime) -> dict[str, int]:
    links = list(node.driver.links.values())
    return {
        "nodes": sum(1 for link in links if link.peer.node_id is not None),
        "clients": sum(1 for link in links if link.peer.node_id is None),
        "rekeys": node.driver.stats.rekeys_of_closed + sum(link.stats.rekeys for link in links),
    }


def _has_listed_keys(node: NodeRuntime) -> bool:
    """Whether the consensus lists the onion key in memory: not so after a restart (QN-DIR-006)."""
    held = node.view.held
    if held is None:
        return False
    phase = node.keyring.current
    entry = held.consensus.by_index[node.registration.index]
    return entry.phase_key(phase) == node.keyring.public(phase)


def _state(node: NodeRuntime, *, listed: bool, usable: bool) -> str:
    if node.view.held is None:
        return "waiting for a consensus"
    if not listed:
        return "not in the consensus"
    return "in the consensus" if usable else "restarted: waiting for a consensus with its new keys"
