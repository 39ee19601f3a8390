"""The questions an exit sends, and the answers it believes."""

import asyncio
import os
import socket
from itertools import pairwise

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.errors import NodeConfigError
from node.exit import nameservers
from node.exit.nameservers import EDNS_BYTES, MAX_ADDRESSES, NameServers
from tests.support.dns_server import dns_server

GOOD, EVIL = "93.184.216.34", "6.6.6.6"
RECORDS = {"a.test.": (GOOD,), "both.test.": (GOOD, "2606:4700::1111"), "empty.test.": ()}


def servers(*ports, codes=None, timeout_s=2.0):
    where = ",".join(f"127.0.0.1:{port}" for port in ports)
    return NameServers(where, (codes if codes is not None else []).append, timeout_s)


def addresses(found):
    return [str(address) for family in found for address in family.addresses]


def rcodes(found):
    return {family.failure.rcode for family in found if family.failure is not None}


async def test_both_families_are_asked_at_once_with_random_ids_and_ports():
    async with dns_server(RECORDS) as server:
        for _ in range(8):
            assert addresses(await servers(server.port).ask("both.test.")) == [
                GOOD,
                "2606:4700::1111",
            ]
    assert {asked.kind for asked in server.asked} == {dns.rdatatype.A, dns.rdatatype.AAAA}
    assert len({asked.query.id for asked in server.asked}) > 12
    assert len({asked.source[1] for asked in server.asked}) > 12
    assert {asked.query.payload for asked in server.asked} == {EDNS_BYTES}
    assert not any(asked.tcp for asked in server.asked)


async def test_a_truncated_answer_is_asked_for_again_over_tcp():
    many = tuple(f"93.184.216.{i}" for i in range(200))
    async with dns_server({"many.test.": many}) as server:

        async def cut(asked):
            response = server.response(asked)
            if not asked.tcp:
                response.answer = []
                response.flags |= dns.flags.TC
            return [response.to_wire(max_size=65_535)]

        server.answer = cut
        found = await servers(server.port).ask("many.test.")
    assert set(addresses(found)) < set(many)
    assert len(addresses(found)) == MAX_ADDRESSES
    assert any(asked.tcp for asked in server.asked)


@pytest.mark.parametrize("trouble", ["silent", "servfail", "refused", "garbage"])
async def test_a_server_that_fails_is_left_for_the_next_one(trouble, monkeypatch):
    monkeypatch.setattr(nameservers, "TRY_S", 0.2)
    async with dns_server(RECORDS) as bad, dns_server(RECORDS) as good:

        async def misbehave(asked):
            if trouble == "silent":
                return []
            if trouble == "garbage":
                return [b"\xff" * 40]
            response = dns.message.make_response(asked.query)
            response.set_rcode(dns.rcode.from_text(trouble))
            return [response.to_wire()]

        bad.answer = misbehave
        for _ in range(6):
            assert addresses(await servers(bad.port, good.port).ask("a.test.")) == [GOOD]
    assert bad.questions
    assert good.questions >= 12


async def test_answers_with_another_id_name_or_source_are_passed_over():
    """What an attacker beside the path can send before the true answer comes."""
    async with dns_server(RECORDS) as server:

        async def poisoned(asked):
            true = server.response(asked)
            false = server.response(asked)
            false.answer = [dns.rrset.from_text(asked.name, 60, "IN", "A", EVIL)]
            false.id = true.id ^ 1
            other = dns.message.make_response(dns.message.make_query("b.test.", asked.kind))
            other.id = true.id
            other.answer = [dns.rrset.from_text("b.test.", 60, "IN", "A", EVIL)]
            stranger = dns.message.from_wire(false.to_wire())
            stranger.id = true.id
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(stranger.to_wire(), asked.source)
            return [false.to_wire(), other.to_wire(), os.urandom(60), true.to_wire()]

        server.answer = poisoned
        assert addresses(await servers(server.port).ask("a.test.")) == [GOOD]


async def test_records_of_other_names_are_not_believed():
    async with dns_server(RECORDS) as server:

        async def generous(asked):
            response = server.response(asked)
            response.answer.append(dns.rrset.from_text("bank.test.", 60, "IN", "A", EVIL))
            response.additional.append(dns.rrset.from_text(asked.name, 60, "IN", "A", EVIL))
            return [response.to_wire()]

        server.answer = generous
        assert addresses(await servers(server.port).ask("a.test.")) == [GOOD]


