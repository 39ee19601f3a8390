import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.circuit.backward import BackwardLayer, BackwardOpener, ContentKey
from node.circuit.cell import CELL_BYTES, CONTENT_BYTES, relay_header
from node.circuit.layer import RATCHET_CELLS, ratchet
from qnet.errors import CryptoError
from tests.node.circuit.test_layer import fresh_keys

HEADER = relay_header(9)


class Backward:
    """Hops and client with equal keys."""

    def __init__(self, hops=3, counter=0, cipher=1):
        self.keys = [fresh_keys() for _ in range(hops)]
        self.layers = [BackwardLayer(cipher, key, counter) for key in self.keys]
        self.contents = [ContentKey(cipher, key.backward, counter) for key in self.keys]
        self.opener = BackwardOpener(
            [
                (BackwardLayer(cipher, key, counter), ContentKey(cipher, key.backward, counter))
                for key in self.keys
            ]
        )

    def speak(self, position, content):
        return self.relay(
            position, self.layers[position].wrap(*self.contents[position].seal(content), HEADER)
        )

    def relay(self, position, cell):
        for layer in reversed(self.layers[:position]):
            cell = layer.wrap(cell[8:24], cell[24:], HEADER)
        assert len(cell) == CELL_BYTES
        return cell


@given(
    st.sampled_from([1, 2]),
    st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=CONTENT_BYTES)), max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_the_client_knows_who_spoke(cipher, said):
    path = Backward(cipher=cipher)
    for position, content in said:
        found, opened = path.opener.open(path.speak(position, content))
        assert found == position
        assert opened == content.ljust(CONTENT_BYTES, b"\x00")


@given(st.sampled_from([1, 2]), st.integers(64, CELL_BYTES * 8 - 1), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_is_found_by_the_client(cipher, bit, behind):
    path = Backward(cipher=cipher)
    cell = path.layers[2].wrap(*path.contents[2].seal(b"x"), HEADER)
    if behind == 2:
        cell = path.layers[1].wrap(cell[8:24], cell[24:], HEADER)
    changed = bytearray(cell)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CryptoError):
        path.opener.open(path.relay({0: 2, 1: 2, 2: 1}[behind], bytes(changed)))


def test_cells_cannot_be_repeated_dropped_or_swapped():
    path = Backward()
    first, second = path.speak(2, b"1"), path.speak(2, b"2")
    with pytest.raises(CryptoError):
        path.opener.open(second)
    assert path.opener.open(first)[1][:1] == b"1"
    with pytest.raises(CryptoError):
        path.opener.open(first)
    assert path.opener.open(second)[1][:1] == b"2"


@pytest.mark.parametrize("cipher", [1, 2])
def test_two_colluding_hops_cannot_recognise_a_mark(cipher):
    """Hops 3 and 1 mark a cell around the honest hop 2: what hop 1 sees is noise either way."""
    bits, runs = [], 200
    for number in range(runs):
        path = Backward(cipher=cipher)
        cell = path.layers[2].wrap(*path.contents[2].seal(b"content"), HEADER)
        marked = bytearray(cell)
        marked[24 + number % CONTENT_BYTES] ^= 1
        honest = path.layers[1]
        plain_out = honest.wrap(cell[8:24], cell[24:], HEADER)
        honest.counter -= 1
        marked_out = honest.wrap(bytes(marked[8:24]), bytes(marked[24:]), HEADER)
        for part in (slice(8, 24), slice(24, None)):
            difference = int.from_bytes(plain_out[part], "big") ^ int.from_bytes(
                marked_out[part], "big"
            )
            bits.append(difference.bit_count() / (8 * len(plain_out[part])))
    blocks = bits[1::2]
    assert all(0.4 < share < 0.6 for share in blocks), "R changes as a whole"
    heads = bits[0::2]
    assert 0.48 < sum(heads) / runs < 0.52, "L changes as a whole"
    assert min(heads) > 0.2


def test_a_mark_in_the_head_turns_the_block_into_noise():
    path = Backward()
    cell = path.layers[2].wrap(*path.contents[2].seal(b"content"), HEADER)
    marked = cell[:8] + bytes([cell[8] ^ 1]) + cell[9:]
    honest = path.layers[1]
    plain_out = honest.wrap(cell[8:24], cell[24:], HEADER)
    honest.counter -= 1
    marked_out = honest.wrap(marked[8:24], marked[24:], HEADER)
    difference = int.from_bytes(plain_out[24:], "big") ^ int.from_bytes(marked_out[24:], "big")
    assert 0.4 < difference.bit_count() / (8 * CONTENT_BYTES) < 0.6


def test_keys_step_after_2_16_cells_on_both_sides():
    path = Backward(counter=RATCHET_CELLS - 2)
    before = [layer._key_mac for layer in path.layers]
    for number in range(4):
        assert path.opener.open(path.speak(2, bytes([number])))[1][0] == number
    assert [layer._key_mac for layer in path.layers] == [ratchet(key) for key in before]
    assert path.contents[2]._key == ratchet(path.keys[2].backward)
    assert path.contents[1]._key == path.keys[1].backward, "it never spoke"


def test_a_failed_guess_at_the_boundary_steps_nothing_twice():
    path = Backward(counter=RATCHET_CELLS - 1)
    for position in (2, 0, 1, 0, 2, 1):
        assert path.opener.open(path.speak(position, b"z"))[0] == position


def test_new_keys_of_one_hop_at_the_boundary():
    path = Backward(counter=RATCHET_CELLS - 1)
    path.opener.open(path.speak(1, b"REKEYED"))
    keys = fresh_keys()
    path.layers[1].set_keys(keys)
    path.contents[1].set_key(keys.backward)
    path.opener.set_keys(1, keys)
    for position in (1, 2, 0):
        assert path.opener.open(path.speak(position, b"z"))[0] == position
    assert path.layers[1]._key_mac == keys.mac
