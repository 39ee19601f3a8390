import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.circuit import layer
from node.circuit.cell import CELL_BYTES, CONTENT_BYTES, relay_header
from node.circuit.layer import (
    AES_256_GCM,
    CHACHA20_POLY1305,
    DELIVER,
    MESSAGES_END,
    RATCHET_CELLS,
    Filler,
    ForwardOpener,
    ForwardSealer,
    KeyStream,
    LayerKeys,
    build_forward,
    make_aead,
    messages_room,
    ratchet,
)
from qnet.errors import CryptoError, LocalProtocolError

HEADER = relay_header(3)


def fresh_keys():
    return LayerKeys(*(secrets.token_bytes(32) for _ in range(5)))


class Forward:
    """Client and hops with equal keys."""

    def __init__(self, hops, cipher=CHACHA20_POLY1305, counter=0):
        keys = [fresh_keys() for _ in range(hops)]
        self.sealers = [ForwardSealer(cipher, key, counter) for key in keys]
        self.openers = [ForwardOpener(cipher, key, counter) for key in keys]
        self.filler = Filler(secrets.token_bytes)

    def build(self, position, messages):
        return build_forward(self.sealers[: position + 1], messages, self.filler, HEADER)

    def carry(self, position, cell):
        """Return P at the hop that is to receive, checking every hop on the way."""
        for opener in self.openers[:position]:
            onward = []
            assert opener.pass_on(iter([cell]), HEADER, onward) is None
            (cell,) = onward
            assert len(cell) == CELL_BYTES
        return self.openers[position].open(cell)


@pytest.mark.parametrize("cipher", layer.CIPHERS)
@pytest.mark.parametrize("hops", [1, 2, 3, 4, 5])
def test_every_hop_of_every_path_receives(hops, cipher):
    path = Forward(hops, cipher)

    @given(st.integers(0, hops - 1), st.data())
    @settings(max_examples=30, deadline=None)
    def check(position, data):
        size = data.draw(st.one_of(st.just(messages_room(position)), st.integers(0, 1900)))
        messages = b"\x03" * size
        plain = path.carry(position, path.build(position, messages))
        assert plain[0] == DELIVER
        assert plain[1 : 1 + size] == messages
        assert size == MESSAGES_END - 1 or plain[1 + size] == 0

    check()


@pytest.mark.parametrize("cipher", layer.CIPHERS)
def test_any_flipped_bit_is_found_by_the_next_hop(cipher):
    path = Forward(3, cipher)
    cell = path.build(2, b"\x03hello")

    @given(st.integers(64, CELL_BYTES * 8 - 1))
    @settings(max_examples=60, deadline=None)
    def check(bit):
        changed = bytearray(cell)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CryptoError):
            path.openers[0].open(bytes(changed))

    check()
    assert path.carry(2, cell)[1:7] == b"\x03hello"


def test_what_stops_at_a_hop_divides_the_cells():
    path = Forward(2)
    cells = [path.build(1, b"a"), path.build(0, b"b"), path.build(1, b"c")]
    onward, remaining = [], iter(cells)
    plain = path.openers[0].pass_on(remaining, HEADER, onward)
    assert plain[:3] == b"\x01b\x00"
    assert path.openers[0].pass_on(remaining, HEADER, onward) is None
    assert [path.openers[1].open(cell)[1:2] for cell in onward] == [b"a", b"c"]


def test_cells_cannot_be_repeated_dropped_or_swapped():
    path = Forward(1)
    first, second = path.build(0, b"a"), path.build(0, b"b")
    with pytest.raises(CryptoError):
        path.openers[0].open(second)
    path.openers[0].open(first)
    with pytest.raises(CryptoError):
        path.openers[0].open(first)
    path.openers[0].open(second)


def test_a_cell_for_a_hop_advances_only_the_hops_before_it():
    path = Forward(3)
    path.carry(1, path.build(1, b""))
    assert [sealer.counter for sealer in path.sealers] == [1, 1, 0]
    path.carry(2, path.build(2, b""))
    assert [opener.counter for opener in path.openers] == [2, 2, 1]


@pytest.mark.parametrize("cipher", layer.CIPHERS)
def test_keys_step_after_2_16_cells_on_both_sides(cipher):
    path = Forward(3, cipher, counter=RATCHET_CELLS - 2)
    before = [opener._key for opener in path.openers]
    for number in range(4):
        assert path.carry(2, path.build(2, bytes([3, number])))[2] == number
    assert [opener._key for opener in path.openers] == [ratchet(key) for key in before]


def test_new_keys_at_the_boundary_are_not_stepped():
    path = Forward(2, counter=RATCHET_CELLS - 1)
    path.carry(1, path.build(1, b""))
    keys = [fresh_keys() for _ in range(2)]
    for sealer, opener, key in zip(path.sealers, path.openers, keys, strict=True):
        sealer.set_keys(key)
        opener.set_keys(key)
    assert path.carry(1, path.build(1, b"\x03x"))[2:3] == b"x"
    assert [opener._key for opener in path.openers] == [key.forward for key in keys]


@pytest.mark.parametrize("cipher", layer.CIPHERS)
@given(counter=st.integers(0, 2**40), offset=st.integers(0, CONTENT_BYTES - 20))
@settings(max_examples=30, deadline=None)
def test_key_stream_is_that_of_the_aead(cipher, counter, offset):
    key = secrets.token_bytes(32)
    sealed = make_aead(cipher, key).encrypt(layer.cell_nonce(counter), bytes(CONTENT_BYTES), None)
    assert KeyStream(cipher, key).apply(counter, offset, bytes(20)) == sealed[offset : offset + 20]


def test_ciphers_have_codes():
    assert layer.CIPHERS == (CHACHA20_POLY1305, AES_256_GCM)
    with pytest.raises(LocalProtocolError):
        make_aead(3, bytes(32))


def test_keys_are_not_shown():
    assert repr(fresh_keys()) == "LayerKeys()"
