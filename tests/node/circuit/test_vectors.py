"""The vectors, made again and checked by formulas written out from the primitives alone."""

import json

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import CTR

from tests.node.circuit.make_vectors import FOLDER, make

NAMES = ["setup.json", "forward.json", "backward.json", "rekey.json", "formats.json"]


def load(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def unhex(mapping):
    return {name: bytes.fromhex(value) for name, value in mapping.items()}


def derive(label, material, count):
    output = blake3(material, derive_key_context=label).digest(length=32 * count)
    return [output[start : start + 32] for start in range(0, 32 * count, 32)]


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def exchange(private, peer):
    return X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(peer)
    )


def nonce(counter):
    return bytes(4) + counter.to_bytes(8, "little")


def stepped(key, counter):
    for _ in range(counter // 65536):
        (key,) = derive("qnet circuit ratchet 1", key, 1)
    return key


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_code_makes(name):
    assert json.loads(json.dumps(make()[name])) == load(name)
    assert load(name)["source"]


@pytest.mark.parametrize("number", [0, 1])
def test_setup(number):
    path = load("setup.json")["paths"][number]
    phase = path["phase"].to_bytes(3, "big")
    body = bytes.fromhex(path["hops"][0]["create_body"])
    behind = [bytes.fromhex(hop["created_body"]) for hop in path["hops"][1:]]
    for position, shown in enumerate(path["hops"]):
        hop = unhex({k: v for k, v in shown.items() if isinstance(v, str)})
        keys = unhex(shown["traffic_keys"])
        assert body == hop["create_body"]
        share = body[:32]
        assert share == public(hop["client_ephemeral_private"])
        secret = exchange(hop["phase_private"], share)
        seal, pad, _ = derive("qnet circuit setup 1", secret + share + hop["node_id"] + phase, 3)
        plain = ChaCha20Poly1305(seal).decrypt(bytes(12), body[48:] + body[32:48], None)
        last = position == len(path["hops"]) - 1
        assert plain[:2] == bytes([int(last), shown["cipher"]])
        following = path["hops"][position + 1] if not last else {"index": 0, "node_id": "00" * 32}
        assert plain[2:38] == following["index"].to_bytes(4, "big") + bytes.fromhex(
            following["node_id"]
        )
        assert not any(plain[38:160])
        answer = public(hop["hop_ephemeral_private"])
        material = (
            secret
            + exchange(hop["hop_ephemeral_private"], share)
            + share
            + hop["phase_public"]
            + answer
            + hop["node_id"]
            + phase
            + blake3(body).digest()
        )
        assert list(keys.values()) == derive("qnet circuit keys 1", material, 8)
        assert list(keys) == [
            "confirm",
            "created",
            "forward",
            "pad",
            "backward",
            "mac",
            "stream",
            "root",
        ]
        inner = blake3(b"", key=keys["confirm"]).digest(2040) if last else behind[position]
        tag = blake3(inner[:96], key=keys["confirm"]).digest(16)
        mask = Cipher(ChaCha20(keys["created"], bytes(16)), mode=None).encryptor()
        assert hop["created_body"] == answer + tag + mask.update(inner[:1992])
        body = plain[160:] + blake3(b"", key=pad).digest(208)
    assert blake3(body).hexdigest() == path["body_behind_last_hop_blake3"]


@pytest.mark.parametrize("number", range(5))
def test_forward(number):
    shown = load("forward.json")["cells"][number]
    make_aead = {1: ChaCha20Poly1305, 2: AESGCM}[shown["cipher"]]
    counter, cell = shown["counter"], bytes.fromhex(shown["cell_at_each_hop"][0])
    for keys, step in zip(map(unhex, shown["keys"]), shown["cell_at_each_hop"], strict=True):
        assert cell == bytes.fromhex(step)
        assert cell[:8] == bytes.fromhex("0000000503000000")
        aead = make_aead(stepped(keys["forward"], counter))
        plain = aead.decrypt(nonce(counter), cell[24:] + cell[8:24], None)
        pad = blake3(nonce(counter), key=stepped(keys["pad"], counter)).digest(17)
        cell = cell[:8] + plain[1:] + pad
    messages = bytes.fromhex(shown["messages"])
    assert plain[: 2 + len(messages)] == b"\x01" + messages + b"\x00"


@pytest.mark.parametrize("number", range(3))
def test_backward(number):
    shown = load("backward.json")["cells"][number]
    counter, keys = shown["counter"], [unhex(hop) for hop in shown["keys"]]
    content = bytes.fromhex(shown["content"]).ljust(2024, b"\x00")
    make_aead = {1: ChaCha20Poly1305, 2: AESGCM}[shown["cipher"]]
    sealed = make_aead(stepped(keys[-1]["backward"], counter)).encrypt(
        nonce(counter), content, None
    )
    left, right = sealed[2024:], sealed[:2024]
    for hop, cell in zip(reversed(keys), shown["cells_from_speaker_to_client"], strict=True):
        mac = make_aead(stepped(hop["mac"], counter))
        left = xor(left, mac.encrypt(nonce(counter), b"", right))
        stream = Cipher(AES(stepped(hop["stream"], counter)), CTR(left)).encryptor()
        right = stream.update(right)
        assert bytes.fromhex(cell) == bytes.fromhex("0000000503000000") + left + right


def test_rekey():
    shown = load("rekey.json")
    root, client, hop = (
        bytes.fromhex(shown[name]) for name in ("root", "client_private", "hop_private")
    )
    material = (
        root
        + exchange(client, public(hop))
        + public(client)
        + public(hop)
        + shown["generation"].to_bytes(4, "big")
    )
    derived = derive("qnet circuit rekey 1", material, 6)
    assert derived == [*unhex(shown["keys"]).values(), bytes.fromhex(shown["new_root"])]
    assert bytes.fromhex(shown["ratchet"]["next"]) == stepped(root, 65536)


def test_formats():
    shown = load("formats.json")
    assert shown["messages"]["begin"] == "010001000d01bb" + b"example.com".hex()
    assert shown["messages"]["end_of_circuit"] == "04000000010d"
    assert shown["credit_record"] == "000000010010" + "800000010800"
    assert shown["create_header"] == "0000000101" + (2_950_000).to_bytes(3, "big").hex()
    destroy = bytes.fromhex("8000000104000000").ljust(2048, b"\x00")
    assert shown["destroy_cell_blake3"] == blake3(destroy).hexdigest()
