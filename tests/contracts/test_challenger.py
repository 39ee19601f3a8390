"""A challenger commits to what it can prove, proves it, and is paid; others come too late."""

import pytest
from brownie import accounts
from typed_data import REPORT
from world import (
    DAY,
    ENTRY,
    EXPIRED,
    JAILED,
    OPEN,
    PROVEN,
    QNET,
    RELAY,
    TOMBSTONED,
    bytes32,
    refused,
    rpc,
)

BOND = 100_000 * QNET
CHALLENGE_BOND = 2400 * QNET
MEMBER_BOND = 1_000_000 * QNET
OPEN_S = DAY
EVIDENCE_S = 14 * DAY


@pytest.fixture(scope="module")
def running(world):
    """Two nodes of different owners in epoch 0, and a bonded committee."""
    world.bond_committee()
    world.bonded_node(world.operators[0], "entry", BOND, ENTRY)
    world.bonded_node(world.operators[1], "relay", BOND, RELAY)
    world.advance_to(world.genesis + 100)
    return world


@pytest.fixture(scope="module")
def challenger(running):
    return running.challenger(accounts[6])


def two_receipts(world, slot=3):
    """Return a node's two receipts for one tuple, as `proveReceipts` takes them."""
    first = world.receipt(0, slot, 1, 2, 64)
    second = world.receipt(0, slot, 1, 2, 128)
    return (*first, *second)


def test_commit_prove_and_be_paid(running, challenger):
    world, court = running, running.court
    before = world.token.balanceOf(challenger)
    proof = two_receipts(world)
    number, salt = world.commit(challenger, court.proveReceipts, *proof)
    assert world.token.balanceOf(challenger) == before - CHALLENGE_BOND
    assert court.challengeOf(number).dict()["state"] == OPEN
    tx = court.proveReceipts(number, salt, *proof, {"from": challenger})
    assert world.token.balanceOf(challenger) == before
    assert court.challengeOf(number).dict()["state"] == PROVEN
    assert tx.events["ChallengeProven"]["moot"] is False

    slash = tx.events["SlashQueued"]
    node = world.registry.node(1).dict()
    assert (node["state"], node["jailedUntil"]) == (JAILED, slash["executableAt"])
    assert world.hub.freezesOf(1) == 1
    with refused("StillJailed", 1, 2**64 - 1):
        world.registry.unjail(1, {"from": world.operators[0]})
    with refused("InEscrow", slash["id"], slash["executableAt"]):
        world.slasher.execute(slash["id"], {"from": challenger})

    supply = world.token.totalSupply()
    world.execute_slash(slash["id"])
    taken = BOND // 20
    assert world.hub.bondOf(1) == BOND - taken == world.hub.getVotes(world.operators[0])
    assert world.token.balanceOf(challenger) == before + taken // 20
    assert world.token.totalSupply() == supply - taken * 19 // 20
    assert world.registry.stateOf(1) == TOMBSTONED
    with refused("WrongState", slash["id"], 3):
        world.slasher.execute(slash["id"], {"from": challenger})


def test_a_proof_copied_from_the_mempool_is_worth_nothing(running, challenger):
    world, court = running, running.court
    thief = world.challenger(accounts[7])
    proof = two_receipts(world)
    number, salt = world.commit(challenger, court.proveReceipts, *proof)
    stolen = bytes(court.challengeOf(number).dict()["commitment"])
    own = court.open(stolen, {"from": thief}).events["ChallengeOpened"]["id"]
    world.advance(1)

    rpc("evm_setAutomine", False)
    try:
        waiting = {"from": challenger, "required_confs": 0, "gas_price": 1}
        proven = court.proveReceipts(number, salt, *proof, waiting)
        seen = rpc("eth_getTransactionByHash", proven.txid)["input"]
        assert rpc("eth_getTransactionReceipt", proven.txid) is None, "it waits in the mempool"
        faster = {"gas_price": 10**9, "required_confs": 0, "allow_revert": True, "silent": True}
        call = bytes.fromhex(seen[2:])
        copies = [
            thief.transfer(court, data="0x" + data.hex(), **faster)
            for data in (call, call[:4] + own.to_bytes(32, "big") + call[36:])
        ]
    finally:
        rpc("evm_mine")
        rpc("evm_setAutomine", True)
    proven.wait(1)
    places = [rpc("eth_getTransactionReceipt", tx.txid) for tx in (*copies, proven)]
    assert [int(place["transactionIndex"], 16) for place in places] == [0, 1, 2]
    assert [int(place["status"], 16) for place in places] == [0, 0, 1]
    assert world.slasher.slashOf(1).dict()["challenger"] == challenger

    with refused("NotOpen", number, PROVEN):
        court.proveReceipts(number, salt, *proof, {"from": thief})
    with refused("WrongCommitment"):
        court.proveReceipts(own, salt, *proof, {"from": thief})
    late = world.prove(thief, court.proveReceipts, *proof)
    assert late.events["ChallengeProven"]["moot"] is True


