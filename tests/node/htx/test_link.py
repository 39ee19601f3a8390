"""Two link cores joined without sockets: from the first HTTP/2 byte to CLOSE."""

import secrets
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.htx.events import CLIENT, CellsReceived, CloseReason, PeerIdentity, RecordReceived
from node.htx.handshake import AES_RECORDS
from node.htx.link import SITE_IDLE_S, LinkStage
from node.htx.record import CELL_BYTES, SIZES, RecordType
from node.htx.session import REST_S, LinkStats
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError
from tests.node.htx.pair import PARAMETERS, Pair, address_of, fresh_identity, fresh_keys, gate_of


def cells(count):
    return [secrets.token_bytes(CELL_BYTES) for _ in range(count)]


def node_pair(**options):
    identity = fresh_identity()
    known = {identity.node_id: (identity.link_key.public,)}
    return Pair(identity=identity, known=known, **options)


def test_client_and_server_open_and_exchange_cells():
    pair = Pair().pump()
    assert pair.opened("server")[0].peer == CLIENT
    assert pair.opened("client")[0].peer.role == 1
    up, down = cells(17), cells(9)
    pair.client.send_cells(up)
    pair.server.send_cells(down)
    assert pair.client.pending_bytes == 17 * CELL_BYTES
    pair.pump()
    assert pair.client.pending_bytes == 0
    assert pair.cells("server") == up
    assert pair.cells("client") == down
    assert pair.client.stats.cells_sent == pair.server.stats.cells_received == 17


def test_node_is_known_by_its_link_key():
    identity = fresh_identity()
    pair = Pair(identity=identity, known={identity.node_id: (identity.link_key.public,)}).pump()
    assert pair.opened("server")[0].peer == PeerIdentity(identity.role, identity.node_id)


def test_a_node_id_with_another_link_key_is_refused():
    identity = fresh_identity()
    for known in ({}, {identity.node_id: (DhKey(secrets.token_bytes(32)).public,)}):
        pair = Pair(identity=identity, known=known).pump()
        assert pair.closed("server") == [CloseReason.UNKNOWN_NODE]
        assert not pair.opened("server")


def test_padding_between_cells_leaves_no_event():
    pair = Pair().pump()
    pair.events["server"].clear()
    batch = cells(2)
    pair.client.send_cells(batch[:1])
    pair.client._session._seal(RecordType.PADDING, b"", 2336)
    pair.client.send_cells(batch[1:])
    pieces = b"".join(pair.client.data_to_send(pair.now))
    assert pair.server.receive(pieces, pair.now) == [CellsReceived(batch)]


def test_records_keep_their_order_among_cells():
    pair = Pair().pump()
    pair.events["server"].clear()
    batch = cells(3)
    pair.client.send_cells(batch[:2])
    pair.client.send_record(RecordType.CREDIT, b"x" * 8)
    pair.client.send_cells(batch[2:])
    pair.pump()
    assert pair.events["server"] == [
        CellsReceived(batch[:2]),
        RecordReceived(RecordType.CREDIT, b"x" * 8),
        CellsReceived(batch[2:]),
    ]


def test_everything_after_the_handshake_has_a_record_size():
    pair = Pair().pump()
    done = len(pair.wire)
    for kind, size in (
        (RecordType.DIR_GET, 1),
        (RecordType.DIR_DATA, 5000),
        (RecordType.PACKETS, 0),
    ):
        pair.client.send_record(kind, bytes(size))
    pair.client.send_cells(cells(30))
    pair.pump().advance(3)
    sizes = [len(piece) for _, piece in pair.wire[done:]]
    assert set(sizes) <= set(SIZES)
    assert max(sizes) == 7 * 2336


def test_server_sends_three_frames_and_then_inner_bytes():
    pair = Pair().pump()
    stream = b"".join(piece for side, piece in pair.wire if side == "server")
    kinds, at = [], 0
    for _ in range(3):
        length = int.from_bytes(stream[at : at + 3], "big")
        kinds.append((stream[at + 3], stream[at + 4]))
        at += 9 + length
    assert kinds == [(4, 0), (4, 1), (1, 4)]
    noise_length = int.from_bytes(stream[at : at + 2], "big")
    assert len(stream) == at + 2 + noise_length


