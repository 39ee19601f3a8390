"""A client that reads committee and anchors from a chain, and follows a change made there."""

import time
from dataclasses import replace

import pytest

from ledger.service.chain_reader import ChainReader
from node.client.network.bootstrap import Bootstrap
from node.client.network.causes import Causes
from node.client.network.chain import ChainAnchor
from node.client.network.chain_stage import ChainStage
from node.client.network.keeping import Keeping
from node.client.network.sources import Sources
from node.client.paths.dialler import Dialler
from node.client.paths.entries import Entries
from node.errors import BootstrapError, Stage, StageError
from node.view import NetworkView
from qnet.crypto.keys import ReceiptKey
from qnet.epochs import consensus_period
from qnet.messages.consensus import CommitteeTrust
from qnet.messages.succession import change_times
from qnet.messages.trust import NO_SIGNER
from tests.support.anvil import send_as
from tests.support.directory_liar import honest, hosted
from tests.support.signed_network import PARAMETERS, make_network

pytestmark = [pytest.mark.chain, pytest.mark.asyncio, pytest.mark.timeout(120)]

NOW = consensus_period(time.time(), PARAMETERS.consensus_interval_s)
LONG_AGO = NOW - 40 * 86_400


@pytest.fixture
def network_on(chain):
    """The signed test network, with the members and the contract of the chain."""
    address = chain.contracts.committee.address
    members = chain.network.member_signers
    made = make_network(period=NOW)
    trust = CommitteeTrust(31337, address, tuple(key.address for key in members), 3)
    return replace(
        made,
        members=members,
        trust=trust,
        consensus=replace(made.consensus, committee=address),
    )


def anchor_on(chain, url=""):
    committee = chain.contracts.committee.address
    return ChainAnchor(url or chain.network.url, chain_id=31337, committee=committee)


def client_with(chain, seeds, trust, *, made_at=LONG_AGO, anchor=None):
    def wall():
        return NOW + 1.0

    view = NetworkView(trust, PARAMETERS, now=wall, software="0.1.0")
    dialler = Dialler(time.monotonic, time.time)
    entries = Entries(view, None, time.monotonic, wall, dialler)
    sources = Sources(view, entries, dialler, time.monotonic)
    keeping = Keeping(None, trust.hash, made_at=made_at)
    causes = Causes()
    stage = ChainStage(anchor or anchor_on(chain), view, keeping, causes)
    return Bootstrap(view, sources, seeds, wall, keeping, chain=stage, causes=causes)


async def test_the_committee_of_now_and_the_anchor_of_a_period(chain, network_on):
    anchor = anchor_on(chain)
    seen = await anchor.read()
    assert seen.trust == network_on.trust
    assert len(seen.members) == 4
    assert seen.time_s > 0
    assert await anchor.anchor_of(NOW) is None
    signed = network_on.sign(network_on.consensus)
    call = chain.contracts.committee.anchor(NOW, signed.hash, signed.bitmap, signed.signatures)
    await chain.send(chain.network.holders[0], call)
    assert await anchor.anchor_of(NOW) == signed.hash


async def test_a_chain_that_cannot_be_read_is_a_stage_with_its_cause(chain, network_on):
    anchor = anchor_on(chain, "http://127.0.0.1:1")
    for asked in (anchor.read(), anchor.anchor_of(NOW)):
        with pytest.raises(StageError, match="chain cannot be read") as caught:
            await asked
        assert caught.value.stage is Stage.CHAIN
    signed = network_on.sign(network_on.consensus)
    async with hosted(honest(signed)) as (seed, _):
        bootstrap = client_with(chain, [seed], network_on.trust, made_at=NOW, anchor=anchor)
        await bootstrap.start(10.0)
        assert bootstrap.view.hash == signed.hash
        assert [row["stage"] for row in bootstrap.causes.rows()] == ["chain"]


async def test_an_old_bundle_is_renewed_from_the_chain(chain, network_on):
    strangers = tuple(ReceiptKey.generate().address for _ in range(4))
    outdated = replace(network_on.trust, signers=strangers)
    signed = network_on.sign(network_on.consensus)
    async with hosted(honest(signed)) as (seed, _):
        bootstrap = client_with(chain, [seed], outdated)
        await bootstrap.start(10.0)
        assert bootstrap.view.hash == signed.hash
        assert bootstrap.view.history.newest == network_on.trust


async def test_what_the_chain_contradicts_is_refused_whoever_signed_it(chain, network_on):
    signed = network_on.sign(network_on.consensus)
    other = network_on.sign(replace(network_on.consensus, users=7))
    call = chain.contracts.committee.anchor(NOW, signed.hash, signed.bitmap, signed.signatures)
    await chain.send(chain.network.holders[0], call)
    async with hosted(honest(other)) as (bad, _), hosted(honest(signed)) as (good, _):
        refused = client_with(chain, [bad], network_on.trust, made_at=NOW)
        with pytest.raises(BootstrapError) as caught:
            await refused.start(2.0)
        assert "anchors another consensus" in caught.value.why
        both = client_with(chain, [bad, good], network_on.trust, made_at=NOW)
        await both.start(10.0)
        assert both.view.hash == signed.hash


async def test_sets_follow_a_removal_made_on_the_chain(chain, network_on):
    committee = chain.contracts.committee
    await send_as(chain.client, chain.contracts.timelock.address, committee.remove_member(3))
    seats = await committee.members()
    until = seats[3].active_until_s
    assert until > 0
    assert (await anchor_on(chain).read()).trust == network_on.trust
    assert change_times(seats, until - 1) == []
    assert change_times(seats, until) == [until]
    await chain.control.warp(until + 1)
    await chain.control.finalize()
    now = (await anchor_on(chain).read()).trust
    assert now.signers == (*network_on.trust.signers[:3], NO_SIGNER)
    assert now.quorum == await committee.quorum()
    facts = await ChainReader(chain.contracts).facts()
    assert facts.trust == now
