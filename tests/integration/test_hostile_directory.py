"""Sources that lie, over real links: each is found out in time, and one honest source is enough."""

import asyncio
import secrets
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from node.circuit.origin import OriginLink
from node.client.network import bootstrap as bootstrap_module
from node.client.network.bootstrap import Bootstrap
from node.client.network.fetching import Pace
from node.client.network.keeping import Keeping
from node.client.network.sources import Sources
from node.client.paths.dialler import Dialler
from node.client.paths.entries import Entries
from node.client.paths.entry import EntryLink
from node.directory.packing import compress
from node.errors import BootstrapError, ClockError, Stage, TrustAgeError
from node.io.evidence import EvidenceStore
from node.view import NetworkView
from qnet.crypto.keys import ReceiptKey
from qnet.epochs import consensus_period
from qnet.errors import RejectedError
from qnet.messages.consensus import SignedConsensus, join_signatures, sign_consensus
from qnet.messages.succession import CommitteeChange, SignedChange, sign_change
from tests.support import directory_liar as liars
from tests.support.directory_liar import honest, hosted, whole
from tests.support.network import eventually
from tests.support.signed_network import PARAMETERS, TestNetwork, make_network

pytestmark = pytest.mark.asyncio

INTERVAL = PARAMETERS.consensus_interval_s
NOW = consensus_period(time.time(), INTERVAL)
NET = make_network(period=NOW)
SIGNED = NET.sign(NET.consensus)
OLDER = NET.sign(replace(NET.consensus, valid_after=NOW - INTERVAL))
STALE = NET.sign(replace(NET.consensus, valid_after=NOW - 4 * INTERVAL))
OTHER = NET.sign(replace(NET.consensus, users=7), members=(1, 2, 3))
STRANGERS = replace(make_network(period=NOW), consensus=NET.consensus)
FORGED = STRANGERS.sign(NET.consensus)
PACE = Pace(stall_s=0.4, grace_s=0.8, least_bytes_s=16_384, total_s=3.0)
AT_ONCE_S = 2.0
"""What needs no waiting is found out within two seconds, handshake included."""


def make(seeds, state=None, *, now=NOW + 1.0, net=NET, bridges=(), made_at=NOW) -> Bootstrap:
    """The bootstrap of a client whose clock stands still."""
    view = NetworkView(net.trust, PARAMETERS, now=lambda: now, software="0.1.0")
    dialler = Dialler(time.monotonic, time.time)
    entries = Entries(view, None, time.monotonic, lambda: now, dialler)
    sources = Sources(view, entries, dialler, time.monotonic, pace=PACE)
    keeping = Keeping(state, net.trust.hash, made_at=made_at)
    return Bootstrap(view, sources, seeds, lambda: now, keeping, bridges=bridges)


async def ask_once(bootstrap: Bootstrap) -> float:
    """One round over all seeds; returns how long it took."""
    begun = time.monotonic()
    await bootstrap._ask_stages(bootstrap._is_fit)
    return time.monotonic() - begun


LIARS = {
    "stale": (whole(compress(STALE.encode())), "too old", AT_ONCE_S),
    "forged": (whole(compress(FORGED.encode())), "cryptographic", AT_ONCE_S),
    "junk": (whole(b"junk" * 5_000), "malformed zstd", AT_ONCE_S),
    "cut": (whole(compress(SIGNED.encode()[:-70])), "", AT_ONCE_S),
    "truncated": (liars.truncated(SIGNED), "nothing came", PACE.stall_s + AT_ONCE_S),
    "silent": (liars.silent, "nothing came", PACE.stall_s + AT_ONCE_S),
    "dripping": (liars.dripping(0.05), "slower than", PACE.grace_s + AT_ONCE_S),
    "endless": (liars.endless, "", AT_ONCE_S),
    "oversize": (liars.oversize, "exceeds", AT_ONCE_S),
    "bomb": (liars.bomb(SIGNED), "exceeds", AT_ONCE_S),
    "hidden bomb": (liars.hidden_bomb(SIGNED), "hides its size", AT_ONCE_S),
    "unasked difference": (liars.unasked_diff(SIGNED), "said to be held", AT_ONCE_S),
    "other request": (liars.other_request(SIGNED), "another request", AT_ONCE_S),
    "nothing": (liars.nothing_newer, "no newer", AT_ONCE_S),
}


@pytest.mark.parametrize("kind", LIARS)
async def test_each_lie_is_found_out_in_time_and_survived(kind, monkeypatch):
    answer, cause, limit_s = LIARS[kind]
    monkeypatch.setattr(bootstrap_module, "NODES_AT_ONCE", 1)
    monkeypatch.setattr(bootstrap_module, "shuffle", lambda _items, _random: None)
    async with hosted(answer) as (liar, _), hosted(honest(SIGNED)) as (good, _):
        alone = make([liar])
        assert await ask_once(alone) < limit_s
        assert alone.view.held is None
        [found] = alone.causes.rows()
        assert found["stage"] == "seed"
        assert cause in found["cause"]
        both = make([liar, good])
        assert await ask_once(both) < limit_s + AT_ONCE_S
        assert both.view.hash == SIGNED.hash
        assert both.problem == ""
        [again] = both.causes.rows()
        assert (again["source"], again["stage"]) == (found["source"], found["stage"])
        assert cause in again["cause"]


