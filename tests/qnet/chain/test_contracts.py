"""Every typed wrapper against the contract it wraps, along the journeys of users."""

import dataclasses

import pytest

from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.errors import ContractAbsentError, ContractError
from qnet.chain.governing import ProposalActions, ProposalState, Support, Tally
from qnet.chain.reporting import ReportStatus
from qnet.chain.staking import NodeState, NodeStatus, Role
from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.eip712 import digest, qnet_domain
from qnet.errors import DecodeError, RemoteProtocolError
from qnet.merkle import StandardTree
from qnet.messages.consensus import CONSENSUS_TYPE
from qnet.messages.report import NO_REPORT, EpochReport, NodeLeaf
from tests.support.anvil import send_as

pytestmark = pytest.mark.chain
WEI = 10**18
BOND_WEI = 2000 * WEI
REWARD_WEI = 7 * WEI


async def test_the_bundle_opens_after_checking(chain):
    opened = await Contracts.open(chain.client, Deployment.load(chain.network.manifest))
    assert [contract.address for contract in opened.all()] == [
        contract.address for contract in chain.contracts.all()
    ]
    assert "QNetToken(0x" in repr(opened.token)


async def test_parameters(chain):
    parameters = chain.contracts.parameters
    assert await parameters.all() == chain.network.parameters
    assert await parameters.hash() == chain.network.parameters.hash()
    assert await parameters.get("min_bond_wei") == chain.network.parameters.min_bond_wei
    assert await parameters.bounds("unbond_s") == (1, 90 * 86_400)
    with pytest.raises(ContractError) as raised:
        await parameters.get("nothing")
    assert raised.value.name == "UnknownParameter"
    with pytest.raises(ContractError) as raised:
        await chain.send(chain.network.deployer, parameters.set("unbond_s", 1))
    assert raised.value.name == "NotOwner"


async def test_foreign_parameters_are_a_decode_error(chain, monkeypatch):
    parameters = chain.contracts.parameters

    async def read(function, *_arguments, at="latest"):
        return [b"\xff" * 32] if function == "keys" else [1]

    monkeypatch.setattr(parameters, "_read", read)
    with pytest.raises(DecodeError, match="not ASCII"):
        await parameters.all()


async def test_an_address_without_contract_is_told(chain):
    stranger = type(chain.contracts.token)(chain.client, b"\x99" * 20)
    with pytest.raises(ContractAbsentError, match="does not answer"):
        await stranger.total_supply()


async def test_tokens_move_and_delegate(chain):
    token, (alice, bob, *_) = chain.contracts.token, chain.network.holders
    before = await token.balance_of(bob.address)
    result = await chain.send(alice, token.transfer(bob.address, 5))
    assert await token.balance_of(bob.address) == before + 5
    event = token.only_event(result, "Transfer")
    assert event.arguments == {"from": alice.address, "to": bob.address, "value": 5}
    with pytest.raises(RemoteProtocolError, match="0 events Approval"):
        token.only_event(result, "Approval")
    await chain.send(alice, token.approve(bob.address, 9))
    assert await token.allowance(alice.address, bob.address) == 9
    assert await token.delegate_of(alice.address) == bytes(20)
    await chain.send(alice, token.delegate(bob.address))
    assert await token.delegate_of(alice.address) == bob.address
    held = await token.balance_of(alice.address)
    assert await token.votes(bob.address) == held
    now = await chain.control.now()
    await chain.control.warp(now + 10)
    assert await token.past_votes(bob.address, now + 1) == held