async def test_aliases_are_followed_inside_the_answer_and_shorten_its_life():
    async with dns_server({"x.test.": ("y.test.",), "y.test.": ("a.test.",), **RECORDS}) as server:

        async def short(asked):
            response = server.response(asked)
            response.answer[0].ttl = 7
            return [response.to_wire()]

        server.answer = short
        found = await servers(server.port).ask("x.test.")
    assert addresses(found) == [GOOD]
    assert next(family.ttl_s for family in found if family.addresses) == 7


@pytest.mark.parametrize("length", [1, 40])
async def test_circles_and_endless_chains_of_aliases_fail(length):
    async with dns_server({}) as server:

        async def circle(asked):
            response = dns.message.make_response(asked.query)
            names = [asked.name, *(f"n{i}.test." for i in range(1, length)), asked.name]
            for left, right in pairwise(names):
                response.answer.append(dns.rrset.from_text(left, 60, "IN", "CNAME", right))
            return [response.to_wire()]

        server.answer = circle
        found = await servers(server.port).ask("x.test.")
    assert addresses(found) == []
    assert rcodes(found) == {"SERVFAIL"}


async def test_a_huge_answer_is_read_and_cut():
    huge = tuple(f"11.{i // 250}.{i % 250}.1" for i in range(4000))
    async with dns_server({"huge.test.": huge}) as server:

        async def over_tcp(asked):
            response = server.response(asked)
            if asked.tcp:
                return [response.to_wire(max_size=65_535)]
            response.answer = []
            response.flags |= dns.flags.TC
            return [response.to_wire()]

        server.answer = over_tcp
        async with asyncio.timeout(5):
            found = await servers(server.port).ask("huge.test.")
    assert len(addresses(found)) == MAX_ADDRESSES


async def test_one_slow_family_does_not_hold_up_the_other():
    codes = []
    async with dns_server(RECORDS) as server:

        async def half(asked):
            slow = asked.kind == dns.rdatatype.AAAA
            return [] if slow else [server.response(asked).to_wire()]

        server.answer = half
        async with asyncio.timeout(1.5):
            found = await servers(server.port, codes=codes, timeout_s=5).ask("both.test.")
    assert addresses(found) == [GOOD]
    assert rcodes(found) == {"TIMEOUT"}
    assert codes == ["NOERROR"]


@pytest.mark.parametrize(
    ("name", "rcode", "label"),
    [
        ("none.test.", "NXDOMAIN", "NXDOMAIN"),
        ("empty.test.", "NODATA", "NOERROR"),
        ("silent.test.", "TIMEOUT", "TIMEOUT"),
    ],
)
async def test_failures_are_told_apart_and_counted(name, rcode, label):
    codes = []
    async with dns_server(RECORDS) as server:
        found = await servers(server.port, codes=codes, timeout_s=0.3).ask(name)
    assert rcodes(found) == {rcode}
    assert codes == [label, label]


async def test_mapped_addresses_are_ipv4_and_nothing_is_twice():
    async with dns_server({"m.test.": (f"::ffff:{GOOD}", "2606:4700::1111")}) as server:
        found = await servers(server.port).ask("m.test.")
    assert sorted(addresses(found)) == ["2606:4700::1111", GOOD]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.booleans(), st.integers(0, 12), st.binary(max_size=20))
def test_no_packet_breaks_the_resolver(junk, keep, cut, noise):
    async def ask():
        async with dns_server(RECORDS) as server:

            async def mangled(asked):
                wire = server.response(asked).to_wire()
                body = wire[: len(wire) - cut] + noise if keep else wire[:2] + junk
                return [body]

            server.answer = mangled
            found = await servers(server.port, timeout_s=0.03).ask("a.test.")
            assert set(addresses(found)) <= {GOOD} or keep
            assert len(found) == 2

    asyncio.run(ask())


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.0.0.1:5353",
        "::1",
        "[::1]",
        "[::1]:5353",
        "127.0.0.1:53, [2606:4700::1111]:53,9.9.9.9",
        "",
    ],
)
def test_servers_are_addresses(text):
    NameServers(text)


@pytest.mark.parametrize(
    "text",
    ["example.org:53", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:70000", "1.1.1.1,", "1," * 9],
)
def test_anything_else_is_a_configuration_error(text):
    with pytest.raises(NodeConfigError):
        NameServers(text)
