from dataclasses import replace

import pytest

from governance.client import GovernanceClient
from governance.errors import (
    AlreadyVotedError,
    MismatchError,
    OneLiveProposalError,
    PowerMissingError,
    ProposalStateError,
    ProposalUnknownError,
    TimelockClosedError,
    ValueRefusedError,
)
from governance.tally import Tally
from governance.timelock import operation_id
from qnet.chain.anvil import EmbeddedChain
from qnet.chain.errors import ContractError
from qnet.chain.governing import ProposalActions, ProposalState, Support
from qnet.chain.sender import KeySigner, Sender
from qnet.errors import NotFoundError, UsageError

pytestmark = pytest.mark.chain
NAME = "streams_per_circuit_max"


class Town:
    """Holders with senders, and a clock that tests set."""

    def __init__(self, world, contracts):
        self.contracts = contracts
        self.gov = GovernanceClient(contracts)
        self.keys = world.keys
        self._chain = EmbeddedChain(contracts.client)

    def address(self, name):
        return self.keys[name].address

    async def send(self, name, call):
        return await Sender(self.contracts.client, KeySigner(self.keys[name])).send(call)

    async def pass_time(self, seconds):
        await self._chain.warp(await self._chain.now() + seconds)

    async def delegate(self, *names):
        for name in names:
            await self.send(name, self.contracts.token.delegate(self.address(name)))
        await self.pass_time(2)

    async def propose(self, name="alice", value=8):
        proposal, call = await self.gov.propose_parameter(
            NAME, value, proposer=self.address(name), reason="because"
        )
        await self.send(name, call)
        return proposal

    async def vote(self, name, support=Support.FOR):
        _, ballot, call = await self.gov.vote("latest", self.address(name), support, "yes")
        await self.send(name, call)
        return ballot


@pytest.fixture
async def town(world, contracts):
    town = Town(world, contracts)
    await town.delegate("alice", "bob")
    return town


async def test_whole_life_of_a_proposal(town):
    proposal = await town.propose()
    view = await town.gov.find("latest")
    assert view.proposal_id == proposal.proposal_id
    assert view.state is ProposalState.PENDING
    assert view.proposal == proposal
    await town.pass_time(4)
    ballot = await town.vote("alice")
    await town.vote("bob", Support.AGAINST)
    assert ballot.power == 2_000_000 * 10**18
    view = await town.gov.find(str(proposal.proposal_id)[:12])
    assert await town.gov.recount(view) == Tally(10**23, 2 * 10**24, 0)
    await town.pass_time(20)
    _, call = await town.gov.queue("latest")
    await town.send("bob", call)
    with pytest.raises(TimelockClosedError):
        await town.gov.execute("latest")
    await town.pass_time(10)
    _, call = await town.gov.execute("latest")
    await town.send("carol", call)
    assert (await town.gov.parameters()).streams_per_circuit_max == 8
    assert (await town.gov.find("latest")).state is ProposalState.EXECUTED


async def test_timelock_knows_the_operation_by_our_id(town):
    await town.propose()
    await town.pass_time(4)
    await town.vote("alice")
    await town.pass_time(20)
    view, call = await town.gov.queue("latest")
    await town.send("alice", call)
    timelock = town.contracts.timelock
    operation = operation_id(view.proposal, town.contracts.governor.address)
    assert await timelock._read("isOperation", operation)
    assert not await timelock._read("isOperation", bytes(32))


async def test_every_step_in_a_wrong_state_is_a_typed_error(town):
    await town.propose()
    with pytest.raises(ProposalStateError, match="pending"):
        await town.gov.vote("latest", town.address("alice"), Support.FOR)
    with pytest.raises(ProposalStateError, match="pending"):
        await town.gov.queue("latest")
    with pytest.raises(ProposalStateError, match="pending"):
        await town.gov.execute("latest")
    await town.pass_time(4)
    await town.vote("alice")
    with pytest.raises(AlreadyVotedError):
        await town.gov.vote("latest", town.address("alice"), Support.FOR)
    with pytest.raises(ProposalStateError, match="active"):
        await town.gov.cancel("latest", town.address("alice"))