async def test_a_node_registers_bonds_and_leaves(chain):
    registry, hub, owner = chain.contracts.registry, chain.contracts.hub, chain.network.holders[0]
    assert await registry.count() == 0
    node = await chain.register_node(owner, role=Role.EXIT, bond_wei=BOND_WEI)
    found = await registry.node(node.index)
    assert found.owner == found.payout == owner.address
    assert (found.role, found.state, found.has_slot) == (Role.EXIT, NodeState.ACTIVE, True)
    assert found.node_id == node.node_id
    assert found.receipt_key == node.receipt_key.address
    assert await registry.nodes() == [found]
    assert await registry.index_of(node.node_id) == node.index
    assert await registry.index_of(bytes(32)) == 0
    assert await registry.is_active(node.index)
    assert await registry.status_at(node.index, 1) == NodeStatus(NodeState.ACTIVE, has_slot=True)
    assert await registry.slots_taken(Role.EXIT) == 1
    assert await hub.bond_of(node.index) == await hub.total_bonded() == BOND_WEI
    assert await hub.votes(owner.address) == BOND_WEI
    assert await hub.delegate_of(owner.address) == owner.address
    now = await chain.control.now()
    await chain.control.warp(now + 10)
    result = await chain.send(owner, hub.unbond(node.index, BOND_WEI // 4))
    number = hub.only_event(result, "Unbonded").arguments["ticket"]
    (ticket,) = await hub.tickets_of(owner.address)
    assert (ticket.number, ticket.index, ticket.from_bond) == (number, node.index, True)
    assert ticket.amount_wei == BOND_WEI // 4
    with pytest.raises(ContractError) as raised:
        await chain.send(owner, hub.withdraw(number))
    assert raised.value.name == "StillUnbonding"
    assert "The ticket unlocks at" in raised.value.why
    await chain.control.warp(ticket.unlocks_at_s + 1)
    await chain.send(owner, hub.withdraw(number))
    assert await hub.tickets_of(owner.address) == []
    assert await hub.bond_at(node.index, now) == BOND_WEI
    assert await hub.past_votes(owner.address, now) == BOND_WEI
    await chain.send(owner, hub.delegate_votes(chain.network.holders[1].address))
    assert await hub.votes(chain.network.holders[1].address) == BOND_WEI * 3 // 4
    await chain.send(owner, registry.retire(node.index))
    assert (await registry.node(node.index)).state is NodeState.RETIRED


async def test_keys_and_payout_change(chain):
    registry, owner = chain.contracts.registry, chain.network.holders[0]
    await chain.control.warp(chain.network.request.genesis_s + 1)
    node = await chain.register_node(owner)
    fresh = ReceiptKey.generate()
    deadline = await chain.control.now() + 1000
    proof = fresh.sign(
        registry.key_proof_digest(owner.address, node.node_id, fresh.address, deadline)
    )
    await chain.send(owner, registry.rotate_key(node.index, fresh.address, deadline, proof))
    assert await registry.receipt_key_at(node.index, 0) == node.receipt_key.address
    assert await registry.receipt_key_at(node.index, 1) == fresh.address
    await chain.send(owner, registry.set_payout(node.index, b"\x77" * 20))
    assert (await registry.node(node.index)).payout == b"\x77" * 20
    for call, name in (
        (registry.take_slot(node.index), "WrongState"),
        (registry.take_slot_from(node.index, node.index), "WrongState"),
        (registry.unjail(node.index), "WrongState"),
    ):
        with pytest.raises(ContractError) as raised:
            await chain.send(owner, call)
        assert raised.value.name == name


async def test_a_permit_replaces_the_approval(chain):
    token, hub, owner = chain.contracts.token, chain.contracts.hub, chain.network.holders[0]
    node = await chain.register_node(owner)
    deadline = await chain.control.now() + 1000
    signature = owner.sign(
        await token.permit_digest(owner.address, hub.address, BOND_WEI, deadline)
    )
    await chain.send(owner, hub.bond_with_permit(node.index, BOND_WEI, deadline, signature))
    assert await hub.bond_of(node.index) == BOND_WEI
    assert await token.nonce(owner.address) == 1


async def test_digests_are_those_of_the_contracts(chain):
    committee, oracle = chain.contracts.committee, chain.contracts.oracle
    chain_id = chain.client.chain_id
    domain = qnet_domain(chain_id, committee.address)
    assert digest(domain, CONSENSUS_TYPE, (7, b"\5" * 32)) == await committee._read(
        "consensusDigest", 7, b"\5" * 32
    )
    report = make_report()
    assert report.digest(qnet_domain(chain_id, oracle.address)) == await oracle._read(
        "reportDigest", report.values()
    )
    leaf = make_leaf(3)
    assert leaf.hash(chain_id, oracle.address) == await oracle._read("leafHash", leaf.values())
    registry = chain.contracts.registry
    arguments = (b"\1" * 20, b"\2" * 32, b"\3" * 20, 4)
    assert registry.key_proof_digest(*arguments) == await registry._read(
        "keyProofDigest", *arguments
    )


async def test_the_committee_and_its_anchors(chain):
    committee, network = chain.contracts.committee, chain.network
    members = await committee.members()
    assert [member.signer for member in members] == [key.address for key in network.member_signers]
    assert [member.owner for member in members] == [key.address for key in network.member_owners]
    assert all(member.bonded and member.active for member in members)
    assert not any(member.suspended for member in members)
    assert await committee.bond_of(0) == network.parameters.committee_bond_wei
    assert await committee.signer_of(1) == network.member_signers[1].address
    assert await committee.next_change() > await chain.control.now()
    assert (await committee.size(), await committee.quorum()) == (4, 3)
    assert await committee.is_member(network.member_signers[0].address)
    assert not await committee.is_member(network.member_owners[0].address)
    hashed = b"\5" * 32
    to_sign = digest(qnet_domain(31337, committee.address), CONSENSUS_TYPE, (600, hashed))
    signatures = chain.quorum_signatures(to_sign)
    await committee.check_quorum(to_sign, 0b111, signatures)
    with pytest.raises(ContractError) as raised:
        await committee.check_quorum(to_sign, 0b11, signatures[:130])
    assert raised.value.name == "BadQuorum"
    assert raised.value.arguments == {"got": 2, "need": 3}
    with pytest.raises(ContractError) as raised:
        await committee.check_quorum(bytes(32), 0b111, signatures)
    assert raised.value.name == "BadSignature"
    await chain.send(network.holders[0], committee.anchor(600, hashed, 0b111, signatures))
    assert await committee.anchor_of(600) == hashed
    assert await committee.anchor_of(601) == bytes(32)
    for call in (
        committee.add_member(b"\1" * 20, b"\2" * 20, "http://x"),
        committee.remove_member(0),
    ):
        with pytest.raises(ContractError) as raised:
            await chain.send(network.holders[0], call)
        assert raised.value.name == "NotOwner"
    for call, name in (
        (committee.deposit_bond(), "AlreadyBonded"),
        (committee.withdraw_bond(), "BondLocked"),
    ):
        with pytest.raises(ContractError) as raised:
            await chain.send(network.member_owners[0], call)
        assert raised.value.name == name


def make_leaf(node, epoch=0, cumulative=REWARD_WEI):
    return NodeLeaf(
        epoch=epoch,
        node=node,
        bond_wei=BOND_WEI,
        stake_wei=BOND_WEI,
        slot_p=1023,
        w_ppm=10**6,
        rho_ppm=250_000,
        reward_wei=REWARD_WEI,
        cum_operator_wei=cumulative,
        cum_pool_wei=0,
    )


def make_report(**changes):
    report = EpochReport(
        epoch=0,
        attempt=0,
        params_hash=b"\1" * 32,
        nodes_root=b"\2" * 32,
        evidence_root=NO_REPORT,
        audit_root=NO_REPORT,
        total_reward_wei=REWARD_WEI,
        node_count=1,
        data_hash=b"\3" * 32,
        previous_hash=NO_REPORT,
    )
    return dataclasses.replace(report, **changes)


async def start_first_epoch(chain):
    """Start epoch 0 in its first second; returns its info and its end."""
    epochs, vault = chain.contracts.epochs, chain.contracts.vault
    clock = await epochs.clock()
    assert clock.genesis_s == chain.network.request.genesis_s
    assert await epochs.beacon_anchor() == chain.network.beacon.anchor
    start, end = clock.epoch_bounds(0)
    await chain.control.warp(start)
    assert await epochs.current_epoch() == await epochs.next_epoch() == 0
    reveal = chain.network.beacon.value(clock.slots_per_epoch - 1)
    await chain.send(chain.network.holders[1], epochs.start_epoch(0, reveal))
    info = await epochs.info(0)
    assert info.params_hash == chain.network.parameters.hash()
    assert info.budget_wei == chain.network.parameters.emission_wei
    assert info.reveal == await epochs.beacon_head() == reveal
    assert (await epochs.node_count_of(0), await epochs.next_epoch()) == (1, 1)
    assert await vault.total_funded() == await vault.funded_of(0) == info.budget_wei
    return info, end


async def test_an_epoch_is_reported_settled_and_claimed(chain):
    contracts, (owner, other, *_) = chain.contracts, chain.network.holders
    oracle, hub, vault = contracts.oracle, contracts.hub, contracts.vault
    node = await chain.register_node(owner, bond_wei=BOND_WEI)
    info, end = await start_first_epoch(chain)
    leaf = make_leaf(node.index)
    tree = StandardTree([leaf.hash(31337, oracle.address)])
    report = make_report(params_hash=info.params_hash, nodes_root=tree.root)
    signatures = chain.quorum_signatures(report.digest(qnet_domain(31337, oracle.address)))
    submit = oracle.submit(report, 0b111, signatures)
    with pytest.raises(ContractError) as raised:
        await chain.send(other, submit)
    assert raised.value.name == "EpochNotOver"
    await chain.control.warp(end + 1)
    await chain.send(other, submit)
    held = await oracle.report(0)
    assert (held.report, held.status) == (report, ReportStatus.SUBMITTED)
    assert held.hash == await oracle.last_report_hash()
    assert await oracle.unfinished() == await oracle.next_epoch() == 1
    assert await oracle.report_deadline(0) == end + chain.network.parameters.report_deadline_s
    window_s = chain.network.parameters.challenge_window_s
    assert await oracle.window_end(0) == held.submitted_at_s + window_s
    assert await oracle.attempt_of(0) == 0

    with pytest.raises(ContractError) as raised:
        await chain.send(other, oracle.finalize(0))
    assert raised.value.name == "WindowOpen"
    await chain.control.warp(raised.value.arguments["until"] + 1)
    await chain.send(other, oracle.finalize(0))
    assert await oracle.is_final(0)
    assert await oracle.nodes_root(0) == tree.root
    assert await vault.total_earned() == REWARD_WEI

    result = await chain.send(other, hub.settle_node(leaf, tree.proof(0)))
    assert hub.only_event(result, "NodeSettled").arguments["forOperator"] == REWARD_WEI
    assert await hub.reputation_of(node.index) == leaf.rho_ppm
    assert await oracle.final_through() == 1
    assert await oracle.predecessor_of(0) == 0
    assert await hub.owed(node.index) == REWARD_WEI
    assert await hub.settled_cumulative(node.index) == (REWARD_WEI, 0)
    assert await hub.settled_through(node.index) == 1
    before = await contracts.token.balance_of(owner.address)
    await chain.send(other, hub.claim_operator(node.index))
    assert await contracts.token.balance_of(owner.address) == before + REWARD_WEI
    assert await hub.owed(node.index) == 0
    assert await vault.total_paid() == REWARD_WEI
    with pytest.raises(ContractError) as raised:
        await chain.send(other, hub.settle_node(leaf, tree.proof(0)))
    assert raised.value.name == "NothingToSettle"
    for call, name in (
        (oracle.disable(0), "NotCourt"),
        (contracts.epochs.skip_epoch(0), "AlreadyReported"),
    ):
        with pytest.raises(ContractError) as raised:
            await chain.send(other, call)
        assert raised.value.name == name


async def test_holders_change_a_parameter_by_vote(chain):
    contracts, voters = chain.contracts, chain.network.holders
    governor, parameters = contracts.governor, contracts.parameters
    for voter in voters:
        await chain.send(voter, contracts.token.delegate(voter.address))
    proposer = voters[0]
    assert await governor.proposal_threshold() <= 10**6 * WEI
    assert await governor.voting_delay_s() == chain.network.parameters.voting_delay_s
    assert await governor.voting_period_s() == chain.network.parameters.voting_period_s
    await chain.control.warp(await chain.control.now() + 10)
    actions = ProposalActions.from_calls([parameters.set("unbond_s", 99)])
    description = "Unbond in 99 s"
    hashed = keccak256(description.encode())
    proposal = await governor.proposal_id(actions, hashed)
    with pytest.raises(ContractError) as raised:
        await governor.state(proposal)
    assert raised.value.name == "GovernorNonexistentProposal"
    result = await chain.send(proposer, governor.propose(actions, description))
    event = governor.only_event(result, "ProposalCreated")
    assert event.arguments["proposalId"] == proposal
    assert await governor.latest_proposal_of(proposer.address) == proposal
    assert await governor.proposer(proposal) == proposer.address
    assert await governor.actions(proposal) == (actions, hashed)
    assert await governor.state(proposal) is ProposalState.PENDING

    await chain.control.warp(await governor.snapshot_s(proposal) + 1)
    assert await governor.state(proposal) is ProposalState.ACTIVE
    snapshot = await governor.snapshot_s(proposal)
    power = await governor.votes(proposer.address, snapshot)
    assert power == await contracts.token.past_votes(proposer.address, snapshot)
    choices = [Support.FOR, Support.FOR, Support.FOR, Support.FOR, Support.AGAINST, Support.ABSTAIN]
    for voter, support in zip(voters, choices, strict=True):
        reason = "too long" if support is Support.AGAINST else ""
        await chain.send(voter, governor.cast_vote(proposal, support, reason))
    assert await governor.tally(proposal) == Tally(power, 4 * power, power)
    assert await governor.has_voted(proposal, proposer.address)
    assert await governor.quorum(snapshot) <= 5 * power

    await chain.control.warp(await governor.deadline_s(proposal) + 1)
    assert await governor.state(proposal) is ProposalState.SUCCEEDED
    await chain.send(proposer, governor.queue(actions, hashed))
    assert await governor.state(proposal) is ProposalState.QUEUED
    delay = await contracts.timelock.min_delay_s()
    assert await governor.eta_s(proposal) == await chain.control.now() + delay
    await chain.control.warp(await governor.eta_s(proposal) + 1)
    await chain.send(proposer, governor.execute(actions, hashed))
    assert await governor.state(proposal) is ProposalState.EXECUTED
    assert await parameters.get("unbond_s") == 99
    assert await parameters.all() == chain.network.parameters.with_value("unbond_s", 99)


async def test_a_proposer_takes_a_proposal_back(chain):
    contracts, proposer = chain.contracts, chain.network.holders[0]
    await chain.send(proposer, contracts.token.delegate(proposer.address))
    await chain.control.warp(await chain.control.now() + 10)
    actions = ProposalActions.from_calls([contracts.parameters.set("unbond_s", 99)])
    await chain.send(proposer, contracts.governor.propose(actions, "x"))
    await chain.send(proposer, contracts.governor.cancel(actions, keccak256(b"x")))
    proposal = await contracts.governor.proposal_id(actions, keccak256(b"x"))
    assert await contracts.governor.state(proposal) is ProposalState.CANCELED


async def test_only_the_governor_proposes_to_the_timelock(chain):
    timelock = chain.contracts.timelock
    role = keccak256(b"PROPOSER_ROLE")
    assert await timelock.has_role(role, chain.contracts.governor.address)
    assert not await timelock.has_role(role, chain.network.deployer.address)


async def test_versions(chain):
    versions = chain.contracts.versions
    assert await versions.versions() == []
    assert await versions.minimum_version(0) == ""
    call = versions.publish(
        "1.0.0", spec_hash=b"\1" * 32, artifact_hash=b"\2" * 32, minimum=True, activation_epoch=9
    )
    with pytest.raises(ContractError) as raised:
        await chain.send(chain.network.deployer, call)
    assert raised.value.name == "NotOwner"
    await send_as(chain.client, chain.contracts.timelock.address, call)
    (version,) = await versions.versions()
    assert (version.semver, version.minimum, version.activation_epoch) == ("1.0.0", True, 9)
    assert await versions.minimum_version(8) == ""
    assert await versions.minimum_version(9) == "1.0.0"


async def test_calls_say_what_they_do(chain):
    call = chain.contracts.token.transfer(b"\x77" * 20, 5)
    assert call.label == "QNetToken.transfer(0x7777777777777777777777777777777777777777, 5)"
    submit = chain.contracts.oracle.submit(make_report(), 7, bytes(195))
    assert submit.label.endswith("7, 195 bytes)")
