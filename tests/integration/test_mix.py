"""The mixnet over real sockets: clients, an entry, three mixes, mailboxes; and those who cheat."""

import asyncio
import secrets
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
import pytest_asyncio

from ledger.domain.rewards import measure_work
from ledger.domain.state import NetworkState
from node.htx.record import RecordType
from node.io.mixing import CLIENT_BURST, Refused
from node.mix.address import MailAddress
from node.mix.envelope import FRAME_BYTES
from node.mix.mailbox_wire import MailboxRequest, make_claim
from node.mix.mailboxes import REQUEST_BURST, Loss
from node.mix.packet import PACKET_BYTES, encode_unit
from node.mix.unwrap import Cause
from node.status import node_metrics, node_status
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError
from qnet.messages.descriptor import Role
from qnet.messages.receipt import Side, SignedReceipt, buckets_apart
from tests.ledger.domain.material import DEVNET, view
from tests.support.network import eventually, held, inner_network
from tools.bench.mix_link import mix_link

ROLES = ("entry", "mix", "mix", "mix", "exit", "relay")
ENTRY, RELAY = 1, 6
MIXES = (2, 3, 4)
PHASE_S = 5
CALENDAR = {"consensus_interval_s": 10, "key_phase_s": PHASE_S, "slot_s": 3, "receipt_grace_s": 6}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixes")
    async with held(inner_network(folder, ROLES, overrides=CALENDAR)) as running:
        yield running


@asynccontextmanager
async def client_of(network):
    """A client of the entry, which follows the consensus.

    It begins when all hold the same one: who knows only one that some lack loses packets there.
    """
    await eventually(lambda: len({held.view.valid_after for held in network.nodes}) == 1)
    view = network.nodes[ENTRY - 1].view
    async with mix_link(view.held.consensus, ENTRY) as link:
        view.on_change(link.live.follow)
        yield link


@pytest_asyncio.fixture(loop_scope="module")
async def client(network):
    async with client_of(network) as link:
        yield link


@pytest.fixture
def entry(network):
    return network.nodes[ENTRY - 1].mixing


def mixes(network):
    return [network.nodes[index - 1].mixing.mix for index in MIXES]


def dropped(network, cause):
    """Packets that all mixes dropped with a cause."""
    return sum(mix.relay.unwrapper.dropped[cause] for mix in mixes(network))


def address(key, phase):
    return MailAddress(ENTRY, key.public).delivery_id(phase)


async def own_packet(client, **options):
    """A packet to a fresh id of ours."""
    (name,) = (await client.ask(1)).ids
    return client.packet(name, **options)


async def test_packets_cross_three_mixes_and_come_back_by_ids(network, client):
    grant = await client.ask(20)
    frames = [secrets.token_bytes(FRAME_BYTES) for _ in grant.ids]
    client.send(
        [client.packet(name, frame=frame) for name, frame in zip(grant.ids, frames, strict=True)]
    )
    came = [(await client.next(client.deliveries))[0] for _ in frames]
    assert {delivery.delivery_id for delivery in came} == set(grant.ids)
    assert {client.open(delivery) for delivery in came} == set(frames)
    assert all(mix.layer for mix in mixes(network))
    assert {mix.layer for mix in mixes(network)} == {1, 2, 3}


async def test_mail_waits_for_who_is_away(network, entry):
    key, frame = DhKey(secrets.token_bytes(32)), secrets.token_bytes(FRAME_BYTES)
    async with client_of(network) as reader:
        assert (await reader.ask(0, key)).accepted == 1
    async with client_of(network) as writer:
        await eventually(lambda: entry.boxes.addresses and not entry._clients)
        writer.send([writer.packet(address(key, writer.phase), frame=frame, to=key)])
        await eventually(lambda: entry.boxes.stored)
    async with client_of(network) as reader:
        reader.key = key
        assert (await reader.ask(0, key)).accepted == 1
        delivery, _ = await reader.next(reader.deliveries)
        assert reader.open(delivery) == frame


async def test_nothing_is_lost_at_the_borders_of_phases_and_consensuses(network, client):
    """Phases change every five seconds here, and with every second one all layers."""
    grant = await client.ask(120)
    phases, periods = set(), set()
    for name in grant.ids:
        client.send([client.packet(name)])
        phases.add(client.phase)
        periods.add(client.live.consensus.valid_after)
        await asyncio.sleep(0.11)
    came = {(await client.next(client.deliveries))[0].delivery_id for _ in grant.ids}
    assert came == set(grant.ids)
    assert len(phases) > 2
    assert len(periods) > 1


