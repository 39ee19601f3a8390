import secrets
from collections import Counter
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from node.mix.packet import (
    HEADER_BYTES,
    LAYER_BYTES,
    PACKET_BYTES,
    PAYLOAD_BYTES,
    PAYLOAD_START,
    PREFIX_BYTES,
    Delivery,
    Routing,
)
from node.mix.route import build_header, build_packet, wrap_payload
from node.mix.unwrap import Cause, Deliver, Dropped, Forward
from qnet.errors import LocalProtocolError
from tests.node.mix.mixes import MAILBOX_NODE, PHASE, Mix, Mixes

MODULUS = 1 << 24


def payload():
    return secrets.token_bytes(PAYLOAD_BYTES)


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_packet_crosses_three_mixes():
    mixes, data, name = Mixes(), payload(), secrets.token_bytes(16)
    packet = build_packet(mixes.route(delivery_id=name), data, secrets.token_bytes)
    first, second, last = mixes.carry(packet)
    assert (first.next_index, first.delay_ms) == (2, 5)
    assert (second.next_index, second.delay_ms) == (3, 6)
    assert {len(packet), len(first.packet), len(second.packet)} == {PACKET_BYTES}
    assert last[:3] == (MAILBOX_NODE, 7, Delivery(PHASE, name, data))


def test_nothing_of_a_packet_survives_a_hop():
    """No 8 bytes of what came in appear in what goes out, but the version and the phase."""
    mixes = Mixes()
    packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
    seen = {packet[start : start + 8] for start in range(1, PACKET_BYTES - 7)}
    for result in mixes.carry(packet):
        data = result.packet if isinstance(result, Forward) else result.delivery.payload
        pieces = {data[start : start + 8] for start in range(1, len(data) - 7)}
        assert not pieces & seen
        seen |= pieces


def test_results_stand_in_the_order_of_packets_and_drops_are_counted():
    mixes = Mixes()
    good = [build_packet(mixes.route(), payload(), secrets.token_bytes) for _ in range(4)]
    far = build_packet(replace(mixes.route(), phase=PHASE + 5), payload(), secrets.token_bytes)
    packets = [
        good[0],
        b"",
        good[0],
        b"\2" + good[1][1:],
        far,
        good[1],
        flipped(good[2], 300),
        good[3],
        good[2] + b"\0",
    ]
    results = mixes.mixes[0].unwrapper.unwrap(packets)
    causes = [result.cause if isinstance(result, Dropped) else None for result in results]
    assert causes == [
        None,
        Cause.MALFORMED,
        Cause.REPLAYED,
        Cause.MALFORMED,
        Cause.WRONG_PHASE,
        None,
        Cause.BAD_TAG,
        None,
        Cause.MALFORMED,
    ]
    assert mixes.mixes[0].unwrapper.dropped == Counter(cause for cause in causes if cause)
    assert mixes.mixes[0].unwrapper.unwrap([]) == []


def layer_wire(mixes, layer):
    """A fresh packet as it comes to the mix of a layer."""
    packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
    for mix in mixes.mixes[: layer - 1]:
        packet = mix.open(packet).packet
    return packet


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_every_bit_of_the_header_is_refused_or_dead(layer):
    """Each bit of version, phase and of the header that is alive; dead ones change nothing."""
    mixes = Mixes()
    mix, packet = mixes.mixes[layer - 1], layer_wire(mixes, layer)
    alive = PREFIX_BYTES + HEADER_BYTES - LAYER_BYTES * (layer - 1)
    changed = [flipped(packet, bit) for bit in range(alive * 8)]
    results = mix.unwrapper.unwrap(changed)
    assert all(isinstance(result, Dropped) for result in results)
    assert {result.cause for result in results} == {
        Cause.MALFORMED,
        Cause.WRONG_PHASE,
        Cause.BAD_TAG,
    }
    if layer > 1:
        noise = secrets.token_bytes(PAYLOAD_START - alive)
        result = mix.open(packet[:alive] + noise + packet[PAYLOAD_START:])
        assert isinstance(result, Forward if layer == 2 else Deliver)


def test_dead_bytes_do_not_survive():
    mixes = Mixes()
    packet = layer_wire(mixes, 2)
    mark = b"mark" * 20
    marked = packet[: PREFIX_BYTES + 160] + mark + packet[PAYLOAD_START:]
    result = mixes.mixes[1].open(marked)
    assert mark[:8] not in result.packet
    assert isinstance(mixes.mixes[2].open(result.packet), Deliver)


def ones(left, right):
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).bit_count()


