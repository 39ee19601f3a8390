import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.circuit.cell import BODY_BYTES
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.setup import (
    ROUTING_BYTES,
    HopInfo,
    Routing,
    build_create,
    created_body,
    decode_routing,
    last_body,
    open_create,
    open_created,
)
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, DecodeError, LocalProtocolError

PHASE = 77


class Path:
    """Nodes with their keys, and one setup through all of them."""

    def __init__(self, length):
        self.ids = [secrets.token_bytes(32) for _ in range(length)]
        self.rings = [PhaseKeyring(PHASE) for _ in range(length)]
        self.hops = [
            HopInfo(index + 1, node_id, ring.public(PHASE))
            for index, (node_id, ring) in enumerate(zip(self.ids, self.rings, strict=True))
        ]
        self.body, self.pending = build_create(self.hops, PHASE, secrets.token_bytes)

    def open_all(self):
        body, opened = self.body, []
        for node_id, ring in zip(self.ids, self.rings, strict=True):
            opened.append(open_create(body, PHASE, node_id, ring))
            body = opened[-1].next_body
            assert len(body) == BODY_BYTES
        return opened

    @staticmethod
    def answer(opened):
        keys, body = [], None
        for hop in reversed(opened):
            fresh = DhKey(secrets.token_bytes(32))
            keys.insert(0, hop.answer(fresh))
            behind = last_body(keys[0]) if body is None else body
            body = created_body(keys[0], fresh.public, behind)
            assert len(body) == BODY_BYTES
        return keys, body


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_all_hops_agree_with_the_client(length):
    path = Path(length)
    opened = path.open_all()
    for position, hop in enumerate(opened):
        last = position == length - 1
        assert hop.routing.is_last == last
        assert hop.routing.next_index == (0 if last else position + 2)
        assert hop.routing.next_node_id == (bytes(32) if last else path.ids[position + 1])
    keys, body = path.answer(opened)
    assert open_created(body, path.pending) == keys
    secret = {key for hop in keys for key in (hop.confirm, hop.created, hop.root)}
    secret |= {getattr(hop.layer, name) for hop in keys for name in hop.layer.__slots__}
    assert len(secret) == 8 * length


@pytest.mark.parametrize("cut", [1, 2])
def test_a_hop_that_cannot_extend_answers_as_the_last(cut):
    path = Path(3)
    keys, body = path.answer(path.open_all()[:cut])
    assert open_created(body, path.pending) == keys


@given(st.integers(0, BODY_BYTES * 8 - 1))
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_of_create_is_refused(bit):
    changed = bytearray(SHARED.body)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CryptoError):
        open_create(bytes(changed), PHASE, SHARED.ids[0], SHARED.rings[0])


@given(st.integers(0, BODY_BYTES * 8 - 1))
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_of_created_is_refused(bit):
    changed = bytearray(SHARED_ANSWER)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CryptoError):
        open_created(bytes(changed), SHARED.pending)


SHARED = Path(3)
SHARED_ANSWER = Path.answer(SHARED.open_all())[1]
SHARED.rings = [PhaseKeyring(PHASE) for _ in SHARED.rings]


@given(st.binary(min_size=BODY_BYTES, max_size=BODY_BYTES))
@settings(max_examples=30, deadline=None)
def test_noise_opens_nothing(body):
    path = SHARED
    with pytest.raises(CryptoError):
        open_create(body, PHASE, path.ids[0], path.rings[0])
    with pytest.raises(CryptoError):
        open_created(body, path.pending)


def test_a_replayed_setup_is_refused_and_only_once_per_phase_set():
    path = Path(2)
    open_create(path.body, PHASE, path.ids[0], path.rings[0])
    with pytest.raises(CryptoError):
        open_create(path.body, PHASE, path.ids[0], path.rings[0])


def test_a_setup_is_bound_to_node_and_phase():
    path = Path(1)
    with pytest.raises(CryptoError):
        open_create(path.body, PHASE, secrets.token_bytes(32), path.rings[0])
    with pytest.raises(CryptoError):
        open_create(path.body, PHASE + 1, path.ids[0], path.rings[0])
    assert open_create(path.body, PHASE, path.ids[0], path.rings[0]).routing.is_last


def test_a_dead_phase_cannot_be_opened_with_everything_the_node_still_holds():
    path = Path(1)
    ring, node_id = path.rings[0], path.ids[0]
    held = Path.answer([open_create(path.body, PHASE, node_id, ring)])[0]
    ring.advance(PHASE + 2)
    for phase in range(PHASE - 2, PHASE + 20):
        with pytest.raises(CryptoError):
            open_create(path.body, phase, node_id, ring)
    share, sealed = path.body[:32], path.body[48:] + path.body[32:48]
    for phase, kept in ring._phases.items():
        assert phase > PHASE
        shared = kept.private.exchange(_public(share))
        assert _cannot_open(shared, share, node_id, sealed)
    for secret in (held[0].root, held[0].confirm, held[0].layer.forward):
        assert _cannot_open(secret, share, node_id, sealed)


def _public(share):
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    return X25519PublicKey.from_public_bytes(share)


def _cannot_open(secret, share, node_id, sealed):
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    from node.circuit.setup import derive_setup_keys

    for key in (secret, derive_setup_keys(secret, share, node_id, PHASE).seal):
        try:
            ChaCha20Poly1305(key).decrypt(bytes(12), sealed, None)
        except InvalidTag:
            continue
        return False
    return True


def test_paths_that_cannot_be():
    path = Path(1)
    for hops in ([], path.hops * 2, Path(5).hops + path.hops):
        with pytest.raises(LocalProtocolError):
            build_create(hops, PHASE, secrets.token_bytes)
    low = HopInfo(1, bytes(32), bytes(32))
    with pytest.raises(CryptoError):
        build_create([low], PHASE, secrets.token_bytes)


def test_a_low_order_answer_is_refused():
    with pytest.raises(CryptoError):
        open_created(bytes(BODY_BYTES), Path(1).pending)


def test_an_answer_that_goes_on_past_the_last_hop_is_refused():
    path = Path(2)
    opened = path.open_all()
    fresh = [DhKey(secrets.token_bytes(32)) for _ in opened]
    keys = [hop.answer(key) for hop, key in zip(opened, fresh, strict=True)]
    body = created_body(keys[1], fresh[1].public, secrets.token_bytes(BODY_BYTES))
    body = created_body(keys[0], fresh[0].public, body)
    with pytest.raises(CryptoError):
        open_created(body, path.pending)


@given(
    st.sampled_from([1, 2]),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_routing_round_trip(cipher, index, node_id):
    routing = Routing(cipher, index, node_id if index else bytes(32))
    data = routing.encode()
    assert len(data) == ROUTING_BYTES
    assert decode_routing(data) == routing


@given(st.binary(max_size=200))
def test_routing_never_crashes(data):
    try:
        routing = decode_routing(data)
    except DecodeError:
        return
    assert routing.encode() == data


def test_malformed_routing_is_refused():
    good = Routing(1, 5, bytes([7]) * 32).encode()
    for position, value in ((0, 2), (0, 1), (1, 9), (40, 1), (5, 0)):
        changed = bytearray(good)
        changed[position] = value
        if position == 5:
            changed[2:6] = bytes(4)
        with pytest.raises(DecodeError):
            decode_routing(bytes(changed))
    with pytest.raises(DecodeError):
        decode_routing(b"\x01" + Routing(1).encode()[1:6] + bytes([1]) * 32 + bytes(122))
    with pytest.raises(DecodeError):
        decode_routing(good + b"\x00")