async def test_one_honest_seed_among_many_liars_is_found_at_once():
    async with AsyncExitStack() as stack:
        seeds = []
        for answer in [liars.silent] * 2 + [honest(SIGNED)]:
            address, _ = await stack.enter_async_context(hosted(answer))
            seeds.append(address)
        bootstrap = make(seeds)
        begun = time.monotonic()
        await bootstrap.start(5.0)
        assert time.monotonic() - begun < PACE.stall_s + AT_ONCE_S
        assert bootstrap.view.hash == SIGNED.hash


async def test_a_wrong_difference_is_followed_by_the_full_document():
    async with hosted(liars.wrong_base(SIGNED)) as (liar, host):
        bootstrap = make([liar])
        bootstrap.view.take(OLDER)
        assert await ask_once_for_newer(bootstrap) < AT_ONCE_S
        assert bootstrap.view.hash == SIGNED.hash
        assert [request.hash for request in host.requests] == [OLDER.hash, b""]
        assert bootstrap.diffs == 0


async def ask_once_for_newer(bootstrap: Bootstrap) -> float:
    begun = time.monotonic()
    before = bootstrap.view.valid_after
    await bootstrap._ask_stages(lambda: bootstrap.view.valid_after != before)
    return time.monotonic() - begun


async def test_a_difference_is_used_when_it_is_right():
    async with hosted(honest(OLDER, SIGNED)) as (good, host):
        bootstrap = make([good])
        bootstrap.view.take(OLDER)
        await ask_once_for_newer(bootstrap)
        assert bootstrap.view.hash == SIGNED.hash
        assert bootstrap.diffs == len(host.requests) == 1


async def test_who_withholds_the_newest_is_named_and_passed_over(monkeypatch):
    monkeypatch.setattr(bootstrap_module, "NODES_AT_ONCE", 1)
    monkeypatch.setattr(bootstrap_module, "shuffle", lambda _items, _random: None)
    async with hosted(liars.nothing_newer) as (liar, _), hosted(honest(SIGNED)) as (good, _):
        bootstrap = make([liar, good], now=NOW + INTERVAL / 3)
        bootstrap.view.take(OLDER)
        assert await ask_once_for_newer(bootstrap) < AT_ONCE_S
        assert bootstrap.view.hash == SIGNED.hash
        [row] = bootstrap.causes.rows()
        assert "no newer" in row["cause"]