async def test_loops_of_mixes_pass_and_nothing_alarms(network):
    await eventually(
        lambda: all(mix.relay.watch.returned >= 3 for mix in mixes(network)), timeout_s=30
    )
    assert not any(mix.relay.watch.is_alarmed for mix in mixes(network))


async def test_packets_count_in_receipts_like_cells(network):
    def sides():
        found = {}
        for body in network.committee.receipts:
            receipt = SignedReceipt.decode(body).receipt
            key = (receipt.slot, receipt.epoch, receipt.node_from, receipt.node_to)
            found.setdefault(key, {})[receipt.side] = receipt.packets
        return [
            each
            for (_, _, sender, receiver), each in found.items()
            if {sender, receiver} <= {*MIXES} and len(each) == 2
        ]

    await eventually(lambda: any(each[Side.SENDER] > 0 for each in sides()), timeout_s=30)
    assert all(buckets_apart(each[Side.SENDER], each[Side.RECEIVER]) <= 1 for each in sides())


async def test_receipts_credit_mixes_for_what_passed_them(network):
    """What comes to a mix and what leaves it are about as many, so half of both is what passed."""

    def slots():
        receipts = [SignedReceipt.decode(body).receipt for body in network.committee.receipts]
        return {(one.epoch, one.slot) for one in receipts if one.packets}

    await eventually(lambda: len(slots()) >= 4, timeout_s=30)
    came, left, pairs = Counter(), Counter(), Counter()
    for body in network.committee.receipts:
        receipt = SignedReceipt.decode(body).receipt
        if receipt.side is Side.SENDER:
            ends = receipt.node_from, receipt.node_to
            left[ends[0]] += receipt.packets
            came[ends[1]] += receipt.packets
            pairs[min(ends), max(ends)] += receipt.packets
    assert all(abs(came[mix] - left[mix]) <= 10 + left[mix] // 4 for mix in MIXES)
    nodes = [view(index, Role[role.upper()]) for index, role in enumerate(ROLES, 1)]
    work = measure_work(nodes, pairs, NetworkState(), DEVNET)
    assert all(work.credited[mix] == (came[mix] + left[mix]) // 2 > 0 for mix in MIXES)
    assert work.n_hat_packets == sum(work.credited[mix] for mix in MIXES)
    assert not work.credited[ENTRY]


async def test_status_and_metrics_tell_of_the_mixnet(network):
    node = network.nodes[MIXES[0] - 1]
    status = node_status(node)["mix"]
    assert status["layer"] in {1, 2, 3}
    assert status["packets"]["forwarded"] + status["packets"]["delivered"] > 0
    snapshot = node_metrics(node)
    assert snapshot.counters["qnet_mix_drops"][1].keys() >= {
        "replayed",
        "bad_tag",
        "wrong_phase",
        "overload",
        "pool_full",
        "client_too_fast",
        "link_full",
    }
    assert snapshot.gauges["qnet_mix_alarm"][1][""] == 0
    assert "qnet_mix_layer" not in node_metrics(network.nodes[ENTRY - 1]).gauges


# --- attacks --------------------------------------------------------------------------------------


async def test_a_replayed_packet_is_dropped_by_the_first_mix(network, client):
    before = dropped(network, Cause.REPLAYED)
    unit = await own_packet(client)
    client.send([unit, unit])
    await client.next(client.deliveries)
    client.send([unit])
    await eventually(lambda: dropped(network, Cause.REPLAYED) == before + 2)
    assert not client.deliveries


async def test_a_tagged_header_goes_nowhere_and_a_tagged_payload_is_noise(network, client):
    before = dropped(network, Cause.BAD_TAG)
    unit = bytearray(await own_packet(client))
    unit[4 + 60] ^= 1
    client.send([bytes(unit)])
    await eventually(lambda: dropped(network, Cause.BAD_TAG) == before + 1)
    unit = bytearray(await own_packet(client))
    unit[-1] ^= 1
    client.send([bytes(unit)])
    delivery, _ = await client.next(client.deliveries)
    with pytest.raises(CryptoError):
        client.open(delivery)


async def test_a_client_reaches_first_mixes_only(entry, client):
    unit = await own_packet(client)
    phase = client.phase
    others = [node.index for node in entry.live.consensus.nodes if node.index not in MIXES]
    strangers = [index for index in MIXES if not entry.live.paths.begins_at(index, phase)]
    targets = [*others, *strangers, 2**32 - 1]
    before = entry.refused[Refused.NOT_FIRST_LAYER]
    client.send([encode_unit(index, unit[4:]) for index in targets])
    await eventually(lambda: entry.refused[Refused.NOT_FIRST_LAYER] == before + len(targets))


async def test_packets_of_dead_and_distant_phases_do_not_enter(entry, client):
    unit = await own_packet(client)
    before = entry.refused[Refused.WRONG_PHASE]
    for phase in (client.phase - 3, client.phase + 3, 0, 2**24 - 1):
        client.send([unit[:5] + phase.to_bytes(3, "big") + unit[8:]])
    await eventually(lambda: entry.refused[Refused.WRONG_PHASE] == before + 4)


async def test_units_that_are_no_clients_business_are_counted(entry, client):
    before = entry.refused[Refused.MALFORMED]
    delivery = encode_unit(0, b"\2" + bytes(PACKET_BYTES - 1))
    packet = encode_unit(0, b"\1" + bytes(PACKET_BYTES - 1))
    request = encode_unit(0, b"\3" + b"\xff" * (PACKET_BYTES - 1))
    grant = encode_unit(0, b"\4" + bytes(PACKET_BYTES - 1))
    version = encode_unit(MIXES[0], b"\7" + bytes(PACKET_BYTES - 1))
    version = version[:5] + client.phase.to_bytes(3, "big") + version[8:]
    client.send([delivery, packet, request, grant, version])
    await eventually(lambda: entry.refused[Refused.MALFORMED] == before + 5)
    assert not client.closed.is_set()


@pytest.mark.parametrize("content", [b"", b"x", bytes(2311), bytes(2313)])
async def test_a_malformed_record_ends_the_link(network, content):
    async with client_of(network) as client:
        client.link.send_record(RecordType.PACKETS, content)
        client.link.flush()
        await asyncio.wait_for(client.closed.wait(), 5)


async def test_a_node_that_sends_packets_to_the_wrong_mix_is_told_by_its_drops(network, client):
    """A node may write to any mix; only the right one, in its layer, opens the packet."""
    unit = await own_packet(client)
    first = int.from_bytes(unit[:4], "big")
    other = next(index for index in MIXES if index != first)
    stranger = network.nodes[RELAY - 1].mixing
    before = dropped(network, Cause.BAD_TAG)
    stranger.hand_in(other, unit[4:])
    await eventually(lambda: dropped(network, Cause.BAD_TAG) == before + 1)
    refused = stranger.refused[Refused.NOT_A_MIX]
    network.nodes[other - 1].mixing.hand_in(RELAY, unit[4:])
    await eventually(lambda: stranger.refused[Refused.NOT_A_MIX] == refused + 1)


async def test_one_client_that_floods_does_not_stop_another(network, entry, client):
    async with client_of(network) as flooder:
        junk = flooder.packet(secrets.token_bytes(16))
        refused = entry.refused[Refused.TOO_FAST]
        for _ in range(2 * CLIENT_BURST // 7):
            flooder.send([junk] * 7)
        client.send([await own_packet(client)])
        await client.next(client.deliveries)
        await eventually(lambda: entry.refused[Refused.TOO_FAST] > refused)
        assert not flooder.closed.is_set()


async def test_a_client_that_asks_without_end_gets_no_answer(network, entry):
    async with client_of(network) as client:
        before = entry.boxes.lost[Loss.TOO_MANY_REQUESTS]
        unit = encode_unit(0, MailboxRequest(client.phase, 128).encode())
        client.send([unit] * (REQUEST_BURST + 5))
        await eventually(lambda: entry.boxes.lost[Loss.TOO_MANY_REQUESTS] >= before + 4)
        assert len(client.grants) <= REQUEST_BURST + 1


async def test_a_stranger_does_not_get_the_mail_of_another(network, entry):
    key = DhKey(secrets.token_bytes(32))
    async with client_of(network) as owner, client_of(network) as thief:
        owner.key = key
        await owner.ask(0, key)
        node_key = thief.live.phase_key(ENTRY, thief.phase)
        own = make_claim(thief.key, ENTRY, node_key, thief.phase)
        forged = MailboxRequest(thief.phase, 0, (replace(own, key=key.public),))
        thief.send([encode_unit(0, forged.encode())])
        assert (await thief.next(thief.grants)).accepted == 0
        owner.send([owner.packet(address(key, owner.phase))])
        await owner.next(owner.deliveries)
        assert not thief.deliveries


async def test_delays_are_those_that_the_sender_drew(network, client):
    """Packets of one wake-up leave the mixes apart: nobody finds them again by their order."""
    grant = await client.ask(60)
    client.send([client.packet(name) for name in grant.ids])
    came = [await client.next(client.deliveries) for _ in grant.ids]
    order = [list(grant.ids).index(delivery.delivery_id) for delivery, _ in came]
    assert sum(left > right for left, right in pairwise(order)) > 10
