import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.messages import Answer, EndReason
from node.client.doors.dns_query import (
    MAX_QUERY_BYTES,
    UDP_ANSWER_BYTES,
    Question,
    answer_failure,
    answer_with,
    read_query,
)


def query(name, kind="A", **options):
    return dns.message.make_query(name, kind, **options)


def asked(name, kind="A", **options):
    return read_query(query(name, kind, **options).to_wire())


def refused(name, kind="A", **options):
    answer = asked(name, kind, **options)
    assert isinstance(answer, bytes)
    return dns.message.from_wire(answer)


V4 = tuple(Answer(bytes((192, 0, 2, n)), 300 + n) for n in range(3))
V6 = (Answer(bytes(15) + b"\x01", 60),)


def test_addresses_go_to_an_exit():
    question = asked("Files.Test", "AAAA")
    assert isinstance(question, Question)
    assert question.host == "files.test"


@pytest.mark.parametrize(("kind", "count", "ttl"), [("A", 3, 300), ("AAAA", 1, 60)])
def test_answers_carry_what_was_asked_for_with_the_shortest_life(kind, count, ttl):
    sent = query("files.test", kind)
    question = read_query(sent.to_wire())
    answer = dns.message.from_wire(answer_with(question, V4 + V6, over_tcp=False))
    assert sent.is_response(answer)
    assert answer.flags & dns.flags.RA
    (rrset,) = answer.answer
    assert (len(rrset), rrset.ttl) == (count, ttl)


def test_a_name_with_other_addresses_only_is_empty_not_missing():
    answer = dns.message.from_wire(answer_with(asked("a.test", "AAAA"), V4, over_tcp=False))
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.answer == []


@pytest.mark.parametrize(
    ("reason", "rcode"),
    [
        (EndReason.NAME_NOT_FOUND, "NXDOMAIN"),
        (EndReason.RESOLVE_FAILED, "SERVFAIL"),
        (EndReason.CONNECT_TIMEOUT, "SERVFAIL"),
        (EndReason.INTERNAL, "SERVFAIL"),
    ],
)
def test_failures_keep_their_meaning_and_cause(reason, rcode):
    data = answer_failure(asked("a.test", use_edns=0), reason, "a cause", over_tcp=False)
    answer = dns.message.from_wire(data)
    assert dns.rcode.to_text(answer.rcode()) == rcode
    assert answer.options[0].text == "a cause"


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("a.test", "ANY", "REFUSED"),
        ("a.test", "AXFR", "REFUSED"),
        ("a.test", "IXFR", "REFUSED"),
        ("a.test", "MX", "NOTIMP"),
        ("8.8.8.8.in-addr.arpa", "PTR", "NOTIMP"),
        ("1.0.168.192.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("1.0.0.127.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("1" + ".0" * 31 + ".ip6.arpa", "PTR", "NXDOMAIN"),
        ("printer.local", "A", "NXDOMAIN"),
        ("duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.ONION", "A", "NXDOMAIN"),
        ("localhost", "A", "NXDOMAIN"),
        ("router.home.arpa", "AAAA", "NXDOMAIN"),
        ("192.0.2.1", "A", "NXDOMAIN"),
        (".", "A", "NXDOMAIN"),
        ("a.test", "HTTPS", "NOERROR"),
        ("a.test", "SVCB", "NOERROR"),
        ("a\\032b.test", "A", "NXDOMAIN"),
        ("a\\.b.test", "A", "NXDOMAIN"),
    ],
)
def test_what_no_exit_is_asked(name, kind, rcode):
    answer = refused(name, kind)
    assert dns.rcode.to_text(answer.rcode()) == rcode
    assert answer.answer == []


def test_other_classes_and_operations_are_refused():
    assert refused("version.bind", "TXT", rdclass="CH").rcode() == dns.rcode.REFUSED
    update = query("a.test")
    update.set_opcode(dns.opcode.NOTIFY)
    assert dns.message.from_wire(read_query(update.to_wire())).rcode() == dns.rcode.NOTIMP
    assert refused("a.test", use_edns=1).rcode() == dns.rcode.BADVERS


def test_two_questions_are_malformed():
    two = query("a.test")
    two.question += query("b.test").question
    assert dns.message.from_wire(read_query(two.to_wire())).rcode() == dns.rcode.FORMERR


def test_garbage_after_a_known_head_is_told_malformed_with_its_id():
    sent = query("a.test").to_wire()
    answer = read_query(sent[:-3])
    assert answer[3] & 0x0F == dns.rcode.FORMERR
    assert answer[:2] == sent[:2]


def test_answers_and_crumbs_get_nothing():
    response = dns.message.make_response(query("a.test")).to_wire()
    assert read_query(response) is None
    assert read_query(b"") is None
    assert read_query(bytes(11)) is None
    assert read_query(bytes(MAX_QUERY_BYTES + 1)) is None


def test_long_answers_are_cut_over_udp_and_whole_over_tcp():
    many = tuple(Answer(bytes(15) + bytes((n,)), 60) for n in range(16))
    name = ".".join(["a" * 60] * 4)
    question = asked(name, "AAAA")
    assert len(answer_with(question, many, over_tcp=True)) > 512
    cut = dns.message.from_wire(answer_with(question, many, over_tcp=False))
    assert cut.flags & dns.flags.TC
    assert cut.answer == []
    roomy = asked(name, "AAAA", use_edns=0, payload=4096)
    whole = answer_with(roomy, many, over_tcp=False)
    assert 512 < len(whole) <= UDP_ANSWER_BYTES
    assert not dns.message.from_wire(whole).flags & dns.flags.TC


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_answered(data):
    checked(data)


@given(st.binary(min_size=1, max_size=8), st.integers(0, 60))
def test_damaged_queries_are_read_or_answered(damage, where):
    data = bytearray(query("some.name.test", "AAAA", use_edns=0).to_wire())
    data[where : where + len(damage)] = damage
    checked(bytes(data))


def checked(data):
    found = read_query(data)
    if isinstance(found, bytes):
        assert found[:2] == data[:2]
        assert found[2] & 0x80
    elif found is not None:
        assert 0 < len(found.host) <= 253
        assert answer_failure(found, EndReason.INTERNAL, "x" * 500, over_tcp=False)[:2] == data[:2]
