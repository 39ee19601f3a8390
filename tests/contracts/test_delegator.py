"""A delegator stakes with a permit, earns, moves, feels slashes, votes, and leaves."""

import pytest
from brownie import accounts
from eth_account import Account
from typed_data import PERMIT
from world import DAY, ENTRY, EXIT, NEVER, QNET, bytes32, now, refused

BOND = 100_000 * QNET
STAKE = 90_000 * QNET
STREAM = 7 * DAY
UNBOND = 21 * DAY
VIRTUAL_SHARES = 1000


@pytest.fixture(scope="module")
def running(world):
    """Two nodes of different owners, bonded, and a bonded committee."""
    world.bond_committee()
    world.bonded_node(world.operators[0], "exit", BOND, EXIT)
    world.bonded_node(world.operators[1], "entry", BOND, ENTRY)
    return world


@pytest.fixture(scope="module")
def key():
    return Account.create()


@pytest.fixture(scope="module")
def delegator(running, key):
    account = accounts.add(key.key)
    running.token.transfer(account, STAKE, {"from": running.holder})
    return account


def permit(world, key, owner, amount):
    """Return v, r, s of a permit for the hub."""
    message = (owner.address, world.hub.address, amount, world.token.nonces(owner), NEVER)
    signature = world.sign(key, world.token, "Permit", PERMIT, message)
    return signature[64], signature[:32], signature[32:64]


def delegate(world, key, account, index, amount):
    world.hub.delegateWithPermit(
        index, amount, 0, NEVER, *permit(world, key, account, amount), {"from": account}
    )
    return world.hub.positionOf(account, index).dict()["shares"]


def position(world, account, index):
    return tuple(world.hub.positionOf(account, index))


def caught(world, index, slot):
    """Prove two receipts of a node for one tuple; return the number of its slash."""
    challenger = world.challenger(accounts[6])
    other = 2 if index == 1 else 1
    pair = [world.receipt(0, slot, index, other, packets) for packets in (64, 128)]
    tx = world.prove(challenger, world.court.proveReceipts, *pair[0], *pair[1])
    return tx.events["SlashQueued"]["id"]