@pytest.mark.parametrize(("late", "asked"), [(-1, 0), (1, 1)])
async def test_seeds_are_asked_again_only_when_open_links_are_late(monkeypatch, late, asked):
    async with hosted(honest(SIGNED)) as (seed, host):
        bootstrap = make([seed], now=NOW + INTERVAL // 4 + late)
        bootstrap.view.take(OLDER)

        async def behind(request, base):
            raise RejectedError("the peer has no newer consensus")

        monkeypatch.setattr(Sources, "standing", lambda _self: [("node guard", behind)])
        await bootstrap._refresh(lambda: False)
        assert len(host.requests) == asked
        assert (bootstrap.view.hash == SIGNED.hash) is bool(asked)


async def test_partitioned_clients_find_the_proof_and_keep_the_first(tmp_path):
    async with hosted(honest(SIGNED)) as (one, _), hosted(honest(OTHER)) as (two, _):
        bootstrap = make([one], tmp_path)
        await bootstrap.start(5.0)
        bootstrap.seeds = [two]
        begun = time.monotonic()
        await bootstrap._ask_stages(lambda: False)
        assert time.monotonic() - begun < AT_ONCE_S
        assert bootstrap.view.hash == SIGNED.hash
        [found] = bootstrap.status()["double_consensuses"]
        assert found == {"period": NOW, "signed_by": [1, 2]}
        [stored] = EvidenceStore(tmp_path / "evidence").load()
        stored.evidence.verify(NET.trust)
        assert (stored.kept, stored.refused) == (SIGNED.encode(), OTHER.encode())
        again = make([one], tmp_path)
        await again.start(5.0)
        assert again.view.hash == SIGNED.hash
        assert again.status()["double_consensuses"] == [found]
        assert "two consensuses" in again.warnings()[0]


async def test_a_client_finds_a_partition_by_itself():
    async with hosted(honest(SIGNED)) as (one, _), hosted(honest(OTHER)) as (two, host):
        bootstrap = make([one])
        await bootstrap.start(5.0)
        entries = bootstrap.sources.entries
        link = EntryLink(
            origin=OriginLink(random=secrets.token_bytes, parameters=PARAMETERS),
            name="guard",
            now=time.monotonic,
        )
        await bootstrap.sources.dialler.dial(
            two, handler=link, parameters=PARAMETERS, timeout_s=5.0
        )
        entries.links[b"2" * 32] = link
        following = asyncio.get_running_loop().create_task(bootstrap.follow())
        await eventually(lambda: bool(bootstrap.view.conflicts), AT_ONCE_S)
        following.cancel()
        link.close()
        [request] = host.requests
        assert (request.valid_after, request.hash) == (NOW, SIGNED.hash)
        assert bootstrap.view.hash == SIGNED.hash


async def test_a_bridge_stands_in_for_seeds_that_are_gone():
    async with hosted(honest(SIGNED)) as (bridge, _), hosted(liars.silent) as (seed, _):
        bootstrap = make([seed], bridges=[bridge])
        await bootstrap.start(5.0)
        assert bootstrap.view.hash == SIGNED.hash
        assert {row["stage"] for row in bootstrap.causes.rows()} == {"seed"}


async def test_every_source_and_its_stage_is_in_the_error(tmp_path):
    (tmp_path / "consensus.bin").write_bytes(STALE.encode())
    async with hosted(liars.oversize) as (seed, _), hosted(liars.silent) as (bridge, _):
        bootstrap = make([seed], tmp_path, bridges=[bridge])
        with pytest.raises(BootstrapError) as caught:
            await bootstrap.start(1.5)
        for word in ("cache", "seed node", "exceeds", "bridge node", "nothing came"):
            assert word in caught.value.why


async def test_a_clock_that_is_behind_is_told_from_a_bad_network():
    async with hosted(honest(SIGNED)) as (seed, _):
        bootstrap = make([seed], now=NOW - 3 * INTERVAL)
        with pytest.raises(ClockError, match="behind") as caught:
            await bootstrap.start(30.0)
        assert caught.value.stage is Stage.CLOCK
        assert caught.value.offset_s == 3 * INTERVAL
        assert bootstrap.view.witnesses.floor == NOW


async def test_two_sources_tell_a_clock_that_is_ahead_one_does_not():
    late = NOW + 10 * INTERVAL
    async with hosted(honest(SIGNED)) as (one, _), hosted(honest(SIGNED)) as (two, _):
        with pytest.raises(ClockError, match="ahead") as caught:
            await make([one, two], now=late).start(30.0)
        assert caught.value.offset_s == -9 * INTERVAL
        with pytest.raises(BootstrapError, match="no consensus") as plain:
            await make([one], now=late).start(2.0)
        assert "this clock is ahead by as much" in plain.value.why


def succeeded(net: TestNetwork) -> tuple[TestNetwork, SignedChange]:
    """The network after its fourth member was replaced, and the certificate."""
    members = (*net.members[:3], ReceiptKey.generate())
    signers = tuple(key.address for key in members)
    change = CommitteeChange(
        net.trust.chain_id, net.trust.committee, NOW, net.trust.hash, signers, 3
    )
    parts = {i: sign_change(change, net.members[i]) for i in (0, 1, 3)}
    trust = replace(net.trust, signers=signers)
    return replace(net, members=members, trust=trust), SignedChange(change, *join_signatures(parts))


def signed_by(net: TestNetwork, members: tuple[int, ...]) -> SignedConsensus:
    parts = {i: sign_consensus(net.consensus, net.members[i]) for i in members}
    return SignedConsensus(net.consensus, *join_signatures(parts))


async def test_a_certified_change_of_the_committee_is_followed_and_kept(tmp_path):
    after, certificate = succeeded(NET)
    signed = signed_by(after, (1, 2, 3))
    cache = liars.DirectoryCache()
    cache.changes = (certificate,)
    async with hosted(honest(signed, cache=cache)) as (good, _), hosted(honest(signed)) as (bad, _):
        lost = make([bad])
        await ask_once(lost)
        assert lost.view.held is None
        assert "cryptographic" in lost.causes.text
        bootstrap = make([good], tmp_path)
        await bootstrap.start(5.0)
        assert bootstrap.view.history.newest == after.trust
        again = make([bad], tmp_path)
        await again.start(5.0)
        assert again.view.history.newest == after.trust


async def test_an_old_bundle_is_refused_with_what_helps():
    async with hosted(honest(SIGNED)) as (seed, _):
        bootstrap = make([seed], made_at=NOW - 22 * 86_400)
        with pytest.raises(TrustAgeError, match="too old") as caught:
            await bootstrap.start(5.0)
        assert bootstrap.view.held is None
        assert "22 days ago" in caught.value.why
        assert any("rpc" in step for step in caught.value.try_)


async def test_a_committee_confirmed_by_a_consensus_needs_no_new_bundle(tmp_path):
    async with hosted(honest(SIGNED)) as (seed, _):
        old = NOW - 20 * 86_400
        await make([seed], tmp_path, made_at=old).start(5.0)
        later = make([seed], tmp_path, now=NOW + 20 * 86_400.0, made_at=old)
        with pytest.raises(BootstrapError) as caught:
            await later.start(1.2)
        assert not isinstance(caught.value, TrustAgeError)


async def test_a_cancelled_start_leaves_nothing_behind():
    async with hosted(liars.silent) as (seed, _):
        task = asyncio.get_running_loop().create_task(make([seed]).start(60.0))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
