"""Holders delegate, propose, vote, queue and execute; the timelock is the only way in."""

import pytest
from brownie import accounts
from eth_account import Account
from world import DAY, QNET, bytes32, now, refused

PENDING, ACTIVE, CANCELED, DEFEATED, SUCCEEDED, QUEUED, EXPIRED, EXECUTED = range(8)
AGAINST, FOR, ABSTAIN, SPLIT = 0, 1, 2, 255
KEY = b"min_bond_wei".ljust(32, b"\x00")
NEW_VALUE = 20_000 * QNET


@pytest.fixture(scope="module")
def holder(world):
    """The great holder, its votes delegated to itself."""
    world.token.delegate(world.holder, {"from": world.holder})
    world.advance(10)
    return world.holder


def propose(world, proposer, actions=None, description="Raise the least bond"):
    actions = actions or [(world.parameters, world.parameters.set.encode_input(KEY, NEW_VALUE))]
    targets = [target.address for target, _ in actions]
    calldatas = [data for _, data in actions]
    tx = world.governor.propose(
        targets, [0] * len(targets), calldatas, description, {"from": proposer}
    )
    return tx.events["ProposalCreated"]["proposalId"]


def open_vote(world, proposal):
    world.advance_to(world.governor.proposalSnapshot(proposal) + 1)


def close_vote(world, proposal):
    world.advance_to(world.governor.proposalDeadline(proposal) + 1)


def pass_proposal(world, proposer, **changes):
    proposal = propose(world, proposer, **changes)
    open_vote(world, proposal)
    world.governor.castVote(proposal, FOR, {"from": proposer})
    close_vote(world, proposal)
    world.governor.queue["uint256"](proposal, {"from": accounts[9]})
    world.advance_to(world.governor.proposalEta(proposal) + 1)
    return proposal


def execute(world, proposal):
    return world.governor.execute["uint256"](proposal, {"from": accounts[9]})


def test_holders_change_a_parameter(world, holder):
    proposal = propose(world, holder)
    assert world.governor.state(proposal) == PENDING
    with refused("GovernorUnexpectedProposalState"):
        world.governor.castVote(proposal, FOR, {"from": holder})
    open_vote(world, proposal)
    assert world.governor.state(proposal) == ACTIVE
    world.governor.castVote(proposal, FOR, {"from": holder})
    assert world.governor.state(proposal) == ACTIVE
    close_vote(world, proposal)
    assert world.governor.state(proposal) == SUCCEEDED
    world.governor.queue["uint256"](proposal, {"from": accounts[9]})
    assert world.governor.state(proposal) == QUEUED
    eta = world.governor.proposalEta(proposal)
    assert eta == now() + 2 * DAY
    with refused("TimelockUnexpectedOperationState"):
        execute(world, proposal)
    world.advance_to(eta)
    before = world.parameters.paramsHash()
    tx = execute(world, proposal)
    assert world.governor.state(proposal) == EXECUTED
    assert world.parameters.get(KEY) == NEW_VALUE
    changed = tx.events["ParameterSet"]
    assert (changed["oldValue"], changed["newValue"]) == (10_000 * QNET, NEW_VALUE)
    assert world.parameters.paramsHash() != before


def test_executed_value_out_of_bounds_is_refused(world, holder):
    data = world.parameters.set.encode_input(KEY, 0)
    proposal = pass_proposal(world, holder, actions=[(world.parameters, data)])
    with refused("OutOfBounds"):
        execute(world, proposal)
    assert world.parameters.get(KEY) == 10_000 * QNET


def test_version_is_published_by_vote(world, holder):
    data = world.versions.publish.encode_input(
        "0.2.0", bytes32("spec"), bytes32("artifact"), True, 30
    )
    proposal = pass_proposal(world, holder, actions=[(world.versions, data)])
    execute(world, proposal)
    assert world.versions.versions(0)[0] == "0.2.0"


def test_defeated_without_quorum_or_majority(world, holder):
    small = world.operators[0]
    world.token.transfer(small, 20_000_000 * QNET, {"from": holder})
    world.token.delegate(small, {"from": small})
    world.advance(10)
    quiet = propose(world, holder)
    open_vote(world, quiet)
    world.token.transfer(accounts[8], QNET, {"from": holder})
    close_vote(world, quiet)
    assert world.governor.state(quiet) == DEFEATED
    lost = propose(world, holder, description="again")
    open_vote(world, lost)
    world.governor.castVote(lost, FOR, {"from": small})
    world.governor.castVote(lost, AGAINST, {"from": holder})
    close_vote(world, lost)
    assert world.governor.state(lost) == DEFEATED
    with refused("GovernorUnexpectedProposalState"):
        world.governor.queue["uint256"](lost, {"from": holder})