async def test_no_votes_without_delegation_before_the_snapshot(town):
    await town.propose()
    await town.pass_time(4)
    await town.send("carol", town.contracts.token.delegate(town.address("carol")))
    await town.pass_time(2)
    with pytest.raises(PowerMissingError, match="had no votes"):
        await town.gov.vote("latest", town.address("carol"), Support.FOR)


async def test_proposing_needs_votes_and_one_at_a_time(town):
    with pytest.raises(PowerMissingError, match="a proposal takes"):
        await town.propose("carol")
    await town.propose("alice")
    with pytest.raises(OneLiveProposalError):
        await town.propose("alice", 9)


@pytest.mark.parametrize("value", [0, 65_536, 2**256 - 1])
async def test_out_of_bounds_is_refused_here_and_by_the_contract(town, value):
    with pytest.raises(ValueRefusedError):
        await town.gov.propose_parameter(NAME, value, proposer=town.address("alice"))
    parameters, timelock = town.contracts.parameters, town.contracts.timelock
    with pytest.raises(ContractError, match="OutOfBounds"):
        await town.contracts.client.call(parameters.set(NAME, value), sender=timelock.address)
    with pytest.raises(ContractError):
        await town.contracts.client.call(parameters.set(NAME, 9), sender=town.address("alice"))


async def test_the_calendar_never_changes(town):
    with pytest.raises(ValueRefusedError, match="on this chain") as caught:
        await town.gov.propose_parameter("slot_s", 7, proposer=town.address("alice"))
    assert caught.value.why == "it can never change"


async def test_unknown_names_and_no_change(town):
    with pytest.raises(NotFoundError):
        await town.gov.propose_parameter("nope", 1, proposer=town.address("alice"))
    with pytest.raises(UsageError, match="already"):
        await town.gov.propose_parameter(NAME, 512, proposer=town.address("alice"))
    with pytest.raises(ProposalUnknownError):
        await town.gov.find("1234")
    with pytest.raises(ProposalUnknownError):
        await town.gov.find("latest")


async def test_proposal_of_another_proposer_is_refused_by_the_governor(town):
    _, call = await town.gov.propose_parameter(NAME, 9, proposer=town.address("alice"))
    with pytest.raises(ContractError, match="GovernorRestrictedProposer"):
        await town.send("bob", call)


async def test_only_the_proposer_takes_back(town):
    await town.propose()
    with pytest.raises(ProposalUnknownError, match="did not make"):
        await town.gov.cancel("latest", town.address("bob"))
    _, call = await town.gov.cancel("latest", town.address("alice"))
    await town.send("alice", call)
    assert (await town.gov.find("latest")).state is ProposalState.CANCELED
    await town.propose(value=9)


async def test_too_few_votes_fail_the_quorum(town):
    await town.delegate("carol")
    await town.propose()
    await town.pass_time(4)
    await town.vote("carol")
    view = await town.gov.find("latest")
    assert view.tally.ahead
    assert view.tally.towards_quorum < await town.gov.quorum(view)
    await town.pass_time(20)
    with pytest.raises(ProposalStateError, match="defeated"):
        await town.gov.queue("latest")


async def test_ids_agree_with_the_governor_for_any_actions(town):
    governor = town.contracts.governor
    proposal, _ = await town.gov.propose_parameter(NAME, 77, proposer=town.address("alice"))
    actions = ProposalActions(proposal.targets, proposal.values, proposal.calldatas)
    assert await governor.proposal_id(actions, proposal.description_hash) == proposal.proposal_id


async def test_a_lying_contract_is_noticed(town):
    await town.propose()
    await town.pass_time(4)
    await town.vote("alice")
    view = await town.gov.find("latest")
    forged = replace(view, tally=Tally(0, 1, 0))
    with pytest.raises(MismatchError):
        await town.gov.recount(forged)


async def test_power_tells_tokens_from_stake(town):
    power = await town.gov.power(town.address("alice"))
    assert power.total == power.tokens == power.balance == 2 * 10**24
    assert power.delegate == town.address("alice")
    assert (await town.gov.power(town.address("carol"))).total == 0
