"""Anyone may demand to see a leaf; a report whose leaves are withheld does not become final."""

import pytest
from brownie import accounts
from world import DAY, DISABLED, QNET, now, refused

CHALLENGE_BOND = 2400 * QNET
ANSWER_S = DAY
WINDOW = 3 * DAY


@pytest.fixture(scope="module")
def reported(world):
    """Epoch 0 with two nodes is reported."""
    world.bond_committee()
    for number, operator in enumerate(world.operators[:2]):
        world.bonded_node(operator, f"relay {number}")
    world.end_epoch(0)
    world.leaves = world.honest_leaves(0)
    world.submit(world.report(0, world.leaves))
    return world


@pytest.fixture(scope="module")
def demander(reported):
    return reported.challenger(accounts[6])


def test_whoever_shows_the_leaf_gets_the_bond(reported, demander):
    world, oracle, answerer = reported, reported.oracle, accounts[7]
    before = world.token.balanceOf(demander)
    demanded = oracle.demandLeaf(0, 1, {"from": demander})
    assert world.token.balanceOf(demander) == before - CHALLENGE_BOND
    demand = oracle.demandOf(0, 1).dict()
    assert demand["demander"] == demander
    assert demand["deadline"] == demanded.timestamp + ANSWER_S
    with refused("AlreadyDemanded", 0, 1):
        oracle.demandLeaf(0, 1, {"from": demander})
    with refused("NoSuchLeaf", 0, 3):
        oracle.demandLeaf(0, 3, {"from": demander})
    leaf = world.leaves[0]
    proof = world.proof(leaf, world.leaves)
    with refused("InvalidProof", 0, 1):
        oracle.answerLeaf((*leaf[:8], leaf[8] + 1, leaf[9]), proof, {"from": answerer})
    answered = oracle.answerLeaf(leaf, proof, {"from": answerer})
    assert tuple(answered.events["LeafAnswered"]["leaf"]) == leaf
    assert world.token.balanceOf(answerer) == CHALLENGE_BOND
    with refused("NotDemanded", 0, 1):
        oracle.answerLeaf(leaf, proof, {"from": answerer})
    world.finalize(0)
    assert oracle.isFinal(0)


def test_a_withheld_leaf_disables_the_report(reported, demander):
    world, oracle = reported, reported.oracle
    before = world.token.balanceOf(demander)
    first = bytes(oracle.report(0).dict()["hash"])
    oracle.demandLeaf(0, 2, {"from": demander})
    deadline = oracle.demandOf(0, 2).dict()["deadline"]
    with refused("DemandPending", deadline):
        oracle.expireDemand(0, 2, {"from": accounts[9]})
    world.advance_to(oracle.windowEnd(0))
    with refused("DemandsOpen", 0, 1):
        oracle.finalize(0, {"from": accounts[9]})
    with refused("DemandOver", deadline):
        leaf = world.leaves[1]
        oracle.answerLeaf(leaf, world.proof(leaf, world.leaves), {"from": accounts[7]})
    expired = oracle.expireDemand(0, 2, {"from": accounts[9]})
    assert expired.events["DemandUnanswered"]["demander"] == demander
    assert world.token.balanceOf(demander) == before
    assert oracle.report(0).dict()["status"] == DISABLED

    world.submit(world.report(0, world.leaves))
    anew = oracle.report(0).dict()
    assert (anew["r"]["attempt"], oracle.attemptOf(0)) == (1, 1)
    assert bytes(anew["hash"]) != first
    oracle.demandLeaf(0, 2, {"from": demander})
    leaf = world.leaves[1]
    oracle.answerLeaf(leaf, world.proof(leaf, world.leaves), {"from": accounts[7]})
    world.finalize(0)
    world.settle(leaf, world.leaves)


def test_a_demand_comes_in_time_for_its_answer(reported, demander):
    oracle = reported.oracle
    latest = oracle.windowEnd(0) - ANSWER_S
    assert latest == oracle.report(0).dict()["submittedAt"] + WINDOW - ANSWER_S > now()
    reported.advance_to(latest + 1)
    with refused("TooLateToDemand", latest):
        oracle.demandLeaf(0, 1, {"from": demander})


def test_another_end_of_the_report_returns_the_bond(reported, demander):
    world, oracle = reported, reported.oracle
    before = world.token.balanceOf(demander)
    oracle.demandLeaf(0, 1, {"from": demander})
    with world.as_timelock() as timelock:
        oracle.disable(0, {"from": timelock})
    returned = oracle.expireDemand(0, 1, {"from": accounts[9]})
    assert "DemandUnanswered" not in returned.events
    assert returned.events["DemandReturned"]["bond"] == CHALLENGE_BOND
    assert world.token.balanceOf(demander) == before
