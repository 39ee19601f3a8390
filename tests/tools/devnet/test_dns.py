import json
import os
import signal
import socket
import subprocess
import sys

import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.errors import DecodeError
from tools.devnet import dns as server

HOSTS = {"node-1.devnet": "127.11.0.1"}


def ask(name, kind="A", **options):
    query = dns.message.make_query(name, kind, **options)
    return dns.message.from_wire(server.answer(query.to_wire(), HOSTS))


def test_node_name_answers_with_its_address():
    response = ask("node-1.devnet")
    assert response.rcode() == dns.rcode.NOERROR
    assert [str(item) for item in response.answer[0]] == ["127.11.0.1"]
    assert response.answer[0].ttl == server.TTL_S


def test_names_are_case_insensitive_and_echoed():
    response = ask("WeB.DevNet")
    assert str(response.question[0].name) == "WeB.DevNet."
    assert [str(item) for item in response.answer[0]] == ["127.0.0.1"]


def test_query_with_edns_is_answered():
    assert ask("web.devnet", use_edns=0, payload=1232).rcode() == dns.rcode.NOERROR


def test_other_types_are_empty():
    response = ask("web.devnet", "AAAA")
    assert response.rcode() == dns.rcode.NOERROR
    assert not response.answer


@pytest.mark.parametrize("name", ["example.org", "xdevnet", "devnet.org"])
def test_other_zones_are_refused(name):
    assert ask(name).rcode() == dns.rcode.REFUSED


def test_other_operations_are_not_implemented():
    query = dns.message.make_query("web.devnet", "A").to_wire()
    update = query[:2] + bytes([0x28]) + query[3:]
    assert server.answer(update, HOSTS)[3] & 0x0F == server.NOTIMP


def test_responses_are_never_answered():
    query = bytearray(dns.message.make_query("web.devnet", "A").to_wire())
    query[2] |= 0x80
    assert server.answer(bytes(query), HOSTS) is None


def test_pointer_in_a_question_is_malformed():
    head = b"\x12\x34\x01\x00\x00\x01" + bytes(6)
    with pytest.raises(DecodeError):
        server.decode_query(head + b"\xc0\x0c\x00\x01\x00\x01")
    assert server.answer(head + b"\xc0\x0c\x00\x01\x00\x01", HOSTS)[3] == server.FORMERR


def test_name_over_255_bytes_is_malformed():
    head = b"\x12\x34\x01\x00\x00\x01" + bytes(6)
    name = (b"\x3f" + b"a" * 63) * 4 + b"\x00"
    with pytest.raises(DecodeError):
        server.decode_query(head + name + b"\x00\x01\x00\x01")


@given(st.binary(max_size=600))
def test_decoder_never_crashes(data):
    response = server.answer(data, HOSTS)
    if response is not None:
        assert response[:2] == data[:2]
        assert len(response) <= len(data) + 16


@given(
    st.lists(st.text("abcxyz-0189", min_size=1, max_size=20), min_size=1, max_size=6),
    st.integers(0, 65535),
    st.integers(0, 65535),
)
def test_decoder_reads_what_was_encoded(labels, ident, qtype):
    wire = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\x00"
    data = ident.to_bytes(2, "big") + b"\x01\x00\x00\x01" + bytes(6) + wire
    question = server.decode_query(data + qtype.to_bytes(2, "big") + b"\x00\x01")
    assert question.name == ".".join(labels)
    assert (question.ident, question.qtype, question.qclass) == (ident, qtype, 1)


def test_server_answers_over_udp_and_stops_on_sigterm(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps(HOSTS))
    argv = [sys.executable, "-m", "tools.devnet.dns", "--port", str(port), "--hosts", str(hosts)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=dict(os.environ)) as child:
        try:
            line = child.stdout.readline()
            assert line.startswith(b"READY ")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
                asker.settimeout(5)
                query = dns.message.make_query("node-1.devnet", "A")
                asker.sendto(query.to_wire(), ("127.0.0.1", port))
                reply = asker.recv(512)
            assert [str(item) for item in dns.message.from_wire(reply).answer[0]] == ["127.11.0.1"]
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(10) == 0