def test_the_second_proof_of_one_offence_is_moot(running, challenger):
    world, court = running, running.court
    second = world.challenger(accounts[7])
    proof = two_receipts(world)
    number, salt = world.commit(second, court.proveReceipts, *proof)
    world.prove(challenger, court.proveReceipts, *proof)
    before = world.token.balanceOf(second)
    tx = court.proveReceipts(number, salt, *proof, {"from": second})
    assert tx.events["ChallengeProven"]["moot"] is True
    assert "SlashQueued" not in tx.events
    assert world.slasher.count() == 1
    assert world.token.balanceOf(second) == before + CHALLENGE_BOND, "who was right loses nothing"
    third = (*world.receipt(0, 3, 1, 2, 64), *world.receipt(0, 3, 1, 2, 256))
    assert world.prove(second, court.proveReceipts, *third).events["ChallengeProven"]["moot"]


def test_a_challenge_without_a_proof_loses_its_bond(running, challenger):
    world, court = running, running.court
    proof = two_receipts(world)
    number, salt = world.commit(challenger, court.proveReceipts, *proof)
    deadline = court.challengeOf(number).dict()["deadline"]
    with refused("WrongTime", number, deadline):
        court.expire(number, {"from": accounts[9]})
    world.advance_to(deadline + 1)
    with refused("WrongTime", number, deadline):
        court.proveReceipts(number, salt, *proof, {"from": challenger})
    supply = world.token.totalSupply()
    court.expire(number, {"from": accounts[9]})
    assert world.token.totalSupply() == supply - CHALLENGE_BOND
    assert court.challengeOf(number).dict()["state"] == EXPIRED
    with refused("NotOpen", number, EXPIRED):
        court.proveReceipts(number, salt, *proof, {"from": challenger})


def test_what_is_no_contradiction_is_refused(running, challenger):
    world, court = running, running.court
    one = world.receipt(0, 3, 1, 2, 64)
    for other in (one, world.receipt(0, 4, 1, 2, 128), world.receipt(0, 3, 2, 1, 128)):
        with refused("NoContradiction"):
            world.prove(challenger, court.proveReceipts, *one, *other)
    forged = world.receipt(0, 3, 1, 2, 128)[0], world.receipt(0, 3, 1, 2, 256)[1]
    with refused("BadSignature", world.receipt_keys[1].address):
        world.prove(challenger, court.proveReceipts, *one, *forged)
    assert world.slasher.count() == 0


def test_old_evidence_is_refused(running, challenger):
    world = running
    until = world.epochs.epochEnd(0) + EVIDENCE_S
    world.advance_to(until + 1)
    with refused("StaleEvidence", until):
        world.prove(challenger, world.court.proveReceipts, *two_receipts(world))


def test_two_reports_cost_a_member_its_bond(running, challenger):
    world, court = running, running.court
    world.end_epoch(0)
    leaves = world.honest_leaves(0)
    reports = [world.report(0, leaves, dataHash=bytes32(word)) for word in ("one", "other")]
    next_attempt = world.report(0, leaves, attempt=1)
    signed = [
        world.sign(world.signers[2], world.oracle, "EpochReport", REPORT, report)
        for report in (*reports, next_attempt)
    ]
    with refused("NoContradiction"):
        proof = (2, reports[0], signed[0], next_attempt, signed[2])
        world.prove(challenger, court.proveReports, *proof)
    before = world.token.balanceOf(challenger)
    proof = (2, reports[0], signed[0], reports[1], signed[1])
    tx = world.prove(challenger, court.proveReports, *proof)
    with refused("BadSignature", 2):
        world.submit(reports[0])
    world.submit(reports[0], members=(0, 1, 3))
    world.execute_slash(tx.events["SlashQueued"]["id"])
    assert world.committee.bondOf(2) == 0
    assert world.token.balanceOf(challenger) == before + MEMBER_BOND // 20
