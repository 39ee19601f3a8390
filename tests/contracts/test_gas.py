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
    limits = {"submit": 260_000, "settle": 130_000, "claim": 65_000}
    assert all(gas[name] <= limit for name, limit in limits.items()), gas


def test_proposal_vote_queue_and_execution(world):
    holder, voter = world.holder, world.operators[0]
    world.token.delegate(holder, {"from": holder})
    world.token.delegate(voter, {"from": voter})
    world.advance(10)
    data = world.parameters.set.encode_input(b"min_bond_wei".ljust(32, b"\x00"), 20_000 * QNET)
    governor, anyone = world.governor, {"from": accounts[9]}
    gas = {}
    for number in range(2):
        tx = governor.propose(
            [world.parameters], [0], [data], f"Proposal {number}", {"from": holder}
        )
        gas["propose"] = tx.gas_used
        proposal = tx.events["ProposalCreated"]["proposalId"]
        world.advance_to(governor.proposalSnapshot(proposal) + 1)
        governor.castVote(proposal, 1, {"from": holder})
        gas["vote"] = governor.castVote(proposal, 1, {"from": voter}).gas_used
        world.advance_to(governor.proposalDeadline(proposal) + 1)
        gas["queue"] = governor.queue["uint256"](proposal, anyone).gas_used
        world.advance_to(governor.proposalEta(proposal) + 1)
        gas["execute"] = governor.execute["uint256"](proposal, anyone).gas_used
    # a changed parameter rehashes the whole set: most of the execution
    limits = {"propose": 360_000, "vote": 140_000, "queue": 185_000, "execute": 620_000}
    assert all(gas[name] <= limit for name, limit in limits.items()), gas