def test_quorum_leaves_the_vault_out(world, holder):
    supply = world.token.totalSupply()
    free = supply - 500_000_000 * QNET
    world.advance(1)
    assert world.governor.quorum(now() - 1) == free * 4 // 100
    world.advance_to(world.genesis)
    world.epochs.startEpoch(0, world.reveals[0], {"from": accounts[9]})
    world.advance(10)
    assert world.governor.quorum(now() - 1) == free * 4 // 100
    assert world.governor.proposalThreshold() == supply * 25 // 10_000


def test_earned_rewards_count_for_the_quorum_before_and_after_they_are_paid(world, holder):
    world.bond_committee()
    world.bonded_node(world.operators[0], "relay")
    free = world.token.totalSupply() - 500_000_000 * QNET
    world.end_epoch(0)
    leaves = [world.leaf(0, 1, 1000 * QNET)]
    world.submit(world.report(0, leaves))
    before = now()
    world.finalize(0)
    world.advance(1)
    earned = (free + 1000 * QNET) * 4 // 100
    assert world.governor.quorum(now() - 1) == earned
    world.settle(leaves[0], leaves)
    world.hub.claimOperator(1, {"from": accounts[9]})
    world.advance(1)
    assert world.governor.quorum(now() - 1) == earned
    assert world.governor.quorum(before) == free * 4 // 100


def test_bonded_tokens_vote(world, holder):
    operator = world.operators[0]
    world.token.transfer(operator, 100_000_000 * QNET, {"from": holder})
    world.bonded_node(operator, "relay", 100_000_000 * QNET)
    world.advance(10)
    proposal = propose(world, operator)
    open_vote(world, proposal)
    world.governor.castVote(proposal, FOR, {"from": operator})
    assert world.governor.proposalVotes(proposal)[1] == 100_000_000 * QNET
    close_vote(world, proposal)
    assert world.governor.state(proposal) == SUCCEEDED


def test_tokens_do_not_vote_twice(world, holder):
    """Tokens that vote as tokens, are bonded, and try to vote as bond have one snapshot."""
    operator = world.operators[0]
    index = world.register(operator, "relay")
    amount = world.token.balanceOf(operator)
    world.token.delegate(operator, {"from": operator})
    world.advance(10)
    proposal = propose(world, holder)
    open_vote(world, proposal)
    world.bond(operator, index, amount)
    world.governor.castVote(proposal, FOR, {"from": operator})
    assert world.governor.proposalVotes(proposal)[1] == amount
    with refused("GovernorAlreadyCastVote"):
        world.governor.castVote(proposal, FOR, {"from": operator})


def test_unbonding_tokens_do_not_vote(world, holder):
    operator = world.operators[0]
    index = world.bonded_node(operator, "relay", 400_000 * QNET)
    world.hub.unbond(index, 300_000 * QNET, {"from": operator})
    world.advance(10)
    proposal = propose(world, holder)
    open_vote(world, proposal)
    world.governor.castVote(proposal, FOR, {"from": operator})
    assert world.governor.proposalVotes(proposal)[1] == 100_000 * QNET


def test_votes_bought_after_the_snapshot_count_nothing(world, holder):
    proposal = propose(world, holder)
    open_vote(world, proposal)
    buyer = accounts[8]
    world.token.delegate(buyer, {"from": buyer})
    world.token.transfer(buyer, 100_000_000 * QNET, {"from": holder})
    world.advance(10)
    with refused("GovernorAlreadyCastVote"):  # the governor's word for: no weight left
        world.governor.castVote(proposal, AGAINST, {"from": buyer})


