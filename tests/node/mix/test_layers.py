from collections import Counter
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import StageError
from node.mix.layers import Layers, WeightedMix, assign_layers, draw_mixes
from qnet.crypto.kdf import blake3
from tests.node.mix.seeded import seeded

BEACON = blake3(b"beacon")
MIXES = st.lists(st.integers(0, 10**6), min_size=3, max_size=60).map(
    lambda weights: [WeightedMix(index, weight) for index, weight in enumerate(weights, 1)]
)


def all_apart(_left, _right):
    return True


@given(MIXES, st.binary(min_size=32, max_size=32), st.integers(0, 2**40))
def test_layers_are_a_balanced_partition_that_everybody_finds(mixes, beacon, epoch):
    layers = assign_layers(beacon, epoch, mixes)
    assert layers == assign_layers(beacon, epoch, reversed(mixes))
    assert sorted(mix.index for layer in layers.layers for mix in layer) == [
        mix.index for mix in mixes
    ]
    sums = layers.weights()
    assert max(sums) - min(sums) <= max(mix.weight for mix in mixes)
    assert all(layers.layers)
    for layer, members in enumerate(layers.layers, 1):
        assert all(layers.layer_of(mix.index) == layer for mix in members)
    assert layers.layer_of(10**6) == 0


def test_equal_mixes_make_equal_layers():
    layers = assign_layers(BEACON, 1, [WeightedMix(index, 7) for index in range(1, 32)])
    assert sorted(len(layer) for layer in layers.layers) == [10, 10, 11]


def test_no_mix_chooses_its_layer():
    """Whatever weight an attacker announces, each layer comes in a third of the epochs."""
    others = [WeightedMix(index, 50 + index % 13) for index in range(2, 20)]
    for weight in (0, 1, 60, 10**6):
        mixes = [WeightedMix(1, weight), *others]
        counts = Counter(assign_layers(BEACON, epoch, mixes).layer_of(1) for epoch in range(900))
        for layer in (1, 2, 3):
            assert abs(counts[layer] - 300) < 5 * sqrt(900 * 2 / 9)


def test_layers_change_with_epoch_and_beacon():
    mixes = [WeightedMix(index, 5) for index in range(1, 40)]
    first = assign_layers(BEACON, 1, mixes)
    assert first != assign_layers(BEACON, 2, mixes)
    assert first != assign_layers(blake3(b"other"), 1, mixes)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_mixes(count):
    with pytest.raises(StageError):
        assign_layers(BEACON, 1, [WeightedMix(index, 1) for index in range(1, count + 1)])


def test_routes_follow_the_weights():
    mixes = [WeightedMix(index, index) for index in range(1, 13)]
    layers, random, draws = assign_layers(BEACON, 3, mixes), seeded(9), 12_000
    routes = [draw_mixes(layers, random, all_apart) for _ in range(draws)]
    for place, members in enumerate(layers.layers):
        counts, total = Counter(route[place] for route in routes), layers.weights()[place]
        for mix in members:
            share = mix.weight / total
            assert abs(counts[mix.index] - draws * share) < 5 * sqrt(draws * share)


def test_routes_keep_mixes_with_ties_apart():
    mixes = [WeightedMix(index, 1) for index in range(1, 13)]
    layers, random = assign_layers(BEACON, 4, mixes), seeded(10)

    def apart(left, right):
        return left % 4 != right % 4

    for _ in range(200):
        route = draw_mixes(layers, random, apart)
        assert len({index % 4 for index in route}) == 3
        assert [layers.layer_of(index) for index in route] == [1, 2, 3]
    with pytest.raises(StageError):
        draw_mixes(layers, random, lambda _left, _right: False)


def test_an_empty_layer_has_no_routes():
    one = (WeightedMix(1, 1),)
    for layers in (Layers((one, (), one)), Layers((one, (WeightedMix(2, 0),), one))):
        with pytest.raises(StageError):
            draw_mixes(layers, seeded(11), all_apart)
