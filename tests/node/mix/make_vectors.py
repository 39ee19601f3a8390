"""Makes the test vectors of the mix plane: `python -m tests.node.mix.make_vectors`.

Every secret is derived from a fixed label, so the files can be made again and compared.
"""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.circuit.keys.phase import PhaseKeyring
from node.mix.address import MailAddress
from node.mix.elligator import share_of
from node.mix.envelope import FRAME_BYTES, seal_frame
from node.mix.frame import AckFrame, DataFrame, Fragment, ReplyFrame
from node.mix.layers import WeightedMix, assign_layers
from node.mix.loops import alarm_threshold
from node.mix.mail import Mail
from node.mix.mailbox import DeliveryIds
from node.mix.packet import PAYLOAD_BYTES
from node.mix.replay import ReplayFilter
from node.mix.route import MixHop, Route, build_packet, wrap_payload
from node.mix.surb import make_surb
from node.mix.unwrap import Forward, Unwrapper
from node.mix.wide_block import unwrap_block
from qnet.crypto.kdf import blake3
from qnet.crypto.keys import DhKey
from tests.node.circuit.make_vectors import Stream

FOLDER = Path(__file__).parents[2] / "vectors" / "mix"
SOURCE = "QNet reference implementation, tests/node/mix/make_vectors.py"
PHASE = 2_950_001
MAILBOX_NODE = 41


class Taken:
    """A random stream that notes what was taken."""

    def __init__(self, label):
        self._stream = Stream(label)
        self.taken = []

    def __call__(self, count):
        self.taken.append(self._stream(count))
        return self.taken[-1]


class VectorMix:
    """A mix with a key that is written down."""

    def __init__(self, layer):
        self.node_id = blake3(f"vector mix {layer}".encode())
        self.secret = blake3(f"vector mix {layer} onion key".encode())
        key = X25519PrivateKey.from_private_bytes(self.secret)
        self.keyring = PhaseKeyring(PHASE, ahead=0, generate=lambda: key)
        self.random = Taken(f"vector mix {layer} padding")
        self.unwrapper = Unwrapper(
            self.node_id, self.keyring, lambda _phase: [layer], ReplayFilter(16), self.random
        )
        self.hop = MixHop(layer * 10, self.node_id, self.keyring.public(PHASE), layer * 7)


def carried(packet, mixes):
    """What each mix gives, for the file."""
    steps = []
    for mix in mixes:
        (result,) = mix.unwrapper.unwrap([packet])
        step = {"replay_tag": result.replay_tag, "next": result.next_index}
        step |= {"delay_ms": result.delay_ms}
        if isinstance(result, Forward):
            packet = result.packet
            step |= {"padding": mix.random.taken[-1], "packet": packet}
        else:
            step |= {"id": result.delivery.delivery_id, "payload": result.delivery.payload}
        steps.append(step)
    return steps


def packet_vector():
    mixes, random = [VectorMix(layer) for layer in (1, 2, 3)], Taken("vector packet")
    name, payload = random(16), random(PAYLOAD_BYTES)
    route = Route(PHASE, [mix.hop for mix in mixes], MAILBOX_NODE, name)
    packet = build_packet(route, payload, random)
    return {
        "phase": PHASE,
        "mixes": [
            {
                "index": mix.hop.index,
                "node_id": mix.node_id,
                "onion_secret": mix.secret,
                "delay_ms": mix.hop.delay_ms,
                "ephemeral": random.taken[2 + place],
            }
            for place, mix in enumerate(mixes)
        ],
        "mailbox_node": MAILBOX_NODE,
        "delivery_id": name,
        "payload": payload,
        "packet": packet,
        "at_each_mix": carried(packet, mixes),
    }


def block_vector():
    random = Stream("vector block")
    keys, block = random(96), random(PAYLOAD_BYTES)
    return {"keys": keys, "block": block, "unwrapped": b"".join(unwrap_block(keys, block))}


def reply_vector():
    mixes, random = [VectorMix(layer) for layer in (1, 2, 3)], Stream("vector reply")
    route = Route(PHASE, [mix.hop for mix in mixes], MAILBOX_NODE, random(16))
    surb, secret = make_surb(route, random)
    frame = random(FRAME_BYTES)
    packet = surb.use(frame)
    steps = carried(packet, mixes)
    return {
        "surb": surb.encode(),
        "payload_keys": list(secret.payload_keys),
        "frame": frame,
        "packet": packet,
        "delivered": steps[-1]["payload"],
        "sealed": wrap_payload(secret.payload_keys, steps[-1]["payload"]),
    }


def envelope_vector():
    random = Stream("vector envelope")
    secret, frame = random(32), random(FRAME_BYTES)
    key = DhKey(secret)
    payload = seal_frame(frame, key.public, random)
    return {
        "recipient_secret": secret,
        "recipient_key": key.public,
        "frame": frame,
        "payload": payload,
        "share": share_of(payload[:32]),
        "representatives": [
            {"representative": data, "share": share_of(data)}
            for data in (bytes(32), b"\xff" * 32, b"\1" + bytes(31), random(32), random(32))
        ],
    }


def formats_vector():
    random = Stream("vector formats")
    address, name, surb = MailAddress(MAILBOX_NODE, random(32)), random(16), random(280)
    mailbox_key = random(16)
    return {
        "address": {
            "node": address.node_index,
            "key": address.key,
            "text": str(address),
            "phase": PHASE,
            "delivery_id": address.delivery_id(PHASE),
        },
        "frames": {
            "message_id": name,
            "surb": surb,
            "data_last_of_1": DataFrame(Fragment(name, 0, 1, b"text"), surb).encode(),
            "reply_last_of_1": ReplyFrame(Fragment(name, 0, 1, b"answer")).encode(),
            "ack_0_2_of_3": AckFrame(name, 3, frozenset({0, 2})).encode(),
        },
        "mail_without_replies": Mail(b"text").encode(),
        "mailbox": {
            "key": mailbox_key,
            "slot": 77,
            "id": DeliveryIds(mailbox_key).issue(77, random),
        },
    }


def layers_vector():
    beacon = blake3(b"vector beacon")
    mixes = [WeightedMix(index, 10 + index * index % 17) for index in range(3, 23)]
    layers = assign_layers(beacon, 5, mixes)
    return {
        "beacon": beacon,
        "epoch": 5,
        "mixes": [[mix.index, mix.weight] for mix in mixes],
        "layers": [[mix.index for mix in layer] for layer in layers.layers],
        "alarm_thresholds": {
            str(judged): alarm_threshold(judged) for judged in (1, 2, 8, 16, 32, 64)
        },
    }


def make():
    """Every file by name."""
    return {
        "packet.json": packet_vector(),
        "block.json": block_vector(),
        "reply.json": reply_vector(),
        "envelope.json": envelope_vector(),
        "formats.json": formats_vector(),
        "layers.json": layers_vector(),
    }


def plain(value):
    """Bytes as hexadecimal text, at any depth."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def text(vector):
    return json.dumps({"source": SOURCE, **plain(vector)}, indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, content in make().items():
        (FOLDER / file).write_text(text(content), encoding="utf-8")
