"""An operator bonds, unbonds and withdraws; its bonded tokens vote, unbonding ones do not."""

import pytest
from brownie import accounts
from eth_account import Account
from world import ACTIVE, DAY, NEVER, QNET, REGISTERED, now, refused

MIN_BOND = 10_000 * QNET


@pytest.fixture
def operator(world):
    return world.operators[0]


def permit(world, owner_key, owner, amount, deadline=NEVER):
    message = {
        "owner": owner.address,
        "spender": world.hub.address,
        "value": amount,
        "nonce": world.token.nonces(owner),
        "deadline": deadline,
    }
    fields = [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
    signed = Account.sign_typed_data(
        owner_key, world.domain(world.token), {"Permit": fields}, message
    )
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


def unbond(world, owner, index, amount):
    """Unbond and return the ticket."""
    return world.hub.unbond(index, amount, {"from": owner}).events["Unbonded"]["ticketId"]


def test_bond_makes_a_node_active(world, operator):
    index = world.register(operator, "relay")
    world.bond(operator, index, MIN_BOND - 1)
    assert world.registry.node(index)[2] == REGISTERED
    tx = world.bond(operator, index, 1)
    assert world.registry.node(index)[2] == ACTIVE
    assert world.registry.node(index)[8] is True
    assert world.hub.bondOf(index) == world.hub.totalBonded() == MIN_BOND
    assert world.token.balanceOf(world.hub) == MIN_BOND
    assert tx.events["Bonded"]["newBond"] == MIN_BOND


def test_only_the_owner_bonds_and_unbonds(world, operator):
    index = world.bonded_node(operator, "relay")
    world.token.approve(world.hub, QNET, {"from": world.operators[1]})
    with refused("NotNodeOwner"):
        world.hub.bond(index, QNET, {"from": world.operators[1]})
    with refused("NotNodeOwner"):
        world.hub.unbond(index, QNET, {"from": world.operators[1]})
    with refused("UnknownNode", 77):
        world.hub.bond(77, QNET, {"from": operator})
    with refused("ZeroAmount"):
        world.hub.bond(index, 0, {"from": operator})


def test_bond_with_permit_survives_a_front_run_permit(world):
    key = Account.create()
    owner = accounts.add(key.key)
    world.token.transfer(owner, MIN_BOND, {"from": world.holder})
    index = world.register(owner, "relay")
    signature = permit(world, key.key, owner, MIN_BOND)
    world.token.permit(owner, world.hub, MIN_BOND, NEVER, *signature, {"from": accounts[8]})
    world.hub.bondWithPermit(index, MIN_BOND, NEVER, *signature, {"from": owner})
    assert world.hub.bondOf(index) == MIN_BOND


def test_bond_with_a_bad_permit_needs_an_allowance(world, operator):
    index = world.register(operator, "relay")
    stranger = Account.create()
    signature = permit(world, stranger.key, operator, MIN_BOND)
    with refused("ERC20InsufficientAllowance"):
        world.hub.bondWithPermit(index, MIN_BOND, NEVER, *signature, {"from": operator})


def test_unbonded_tokens_wait_and_come_back(world, operator):
    index = world.bonded_node(operator, "relay", MIN_BOND)
    world.advance_to(world.epochs.epochStart(2) + DAY // 2)
    before = world.token.balanceOf(operator)
    ticket = unbond(world, operator, index, MIN_BOND)
    assert world.registry.node(index)[2] == REGISTERED
    assert world.registry.node(index)[8] is False
    owner, node, amount, unlocks_at = world.hub.ticket(ticket)
    assert (owner, node, amount) == (operator, index, MIN_BOND)
    assert unlocks_at == world.epochs.epochEnd(2) + 21 * DAY, (
        "the delay begins with the epoch's end"
    )
    assert world.hub.ticketsOf(operator) == (ticket,)

    world.advance_to(unlocks_at - 10)
    with refused("StillUnbonding", ticket, unlocks_at):
        world.hub.withdraw(ticket, {"from": operator})
    world.advance_to(unlocks_at)
    with refused("NotTicketOwner", ticket, accounts[8].address):
        world.hub.withdraw(ticket, {"from": accounts[8]})
    world.hub.withdraw(ticket, {"from": operator})
    assert world.token.balanceOf(operator) == before + MIN_BOND
    assert world.hub.ticketsOf(operator) == ()
    with refused("NotTicketOwner"):
        world.hub.withdraw(ticket, {"from": operator})


def test_more_than_the_bond_cannot_be_unbonded(world, operator):
    index = world.bonded_node(operator, "relay", MIN_BOND)
    with refused("InsufficientBond", index, MIN_BOND + 1, MIN_BOND):
        world.hub.unbond(index, MIN_BOND + 1, {"from": operator})
    with refused("ZeroAmount"):
        world.hub.unbond(index, 0, {"from": operator})


def test_at_most_sixteen_tickets_wait(world, operator):
    index = world.bonded_node(operator, "relay")
    tickets = [unbond(world, operator, index, QNET) for _ in range(16)]
    with refused("TooManyTickets", operator.address, 16):
        world.hub.unbond(index, QNET, {"from": operator})
    world.advance(23 * DAY)
    for ticket in (tickets[0], tickets[15], tickets[7]):
        world.hub.withdraw(ticket, {"from": operator})
    assert sorted(world.hub.ticketsOf(operator)) == sorted(set(tickets) - {1, 16, 8})
    world.hub.unbond(index, QNET, {"from": operator})


def test_bonded_tokens_vote_and_unbonding_ones_do_not(world, operator):
    index = world.bonded_node(operator, "relay", MIN_BOND)
    assert world.hub.getVotes(operator) == MIN_BOND
    assert world.token.getVotes(world.hub) == 0, "the hub delegates nothing"
    bonded_at = now()
    world.advance(100)
    world.hub.unbond(index, MIN_BOND // 4, {"from": operator})
    unbonded_at = now()
    world.advance(100)
    assert world.hub.getVotes(operator) == MIN_BOND * 3 // 4
    assert world.hub.getPastVotes(operator, bonded_at) == MIN_BOND
    assert world.hub.getPastVotes(operator, unbonded_at) == MIN_BOND * 3 // 4
    assert world.hub.getPastTotalSupply(unbonded_at) == MIN_BOND * 3 // 4
    assert world.hub.bondAt(index, bonded_at) == MIN_BOND
    assert world.hub.bondAt(index, bonded_at - 10) == 0
    with refused("FutureLookup"):
        world.hub.getPastVotes(operator, now() + 1000)
    with refused("FutureLookup"):
        world.hub.bondAt(index, now() + 1000)


def test_bonded_votes_follow_their_delegate(world, operator):
    friend = accounts[8]
    index = world.bonded_node(operator, "relay", MIN_BOND)
    assert world.hub.delegates(operator) == operator
    world.hub.delegate(friend, {"from": operator})
    assert (world.hub.getVotes(operator), world.hub.getVotes(friend)) == (0, MIN_BOND)
    world.bond(operator, index, MIN_BOND)
    assert world.hub.getVotes(friend) == 2 * MIN_BOND
    world.hub.unbond(index, MIN_BOND, {"from": operator})
    assert world.hub.getVotes(friend) == MIN_BOND
    world.hub.delegate(friend, {"from": operator})
    assert world.hub.getVotes(friend) == MIN_BOND
    world.hub.delegate(operator, {"from": operator})
    assert (world.hub.getVotes(operator), world.hub.getVotes(friend)) == (MIN_BOND, 0)
    with refused("EmptyDelegate"):
        world.hub.delegate("0x" + "00" * 20, {"from": operator})


def test_hub_holds_what_it_owes(world, operator):
    one = world.bonded_node(operator, "one", MIN_BOND)
    two = world.bonded_node(world.operators[1], "two", 3 * MIN_BOND)
    world.hub.unbond(one, MIN_BOND, {"from": operator})
    world.hub.unbond(two, MIN_BOND, {"from": world.operators[1]})
    tickets = sum(world.hub.ticket(number)[2] for number in (1, 2))
    assert world.token.balanceOf(world.hub) == world.hub.totalBonded() + tickets
