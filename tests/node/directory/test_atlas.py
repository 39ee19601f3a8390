"""Prefix tables against a plain search, and malformed files."""

from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.directory import atlas as module
from node.directory.atlas import NO_ATLAS, Atlas, PrefixTable
from qnet.errors import DecodeError

ASMAP = b"""# comment
10.0.0.0/8 AS1
10.1.0.0/16 2
10.1.2.0/24 as3

2001:db8::/32 4
2001:db8:1::/48 5
2001:db8:1::1/128 6
"""


@pytest.mark.parametrize(
    ("host", "asn"),
    [
        ("9.255.255.255", 0),
        ("10.0.0.0", 1),
        ("10.1.0.1", 2),
        ("10.1.2.3", 3),
        ("10.1.3.0", 2),
        ("10.2.0.0", 1),
        ("11.0.0.0", 0),
        ("::ffff:10.1.2.3", 3),
        ("2001:db8::1", 4),
        ("2001:db8:1::1", 5),
        ("2001:db8:2::", 4),
        ("2001:db9::", 0),
        ("node.example", 0),
    ],
)
def test_the_longest_prefix_decides(host, asn):
    assert Atlas.parse(asmap=ASMAP).asn_of(host) == asn


def test_countries():
    known = Atlas.parse(geo=b"192.0.2.0/24 ch\n2001:db8::/32 IS\n")
    assert known.country_of("192.0.2.9") == "CH"
    assert known.country_of("2001:db8::9") == "IS"
    assert not known.country_of("192.0.3.9")
    assert known.knows_countries
    assert not NO_ATLAS.knows_countries


@st.composite
def v4_prefix(draw):
    bits = draw(st.integers(0, 32))
    address = draw(st.integers(0, 2**32 - 1)) if bits else 0
    # few distinct high bits, so that prefixes nest
    address &= 0xC0C000FF
    return ip_network((address >> (32 - bits) << (32 - bits), bits))


@given(
    st.lists(st.tuples(v4_prefix(), st.integers(0, 2**32 - 1)), max_size=20),
    st.lists(st.integers(0, 2**32 - 1), max_size=10),
)
def test_lookup_equals_a_search_through_all_prefixes(entries, others):
    text = "".join(f"{prefix} {asn}\n" for prefix, asn in entries).encode()
    table = PrefixTable.parse(text, int)
    edges = [int(a) for p, _ in entries for a in (p.network_address, p.broadcast_address)]
    for number in {*others, *edges, *(min(edge + 1, 2**32 - 1) for edge in edges)}:
        address = IPv4Address(number)
        # of equal prefixes the last stands
        fitting = [(p.prefixlen, place, v) for place, (p, v) in enumerate(entries) if address in p]
        assert table.value_of(str(address)) == (max(fitting)[2] if fitting else 0)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 64)), max_size=12))
def test_lookup_of_ipv6_equals_a_search(entries):
    prefixes = [
        ip_network(((high >> (64 - bits) << (64 - bits)) << 64, bits)) for high, bits in entries
    ]
    text = "".join(f"{prefix} {place + 1}\n" for place, prefix in enumerate(prefixes)).encode()
    table = PrefixTable.parse(text, int)
    for prefix in prefixes:
        for address in (prefix.network_address, prefix.broadcast_address):
            fitting = [(p.prefixlen, i + 1) for i, p in enumerate(prefixes) if address in p]
            assert table.value_of(str(address)) == max(fitting)[1]


@pytest.mark.parametrize(
    "line",
    [
        b"10.0.0.0/8",
        b"10.0.0.0/8 1 2",
        b"10.0.0.0 1",
        b"10.0.0.0/33 1",
        b"10.0.0.0/-1 1",
        b"10.0.0.1/8 1",
        b"::/129 1",
        b"host/8 1",
        b"10.0.0.0/8 x",
        b"10.0.0.0/8 4294967296",
        b"10.0.0.0/8 99999999999999",
        b"\xff 1",
        b"10.0.0.0/8 " + b" " * 300 + b"1",
    ],
)
def test_a_bad_line_is_named(line):
    with pytest.raises(DecodeError) as caught:
        Atlas.parse(asmap=b"# first\n" + line)
    assert "line 2" in caught.value.message


@pytest.mark.parametrize("country", [b"C", b"CHE", b"C1", b"\xc3\xa9"])
def test_a_country_has_two_letters(country):
    with pytest.raises(DecodeError):
        Atlas.parse(geo=b"10.0.0.0/8 " + country)


@given(st.binary(max_size=200) | st.text("0123456789abcdef.:/ \n#AS", max_size=200))
def test_parser_never_fails_otherwise(data):
    raw = data if isinstance(data, bytes) else data.encode()
    try:
        found = Atlas.parse(asmap=raw, geo=raw)
    except DecodeError:
        return
    assert 0 <= found.asn_of(str(ip_address(2**31))) < 2**32


def test_tables_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_PREFIXES", 2)
    with pytest.raises(DecodeError, match="more than 2"):
        Atlas.parse(asmap=b"10.0.0.0/8 1\n" * 3)
    monkeypatch.setattr(module, "MAX_TABLE_BYTES", 10)
    with pytest.raises(DecodeError, match="exceeds 10"):
        Atlas.parse(geo=b"10.0.0.0/8 CH\n")
