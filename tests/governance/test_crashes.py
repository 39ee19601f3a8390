"""`qnet gov vote` killed at any point and run again: one vote, neither lost nor doubled."""

import asyncio

import pytest

from governance.client import GovernanceClient
from qnet.chain.anvil import EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.governing import Support
from qnet.chain.sender import KeySigner, Sender
from qnet.parameters import NetworkParameters
from tests.governance.conftest import QNET, open_world
from tests.support.killing import duration_of, killed_at, killed_within, run

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]

VOTERS = {"alice": 2_000_000 * QNET, "bob": 100_000 * QNET, "operator": 100_000 * QNET}
VOTED = "Q0941"
VOTING_PERIOD_S = 3600


@pytest.fixture(scope="module")
def slow_world(tmp_path_factory):
    """A chain whose votes last an hour, so that a command may be run as often as needed."""
    parameters = NetworkParameters.profile("devnet").with_value("voting_period_s", VOTING_PERIOD_S)
    with open_world(tmp_path_factory.mktemp("crashes"), parameters) as world:
        yield world


async def with_contracts(world, action):
    async with ChainClient.connect(world.url) as client:
        return await action(await Contracts.open(client, Deployment.load(world.manifest)))


@pytest.fixture(scope="module")
def proposal(slow_world):
    """A proposal that is being voted on; every voter has delegated to itself."""

    async def work(contracts):
        client, keys = contracts.client, slow_world.keys
        chain = EmbeddedChain(client)
        senders = {name: Sender(client, KeySigner(keys[name])) for name in VOTERS}
        for name, sender in senders.items():
            await sender.send(contracts.token.delegate(keys[name].address))
        await chain.warp(await chain.now() + 2)
        made, call = await GovernanceClient(contracts).propose_parameter(
            "streams_per_circuit_max", 8, proposer=keys["alice"].address
        )
        await senders["alice"].send(call)
        await chain.warp(await chain.now() + 5)
        return made.proposal_id

    return asyncio.run(with_contracts(slow_world, work))


def votes_of(world, proposal, name):
    """Weights of all votes that an account has cast, and the contract's own sum of all."""

    async def work(contracts):
        client = GovernanceClient(contracts)
        view = await client.find(str(proposal))
        await client.recount(view)  # the events add up to what the contract counted
        voter = world.keys[name].address
        cast = await client.votes(proposal)
        assert all(vote.support == Support.FOR for vote in cast)
        return [vote.weight for vote in cast if vote.voter == voter]

    return asyncio.run(with_contracts(world, work))


def words(world, proposal, name):
    return ("gov", "vote", proposal, "for", *world.words(name))


@pytest.mark.parametrize(
    ("voter", "steps"),
    [
        (
            "alice",
            [
                ("before", "prepare", 1),
                ("after", "prepare", 1),
                ("before", "broadcast", 1),
                ("after", "broadcast", 1),
            ],
        ),
        ("bob", [("after", "outcome", 1)]),
    ],
)
def test_a_vote_killed_at_each_step_counts_once(slow_world, proposal, voter, steps):
    command = words(slow_world, proposal, voter)
    for step in steps:
        assert votes_of(slow_world, proposal, voter) == []
        killed_at(step, *command)
    again = run(*command)
    assert (again.code, again.error) == (9, VOTED)
    assert "a cast vote is final" in again.errors
    assert votes_of(slow_world, proposal, voter) == [VOTERS[voter]]


def test_a_vote_killed_at_random_moments_counts_once(slow_world, proposal):
    command = words(slow_world, proposal, "operator")
    usual = duration_of(*command)
    for _ in range(4):
        killed_within((usual * 0.6, usual * 1.4), *command)
    last = run(*command)
    assert last.code == 0 or last.error == VOTED, last
    assert votes_of(slow_world, proposal, "operator") == [VOTERS["operator"]]