def test_rewards_stream_to_who_delegates_with_a_permit(running, key, delegator):
    world = running
    signature = permit(world, key, delegator, STAKE)
    world.token.permit(delegator, world.hub, STAKE, NEVER, *signature, {"from": accounts[8]})
    arguments = (1, STAKE, STAKE * VIRTUAL_SHARES, NEVER, *signature)
    with refused("TooFewShares", STAKE * VIRTUAL_SHARES, STAKE * VIRTUAL_SHARES + 1):
        more = (1, STAKE, STAKE * VIRTUAL_SHARES + 1, NEVER, *signature)
        world.hub.delegateWithPermit(*more, {"from": delegator})
    world.hub.delegateWithPermit(*arguments, {"from": delegator})  # front-run, to no effect
    shares, principal, worth = position(world, delegator, 1)
    assert (shares, principal, worth) == (STAKE * VIRTUAL_SHARES, STAKE, STAKE)

    world.end_epoch(0)
    leaves = world.honest_leaves(0)
    for_pool = leaves[0][9]
    assert for_pool > 0
    world.submit(world.report(0, leaves))
    world.finalize(0)
    with refused("NotSettled", 1, 0, 1):
        world.hub.delegateWithPermit(*arguments, {"from": delegator})
    settled = world.settle(leaves[0], leaves).timestamp
    assert world.hub.streamOf(1).dict()["endsAt"] == settled + STREAM
    assert position(world, delegator, 1)[2] - STAKE < for_pool // 10_000, "nothing at once"
    world.advance_to(settled + STREAM // 2)
    half = position(world, delegator, 1)[2] - STAKE
    assert abs(half - for_pool // 2) <= for_pool // 1000
    world.advance_to(settled + STREAM)
    earned = position(world, delegator, 1)[2] - STAKE
    assert 0 <= for_pool - earned <= 1, "all of it, but for rounding"
    assert world.hub.getVotes(delegator) == STAKE, "rewards do not vote"

    left = world.hub.undelegate(1, shares, {"from": delegator}).events["Undelegated"]
    assert left["amount"] == STAKE + earned
    assert world.hub.getVotes(delegator) == 0
    assert world.hub.poolOf(1) == world.hub.sharesOf(1) == 0
    with refused("StillUnbonding", delegator.address, 0, left["unlocksAt"]):
        world.hub.withdraw(left["ticket"], {"from": delegator})
    world.advance_to(left["unlocksAt"])
    world.hub.withdraw(left["ticket"], {"from": delegator})
    assert world.token.balanceOf(delegator) == STAKE + earned


def test_a_slash_is_felt_through_pool_ticket_and_lien(running, key, delegator):
    """The bond loses 5 %, whatever was delegated meanwhile a tenth of that, wherever it went."""
    world = running
    third = STAKE // 3
    shares = delegate(world, key, delegator, 1, STAKE)
    world.advance_to(world.epochs.epochStart(0) + 100)
    world.hub.undelegate(1, shares // 3, {"from": delegator})
    moved = world.hub.redelegate(1, 2, shares // 3, 0, {"from": delegator})
    assert moved.events["Redelegated"]["amount"] == third
    lien = world.hub.liensOf(delegator)[0].dict()
    assert (lien["source"], lien["target"], lien["epoch"]) == (1, 2, 0)
    assert lien["unlocksAt"] == world.epochs.epochEnd(0) + UNBOND
    with refused("InsufficientShares", 2, delegator.address, lien["shares"], 0):
        world.hub.undelegate(2, lien["shares"], {"from": delegator})
    before = now()
    assert world.hub.getVotes(delegator) == 2 * third

    number = caught(world, 1, 3)
    supply = world.token.totalSupply()
    world.advance_to(world.epochs.epochEnd(0) + UNBOND - DAY)
    executed = world.execute_slash(number)
    taken = executed.events["Slashed"]
    assert taken["fromBond"] == BOND // 20
    assert taken["fromPool"] == taken["fromPoolTickets"] == third // 200
    assert position(world, delegator, 1)[2] == third - third // 200
    assert world.hub.ticketOf(delegator, 0).dict()["amount"] == third - third // 200
    assert position(world, delegator, 2)[2] == third, "until somebody looks"

    assert world.hub.getVotes(delegator) == 2 * third
    for index in (1, 2):
        world.hub.poke(delegator, index, {"from": accounts[9]})
    assert position(world, delegator, 2)[2] == third - third // 200
    assert world.hub.getVotes(delegator) == 2 * (third - third // 200)
    assert world.hub.getPastVotes(delegator, before) == 2 * third, "the past stays"
    to_challenger = executed.events["SlashExecuted"]["toChallenger"]
    gone = BOND // 20 + 3 * (third // 200)
    assert world.token.totalSupply() == supply - gone + to_challenger

    world.advance_to(world.epochs.epochEnd(0) + UNBOND)
    world.hub.withdraw(0, {"from": delegator})
    for index in (1, 2):
        held = position(world, delegator, index)[0]
        tx = world.hub.undelegate(index, held, {"from": delegator})
    assert len(world.hub.liensOf(delegator)) == 0
    world.advance_to(tx.events["Undelegated"]["unlocksAt"])
    for ticket in (0, 1):
        world.hub.withdraw(ticket, {"from": delegator})
    assert world.token.balanceOf(delegator) == 3 * (third - third // 200)
    assert world.token.balanceOf(world.hub) == world.hub.bondOf(1) + world.hub.bondOf(2)


def test_tickets_are_frozen_while_a_slash_is_in_escrow(running, key, delegator):
    world = running
    shares = delegate(world, key, delegator, 1, STAKE)
    world.advance_to(world.genesis)
    left = world.hub.undelegate(1, shares, {"from": delegator}).events["Undelegated"]
    world.advance_to(world.epochs.epochEnd(0) + 14 * DAY - 100)
    number = caught(world, 1, 3)
    with world.as_timelock() as timelock:
        world.slasher.pause(now() + 14 * DAY, {"from": timelock})
    world.advance_to(left["unlocksAt"])
    with refused("Frozen", 1):
        world.hub.withdraw(left["ticket"], {"from": delegator})
    with world.as_timelock() as timelock:
        world.slasher.veto(number, {"from": timelock})
    world.hub.withdraw(left["ticket"], {"from": delegator})
    assert world.token.balanceOf(delegator) == STAKE


def test_delegated_tokens_vote_where_their_owner_says(running, key, delegator):
    world, friend = running, accounts[8]
    shares = delegate(world, key, delegator, 1, STAKE)
    assert world.token.getVotes(world.hub) == 0, "the hub delegates nothing"
    assert world.hub.delegates(delegator) == delegator
    world.hub.delegateVotes(friend, {"from": delegator})
    assert (world.hub.getVotes(delegator), world.hub.getVotes(friend)) == (0, STAKE)
    world.hub.undelegate(1, shares // 2, {"from": delegator})
    assert world.hub.getVotes(friend) == STAKE // 2, "unbonding tokens do not vote"
    world.hub.delegateVotes(delegator, {"from": delegator})
    assert (world.hub.getVotes(delegator), world.hub.getVotes(friend)) == (STAKE // 2, 0)


def test_a_pool_takes_no_more_than_nine_bonds(running):
    world, rich = running, accounts[8]
    world.token.transfer(rich, 10 * BOND, {"from": world.holder})
    world.token.approve(world.hub, NEVER, {"from": rich})
    with refused("Oversubscribed", 1, 9 * BOND + 1, 9 * BOND):
        world.hub.delegate(1, 9 * BOND + 1, 0, {"from": rich})
    world.hub.delegate(1, 9 * BOND, 0, {"from": rich})
    assert world.hub.stakeOf(1) == 10 * BOND
    with refused("SameNode", 1):
        world.hub.redelegate(1, 1, 1, 0, {"from": rich})
    assert world.registry.indexOf(bytes32("exit")) == 1