@pytest.mark.parametrize("change", ["ticket_key", "ticket_id", "spki"])
def test_a_wrong_ticket_gets_the_web_site(change):
    keys = fresh_keys()
    size = 8 if change == "ticket_id" else 32
    value = secrets.token_bytes(size)
    pair = Pair(keys=keys, address=address_of(keys, **{change: value})).pump()
    assert pair.closed("client") == [CloseReason.NOT_ADMITTED]
    assert pair.server.is_visitor
    assert not pair.events["server"]
    stream = b"".join(piece for side, piece in pair.wire if side == "server")
    assert b"Field notes" in stream or b"405 Method Not Allowed" in stream


def test_a_wrong_link_key_ends_silently():
    keys = fresh_keys()
    pair = Pair(keys=keys, address=address_of(keys, link_key=DhKey(bytes(range(32))).public)).pump()
    assert pair.closed("server") == [CloseReason.CRYPTO]
    assert not pair.opened("client")
    assert pair.server.data_to_send(pair.now) == []


def test_the_older_link_key_is_honoured():
    keys = fresh_keys()
    assert (
        Pair(keys=keys, address=address_of(keys, link_key=keys.link_keys[1].public))
        .pump()
        .opened("server")
    )


def test_a_replayed_connection_gets_the_web_site():
    keys = fresh_keys()
    gate = gate_of(keys)
    first = Pair(keys=keys, gate=gate).pump()
    opening = [piece for side, piece in first.wire if side == "client"][:2]
    second = Pair(keys=keys, gate=gate)
    for piece in opening:
        assert second.server.receive(piece, second.now) == []
    assert second.server.is_visitor
    answer = b"".join(second.server.data_to_send(second.now))
    assert b"Field notes" in answer or b"405 Method Not Allowed" in answer


# what comes before is HTTP/2, which TLS alone protects
NOISE_PIECES = [("client", 3), ("server", 3), ("client", 4)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NOISE_PIECES), st.floats(0, 0.999), st.integers(0, 7))
def test_a_flipped_bit_in_a_noise_message_never_opens_a_link(target, place, bit):
    seen = {"client": 0, "server": 0}

    def alter(name, piece):
        seen[name] += 1
        if (name, seen[name] - 1) != target:
            return piece
        altered = bytearray(piece)
        altered[int(place * len(piece))] ^= 1 << bit
        return bytes(altered)

    pair = Pair(alter=alter).pump()
    assert seen[target[0]] > target[1]
    assert not (pair.opened("client") and pair.opened("server"))
    assert not pair.opened("server")


HANDSHAKE_PIECES = [*(("client", at) for at in range(5)), *(("server", at) for at in range(4))]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(HANDSHAKE_PIECES), st.floats(0, 1, exclude_max=True))
def test_truncation_at_any_byte_of_the_handshake_never_opens_or_raises(target, place):
    seen = {"client": 0, "server": 0}

    def alter(name, piece):
        seen[name] += 1
        if name != target[0] or seen[name] - 1 < target[1]:
            return piece
        return piece[: int(place * len(piece))] if seen[name] - 1 == target[1] else b""

    pair = Pair(alter=alter).pump()
    assert not (pair.opened("client") and pair.opened("server"))
    pair.advance(SITE_IDLE_S + 1, step=5)
    for name, link in (("client", pair.client), ("server", pair.server)):
        assert pair.opened(name) or link.stage is LinkStage.CLOSED


def test_bytes_may_arrive_one_by_one():
    pair = Pair()
    pieces = []

    def trickle(sender, receiver, other):
        moved = False
        for piece in sender.data_to_send(pair.now):
            moved = True
            pieces.append(piece)
            for at in range(len(piece)):
                pair.events[other] += receiver.receive(piece[at : at + 1], pair.now)
        return moved

    while trickle(pair.client, pair.server, "server") | trickle(pair.server, pair.client, "client"):
        pass
    pair.client.send_cells(cells(2))
    trickle(pair.client, pair.server, "server")
    assert len(pair.cells("server")) == 2


