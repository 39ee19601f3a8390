from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.exit.ports import ALL_PORTS, contains, format_ports, merged, minus, parse_range

SMALL = st.integers(1, 40)
SETS = st.lists(st.tuples(SMALL, SMALL).map(lambda ends: (min(ends), max(ends))), max_size=6)


def members(ports):
    return {port for low, high in ports for port in range(low, high + 1)}


@given(SETS)
def test_merged_ranges_are_sorted_apart_and_complete(ranges):
    ports = merged(ranges)
    assert members(ports) == members(ranges)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(ports))


@given(SETS, SETS)
def test_minus_is_the_difference_of_sets(left, right):
    difference = minus(merged(left), merged(right))
    assert members(difference) == members(left) - members(right)
    assert difference == merged(difference)


@given(SETS, st.integers(0, 45))
def test_contains_says_what_is_inside(ranges, port):
    assert contains(merged(ranges), port) == (port in members(ranges))


@given(SETS.filter(bool))
def test_what_is_written_reads_the_same(ranges):
    ports = merged(ranges)
    assert merged(map(parse_range, format_ports(ports).split(","))) == ports


def test_all_ports_are_a_star():
    assert format_ports(ALL_PORTS) == "*"
    assert parse_range("*") == ALL_PORTS[0]
    assert not contains(ALL_PORTS, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a port"),
        ("x", "not a port"),
        ("80-", "not a port"),
        ("-80", "not a port"),
        ("²", "not a port"),
        ("9" * 5000, "not a port"),
        ("0", "port 0 does not exist"),
        ("65536", "port 65536 does not exist"),
        ("90-80", "runs backwards"),
    ],
)
def test_malformed_ranges_say_what_is_wrong(text, why):
    with pytest.raises(ValueError, match=why):
        parse_range(text)
