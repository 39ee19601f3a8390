from collections import Counter

import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from qnet.beacon import (
    ANCHOR_SLOT,
    MAX_VERIFY_STEPS,
    BeaconStream,
    HashChain,
    draw,
    draw_order,
    earlier_value,
    verify_value,
)
from qnet.errors import CryptoError, LocalProtocolError

SEED = b"\x07" * 32


@pytest.mark.parametrize("length", [1, 2, 3, 10, 97, 144])
def test_every_value_hashes_to_the_one_before(length: int) -> None:
    chain = HashChain(SEED, length)
    assert chain.value(ANCHOR_SLOT) == chain.anchor
    for slot in range(length):
        assert keccak(chain.value(slot)) == chain.value(slot - 1)


def test_epoch_reveal_is_the_value_of_its_last_slot() -> None:
    slots_per_epoch = 6
    chain = HashChain(SEED, 18)
    head = chain.anchor
    for epoch in range(3):
        reveal = chain.value((epoch + 1) * slots_per_epoch - 1)
        assert earlier_value(reveal, slots_per_epoch) == head
        head = reveal


def test_chains_of_other_seeds_or_lengths_differ() -> None:
    anchors = {
        HashChain(SEED, 9).anchor,
        HashChain(SEED, 10).anchor,
        HashChain(b"\x08" * 32, 9).anchor,
    }
    assert len(anchors) == 3


def test_only_slots_of_the_chain_have_values() -> None:
    chain = HashChain(SEED, 5)
    for slot in (-2, 5):
        with pytest.raises(LocalProtocolError):
            chain.value(slot)
    for seed, length in ((b"short", 5), (SEED, 0)):
        with pytest.raises(LocalProtocolError):
            HashChain(seed, length)


def test_values_are_verified_against_earlier_ones() -> None:
    chain = HashChain(SEED, 20)
    verify_value(7, chain.value(7), known_slot=ANCHOR_SLOT, known_value=chain.anchor)
    verify_value(7, chain.value(7), known_slot=7, known_value=chain.value(7))
    verify_value(19, chain.value(19), known_slot=5, known_value=chain.value(5))


@pytest.mark.parametrize(
    ("slot", "value_of", "known"),
    [(7, 8, -1), (8, 7, -1), (3, 3, 7), (MAX_VERIFY_STEPS + 5, 7, 0)],
)
def test_other_values_are_refused(slot: int, value_of: int, known: int) -> None:
    chain = HashChain(SEED, 20)
    with pytest.raises(CryptoError):
        verify_value(slot, chain.value(value_of), known_slot=known, known_value=chain.value(known))
    with pytest.raises(CryptoError):
        verify_value(3, b"short", known_slot=2, known_value=chain.value(2))


@given(st.lists(st.integers(0, 200), max_size=8))
def test_streams_do_not_depend_on_how_they_are_read(sizes: list[int]) -> None:
    pieces = BeaconStream(SEED, b"x")
    whole = BeaconStream(SEED, b"x")
    assert b"".join(pieces(size) for size in sizes) == whole(sum(sizes))


def test_draws_repeat_and_depend_on_beacon_and_label() -> None:
    assert draw(SEED, b"a", 1 << 60) == draw(SEED, b"a", 1 << 60)
    assert draw(SEED, b"a", 1 << 60) != draw(SEED, b"b", 1 << 60)
    assert draw(SEED, b"a", 1 << 60) != draw(b"\x08" * 32, b"a", 1 << 60)


def test_draws_are_uniform_over_labels() -> None:
    n, draws = 5, 5000
    counts = Counter(draw(SEED, i.to_bytes(4, "big"), n) for i in range(draws))
    statistic = sum((counts[i] - draws / n) ** 2 / (draws / n) for i in range(n))
    assert statistic < 18.5  # chi-square, 4 degrees of freedom, p = 0.001


def test_orders_are_permutations() -> None:
    order = draw_order(SEED, b"audit", range(16))
    assert sorted(order) == list(range(16))
    assert order == draw_order(SEED, b"audit", range(16))
    assert order != draw_order(SEED, b"other", range(16))