def test_a_tagged_payload_is_uniform_noise():
    """First and last mix collude: 1 bit is flipped behind the first, the middle one is honest.

    What comes out behind the honest mix must be as far from what would have come as random bytes
    are, in each of 400 trials, and all its bytes together must pass a chi-square test.
    """
    counts = Counter()
    for trial in range(400):
        mixes, data = Mixes(), payload()
        packet = build_packet(mixes.route(), data, secrets.token_bytes)
        bit = (PAYLOAD_START * 8) + (trial * 41) % (PAYLOAD_BYTES * 8)
        tagged = flipped(mixes.mixes[0].open(packet).packet, bit)
        last = mixes.mixes[2].open(mixes.mixes[1].open(tagged).packet)
        assert isinstance(last, Deliver)
        delivered = last.delivery.payload
        assert abs(ones(delivered, data) - PAYLOAD_BYTES * 4) < 6 * 64.3
        counts.update(a ^ b for a, b in zip(delivered, data, strict=True))
    expected = 400 * PAYLOAD_BYTES / 256
    statistic = sum((counts[value] - expected) ** 2 / expected for value in range(256))
    assert statistic < 255 + 6 * (2 * 255) ** 0.5


@given(st.integers(PAYLOAD_START * 8, PACKET_BYTES * 8 - 1), st.sampled_from([1, 2, 3]))
@settings(max_examples=60, deadline=None)
def test_any_bit_of_the_payload_garbles_all_of_it(bit, layer):
    mixes, data = Mixes(), payload()
    packet = build_packet(mixes.route(), data, secrets.token_bytes)
    for position, mix in enumerate(mixes.mixes, 1):
        packet = flipped(packet, bit) if position == layer else packet
        result = mix.open(packet)
        packet = getattr(result, "packet", None)
    assert abs(ones(result.delivery.payload, data) - PAYLOAD_BYTES * 4) < 6 * 64.3


def test_a_packet_opens_at_its_mix_layer_and_phase_only():
    mixes = Mixes()
    packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
    assert mixes.mixes[1].open(packet) == Dropped(Cause.BAD_TAG)
    later = packet[:1] + (PHASE + 1).to_bytes(3, "big") + packet[4:]
    assert mixes.mixes[0].open(later) == Dropped(Cause.BAD_TAG)
    for layer in (2, 3):
        mixes.mixes[0].layers = [layer]
        assert mixes.mixes[0].open(packet) == Dropped(Cause.WRONG_LAYER)
    mixes.mixes[0].layers = []
    assert mixes.mixes[0].open(packet) == Dropped(Cause.WRONG_LAYER)
    mixes.mixes[0].layers = [1]
    assert isinstance(mixes.mixes[0].open(packet), Forward)


def test_senders_may_know_another_consensus_than_the_mix():
    """A mix opens packets in each layer in which it may stand, whichever is likelier."""
    for accepted in ([1, 2], [2, 1], [3, 2, 1]):
        mixes = Mixes()
        mixes.mixes[0].layers = accepted
        packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
        assert isinstance(mixes.deliver(packet), Delivery)
        assert mixes.mixes[0].open(packet) == Dropped(Cause.REPLAYED)
        mixes.mixes[0].layers = [2, 3]
        packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
        assert mixes.mixes[0].open(packet) == Dropped(Cause.WRONG_LAYER)


def test_a_share_of_low_order_is_refused():
    mixes = Mixes()
    packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
    for share in (bytes(32), b"\1" + bytes(31)):
        assert mixes.mixes[0].open(packet[:4] + share + packet[36:]) == Dropped(Cause.BAD_TAG)


def test_another_encoding_of_the_share_is_refused():
    """X25519 ignores the highest bit of a share; the keys do not."""
    mixes = Mixes()
    packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
    assert mixes.mixes[0].open(flipped(packet, 35 * 8 + 7)) == Dropped(Cause.BAD_TAG)


def test_a_replay_is_dropped_in_every_phase_that_is_accepted():
    mixes = Mixes(phase=PHASE - 1)
    mix = mixes.mixes[0]
    packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
    assert isinstance(mix.open(packet), Forward)
    for phase in (PHASE - 1, PHASE, PHASE + 1):
        mix.advance(phase)
        assert mix.open(packet) == Dropped(Cause.REPLAYED)
        other = flipped(packet, PACKET_BYTES * 8 - 1)
        assert mix.open(other) == Dropped(Cause.REPLAYED)
    mix.advance(PHASE + 2)
    assert mix.open(packet) == Dropped(Cause.WRONG_PHASE)


