"""A closing is what the ledger's report says of the same epoch."""

from dataclasses import replace

import pytest

from ledger.domain.report import recompute
from ledger.domain.state import NetworkState, NodeRecord, NodeState
from qnet.messages.report import unpack_slot_p
from tests.ledger.domain.material import (
    DEVNET,
    QNET,
    both_sides,
    epoch_data,
    reveal,
    small_network,
)
from tools.bench.economy.books import Measured, close

TERMS = {"pool_start_wei": 900 * QNET, "pool_end_wei": 700 * QNET, "margin_ppm": 150_000}
BEFORE = NetworkState(
    epoch=2,
    n_hat_cells=40_000,
    records={1: NodeRecord(rho_ppm=700_000, history_ppm=(900_000, 400_000), kbps=5_000)},
)


@pytest.mark.parametrize("odd", [NodeState.ACTIVE, NodeState.JAILED, NodeState.TOMBSTONED])
def test_a_closing_equals_a_report(odd):
    nodes = [replace(node, cost_wei=3 * QNET, **TERMS) for node in small_network()]
    nodes[4] = replace(nodes[4], state=odd)
    receipts = [
        signed
        for slot in range(DEVNET.slots_per_epoch)
        for left, right, cells in ((1, 2, 3000), (2, 3, 2500), (4, 2, 900), (4, 5, 5000))
        for signed in both_sides(3, slot, left, right, cells)
    ]
    found = {index: (4, 4 if index % 2 else 3) for index in range(1, 7)}
    reveals = [reveal(3, slot, auditor, found) for slot in range(4) for auditor in range(4)]
    data = epoch_data(receipts, reveals, nodes=tuple(nodes), before=BEFORE)
    report = recompute(data.encode())

    slots = DEVNET.slots_per_epoch
    measured = {
        leaf.node: Measured(unpack_slot_p(leaf.slot_p, slots), report.after.records[leaf.node].kbps)
        for leaf in report.leaves
    }
    closing = close(3, nodes, report.matched, measured, BEFORE, DEVNET)
    assert closing.after.records == report.after.records
    assert closing.after.n_hat_cells == report.after.n_hat_cells
    assert closing.after.n_hat_packets == report.after.n_hat_packets
    for leaf in report.leaves:
        paid = closing.paid.get(leaf.node)
        assert (paid.reward_wei if paid else 0) == leaf.reward_wei
        assert (paid.w_ppm if paid else 0) == leaf.w_ppm
    assert sum(leaf.reward_wei for leaf in report.leaves) > 0
