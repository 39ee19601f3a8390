"""What the calls of every epoch cost, in the steady state (not the first call of a kind)."""

import pytest
from brownie import accounts
from world import DAY, QNET, World

WINDOW = 3 * DAY


@pytest.fixture(scope="module")
def world(module_isolation):
    return World(members=16)


def epoch_leaves(world, epoch):
    cumulative = 1000 * QNET * (epoch + 1)
    return [world.leaf(epoch, n, cumulative, reward=1000 * QNET) for n in (1, 2, 3)]


def test_report_settlement_and_claim(world):
    world.bond_committee()
    for number, operator in enumerate(world.operators):
        world.bonded_node(operator, f"relay {number}")
    gas = {}
    for epoch in range(2):
        world.end_epoch(epoch)
        leaves = epoch_leaves(world, epoch)
        submitted = world.submit(world.report(epoch, leaves), members=tuple(range(11)))
        gas["submit"] = submitted.gas_used
    world.advance(WINDOW)
    for epoch in range(2):
        world.oracle.finalize(epoch, {"from": accounts[9]})
        leaves = epoch_leaves(world, epoch)
        gas["settle"] = world.settle(leaves[0], leaves).gas_used
        gas["claim"] = world.hub.claimOperator(1, {"from": accounts[9]}).gas_used
    limits = {"submit": 1, "settle": 135_000, "claim": 75_000}
    assert all(gas[name] <= limit for name, limit in limits.items()), gas