@pytest.mark.parametrize("place", [0, 3, 4, 100, 4671])
def test_a_flipped_bit_in_a_record_is_fatal_and_silent(place):
    pair = Pair().pump()
    pair.client.send_cells(cells(2))
    (record,) = pair.client.data_to_send(pair.now)
    altered = bytearray(record)
    altered[place] ^= 1
    pair.server.send_cells(cells(1))
    pair.events["server"] += pair.server.receive(bytes(altered), pair.now)
    assert pair.closed("server")[0] in {CloseReason.CRYPTO, CloseReason.PROTOCOL}
    assert pair.server.data_to_send(pair.now) == []
    assert pair.server.receive(record, pair.now) == []
    with pytest.raises(LocalProtocolError):
        pair.server.send_cells(cells(1))


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=4, max_size=400))
def test_garbage_in_place_of_records_is_fatal(data):
    pair = Pair().pump()
    events = pair.server.receive(data + bytes(16_400), pair.now)
    assert events[0].reason in {CloseReason.CRYPTO, CloseReason.PROTOCOL}


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=600))
def test_garbage_in_place_of_http_never_opens(data):
    pair = Pair()
    pair.server.data_to_send(pair.now)
    events = pair.server.receive(data, pair.now)
    assert pair.server.is_visitor
    assert all(event.reason is CloseReason.DONE for event in events)
    events = pair.client.receive(data + bytes(20_000), pair.now)
    assert pair.client.stage is LinkStage.CLOSED
    assert events[0].reason is CloseReason.NOT_ADMITTED


def test_a_visitor_who_breaks_http_is_answered_and_hung_up_on():
    pair = Pair()
    pair.server.data_to_send(pair.now)
    events = pair.server.receive(b"\x00" * 24 + bytes(9), pair.now)
    assert [event.reason for event in events] == [CloseReason.DONE]
    assert pair.server.stage is LinkStage.CLOSED


def test_close_is_told_to_the_peer():
    pair = Pair().pump()
    pair.client.send_cells(cells(1))
    pair.client.close(CloseReason.IDLE)
    pair.client.close(CloseReason.DONE)
    pair.pump()
    assert len(pair.cells("server")) == 1
    assert pair.closed("server") == [CloseReason.IDLE]
    assert pair.events["server"][-1].by_peer


def test_the_handshake_has_a_deadline_on_both_sides():
    pair = Pair()
    pair.advance(0)
    assert pair.client.tick(pair.now + 9) == []
    assert pair.client.tick(pair.now + 10)[0].reason is CloseReason.TIMEOUT
    opening = pair.client.data_to_send(pair.now)
    visitor = Pair().server
    assert visitor.next_tick() == 1000.0 + SITE_IDLE_S
    fresh = Pair()
    for piece in fresh.client.data_to_send(fresh.now):
        fresh.server.receive(piece, fresh.now)
    assert fresh.server.tick(fresh.now + 9.9) == []
    assert fresh.server.tick(fresh.now + 10)[0].reason is CloseReason.TIMEOUT
    assert opening == []
    assert fresh.server.tick(fresh.now + 11) == []


def test_one_dummy_record_after_traffic_then_silence():
    pair = Pair().pump()
    pair.client.send_cells(cells(1))
    pair.pump()
    done = len(pair.wire)
    pair.advance(5)
    assert [side for side, _ in pair.wire[done:]] == ["client"]
    assert len(pair.wire[done][1]) in SIZES
    done = len(pair.wire)
    pair.advance(500, step=1)
    assert len(pair.wire) == done


@pytest.mark.parametrize("features", [(0, 0), (AES_RECORDS, 0), (AES_RECORDS, AES_RECORDS)])
def test_rekey_by_age_on_both_sides_during_traffic(features):
    pair = Pair(features=features).pump()
    assert pair.opened("client")[0].features == pair.opened("server")[0].features == min(features)
    sent = {"client": [], "server": []}
    for _ in range(70):
        for name, link in (("client", pair.client), ("server", pair.server)):
            batch = cells(3)
            link.send_cells(batch)
            sent[name] += batch
        pair.pump().advance(30, step=5)
    assert pair.client.stats.rekeys == pair.server.stats.rekeys == 3
    assert pair.cells("server") == sent["client"]
    assert pair.cells("client") == sent["server"]


