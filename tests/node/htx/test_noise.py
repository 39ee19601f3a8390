"""The Noise core against published XK vectors and QNet's own hybrid vectors."""

import hmac
import json
from pathlib import Path

import pytest

from node.htx import noise
from node.htx.handshake import prologue, root_key
from qnet.crypto import kem
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError, LocalProtocolError

VECTORS = Path(__file__).parents[2] / "vectors" / "noise"
XK = json.loads((VECTORS / "xk.json").read_text())["vectors"]
XKHFS = json.loads((VECTORS / "xkhfs.json").read_text())["vectors"]
HASHES = {item.name: item for item in (noise.SHA256, noise.SHA512, noise.BLAKE2S, noise.BLAKE2B)}


def unhex(vector, key):
    return bytes.fromhex(vector[key])


@pytest.mark.parametrize("vector", XK, ids=lambda v: f"{v['from']}-{v['protocol_name']}")
def test_published_xk_vectors(vector):
    suite = noise.Suite(HASHES[vector["protocol_name"].rsplit("_", 1)[1]])
    assert suite.name.decode() == vector["protocol_name"]
    initiator = noise.Handshake(
        suite,
        initiator=True,
        prologue=unhex(vector, "init_prologue"),
        static=DhKey(unhex(vector, "init_static")),
        ephemeral=DhKey(unhex(vector, "init_ephemeral")),
        remote_static=unhex(vector, "init_remote_static"),
    )
    responder = noise.Handshake(
        suite,
        initiator=False,
        prologue=unhex(vector, "resp_prologue"),
        static=DhKey(unhex(vector, "resp_static")),
        ephemeral=DhKey(unhex(vector, "resp_ephemeral")),
    )
    sides = [initiator, responder]
    for message in vector["messages"][:3]:
        sender, receiver = sides
        wire = sender.write_message(unhex(message, "payload"))
        assert wire == unhex(message, "ciphertext")
        assert receiver.read_message(wire) == unhex(message, "payload")
        sides.reverse()
    assert initiator.finished
    assert initiator.transcript == responder.transcript
    assert responder.remote_static == DhKey(unhex(vector, "init_static")).public
    if "handshake_hash" in vector:
        assert initiator.transcript == unhex(vector, "handshake_hash")
    keys = initiator.split()
    assert keys == responder.split()
    ciphers = [noise.CipherState(key) for key in keys]
    for index, message in enumerate(vector["messages"][3:], start=3):
        wire = ciphers[index % 2].encrypt(b"", unhex(message, "payload"))
        assert wire == unhex(message, "ciphertext")


def hybrid_pair(vector):
    def encapsulate(public):
        assert public == kem.KemKey(unhex(vector, "init_kem_seed")).public
        return unhex(vector, "kem_shared"), unhex(vector, "kem_ciphertext")

    sizes = (kem.PUBLIC_BYTES, kem.CIPHERTEXT_BYTES)
    suite = noise.Suite(noise.BLAKE3, noise.KemFunction("MLKEM768", *sizes, encapsulate))
    responder_static = DhKey(unhex(vector, "resp_static"))
    initiator = noise.Handshake(
        suite,
        initiator=True,
        prologue=unhex(vector, "prologue"),
        static=DhKey(unhex(vector, "init_static")),
        ephemeral=DhKey(unhex(vector, "init_ephemeral")),
        remote_static=responder_static.public,
        ephemeral_kem=kem.KemKey(unhex(vector, "init_kem_seed")),
    )
    responder = noise.Handshake(
        suite,
        initiator=False,
        prologue=unhex(vector, "prologue"),
        static=responder_static,
        ephemeral=DhKey(unhex(vector, "resp_ephemeral")),
    )
    return initiator, responder


@pytest.mark.parametrize("vector", XKHFS, ids=range(len(XKHFS)))
def test_hybrid_vectors(vector):
    assert noise.QNET_SUITE.name.decode() == vector["protocol_name"]
    bound = prologue(unhex(vector, "ticket"), unhex(vector, "spki_hash"))
    assert bound == unhex(vector, "prologue")
    sides = list(hybrid_pair(vector))
    for message in vector["messages"]:
        sender, receiver = sides
        wire = sender.write_message(unhex(message, "payload"))
        assert wire == unhex(message, "ciphertext")
        assert receiver.read_message(wire) == unhex(message, "payload")
        sides.reverse()
    for side in sides:
        assert side.transcript == unhex(vector, "handshake_hash")
        assert side.chaining_key == unhex(vector, "chaining_key")
        assert root_key(side) == unhex(vector, "root")


def test_every_flipped_byte_of_each_message_is_refused():
    for step in range(3):
        length = len(XKHFS[0]["messages"][step]["ciphertext"]) // 2
        for at in {0, 31, 32, 40, length // 2, length - 17, length - 1}:
            sides = list(hybrid_pair(XKHFS[0]))
            for message in XKHFS[0]["messages"][:step]:
                sides[1].read_message(sides[0].write_message(unhex(message, "payload")))
                sides.reverse()
            wire = bytearray(unhex(XKHFS[0]["messages"][step], "ciphertext"))
            wire[at] ^= 1
            sides[0].write_message(b"")
            with pytest.raises(CryptoError):
                sides[1].read_message(bytes(wire))


def test_short_messages_are_refused():
    for step in range(3):
        wire = unhex(XKHFS[0]["messages"][step], "ciphertext")
        for length in range(0, len(wire), 97):
            sides = list(hybrid_pair(XKHFS[0]))
            for message in XKHFS[0]["messages"][:step]:
                sides[1].read_message(sides[0].write_message(unhex(message, "payload")))
                sides.reverse()
            with pytest.raises(CryptoError):
                sides[1].read_message(wire[:length])


def test_messages_out_of_turn_are_our_own_fault():
    initiator, responder = hybrid_pair(XKHFS[0])
    with pytest.raises(LocalProtocolError):
        responder.write_message(b"")
    with pytest.raises(LocalProtocolError):
        initiator.read_message(b"")
    with pytest.raises(LocalProtocolError, match="too long"):
        initiator.write_message(bytes(noise.MAX_MESSAGE_BYTES))


def test_initiator_needs_the_responders_key_and_a_kem_key():
    key = DhKey(bytes(range(32)))
    for remote, ephemeral_kem in ((b"", None), (key.public, None)):
        with pytest.raises(LocalProtocolError):
            noise.Handshake(
                noise.QNET_SUITE,
                initiator=True,
                prologue=b"",
                static=key,
                ephemeral=key,
                remote_static=remote,
                ephemeral_kem=ephemeral_kem,
            )


@pytest.mark.parametrize("name", ["sha256", "sha512", "blake2s", "blake2b"])
def test_hmac_equals_the_standard_library(name):
    function = {item.name.lower(): item for item in HASHES.values()}[name]
    for size in (0, 1, 64, 65, 128, 129, 300):
        key, data = bytes(range(size % 256)) * (1 + size // 256), b"data" * size
        assert function.hmac(key, data) == hmac.new(key, data, name).digest()
