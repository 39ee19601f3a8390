"""Slashes wait in escrow, are vetoed, and vetoes overruled; bad work jails without a slash."""

import pytest
from brownie import accounts
from world import (
    ACTIVE,
    DAY,
    ENTRY,
    EXECUTED,
    JAILED,
    ONE,
    QNET,
    RELAY,
    TOMBSTONED,
    VETOED,
    now,
    refused,
    slots,
)

BOND = 100_000 * QNET
ESCROW = 7 * DAY
JAIL = 7 * DAY
BAD_EPOCHS = (0, 1, 3, 4, 6)


@pytest.fixture(scope="module")
def running(world):
    """Two nodes of different owners in epoch 0, and a bonded committee."""
    world.bond_committee()
    world.bonded_node(world.operators[0], "entry", BOND, ENTRY)
    world.bonded_node(world.operators[1], "relay", BOND, RELAY)
    world.advance_to(world.genesis + 100)
    return world


def accuse(world, slot):
    """Prove two receipts of node 1 for one tuple; return the number of the slash."""
    challenger = world.challenger(accounts[6])
    pair = [world.receipt(0, slot, 1, 2, packets) for packets in (64, 128)]
    tx = world.prove(challenger, world.court.proveReceipts, *pair[0], *pair[1])
    return tx.events["SlashQueued"]["id"]


def state_of(world, number):
    return world.slasher.slashOf(number).dict()["state"]


def test_veto_and_overrule(running):
    world, operator = running, running.operators[0]
    number = accuse(world, 3)
    until = world.slasher.slashOf(number).dict()["executableAt"]
    with refused("NotVetoer", operator.address):
        world.slasher.veto(number, {"from": operator})
    with world.as_timelock() as timelock:
        world.slasher.setVetoer(accounts[8], {"from": timelock})
    world.slasher.veto(number, {"from": accounts[8]})
    assert (state_of(world, number), world.hub.freezesOf(1)) == (VETOED, 0)
    with refused("StillJailed", 1, until):
        world.registry.unjail(1, {"from": operator})
    world.advance_to(until)
    world.registry.unjail(1, {"from": operator})
    assert world.registry.stateOf(1) == ACTIVE
    with refused("WrongState", number, VETOED):
        world.slasher.execute(number, {"from": accounts[9]})

    with refused("NotOwner", accounts[8].address, world.timelock.address):
        world.slasher.overrule(number, {"from": accounts[8]})
    with world.as_timelock() as timelock:
        world.slasher.overrule(number, {"from": timelock})
    assert state_of(world, number) == EXECUTED
    assert world.registry.stateOf(1) == TOMBSTONED
    assert world.hub.bondOf(1) == BOND * 19 // 20


def test_a_node_loses_no_more_than_the_cap(running):
    """Three offences of 5 % each come to 10 % within a window, and one tombstone."""
    world = running
    numbers = [accuse(world, slot) for slot in (3, 4, 5)]
    assert world.hub.freezesOf(1) == 3
    for number in numbers:
        world.execute_slash(number)
    assert world.hub.freezesOf(1) == 0
    assert 0 <= world.hub.bondOf(1) - BOND * 9 // 10 < BOND // ONE, "the rate is in millionths"


def test_unbonding_does_not_save_a_bond(running):
    world, operator = running, running.operators[0]
    ticket = world.hub.unbond(1, BOND, {"from": operator}).events["Unbonded"]["ticket"]
    number = accuse(world, 3)
    world.execute_slash(number)
    assert world.hub.ticketOf(operator, ticket).dict()["amount"] == BOND * 19 // 20
    world.advance(21 * DAY)
    before = world.token.balanceOf(operator)
    world.hub.withdraw(ticket, {"from": operator})
    assert world.token.balanceOf(operator) == before + BOND * 19 // 20


def test_a_paused_court_stops_the_clock(running):
    world, operator = running, running.operators[0]
    left = world.hub.unbond(1, BOND // 2, {"from": operator}).events["Unbonded"]
    with world.as_timelock() as timelock:
        world.court.setGuardian(accounts[8], {"from": timelock})
    world.advance_to(world.epochs.epochEnd(0))
    paused = world.court.pause(now() + 3 * DAY, {"from": accounts[8]}).events["Paused"]
    length = paused["until"] - paused["since"]
    with refused("IsPaused", paused["until"]):
        world.court.open(b"\x01" * 32, {"from": accounts[6]})
    world.advance_to(left["unlocksAt"])
    ripe = left["unlocksAt"] + length
    with refused("StillUnbonding", operator.address, left["ticket"], ripe):
        world.hub.withdraw(left["ticket"], {"from": operator})
    world.advance_to(ripe)
    world.hub.withdraw(left["ticket"], {"from": operator})


def test_five_bad_epochs_of_seven_jail_a_node(running):
    world, operator = running, running.operators[0]
    reported, leaves = [], ()
    for epoch in range(7):
        world.end_epoch(epoch)
        bad = {1: slots(490)} if epoch in BAD_EPOCHS else {}
        leaves = world.honest_leaves(epoch, leaves, bad)
        world.submit(world.report(epoch, leaves))
        reported.append(leaves)

    def shown(epochs):
        return [world.proven(reported[epoch][0], reported[epoch]) for epoch in epochs]

    for epoch in range(7):
        world.finalize(epoch)
    anyone = {"from": accounts[9]}
    with refused("NotBadEnough", 1):
        world.court.jail(shown((0, 1, 2, 3, 4)), anyone)
    bond = world.hub.bondOf(1)
    jailed = world.court.jail(shown(BAD_EPOCHS), anyone)
    node = world.registry.node(1).dict()
    assert (node["state"], node["slot"]) == (JAILED, False)
    assert node["jailedUntil"] == jailed.timestamp + JAIL
    assert world.hub.bondOf(1) == bond == BOND, "no slash"
    assert world.hub.reputationOf(1) <= 250_000
    with refused("NotBadEnough", 1):
        world.court.jail(shown(BAD_EPOCHS), anyone)
    world.advance_to(node["jailedUntil"])
    world.registry.unjail(1, {"from": operator})
    assert world.registry.stateOf(1) == ACTIVE
    with refused("NotBadEnough", 1):
        world.court.jail(shown(BAD_EPOCHS), anyone)
