"""Final reports settle; operators are paid to the last wei, once."""

import pytest
from brownie import accounts
from world import DAY, QNET, refused

WINDOW = 3 * DAY


@pytest.fixture(scope="module")
def ready(world):
    """Three nodes, a bonded committee, and epoch 0 over."""
    world.bond_committee()
    for number, operator in enumerate(world.operators):
        world.bonded_node(operator, f"relay {number}")
    world.end_epoch(0)
    return world


def reported(world, epoch, leaves):
    world.submit(world.report(epoch, leaves))
    world.finalize(epoch)
    return leaves


def test_operator_is_paid(ready):
    leaves = [ready.leaf(0, n, n * 1000 * QNET + n) for n in (1, 2, 3)]
    reported(ready, 0, leaves)
    operator = ready.operators[1]
    before = ready.token.balanceOf(operator)
    tx = ready.settle(leaves[1], leaves)
    assert tx.events["NodeSettled"]["forOperator"] == 2000 * QNET + 2
    assert ready.hub.owed(2) == 2000 * QNET + 2
    assert tuple(ready.hub.settledCum(2)) == (2000 * QNET + 2, 0)
    assert ready.hub.settledThrough(2) == 1
    ready.hub.claimOperator(2, {"from": accounts[9]})
    assert ready.token.balanceOf(operator) == before + 2000 * QNET + 2
    assert ready.hub.owed(2) == 0
    assert ready.vault.totalPaid() == 2000 * QNET + 2
    with refused("NothingToClaim", 2):
        ready.hub.claimOperator(2, {"from": accounts[9]})


def test_same_leaf_settles_once(ready):
    leaves = reported(ready, 0, [ready.leaf(0, n, 1000 * QNET) for n in (1, 2)])
    ready.settle(leaves[0], leaves)
    with refused("NothingToSettle", 1, 0):
        ready.settle(leaves[0], leaves)


def test_nothing_settles_before_the_report_is_final(ready):
    leaves = [ready.leaf(0, 1, 1000 * QNET), ready.leaf(0, 2, 1)]
    with refused("NotFinal", 0):
        ready.settle(leaves[0], leaves)
    ready.submit(ready.report(0, leaves))
    ready.advance(WINDOW)
    with refused("NotFinal", 0):
        ready.settle(leaves[0], leaves)


def test_disabled_report_never_settles(ready):
    leaves = [ready.leaf(0, 1, 1000 * QNET), ready.leaf(0, 2, 1)]
    ready.submit(ready.report(0, leaves))
    with ready.as_timelock() as timelock:
        ready.oracle.disable(0, {"from": timelock})
    ready.advance(WINDOW)
    with refused("NotFinal", 0):
        ready.settle(leaves[0], leaves)


def test_forged_leaves_are_refused(ready):
    leaves = reported(ready, 0, [ready.leaf(0, n, 1000 * QNET) for n in (1, 2, 3)])
    proof = ready.tree(leaves).proof(ready.leaf_hash(leaves[0]))
    richer = leaves[0][:8] + (2000 * QNET, 0)
    other = (0, 2, *leaves[0][2:])
    pooled = leaves[0][:9] + (QNET,)
    for forged in (richer, other, pooled):
        with refused("InvalidProof"):
            ready.hub.settleNode(forged, proof, {"from": accounts[9]})
    with refused("InvalidProof"):
        ready.hub.settleNode(leaves[0], proof[:-1], {"from": accounts[9]})
    with refused("InvalidProof", 9, 0):
        ready.hub.settleNode((0, 9, *leaves[0][2:]), proof, {"from": accounts[9]})


def test_sums_never_fall(ready):
    first = [ready.leaf(0, 1, 1000 * QNET), ready.leaf(0, 2, 10)]
    second = [ready.leaf(1, 1, 1500 * QNET, reward=500 * QNET), ready.leaf(1, 2, 5, reward=0)]
    ready.submit(ready.report(0, first))
    ready.end_epoch(1)
    ready.submit(ready.report(1, second))
    ready.advance(WINDOW)
    ready.finalize(0)
    ready.finalize(1)
    ready.settle(second[0], second)
    assert ready.hub.owed(1) == 1500 * QNET, "the later leaf settles all before it"
    with refused("NothingToSettle", 1, 0):
        ready.settle(first[0], first)
    ready.settle(first[1], first)
    with refused("CumulativeRegression", 2, 10, 5):
        ready.settle(second[1], second)


def test_vault_pays_no_more_than_reports_earned(ready):
    """A committee that signs sums beyond its totals still cannot overdraw the vault."""
    leaves = [ready.leaf(0, 1, 1000 * QNET), ready.leaf(0, 2, 5000 * QNET, reward=0)]
    reported(ready, 0, leaves)
    with refused("Overdraw", 5000 * QNET, 1000 * QNET):
        ready.settle(leaves[1], leaves)
    ready.settle(leaves[0], leaves)
    with refused("Overdraw", 5000 * QNET, 0):
        ready.settle(leaves[1], leaves)


def test_pool_share_goes_to_the_operator_while_nobody_delegates(ready):
    leaves = [ready.leaf(0, 1, 600, 400, reward=1000), ready.leaf(0, 2, 0)]
    reported(ready, 0, leaves)
    settled = ready.settle(leaves[0], leaves).events["NodeSettled"]
    assert (settled["forOperator"], settled["forPool"]) == (1000, 0)
    assert (ready.hub.owed(1), ready.hub.poolOf(1)) == (1000, 0)
    assert tuple(ready.hub.settledCum(1)) == (600, 400)
    ready.hub.claimOperator(1, {"from": accounts[9]})
    assert ready.token.balanceOf(ready.hub) == ready.hub.totalBonded()


def test_single_leaf_tree(ready):
    leaves = reported(ready, 0, [ready.leaf(0, 1, 1000)])
    ready.hub.settleNode(leaves[0], [], {"from": accounts[9]})
    assert ready.hub.owed(1) == 1000