def ciphers_of(link):
    schedule = link._session._schedule
    return [key._aead for key in (schedule.sealer, schedule.opener)]


def test_a_silent_link_keeps_its_keys_and_drops_its_ciphers():
    pair = Pair().pump()
    assert ciphers_of(pair.client) == ciphers_of(pair.server) == [None, None]
    pair.client.send_cells(cells(1))
    pair.pump().advance(REST_S)
    assert all((*ciphers_of(pair.client)[:1], *ciphers_of(pair.server)[1:]))
    pair.advance(REST_S + 1, step=1)
    assert ciphers_of(pair.client) == ciphers_of(pair.server) == [None, None]
    batch = cells(2)
    pair.client.send_cells(batch)
    pair.server.send_cells(batch)
    pair.pump()
    assert pair.cells("server")[1:] == pair.cells("client") == batch


def test_a_link_in_use_keeps_its_ciphers():
    pair = Pair().pump()
    for _ in range(30):
        pair.server.send_record(RecordType.CREDIT, bytes(6))
        pair.pump().advance(REST_S / 2, step=1)
        assert ciphers_of(pair.server)[0] is not None
        assert ciphers_of(pair.client)[1] is not None


def test_cells_that_came_in_a_row_are_one_event():
    pair = Pair().pump()
    batches = [cells(9) for _ in range(3)]
    pieces = []
    for number, batch in enumerate(batches):
        pair.client.send_cells(batch)
        pieces += pair.client.data_to_send(pair.now)
        if number == 1:
            pair.client.send_record(RecordType.CREDIT, b"credit")
            pieces += pair.client.data_to_send(pair.now)
    events = pair.server.receive_all(pieces, pair.now)
    assert [type(event) for event in events] == [CellsReceived, RecordReceived, CellsReceived]
    assert events[0].cells == batches[0] + batches[1]
    assert events[2].cells == batches[2]


def test_rekey_at_10_000_records():
    pair = Pair(parameters=PARAMETERS.with_value("link_rekey_records", 10_000)).pump()
    for _ in range(120):
        pair.client.send_cells([bytes(CELL_BYTES)] * 7 * 100)
        pair.server.send_record(RecordType.CREDIT, bytes(8))
        pair.pump()
    assert pair.client.stats.rekeys == pair.server.stats.rekeys == 1
    assert len(pair.cells("server")) == 84_000


def test_updates_that_cross_on_the_wire():
    pair = Pair(parameters=PARAMETERS.with_value("link_rekey_records", 1 << 10)).pump()
    for side in (pair.client, pair.server):
        side.send_cells(cells(7 * 1200))
    # both sides see their own limit before they hear of the other's update
    crossing = {
        name: link.data_to_send(pair.now) + link.data_to_send(pair.now)
        for name, link in (("client", pair.client), ("server", pair.server))
    }
    for piece in crossing["client"]:
        pair.events["server"] += pair.server.receive(piece, pair.now)
    for piece in crossing["server"]:
        pair.events["client"] += pair.client.receive(piece, pair.now)
    pair.pump()
    assert pair.client.stats.rekeys == pair.server.stats.rekeys == 1
    for side in (pair.client, pair.server):
        side.send_cells(cells(1))
    pair.pump()
    assert len(pair.cells("server")) == len(pair.cells("client")) == 8401


def test_a_peer_that_never_answers_a_key_update_is_left():
    pair = Pair().pump()
    pair.client.send_cells(cells(1))
    pair.client.data_to_send(pair.now)
    pair.client.tick(pair.now + 601)
    assert pair.client.tick(pair.now + 660) == []
    assert pair.client.tick(pair.now + 662)[0].reason is CloseReason.TIMEOUT


def test_nodes_check_each_other_by_ping():
    pair = node_pair().pump()
    pair.advance(200, step=1)
    assert pair.client.stage is pair.server.stage is LinkStage.OPEN
    assert pair.client.stats.records_received > 2
    assert pair.client.stats.round_trip_s == 0


