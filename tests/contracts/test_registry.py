"""An operator registers a node, keeps its keys, and leaves; others try to take its place."""

import pytest
from brownie import accounts
from eth_account import Account
from world import (
    ACTIVE,
    DAY,
    ENTRY,
    EXIT,
    JAILED,
    NEVER,
    QNET,
    REGISTERED,
    RELAY,
    RETIRED,
    TOMBSTONED,
    bytes32,
    deployment,
    now,
    refused,
)


@pytest.fixture
def operator(world):
    return world.operators[0]


def register_call(world, owner, name, key, proof, role=RELAY, payout=None, deadline=NEVER):
    return world.registry.register(
        role,
        bytes32(name),
        bytes32("identity"),
        key.address,
        payout or owner.address,
        deadline,
        proof,
        {"from": owner},
    )


def test_operator_registers_a_node(world, operator):
    key = Account.create()
    index = world.register(operator, "relay one", EXIT, key)
    assert index == 1 == world.registry.count()
    node = world.registry.node(index).dict()
    assert node["owner"] == operator
    assert (node["role"], node["state"], node["slot"]) == (EXIT, REGISTERED, False)
    assert node["receiptKey"] == key.address
    assert world.registry.receiptKeyAt(index, 0) == key.address
    assert not world.registry.isActive(index)


def test_numbers_are_dense(world, operator):
    assert [world.register(operator, f"node {i}") for i in range(3)] == [1, 2, 3]


def test_registration_cannot_be_front_run(world, operator):
    key = Account.create()
    proof = world.key_proof(operator, bytes32("relay"), key)
    thief = accounts[8]
    with refused("BadProof"):
        register_call(world, thief, "relay", key, proof)
    register_call(world, operator, "relay", key, proof)
    assert world.registry.node(1)[0] == operator


def test_proof_cannot_be_replayed(world, operator):
    key = Account.create()
    proof = world.key_proof(operator, bytes32("relay"), key)
    register_call(world, operator, "relay", key, proof)
    with refused("NodeIdTaken"):
        register_call(world, operator, "relay", key, proof)
    with refused("ReceiptKeyTaken", key.address):
        register_call(world, operator, "other", key, proof)


def test_proof_for_another_node_or_registry_is_refused(world, operator):
    key = Account.create()
    with refused("BadProof"):
        register_call(
            world, operator, "relay", key, world.key_proof(operator, bytes32("other"), key)
        )
    other_contract = world.sign(
        key,
        world.oracle,
        "KeyProof",
        [
            {"name": "owner", "type": "address"},
            {"name": "nodeId", "type": "bytes32"},
            {"name": "receiptKey", "type": "address"},
            {"name": "deadline", "type": "uint256"},
        ],
        (operator.address, bytes32("relay"), key.address, NEVER),
    )
    with refused("BadProof"):
        register_call(world, operator, "relay", key, other_contract)
    with refused("BadProof"):
        register_call(world, operator, "relay", key, b"")


def test_expired_proof_is_refused(world, operator):
    key = Account.create()
    deadline = now() - 1
    proof = world.key_proof(operator, bytes32("relay"), key, deadline)
    with refused("ProofExpired", deadline):
        register_call(world, operator, "relay", key, proof, deadline=deadline)


def test_empty_fields_are_refused(world, operator):
    key = Account.create()
    proof = world.key_proof(operator, bytes32("relay"), key)
    with refused("InvalidRole", 0):
        register_call(world, operator, "relay", key, proof, role=0)
    with refused("EmptyField"):
        register_call(world, operator, "relay", key, proof, payout="0x" + "00" * 20)


