"""`qnet stake refresh`, `unjail`, `retire`, `payout`, as people type them."""

import pytest

from qnet.address import checksum_address
from tests.governance.test_stake import QNET, code_of, on_chain, pass_time, register
from tests.support.anvil import send_as

pytestmark = pytest.mark.chain


@pytest.fixture
def relay(world):
    """A relay of the operator with a bond of 5,000 QNET, after genesis."""
    pass_time(world, 10)
    return register(world, "operator", bond=5000)


def as_slasher(world, name, *arguments):
    """What the court would make the slasher do to the registry or the hub."""

    async def work(contracts):
        target = contracts.hub if name in {"freeze", "unfreeze"} else contracts.registry
        call = target._write(name, *arguments)
        await send_as(contracts.client, contracts.slasher.address, call)

    on_chain(world, work)


def now(world):
    async def work(contracts):
        return (await contracts.client.block("latest")).timestamp

    return on_chain(world, work)


def test_a_bond_is_held_against_a_new_least_bond(world, type_in, relay):
    bob = world.words("bob")
    code, _, err = type_in("stake", "refresh", relay, *bob)
    assert (code, code_of(err)) == (9, "Q0949")
    assert "stays so" in err

    async def vote(contracts):
        call = contracts.parameters.set("min_bond_wei", 5001 * QNET)
        await send_as(contracts.client, contracts.timelock.address, call)

    on_chain(world, vote)
    code, (made,), err = type_in("stake", "refresh", relay, *bob)
    assert (code, made["data"]["state"]) == (0, "registered")
    assert "its bond is 5000 QNET, the least 5001" in err
    assert type_in("stake", "refresh", relay, *bob)[0] == 9
    assert type_in("stake", "refresh", 99, *bob)[0] == 3


def test_a_node_leaves_jail_after_its_term(world, type_in, relay):
    operator = world.words("operator")
    code, _, err = type_in("stake", "unjail", *operator)
    assert (code, code_of(err)) == (9, "Q0949")
    as_slasher(world, "jail", relay, now(world) + 100)
    code, _, err = type_in("stake", "unjail", *operator)
    assert (code, code_of(err)) == (9, "Q0949")
    assert "s are left" in err
    pass_time(world, 101)
    as_slasher(world, "freeze", relay)
    code, _, err = type_in("stake", "unjail", *operator)
    assert (code, code_of(err)) == (9, "Q0949")
    assert "in escrow" in err
    as_slasher(world, "unfreeze", relay)
    code, (made,), err = type_in("stake", "unjail", *operator)
    assert (code, made["data"]["state"]) == (0, "active")
    assert "its bond is 5000 QNET" in err
    assert type_in("stake", "unjail", *world.words("bob"))[0] == 3


def test_a_node_without_enough_bond_leaves_jail_as_registered(world, type_in, relay):
    operator = world.words("operator")
    as_slasher(world, "jail", relay, now(world) + 5)
    assert type_in("stake", "unbond", "4500", *operator)[0] == 0
    pass_time(world, 10)
    code, (made,), _ = type_in("stake", "unjail", *operator)
    assert (code, made["data"]["state"]) == (0, "registered")


def test_a_retired_node_takes_its_bond_back(world, type_in, relay):
    operator = world.words("operator")
    code, (made,), err = type_in("stake", "retire", *operator)
    assert (code, made["data"]["node"]) == (0, relay)
    assert "cannot be undone" in err
    code, _, err = type_in("stake", "retire", *operator)
    assert (code, code_of(err)) == (9, "Q0949")
    assert type_in("stake", "unbond", "5000", *operator)[0] == 0


def test_earnings_go_where_the_owner_says(world, type_in, relay):
    operator, target = world.words("operator"), checksum_address(world.keys["bob"].address)
    code, (made,), err = type_in("stake", "payout", target, *operator)
    assert (code, made["data"]["payout"]) == (0, target)
    assert target in err

    async def read(contracts):
        return (await contracts.registry.node(relay)).payout

    assert on_chain(world, read) == world.keys["bob"].address
    assert type_in("stake", "payout", "0x" + "0" * 40, *operator)[0] == 2
    assert type_in("stake", "payout", "0x12", *operator)[0] == 2
    assert type_in("stake", "payout", target, *world.words("bob"))[0] == 3
