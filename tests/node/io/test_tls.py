"""Certificates and the TLS stream."""

import datetime as dt

import pytest
import utls
from cryptography import x509

from node.errors import NodeConfigError
from node.io.tls import (
    TlsStream,
    client_context,
    default_template,
    generate_certificate,
    load_certificate,
    server_context,
)
from tests.node.io.endpoint_rig import fresh_keys

NOW = dt.datetime.now(dt.UTC)


def test_certificates_name_their_host_and_hash_their_key():
    made = generate_certificate("notes.example", NOW)
    leaf = x509.load_pem_x509_certificate(made.chain_pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["notes.example"]
    assert leaf.not_valid_before_utc < NOW < leaf.not_valid_after_utc
    assert load_certificate(made.chain_pem, made.key_pem) == made
    assert generate_certificate("notes.example", NOW).spki_hash != made.spki_hash


def test_what_is_no_certificate_is_refused():
    with pytest.raises(NodeConfigError):
        load_certificate(b"nothing", b"")


def joined(name="notes.example", tickets=0):
    keys = fresh_keys()
    client = TlsStream(client_context(default_template()), name)
    context = server_context(keys)
    context.num_tickets = tickets
    server = TlsStream(context, None)
    done = [False, False]
    for _ in range(4):
        done[0] = client.handshake()
        server.feed(client.output())
        done[1] = server.handshake()
        client.feed(server.output())
    assert all(done)
    return client, server, keys


def test_both_ends_agree():
    client, server, keys = joined()
    assert client.alpn == server.alpn == "h2"
    assert client.version == "TLSv1.3"
    assert client.peer_spki_hash() == keys.spki_hash
    assert server.peer_spki_hash() == bytes(32)


def test_no_session_ticket_follows_the_handshake():
    client, server, _ = joined()
    assert server.output() == b""
    assert client.read() == b""


@pytest.mark.parametrize("size", [1, 100, 16_352])
def test_a_piece_is_one_tls_record(size):
    client, server, _ = joined()
    client.write(bytes(size))
    out = client.output()
    assert int.from_bytes(out[3:5], "big") == len(out) - 5
    server.feed(out)
    assert server.read() == bytes(size)
    assert server.read() == b""


def test_much_data_in_odd_pieces():
    client, server, _ = joined()
    sent = bytes(range(256)) * 64 * 50
    for at in range(0, len(sent), 16_000):
        client.write(sent[at : at + 16_000])
    wire, got = client.output(), b""
    for at in range(0, len(wire), 99_991):
        server.feed(wire[at : at + 99_991])
        while data := server.read():
            got += data
    assert got == sent


def test_the_end_of_the_stream_is_told():
    client, server, _ = joined()
    client.close()
    server.feed(client.output())
    with pytest.raises(EOFError):
        server.read()


def test_garbage_breaks_the_stream():
    _, server, _ = joined()
    server.feed(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(utls.SSLError):
        server.read()


def test_records_of_tls_itself_are_passed_over():
    client, server, _ = joined(tickets=2)
    server.write(b"after the tickets")
    client.feed(server.output())
    assert client.read() == b"after the tickets"
    assert client.read() == b""


@pytest.mark.parametrize("at", [1, 3, 5, 6, 300])
def test_a_record_may_come_in_two_parts(at):
    client, server, _ = joined()
    wire = b"".join(client.encrypt([bytes(256), b"x" * 400]))
    for cut in (at, 256 + 22 + at):
        server.feed(wire[:cut])
        got = [server.read()]
        server.feed(wire[cut:])
        while data := server.read():
            got.append(data)
        assert b"".join(got) == bytes(256) + b"x" * 400
        wire = b"".join(client.encrypt([bytes(256), b"x" * 400]))


def test_a_length_no_record_has_is_judged_before_the_rest_comes():
    _, server, _ = joined()
    server.feed(b"\x17\x03\x03\xff\xff")
    with pytest.raises(utls.SSLError):
        server.read()