def test_rotated_key_counts_from_the_next_epoch(world, operator):
    old, new = Account.create(), Account.create()
    index = world.register(operator, "relay", key=old)
    world.advance_to(world.epochs.epochStart(3))
    proof = world.key_proof(operator, bytes32("relay"), new)
    with refused("NotNodeOwner"):
        world.registry.rotateKey(index, new.address, NEVER, proof, {"from": accounts[8]})
    world.registry.rotateKey(index, new.address, NEVER, proof, {"from": operator})
    assert world.registry.receiptKeyAt(index, 3) == old.address
    assert world.registry.receiptKeyAt(index, 4) == new.address
    assert world.registry.node(index)[4] == new.address
    with refused("ReceiptKeyTaken", new.address):
        world.registry.rotateKey(index, new.address, NEVER, proof, {"from": operator})
    back = world.key_proof(operator, bytes32("relay"), old)
    with refused("ReceiptKeyTaken", old.address):
        world.registry.rotateKey(index, old.address, NEVER, back, {"from": operator})


def test_retired_is_for_good_and_frees_the_slot(world, operator):
    index = world.bonded_node(operator, "relay")
    assert world.registry.slotsTaken(RELAY) == 1
    world.registry.retire(index, {"from": operator})
    assert world.registry.node(index)[2] == RETIRED
    assert world.registry.slotsTaken(RELAY) == 0
    with refused("WrongState"):
        world.registry.retire(index, {"from": operator})
    world.token.approve(world.hub, QNET, {"from": operator})
    with refused("NotBondable", index, RETIRED):
        world.hub.bond(index, QNET, {"from": operator})
    world.hub.unbond(index, 100_000 * QNET, {"from": operator})
    assert world.registry.node(index)[2] == RETIRED


def test_jail_and_unjail(world, operator):
    index = world.bonded_node(operator, "relay")
    until = now() + 7 * DAY
    with refused("NotSlasher", operator.address):
        world.registry.jail(index, until, {"from": operator})
    with world.as_timelock() as timelock:
        world.registry.jail(index, until, {"from": timelock})
    assert world.registry.node(index)[2] == JAILED
    assert world.registry.slotsTaken(RELAY) == 0
    world.bond(operator, index, QNET)
    assert world.registry.node(index)[2] == JAILED, "a bond does not buy a node out of jail"
    with refused("StillJailed", index, until):
        world.registry.unjail(index, {"from": operator})
    world.advance_to(until)
    world.registry.unjail(index, {"from": operator})
    assert world.registry.node(index)[2] == ACTIVE
    assert world.registry.slotsTaken(RELAY) == 1


def test_tombstone_is_forever(world, operator):
    index = world.bonded_node(operator, "relay")
    with world.as_timelock() as timelock:
        world.registry.tombstone(index, {"from": timelock})
        with refused("WrongState", index, TOMBSTONED):
            world.registry.jail(index, now() + DAY, {"from": timelock})
    for call in (world.registry.unjail, world.registry.retire):
        with refused("WrongState", index, TOMBSTONED):
            call(index, {"from": operator})
    assert not world.registry.isActive(index)


def test_only_the_hub_reports_bonds(world, operator):
    index = world.register(operator, "relay")
    with refused("NotHub", operator.address):
        world.registry.onBondChanged(index, 10**30, {"from": operator})


def test_paid_slots_are_limited(world, operator):
    key = deployment.parameter_key("slots_entry")
    with world.as_timelock() as timelock:
        world.parameters.set(key, 1, {"from": timelock})
    first = world.bonded_node(operator, "first", role=ENTRY)
    second = world.bonded_node(operator, "second", role=ENTRY)
    assert world.registry.node(first)[8] is True
    assert world.registry.node(second)[8] is False
    assert world.registry.isActive(second), "a node may serve without a slot"
    with refused("NoSlot", second, ENTRY):
        world.registry.takeSlot(second, {"from": operator})
    world.registry.retire(first, {"from": operator})
    world.registry.takeSlot(second, {"from": accounts[9]})
    assert world.registry.node(second)[8] is True
    assert world.registry.slotsTaken(ENTRY) == 1


def test_payout_can_be_changed_by_the_owner_alone(world, operator):
    index = world.register(operator, "relay")
    with refused("NotNodeOwner"):
        world.registry.setPayout(index, accounts[8], {"from": accounts[8]})
    world.registry.setPayout(index, accounts[7], {"from": operator})
    assert world.registry.node(index)[5] == accounts[7]


def test_unknown_node(world):
    with refused("UnknownNode", 99):
        world.registry.node(99)