def test_split_vote(world, holder):
    power = world.token.getVotes(holder)
    proposal = propose(world, holder)
    open_vote(world, proposal)
    parts = [power // 4, power // 2, power // 8]
    packed = b"".join(part.to_bytes(16, "big") for part in parts)
    world.governor.castVoteWithReasonAndParams(proposal, SPLIT, "", packed, {"from": holder})
    assert list(world.governor.proposalVotes(proposal)) == parts


def test_late_quorum_extends_the_vote(world, holder):
    proposal = propose(world, holder)
    deadline = world.governor.proposalDeadline(proposal)
    world.advance_to(deadline - 100)
    world.governor.castVote(proposal, FOR, {"from": holder})
    assert world.governor.proposalDeadline(proposal) == now() + 2 * DAY > deadline


def test_one_live_proposal_per_proposer(world, holder):
    proposal = propose(world, holder)
    with refused("ProposerHasLive", proposal):
        propose(world, holder, description="another")
    world.governor.cancel["uint256"](proposal, {"from": holder})
    assert world.governor.state(proposal) == CANCELED
    propose(world, holder, description="another")


def test_at_most_ten_actions(world, holder):
    action = (world.parameters, world.parameters.set.encode_input(KEY, NEW_VALUE))
    with refused("TooManyActions", 11, 10):
        propose(world, holder, actions=[action] * 11)
    propose(world, holder, actions=[action] * 10)


def test_proposing_needs_votes(world):
    with refused("GovernorInsufficientProposerVotes"):
        propose(world, world.operators[0])


def test_votes_by_signature(world, holder):
    key = Account.create()
    voter = accounts.add(key.key)
    world.token.transfer(voter, 5_000_000 * QNET, {"from": holder})
    world.token.delegate(voter, {"from": voter})
    world.advance(10)
    proposal = propose(world, holder)
    open_vote(world, proposal)
    fields = [
        {"name": "proposalId", "type": "uint256"},
        {"name": "support", "type": "uint8"},
        {"name": "voter", "type": "address"},
        {"name": "nonce", "type": "uint256"},
    ]
    signature = world.sign(
        key, world.governor, "Ballot", fields, (int(proposal), FOR, voter.address, 0)
    )
    world.governor.castVoteBySig(proposal, FOR, voter, signature, {"from": accounts[9]})
    assert world.governor.hasVoted(proposal, voter)
    with refused("GovernorInvalidSignature"):
        world.governor.castVoteBySig(proposal, FOR, voter, signature, {"from": accounts[9]})


def test_delays_are_parameters(world, holder):
    assert world.governor.votingDelay() == 2 * DAY
    with world.as_timelock() as timelock:
        for name, value in (("voting_delay_s", 60), ("voting_period_s", 3600), ("timelock_s", 5)):
            world.parameters.set(name.encode().ljust(32, b"\x00"), value, {"from": timelock})
    assert world.governor.votingDelay() == 60
    assert world.governor.votingPeriod() == 3600
    assert world.governor.lateQuorumVoteExtension() == 3600, "never more than one period"
    assert world.timelock.getMinDelay() == 5
    with refused("SetByParameter"):
        world.governor.setLateQuorumVoteExtension(1, {"from": holder})
    with refused("SetByParameter"):
        world.timelock.updateDelay(1, {"from": holder})


def test_timelock_obeys_the_governor_alone(world):
    empty = "0x" + "00" * 32
    proposer, canceller, executor = (
        world.timelock.PROPOSER_ROLE(),
        world.timelock.CANCELLER_ROLE(),
        world.timelock.EXECUTOR_ROLE(),
    )
    admin = world.timelock.DEFAULT_ADMIN_ROLE()
    for role in (proposer, canceller):
        assert world.timelock.hasRole(role, world.governor)
        assert not world.timelock.hasRole(role, world.deployer)
    assert world.timelock.hasRole(executor, "0x" + "00" * 20)
    assert world.timelock.hasRole(admin, world.timelock)
    assert not world.timelock.hasRole(admin, world.deployer)
    data = world.parameters.set.encode_input(KEY, NEW_VALUE)
    with refused("AccessControlUnauthorizedAccount"):
        world.timelock.schedule(
            world.parameters, 0, data, empty, empty, 10 * DAY, {"from": world.deployer}
        )
    with refused("AccessControlUnauthorizedAccount"):
        world.timelock.grantRole(proposer, world.deployer, {"from": world.deployer})


def test_token_supply_never_rises(world, holder):
    supply = world.token.totalSupply()
    assert not hasattr(world.token, "mint")
    world.token.burn(QNET, {"from": holder})
    assert world.token.totalSupply() == supply - QNET
