"""The vectors, made again and checked by formulas written out from the primitives alone."""

import json
from base64 import b32encode

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import ECB

from qnet.beacon import draw_order
from tests.node.mix.make_vectors import FOLDER, make, text

NAMES = ["packet.json", "block.json", "reply.json", "envelope.json", "formats.json", "layers.json"]
P = 2**255 - 19
A = 486662


def unhex(value):
    if isinstance(value, dict):
        return {key: unhex(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unhex(inner) for inner in value]
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        return value


def load(name):
    return unhex(json.loads((FOLDER / name).read_text(encoding="utf-8")))


def derive(label, material, count):
    return blake3(material, derive_key_context=label).digest(length=count)


def public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def exchange(secret, peer):
    key = X25519PrivateKey.from_private_bytes(secret)
    return key.exchange(X25519PublicKey.from_public_bytes(peer))


def xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def stream(key, data):
    return Cipher(ChaCha20(key, bytes(16)), None).encryptor().update(data)


def block(keys, data, order):
    """D with the keys in order 1, 2, 3; E with 3, 2, 1."""
    first, second, third = (keys[32 * place - 32 : 32 * place] for place in order)
    left, right = data[:32], data[32:]
    right = stream(blake3(left, key=first).digest(), right)
    left = xor(left, blake3(right, key=second).digest())
    return left + stream(blake3(left, key=third).digest(), right)


@pytest.mark.parametrize("name", NAMES)
def test_they_can_be_made_again(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == text(make()[name])


def test_the_list_of_files_is_complete():
    assert sorted(NAMES) == sorted(make()) == sorted(path.name for path in FOLDER.iterdir())


def test_block():
    vector = load("block.json")
    assert block(vector["keys"], vector["block"], (1, 2, 3)) == vector["unwrapped"]
    assert block(vector["keys"], vector["unwrapped"], (3, 2, 1)) == vector["block"]


def test_packet():
    """A packet built and opened by hand."""
    vector = load("packet.json")
    phase = vector["phase"].to_bytes(3, "big")
    keys = []
    for layer, mix in enumerate(vector["mixes"], 1):
        share = public(mix["ephemeral"])
        secret = exchange(mix["onion_secret"], share)
        assert secret == exchange(mix["ephemeral"], public(mix["onion_secret"]))
        material = secret + share + mix["node_id"] + phase + bytes([layer])
        keys.append((share, derive("qnet mix packet 1", material, 144)))
    following = [mix["index"] for mix in vector["mixes"][1:]] + [vector["mailbox_node"]]
    header, payload = b"", vector["payload"]
    for place in (2, 1, 0):
        share, output = keys[place]
        name = vector["delivery_id"] if place == 2 else bytes(16)
        delay = vector["mixes"][place]["delay_ms"].to_bytes(2, "big")
        routing = (
            bytes([place == 2]) + following[place].to_bytes(4, "big") + delay + name + bytes(9)
        )
        sealed = ChaCha20Poly1305(output[:32]).encrypt(bytes(12), routing + header, None)
        header = share + sealed[-16:] + sealed[:-16]
        payload = block(output[48:], payload, (3, 2, 1))
    assert len(header) == 240
    packet = b"\1" + phase + header + payload
    assert packet == vector["packet"]
    for place, step in enumerate(vector["at_each_mix"]):
        _, output = keys[place]
        end = 244 - 80 * place
        sealed = packet[52:end] + packet[36:52]
        plain = ChaCha20Poly1305(output[:32]).decrypt(bytes(12), sealed, None)
        assert step["replay_tag"] == output[32:48]
        assert step["next"] == following[place] == int.from_bytes(plain[1:5], "big")
        payload = block(output[48:], packet[244:], (1, 2, 3))
        if place < 2:
            packet = packet[:4] + plain[32:] + step["padding"][: 80 * (place + 1)] + payload
            assert packet == step["packet"]
    assert payload == step["payload"] == vector["payload"]
    assert step["id"] == vector["delivery_id"]


def test_reply():
    vector = load("reply.json")
    surb, packet = vector["surb"], vector["packet"]
    assert packet[:4] == surb[:4]
    assert packet[4:244] == surb[8:248]
    opened = ChaCha20Poly1305(surb[248:]).decrypt(bytes(12), packet[244:], None)
    assert opened == vector["frame"] + bytes(32)
    data = packet[244:]
    for keys in vector["payload_keys"]:
        data = block(keys, data, (1, 2, 3))
    assert data == vector["delivered"]
    assert vector["sealed"] == packet[244:]


def elligator(representative):
    r = int.from_bytes(representative, "little") % 2**254
    w = -A * pow(1 + 2 * r * r, P - 2, P) % P
    square = pow(w**3 + A * w * w + w, (P - 1) // 2, P)
    return (w if square in {0, 1} else (-w - A) % P).to_bytes(32, "little")


def test_envelope():
    vector = load("envelope.json")
    payload, key = vector["payload"], vector["recipient_key"]
    share = elligator(payload[:32])
    assert (share, key) == (vector["share"], public(vector["recipient_secret"]))
    secret = exchange(vector["recipient_secret"], share)
    seal = derive("qnet mix seal 1", secret + payload[:32] + key, 32)
    assert ChaCha20Poly1305(seal).decrypt(bytes(12), payload[32:], None) == vector["frame"]
    for pair in vector["representatives"]:
        assert elligator(pair["representative"]) == pair["share"]


def test_formats():
    vector = load("formats.json")
    address = vector["address"]
    body = b"\1" + address["node"].to_bytes(4, "big") + address["key"]
    data = body + derive("qnet mix address 1", body, 4)
    assert address["text"] == "qmix1" + b32encode(data).decode().rstrip("=").lower()
    material = body[1:] + address["phase"].to_bytes(3, "big")
    assert address["delivery_id"] == derive("qnet mix mailbox 1", material, 16)
    frames = vector["frames"]
    name, surb = frames["message_id"], frames["surb"]
    head = name + bytes([0, 0, 0, 1])
    assert frames["data_last_of_1"] == (b"\1" + head + b"\0\4" + surb + b"text").ljust(2016, b"\0")
    assert frames["reply_last_of_1"] == (b"\3" + head + b"\0\6answer").ljust(2016, b"\0")
    held = name + bytes([0, 0, 0, 3, 0, 32, 0b10100000])
    assert frames["ack_0_2_of_3"] == (b"\2" + held).ljust(2016, b"\0")
    assert vector["mail_without_replies"] == b"\0text"
    mailbox = vector["mailbox"]
    opened = Cipher(AES(mailbox["key"]), ECB()).decryptor().update(mailbox["id"])
    assert opened[:8] == mailbox["slot"].to_bytes(4, "big") + bytes(4)


def test_layers():
    vector = load("layers.json")
    weights = dict(vector["mixes"])
    order = draw_order(vector["beacon"], b"mix layers" + bytes(7) + b"\5", sorted(weights))
    layers, sums = ([], [], []), [0, 0, 0]
    for index in order:
        least = min((sums[place], len(layers[place]), place) for place in range(3))[2]
        layers[least].append(index)
        sums[least] += weights[index]
    assert list(layers) == vector["layers"]