def test_a_clock_that_goes_back_and_forth_opens_nothing_twice():
    mixes = Mixes()
    mix = mixes.mixes[0]
    packet = build_packet(mixes.route(PHASE + 1), payload(), secrets.token_bytes)
    assert isinstance(mix.open(packet), Forward)
    mix.advance(PHASE - 1)
    assert mix.open(packet) == Dropped(Cause.WRONG_PHASE)
    mix.advance(PHASE)
    assert mix.open(packet) == Dropped(Cause.REPLAYED)


def test_replay_tables_go_with_their_keys():
    mixes = Mixes()
    mix = mixes.mixes[0]
    mix.open(build_packet(mixes.route(), payload(), secrets.token_bytes))
    assert mix.replays.count(PHASE) == 1
    mix.advance(PHASE + 2)
    mix.open(b"")
    assert mix.replays.count(PHASE) == 0


@pytest.mark.parametrize("phase", [5, 0, MODULUS - 1])
def test_phases_are_accepted_around_the_current_one(phase):
    mixes = Mixes(phase=(phase - 1) % MODULUS)
    routes = {step: mixes.route((phase + step) % MODULUS) for step in (-1, 0, 1, 2)}
    for mix in mixes.mixes:
        mix.advance(phase)
    opened = {
        step: isinstance(
            mixes.carry(build_packet(route, payload(), secrets.token_bytes))[-1], Deliver
        )
        for step, route in routes.items()
    }
    assert opened == {-1: True, 0: True, 1: True, 2: False}


def test_a_dead_phase_cannot_be_opened_again():
    mixes = Mixes()
    packet = build_packet(mixes.route(), payload(), secrets.token_bytes)
    mix = mixes.mixes[0]
    mix.advance(PHASE + 2)
    mix.advance(PHASE)
    assert mix.open(packet) == Dropped(Cause.BAD_TAG)


def test_a_full_table_drops():
    mixes = Mixes(slots=4)
    packets = [build_packet(mixes.route(), payload(), secrets.token_bytes) for _ in range(5)]
    results = mixes.mixes[0].unwrapper.unwrap(packets)
    assert results[3:] == [Dropped(Cause.FULL)] * 2


@pytest.mark.parametrize(
    ("layer", "routing"),
    [
        (1, Routing(9, 0, bytes(range(16))).encode()),
        (3, Routing(9, 0).encode()),
        (2, bytes(32)),
        (1, b"\2" + Routing(9, 0).encode()[1:]),
        (1, Routing(9, 0).encode()[:-1] + b"\1"),
    ],
)
def test_a_sealed_header_with_wrong_routing_is_malformed(layer, routing):
    """A sender can seal what it likes; a mix believes no form but the specified one."""
    mixes = Mixes()
    built = build_header(mixes.route(), secrets.token_bytes)
    key = ChaCha20Poly1305(built.keys[layer - 1].header)
    header = built.header
    for keys in built.keys[: layer - 1]:
        sealed = header[48:] + header[32:48]
        header = ChaCha20Poly1305(keys.header).decrypt(bytes(12), sealed, None)[32:]
    plain = key.decrypt(bytes(12), header[48:] + header[32:48], None)
    forged = key.encrypt(bytes(12), routing + plain[32:], None)
    header = header[:32] + forged[-16:] + forged[:-16]
    packet = built.prefix + header.ljust(HEADER_BYTES, b"\0") + payload()
    assert mixes.mixes[layer - 1].open(packet) == Dropped(Cause.MALFORMED)


@given(st.binary(max_size=64), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_noise_is_dropped(noise, form):
    data = {
        0: noise,
        1: noise.ljust(PACKET_BYTES, b"\0"),
        2: (b"\1" + PHASE.to_bytes(3, "big") + noise).ljust(PACKET_BYTES, b"\7"),
        3: (b"\1" + noise) * 40,
    }[form]
    assert isinstance(SHARED.open(data), Dropped)


SHARED = Mix(1, 1)


def test_routes_that_cannot_be_built():
    mixes = Mixes()
    route = mixes.route()
    for wrong in (
        replace(route, hops=route.hops[:2]),
        replace(route, hops=[route.hops[0], route.hops[1], route.hops[0]]),
        replace(route, mailbox_node=0),
        replace(route, delivery_id=b""),
    ):
        with pytest.raises(LocalProtocolError):
            build_packet(wrong, payload(), secrets.token_bytes)
    with pytest.raises(LocalProtocolError):
        build_packet(route, b"short", secrets.token_bytes)


def test_a_reply_is_undone_by_the_layers_of_a_packet():
    mixes, data = Mixes(), payload()
    built = build_header(mixes.route(), secrets.token_bytes)
    delivered = mixes.deliver(built.prefix + built.header + data).payload
    assert delivered != data
    assert wrap_payload(built.payload_keys, delivered) == data
