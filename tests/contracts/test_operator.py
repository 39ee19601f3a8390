"""An operator registers, bonds, sets terms, is delegated to, earns, is paid, and leaves."""

import pytest
from brownie import accounts
from eth_account import Account
from world import (
    ACTIVE,
    DAY,
    EXIT,
    NEVER,
    QNET,
    REGISTERED,
    RELAY,
    bytes32,
    deployment,
    now,
    refused,
)

BOND = 100_000 * QNET
FEE = 100 * QNET
COST = 2 * QNET
UNBOND = 21 * DAY


@pytest.fixture(scope="module")
def operator(world):
    return world.operators[0]


@pytest.fixture(scope="module")
def delegator(world):
    account = accounts[5]
    world.token.transfer(account, 1_000_000 * QNET, {"from": world.holder})
    world.token.approve(world.hub, NEVER, {"from": account})
    return account


def state_of(world, index):
    node = world.registry.node(index).dict()
    return node["state"], node["slot"]


def test_from_registration_to_withdrawal(world, operator, delegator):
    world.bond_committee()
    index = world.register(operator, "exit", EXIT)
    assert state_of(world, index) == (REGISTERED, False)
    world.bond(operator, index, BOND)
    assert state_of(world, index) == (ACTIVE, True)
    assert tuple(world.registry.statusAt(index, 0)) == (ACTIVE, True), "before genesis: from 0 on"

    terms = world.hub.setTerms(index, COST, 200_000, {"from": operator}).events["TermsSet"]
    assert terms["fromEpoch"] == 1, "nobody delegates yet: from the next epoch on"
    world.hub.delegate(index, 3 * BOND, 0, {"from": delegator})
    assert world.hub.stakeOf(index) == 4 * BOND

    world.end_epoch(0)
    first = world.honest_leaves(0)
    # 30 % of 240,000 for 1,000 exits; margin 10 %, a quarter of the rest for the bond
    assert first[0][7:] == (72 * QNET, 234 * QNET // 10, 486 * QNET // 10)
    world.submit(world.report(0, first))
    world.end_epoch(1)
    second = world.honest_leaves(1, first)
    # cost 2, then 20 % of 70, then a quarter of 56
    assert second[0][7] == 72 * QNET
    assert second[0][8] - first[0][8] == 30 * QNET
    assert second[0][9] - first[0][9] == 42 * QNET
    world.submit(world.report(1, second))

    changed = world.hub.setTerms(index, 0, 300_000, {"from": operator})
    epoch = changed.events["TermsSet"]["fromEpoch"]
    starts = world.epochs.epochStart(epoch)
    assert 0 <= starts - changed.timestamp - UNBOND < DAY, "delegators have time to leave"
    assert tuple(world.hub.termsAt(index, epoch - 1)) == (COST, 200_000)
    assert tuple(world.hub.termsAt(index, epoch)) == (0, 300_000)

    world.finalize(0)
    world.finalize(1)
    settled = world.settle(second[0], second).events["NodeSettled"]
    assert (settled["forOperator"], settled["forPool"]) == second[0][8:]
    assert world.hub.reputationOf(index) == second[0][6] > first[0][6] > 250_000
    payout = accounts[7]
    world.registry.setPayout(index, payout, {"from": operator})
    world.hub.claimOperator(index, {"from": accounts[9]})
    assert world.token.balanceOf(payout) == second[0][8]
    with refused("NothingToClaim", index):
        world.hub.claimOperator(index, {"from": accounts[9]})

    before = world.token.balanceOf(operator)
    left = world.hub.unbond(index, BOND, {"from": operator}).events["Unbonded"]
    ticket, unlocks_at = left["ticket"], left["unlocksAt"]
    assert state_of(world, index) == (REGISTERED, False)
    assert unlocks_at == world.epochs.epochEnd(world.epochs.currentEpoch()) + UNBOND
    world.advance_to(unlocks_at - 10)
    with refused("StillUnbonding", operator.address, ticket, unlocks_at):
        world.hub.withdraw(ticket, {"from": operator})
    world.advance_to(unlocks_at)
    world.hub.withdraw(ticket, {"from": operator})
    assert world.token.balanceOf(operator) == before + BOND
    with refused("NoTicket", operator.address, ticket):
        world.hub.withdraw(ticket, {"from": operator})


def test_a_registration_burns_its_fee(world, operator):
    before, supply = world.token.balanceOf(operator), world.token.totalSupply()
    for count in (1, 2):
        assert world.register(operator, f"relay {count}") == count
        assert world.token.balanceOf(operator) == before - count * FEE
        assert world.token.totalSupply() == supply - count * FEE, "nobody gets it"
    world.registry.retire(1, {"from": operator})
    assert world.token.balanceOf(operator) == before - 2 * FEE, "it does not come back"


def test_nobody_registers_without_the_fee(world, operator):
    poor = accounts[8]
    key, node_id = Account.create(), bytes32("relay")

    def register(owner):
        proof = world.key_proof(owner, node_id, key)
        arguments = (RELAY, node_id, bytes32("identity"), key.address, owner, NEVER, proof)
        return world.registry.register(*arguments, {"from": owner})

    world.token.approve(world.registry, FEE - 1, {"from": operator})
    with refused("ERC20InsufficientAllowance", world.registry.address, FEE - 1, FEE):
        register(operator)
    world.token.transfer(poor, FEE - 1, {"from": world.holder})
    world.token.approve(world.registry, FEE, {"from": poor})
    with refused("ERC20InsufficientBalance", poor.address, FEE - 1, FEE):
        register(poor)
    assert world.registry.count() == 0
    with world.as_timelock() as timelock:
        name = deployment.parameter_key("register_fee_wei")
        world.parameters.set(name, 0, {"from": timelock})
    register(poor)
    assert world.token.balanceOf(poor) == FEE - 1, "a vote for no fee burns nothing"


def test_a_displaced_node_takes_its_slot_back(world, operator, delegator):
    rival = world.operators[1]
    with world.as_timelock() as timelock:
        world.parameters.set(deployment.parameter_key("slots_relay"), 1, {"from": timelock})
    index = world.bonded_node(operator, "relay")
    other = world.bonded_node(rival, "rival", 11 * BOND // 10 - 1)
    assert state_of(world, index) == (ACTIVE, True)
    assert state_of(world, other) == (ACTIVE, False), "a node may serve without a slot"
    needed = 11 * BOND // 10
    with refused("CannotDisplace", other, index, needed - 1, needed):
        world.registry.takeSlotFrom(other, index, {"from": rival})
    world.advance_to(world.epochs.epochStart(1))
    world.bond(rival, other, 1)
    world.registry.takeSlotFrom(other, index, {"from": accounts[9]})
    assert tuple(world.registry.statusAt(index, 1)) == (ACTIVE, True), "this epoch stays his"
    assert tuple(world.registry.statusAt(index, 2)) == (ACTIVE, False)
    assert tuple(world.registry.statusAt(other, 2)) == (ACTIVE, True)

    world.hub.delegate(index, 21 * BOND // 100, 0, {"from": delegator})
    world.registry.takeSlotFrom(index, other, {"from": operator})
    assert tuple(world.registry.statusAt(index, 2)) == (ACTIVE, True)
    assert tuple(world.registry.statusAt(other, 2)) == (ACTIVE, False)
    assert world.registry.slotsTaken(RELAY) == 1


def test_a_registration_cannot_be_front_run(world, operator):
    key, node_id = Account.create(), bytes32("relay")
    proof = world.key_proof(operator, node_id, key)

    def register(owner):
        arguments = (RELAY, node_id, bytes32("identity"), key.address, owner, NEVER, proof)
        return world.registry.register(*arguments, {"from": owner})

    with refused("BadProof"):
        register(accounts[8])
    world.token.approve(world.registry, FEE, {"from": operator})
    register(operator)
    assert world.registry.node(1).dict()["owner"] == operator


def test_a_rotated_key_counts_from_the_next_epoch(world, operator):
    old, new = Account.create(), Account.create()
    index = world.register(operator, "relay", key=old)
    world.advance_to(world.epochs.epochStart(3))
    proof = world.key_proof(operator, bytes32("relay"), new)
    world.registry.rotateKey(index, new.address, NEVER, proof, {"from": operator})
    assert world.registry.receiptKeyAt(index, 3) == old.address
    assert world.registry.receiptKeyAt(index, 4) == new.address
    with refused("ReceiptKeyTaken", new.address):
        world.registry.rotateKey(index, new.address, NEVER, proof, {"from": operator})


def test_a_retired_operator_is_paid_and_gets_its_bond(world, operator):
    world.bond_committee()
    index = world.bonded_node(operator, "relay")
    world.end_epoch(0)
    leaves = world.honest_leaves(0)
    world.registry.retire(index, {"from": operator})
    world.submit(world.report(0, leaves))
    world.finalize(0)
    world.settle(leaves[0], leaves)
    assert world.hub.reputationOf(index) == 0
    before = world.token.balanceOf(operator)
    world.hub.claimOperator(index, {"from": accounts[9]})
    assert world.token.balanceOf(operator) == before + 24 * QNET
    ticket = world.hub.unbond(index, BOND, {"from": operator}).events["Unbonded"]["ticket"]
    world.advance_to(now() + UNBOND + DAY)
    world.hub.withdraw(ticket, {"from": operator})
    assert world.token.balanceOf(operator) == before + 24 * QNET + BOND
