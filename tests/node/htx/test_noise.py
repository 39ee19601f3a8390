"""The Noise core against published XK vectors and QNet's own hybrid vectors."""

import json
from pathlib import Path

import pytest

from node.htx import noise
from qnet.crypto.keys import DhKey

VECTORS = Path(__file__).parents[2] / "vectors" / "noise"
XK = json.loads((VECTORS / "xk.json").read_text())["vectors"]
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
