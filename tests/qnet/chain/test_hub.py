"""Delegation, terms, tickets and liens through the typed wrapper."""

import pytest

from qnet.chain.errors import ContractError
from qnet.chain.hub import Position, Terms
from qnet.chain.staking import NodeState, NodeStatus, Role

pytestmark = pytest.mark.chain
WEI = 10**18
BOND_WEI = 2000 * WEI
TOKENS_WEI = 900 * WEI


@pytest.fixture
async def relays(chain):
    """Two bonded relays and a holder that lets the hub take its tokens."""
    first, second, holder = chain.network.holders[:3]
    nodes = [await chain.register_node(owner, bond_wei=BOND_WEI) for owner in (first, second)]
    allow = chain.contracts.token.approve(chain.contracts.hub.address, 10**6 * WEI)
    await chain.send(holder, allow)
    return [node.index for node in nodes], (first, holder)


async def test_a_holder_delegates_and_leaves(chain, relays):
    (index, _), (_, holder) = relays
    hub = chain.contracts.hub
    result = await chain.send(holder, hub.delegate(index, TOKENS_WEI, 1))
    shares = hub.only_event(result, "Delegated").arguments["shares"]
    held = await hub.position_of(holder.address, index)
    assert (held.shares, held.principal_wei) == (shares, TOKENS_WEI)
    assert TOKENS_WEI - 1 <= held.worth_wei <= TOKENS_WEI
    assert await hub.shares_of(index) == shares
    assert await hub.pool_of(index) == TOKENS_WEI
    assert await hub.stake_of(index) == BOND_WEI + TOKENS_WEI
    assert await hub.votes(holder.address) == TOKENS_WEI
    assert await hub.total_bonded() == 2 * BOND_WEI + TOKENS_WEI
    assert await hub.slashable_of(index, 0) >= BOND_WEI
    assert await hub.stream_of(index) == (0, 0)
    delegated_s = await chain.control.now()
    await chain.control.warp(delegated_s + 10)
    assert await hub.pool_at(index, delegated_s) == TOKENS_WEI
    result = await chain.send(holder, hub.undelegate(index, shares))
    number = hub.only_event(result, "Undelegated").arguments["ticket"]
    (ticket,) = await hub.tickets_of(holder.address)
    assert (ticket.number, ticket.index, ticket.from_bond) == (number, index, False)
    assert await hub.position_of(holder.address, index) == Position(0, 0, 0)
    assert await hub.votes(holder.address) == 0
    await chain.control.warp(ticket.unlocks_at_s)
    before = await chain.contracts.token.balance_of(holder.address)
    await chain.send(holder, hub.withdraw(number))
    paid = await chain.contracts.token.balance_of(holder.address) - before
    assert paid == ticket.amount_wei
    assert TOKENS_WEI - 1 <= paid <= TOKENS_WEI
    assert (await hub.ticket(holder.address, number)).index == 0


async def test_moved_shares_are_bound_by_a_lien(chain, relays):
    (source, target), (_, holder) = relays
    hub = chain.contracts.hub
    await chain.send(holder, hub.delegate(source, TOKENS_WEI))
    shares = (await hub.position_of(holder.address, source)).shares
    result = await chain.send(holder, hub.redelegate(source, target, shares, 1))
    minted = hub.only_event(result, "Redelegated").arguments["sharesMinted"]
    (lien,) = await hub.liens_of(holder.address)
    assert (lien.source, lien.target, lien.shares) == (source, target, minted)
    with pytest.raises(ContractError) as raised:
        await chain.send(holder, hub.undelegate(target, minted))
    assert raised.value.name == "InsufficientShares"
    await chain.control.warp(lien.unlocks_at_s)
    await chain.send(chain.network.holders[4], hub.poke(holder.address, target))
    assert await hub.liens_of(holder.address) == []
    await chain.send(holder, hub.undelegate(target, minted))


async def test_a_permit_replaces_the_approval_of_a_delegation(chain, relays):
    (index, _), _ = relays
    token, hub, holder = chain.contracts.token, chain.contracts.hub, chain.network.holders[3]
    deadline = await chain.control.now() + 1000
    permit = holder.sign(
        await token.permit_digest(holder.address, hub.address, TOKENS_WEI, deadline)
    )
    call = hub.delegate_with_permit(index, TOKENS_WEI, 0, deadline, permit)
    await chain.send(holder, call)
    assert (await hub.position_of(holder.address, index)).principal_wei == TOKENS_WEI


async def test_terms_count_later_once_somebody_delegates(chain, relays):
    (index, _), (owner, holder) = relays
    hub = chain.contracts.hub
    await chain.control.warp(chain.network.request.genesis_s + 1)
    await chain.send(owner, hub.set_terms(index, Terms(WEI, 200_000)))
    assert await hub.latest_terms_of(index) == (Terms(WEI, 200_000), 1)
    assert await hub.terms_at(index, 0) == Terms(0, 0)
    assert await hub.terms_at(index, 1) == Terms(WEI, 200_000)
    await chain.send(holder, hub.delegate(index, TOKENS_WEI))
    await chain.send(owner, hub.set_terms(index, Terms(2 * WEI, 300_000)))
    _, from_epoch = await hub.latest_terms_of(index)
    assert from_epoch > 1
    with pytest.raises(ContractError) as raised:
        await chain.send(owner, hub.set_terms(index, Terms(0, 10**6 + 1)))
    assert raised.value.name == "InvalidTerms"


async def test_a_pool_takes_a_multiple_of_the_bond(chain, relays):
    (index, _), (_, holder) = relays
    too_much = chain.network.parameters.delegation_factor * BOND_WEI + 1
    with pytest.raises(ContractError) as raised:
        await chain.send(holder, chain.contracts.hub.delegate(index, too_much))
    assert raised.value.name == "Oversubscribed"
    assert raised.value.try_


async def test_nothing_was_slashed_or_frozen(chain, relays):
    (index, _), _ = relays
    hub = chain.contracts.hub
    assert await hub.slash_count_of(index) == 0
    assert await hub.freezes_of(index) == 0
    assert not await hub.is_paused()
    assert await hub.paused_until() == 0
    assert await hub.guardian() == chain.contracts.timelock.address
    for call in (hub.pause(10**10), hub.unpause(), hub.set_guardian(b"\1" * 20)):
        with pytest.raises(ContractError) as raised:
            await chain.send(chain.network.holders[0], call)
        assert raised.value.name in {"NotGuardian", "NotOwner", "NotPaused"}


async def test_a_stronger_node_takes_a_slot(chain):
    registry, hub = chain.contracts.registry, chain.contracts.hub
    slots = chain.network.parameters.slots_exit
    weak, strong = chain.network.holders[:2]
    for _ in range(slots):
        await chain.register_node(weak, role=Role.EXIT, bond_wei=BOND_WEI)
    late = await chain.register_node(strong, role=Role.EXIT, bond_wei=BOND_WEI + BOND_WEI // 10)
    assert await registry.slots_taken(Role.EXIT) == slots
    assert not (await registry.node(late.index)).has_slot
    assert await hub.stake_of(late.index) * 10 == await hub.stake_of(1) * 11
    await chain.send(weak, registry.take_slot_from(late.index, 1))
    assert await registry.status_at(late.index, 1) == NodeStatus(NodeState.ACTIVE, has_slot=True)
    assert not (await registry.node(1)).has_slot
