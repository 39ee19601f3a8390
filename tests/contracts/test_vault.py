"""The vault promises what it has and pays what was earned, to nobody but the hub."""

from brownie import accounts
from world import DAY, QNET, World, now, refused


def test_only_epochs_and_hub_may_call(world):
    stranger = {"from": accounts[9]}
    for call in (world.vault.fund, world.vault.release):
        with refused("NotAllowed", accounts[9].address, world.epochs.address):
            call(0, 1, stranger)
    with refused("NotAllowed", accounts[9].address, world.hub.address):
        world.vault.pull(accounts[9], 1, stranger)


def test_small_vault_promises_no_more_than_it_holds(module_isolation):
    world = World(vault=300_000 * QNET)
    world.advance_to(world.genesis + 2 * DAY)
    for epoch in range(3):
        world.epochs.startEpoch(epoch, world.reveals[epoch], {"from": accounts[9]})
    budgets = [world.epochs.epochInfo(epoch)[2] for epoch in range(3)]
    assert budgets == [240_000 * QNET, 60_000 * QNET, 0]
    assert world.vault.unpromised() == 0
    world.token.transfer(world.vault, 5 * QNET, {"from": world.holder})
    assert world.vault.unpromised() == 5 * QNET


def test_reserve_is_recorded_by_anyone_and_never_for_the_past(world):
    start, amount = now(), 500_000_000 * QNET
    assert world.vault.reserve() == amount
    world.advance(10)
    sent = world.token.transfer(world.vault, 5 * QNET, {"from": world.holder})
    world.advance(10)
    assert world.vault.reserveAt(now() - 1) == amount
    recorded = world.vault.recordReserve({"from": accounts[9]})
    world.advance(10)
    again = world.vault.recordReserve({"from": accounts[9]})
    assert again.gas_used < recorded.gas_used
    world.advance(10)
    assert world.vault.reserveAt(now() - 1) == world.vault.reserve() == amount + 5 * QNET
    assert world.vault.reserveAt(start) == world.vault.reserveAt(sent.timestamp) == amount
    assert world.vault.reserveAt(world.genesis - 30 * DAY) == 0
    with refused("FutureLookup"):
        world.vault.reserveAt(now() + 1)


def test_what_is_not_earned_returns_to_the_pool(world):
    world.bond_committee()
    world.bonded_node(world.operators[0], "relay")
    world.end_epoch(0)
    before = world.vault.unpromised()
    leaves = [world.leaf(0, 1, 1000 * QNET)]
    world.submit(world.report(0, leaves))
    world.finalize(0)
    assert world.vault.unpromised() == before + 239_000 * QNET
    world.hub.settleNode(leaves[0], [], {"from": accounts[9]})
    assert world.vault.unpromised() == before + 239_000 * QNET
    assert world.vault.totalPaid() == world.vault.totalEarned() == world.vault.totalFunded()
