from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import ResolveError
from node.exit.address import (
    SPECIAL,
    checked_name,
    is_private,
    judged,
    parse_address,
    plain,
    special_use,
)


def words(text):
    return text.split()


REFUSED = words("""
0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.0 172.31.255.255
192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255
198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::2 ::7f00:1 ::127.0.0.1 ::10.0.0.1 ::8.8.8.8
::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a00:1 ::ffff:0:127.0.0.1
64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1::8.8.8.8
64:ff9b::1:8.8.8.8 100::1 2001::1 2001:0:4136:e378:8000:63bf:f5ff:fffe 2001:1::1 2001:20::1
2001:db8::1 2002::1 2002:7f00:1:: 2002:808:808::1 3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1
fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 ff02::1 ff0e::1
""")
ALLOWED = words("""
1.0.0.0 1.1.1.1 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255
128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
192.0.1.0 192.31.196.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.114.0
223.255.255.255 2000::1 2001:200::1 2001:4860:4860::8888 2001:db7::1 2001:db9::1 2003::1
2606:4700::1111 2a00:1450::1 3ffe::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
""")


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_public_host_is_special(text):
    assert is_private(ip_address(text))


@pytest.mark.parametrize("text", ALLOWED)
def test_public_hosts_are_not_special(text):
    assert special_use(ip_address(text)) == ""


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("168.63.129.16", "metadata"),
        ("169.254.169.254", "link-local"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::100.64.0.1", "carrier-grade NAT"),
    ],
)
def test_the_use_is_named(text, use):
    assert special_use(ip_address(text)) == use


def test_prefixes_of_the_table_do_not_overlap():
    networks = [ip_network(text) for text in SPECIAL]
    for kind in (IPv4Network, IPv6Network):
        same = sorted(network for network in networks if isinstance(network, kind))
        assert len(same) > 5
        for left, right in pairwise(same):
            assert left.broadcast_address < right.network_address


@given(st.sampled_from(sorted(SPECIAL)), st.randoms())
def test_every_prefix_is_special_from_end_to_end(text, random):
    network = ip_network(text)
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = type(network.network_address)
    for number in (first, last, random.randint(first, last)):
        address = kind(number)
        if judged(address) == address:
            assert is_private(address)


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_what_it_reaches(address):
    for prefix in ("::ffff:", "64:ff9b::"):
        inside = ip_address(f"{prefix}{address}")
        assert judged(inside) == address
        assert is_private(inside) == is_private(address)
    assert plain(ip_address(f"::ffff:{address}")) == address
    assert is_private(ip_address(f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::1"))
    assert is_private(ip_address(f"::{address}"))
    assert is_private(ip_address(f"64:ff9b:1::{address}"))


@given(st.ip_addresses())
def test_nothing_public_here_is_private_to_the_interpreter(address):
    if not is_private(address):
        assert not judged(address).is_private
        assert not judged(address).is_multicast
        assert not judged(address).is_link_local


@pytest.mark.parametrize(
    ("text", "address"),
    [("1.2.3.4", "1.2.3.4"), ("[::1]", "::1"), ("::1", "::1"), ("2606:4700::1", "2606:4700::1")],
)
def test_standard_spellings_are_addresses(text, address):
    assert parse_address(text) == ip_address(address)


ODD_SPELLINGS = [
    "0x7f.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "2130706433",
    "017700000001",
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.1.",
    "127.0.0.1.1",
    "256.0.0.1",
    "1.2.3.4.5",
    "example.0x1",
    "example.0x",
    "a.127.0.0.1",
    "[127.0.0.1]",
    "[::1",
    "::1]",
    "[[::1]]",
    "fe80::1%eth0",
    "[fe80::1%1]",
    "::ffff:127.0.0.1%lo",
    "127.0.0.1%lo",
    "1.2.3.4:80",
    "①②⑦.0.0.1",
    "127。0。0。1",
    " 127.0.0.1",
    "127.0.0.1\t",
]


@pytest.mark.parametrize("text", ODD_SPELLINGS)
def test_other_spellings_are_neither_address_nor_name(text):
    assert parse_address(text) is None
    with pytest.raises(ResolveError) as caught:
        checked_name(text)
    assert caught.value.rcode == "FORMERR"


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a..b", ".a", "a..", "a" * 64 + ".org", "x." * 127 + "xx", "a b.org",
        "a\x00.org", "a\n.org", "a\x7f.org", "a\\046b.org", "a/b", "a@b.org", "a:b", "ä.org",
        "\udce4.org", "x.onion",
        "x.onion.", "LOCALHOST", "db.localhost", "printer.local", "a.invalid",
    ],
)  # fmt: skip
def test_malformed_and_unserved_names_are_refused(text):
    with pytest.raises(ResolveError):
        checked_name(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.ORG", "example.org."),
        ("example.org.", "example.org."),
        ("_dmarc.example.org", "_dmarc.example.org."),
        ("xn--bcher-kva.example", "xn--bcher-kva.example."),
        ("127.0.0.1.example", "127.0.0.1.example."),
        ("0x7f.example", "0x7f.example."),
        ("a" * 63 + ".org", "a" * 63 + ".org."),
        ("x." * 126 + "x", "x." * 126 + "x."),
        ("single", "single."),
    ],
)
def test_names_are_normalised(text, name):
    assert checked_name(text) == name


@given(st.text(max_size=300))
def test_any_text_is_an_address_a_name_or_refused(text):
    if parse_address(text) is not None:
        return
    try:
        name = checked_name(text)
    except ResolveError:
        return
    assert name == checked_name(name)
    assert name.isascii()
    assert parse_address(name.rstrip(".")) is None