def test_a_silent_peer_is_left_by_both_sides():
    pair = node_pair().pump()
    pair.alter = lambda _side, _piece: b""
    pair.advance(200, step=1)
    assert pair.closed("client") == [CloseReason.TIMEOUT]
    assert pair.closed("server") == [CloseReason.TIMEOUT]


@pytest.mark.parametrize("kind", [RecordType.PING, RecordType.PONG])
def test_clients_may_not_ping(kind):
    pair = Pair().pump()
    pair.client._session._seal(kind, bytes(8))
    pair.pump()
    assert pair.closed("server") == [CloseReason.PROTOCOL]


@pytest.mark.parametrize("content", [bytes(8), bytes(7)])
def test_a_pong_without_a_ping_is_a_breach(content):
    pair = node_pair().pump()
    pair.server._session._seal(RecordType.PONG, content)
    pair.pump()
    assert pair.closed("client") == [CloseReason.PROTOCOL]


def test_the_owner_may_not_send_the_links_own_records():
    pair = Pair().pump()
    for kind in (RecordType.CELLS, RecordType.KEY_UPDATE, RecordType.CLOSE, RecordType.PADDING):
        with pytest.raises(LocalProtocolError):
            pair.client.send_record(kind, b"")


def test_a_link_that_is_not_open_takes_nothing():
    pair = Pair()
    assert pair.client.stats == LinkStats()
    assert pair.client.pending_bytes == 0
    pair.client.close(CloseReason.DONE)
    with pytest.raises(LocalProtocolError):
        pair.client.send_cells([])
    pair.pump()
    pair.client.close(CloseReason.DONE)
    with pytest.raises(LocalProtocolError):
        pair.client.send_record(RecordType.CREDIT, bytes(8))
    assert pair.client.tick(pair.now) == []


def test_nothing_is_read_after_close():
    pair = Pair().pump()
    pair.client.close(CloseReason.DONE)
    pieces = pair.client.data_to_send(pair.now)
    late = Pair().pump()
    late.client.send_cells(cells(1))
    events = pair.server.receive(pieces[0] + b"".join(late.client.data_to_send(0)), pair.now)
    assert len(events) == 1
    assert pair.server.receive(b"more", pair.now) == []


class Nonces:
    """Stands in for the AEAD and refuses to use a (key, nonce) pair twice."""

    seen: ClassVar[set] = set()
    real = None

    def __init__(self, key):
        self.key = key
        self.cipher = Nonces.real(key)

    def encrypt(self, nonce, data, associated):
        assert (self.key, nonce) not in Nonces.seen
        Nonces.seen.add((self.key, nonce))
        return self.cipher.encrypt(nonce, data, associated)

    def decrypt(self, nonce, data, associated):
        return self.cipher.decrypt(nonce, data, associated)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["client", "server"]),
            st.sampled_from(["cells", "record", "wait", "rekey"]),
            st.integers(1, 20),
        ),
        max_size=25,
    )
)
def test_no_key_and_nonce_pair_is_ever_used_twice(steps):
    with pytest.MonkeyPatch.context() as patch:
        from node.htx import noise
        from qnet.crypto import aead

        Nonces.real, Nonces.seen = aead.ChaCha20Poly1305, set()
        patch.setattr(aead, "ChaCha20Poly1305", Nonces)
        patch.setattr(noise, "ChaCha20Poly1305", Nonces)
        pair = node_pair(parameters=PARAMETERS.with_value("link_rekey_records", 1 << 10)).pump()
        for side, action, count in steps:
            link = pair.client if side == "client" else pair.server
            if action == "cells":
                link.send_cells([bytes(CELL_BYTES)] * count)
            elif action == "record":
                link.send_record(RecordType.CREDIT, bytes(8 * count))
            elif action == "wait":
                pair.advance(count * 40, step=20)
            else:
                link.send_cells([bytes(CELL_BYTES)] * 7 * 1100)
            if count % 3:
                pair.pump()
        pair.pump()
        assert pair.client.stage is pair.server.stage is LinkStage.OPEN
        assert len(Nonces.seen) >= 6
