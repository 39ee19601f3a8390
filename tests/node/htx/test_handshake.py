"""Handshake payloads: versions, identities, padding; decoders that never crash."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import HandshakeRefusedError
from node.htx import handshake
from node.htx.events import CLIENT, CloseReason, PeerIdentity, Role
from node.htx.handshake import (
    AES_RECORDS,
    Choice,
    InitiatorHandshake,
    Offer,
    ResponderHandshake,
    decode_identity,
    encode_identity,
    pad,
    record_cipher,
    unpad,
)
from node.htx.keys import LocalIdentity, ServerKeys
from node.htx.record import RecordCipher
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, DecodeError, LocalProtocolError

BINDING = b"binding"
PEER = PeerIdentity(Role.EXIT, bytes(32))


def key():
    return DhKey(secrets.token_bytes(32))


def sides(identity=None, known=(), link_keys=None, use=0, features=(0, 0)):
    keys = link_keys or (key(), key())
    ours, theirs = features
    initiator = InitiatorHandshake(
        keys[use].public, BINDING, identity, secrets.token_bytes, features=ours
    )
    responder = ResponderHandshake(keys, BINDING, lambda _id: known, secrets.token_bytes, theirs)
    return initiator, responder


def run(initiator, responder):
    last, secured = initiator.finish(responder.respond(initiator.start()[2:])[2:], PEER)
    return secured, responder.finish(last[2:])


@pytest.mark.parametrize("use", [0, 1])
def test_current_and_older_link_keys_answer(use):
    ours, theirs = run(*sides(use=use))
    assert ours.root == theirs.root
    assert theirs.peer == CLIENT
    assert ours.peer == PEER
    assert (ours.version, ours.features) == (theirs.version, theirs.features) == (1, 0)


def test_nodes_prove_their_id():
    identity = LocalIdentity(Role.MIX, secrets.token_bytes(32), key())
    known = (bytes(32), identity.link_key.public)
    assert run(*sides(identity, known))[1].peer == PeerIdentity(Role.MIX, identity.node_id)
    for other in ((), (bytes(32),)):
        with pytest.raises(HandshakeRefusedError) as caught:
            run(*sides(identity, other))
        assert caught.value.reason is CloseReason.UNKNOWN_NODE


def test_another_link_key_is_refused():
    initiator, _ = sides()
    _, responder = sides()
    with pytest.raises(CryptoError):
        responder.respond(initiator.start()[2:])


def test_versions_must_overlap(monkeypatch):
    initiator, responder = sides()
    monkeypatch.setattr(Offer, "encode", lambda _self: bytes((2, 9, 0, 0, 0, 0)))
    with pytest.raises(HandshakeRefusedError) as caught:
        responder.respond(initiator.start()[2:])
    assert caught.value.reason is CloseReason.VERSION


@pytest.mark.parametrize(
    ("ours", "theirs"), [(0, 0), (0, AES_RECORDS), (AES_RECORDS, 0), (AES_RECORDS, AES_RECORDS)]
)
def test_features_are_those_that_both_have(ours, theirs):
    first, second = run(*sides(features=(ours, theirs)))
    assert first.features == second.features == ours & theirs
    aes = record_cipher(first.features) is RecordCipher.AES_256_GCM
    assert aes == bool(ours and theirs)


@pytest.mark.parametrize("choice", [bytes((2, 0, 0, 0, 0)), bytes((1, 0, 0, 0, 1))])
def test_a_choice_nobody_offered_is_refused(monkeypatch, choice):
    initiator, responder = sides()
    monkeypatch.setattr(Choice, "encode", lambda _self: choice)
    with pytest.raises(HandshakeRefusedError):
        initiator.finish(responder.respond(initiator.start()[2:])[2:], PEER)


def test_an_empty_range_of_versions_is_malformed():
    assert Offer.decode(Offer(2, 2, 7).encode()) == Offer(2, 2, 7)
    with pytest.raises(DecodeError):
        Offer.decode(Offer(3, 2).encode())


def test_a_later_client_gets_our_highest_version(monkeypatch):
    initiator, responder = sides(features=(handshake.FEATURES, handshake.FEATURES))
    monkeypatch.setattr(Offer, "encode", lambda _self: bytes((1, 7, 255, 255, 255, 255)))
    ours, theirs = run(initiator, responder)
    assert ours.version == theirs.version == handshake.MAX_VERSION
    assert theirs.features == handshake.FEATURES


def test_identity_payloads():
    identity = LocalIdentity(Role.RELAY, bytes(range(32)), key())
    assert decode_identity(encode_identity(identity)) == PeerIdentity(Role.RELAY, bytes(range(32)))
    assert decode_identity(encode_identity(None)) == CLIENT
    for data in (bytes(32), bytes(34), b"\x00" + bytes(31) + b"\x01", b"\x05" + bytes(32)):
        with pytest.raises(DecodeError):
            decode_identity(data)


def test_identities_and_server_keys_are_checked_once():
    with pytest.raises(LocalProtocolError):
        LocalIdentity(Role.CLIENT, bytes(32), key())
    with pytest.raises(LocalProtocolError):
        LocalIdentity(Role.MIX, bytes(31), key())
    for link_keys, tickets in (((), {bytes(8): key()}), ((key(),), {}), ((key(),), {b"": key()})):
        with pytest.raises(LocalProtocolError):
            ServerKeys(b"", b"", bytes(32), link_keys, tickets)


@given(st.binary(max_size=100), st.integers(0, 255))
def test_padding_round_trip(content, size):
    padded = pad(content, lambda n: bytes([size]) * n)
    assert unpad(padded) == content
    assert len(padded) == 2 + len(content) + size


@given(st.binary(max_size=80))
def test_decoders_never_crash(data):
    for decode in (Offer.decode, Choice.decode, decode_identity, unpad):
        try:
            decode(data)
        except DecodeError:
            continue
