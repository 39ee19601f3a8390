"""Makes the test vectors of circuits: `python -m tests.node.circuit.make_vectors`.

Every secret is derived from a fixed label, so the files can be made again and compared.
"""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.circuit.backward import BackwardLayer, ContentKey
from node.circuit.cell import destroy_cell, encode_header, relay_header
from node.circuit.flow import encode_credits
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.layer import (
    Filler,
    ForwardOpener,
    ForwardSealer,
    LayerKeys,
    build_forward,
    ratchet,
)
from node.circuit.messages import (
    Answer,
    MessageType,
    encode_answers,
    encode_begin,
    encode_message,
)
from node.circuit.rekey import next_keys
from node.circuit.setup import (
    HopInfo,
    TrafficKeys,
    build_create,
    created_body,
    last_body,
    open_create,
)
from qnet.crypto.kdf import blake3, keyed
from qnet.crypto.keys import DhKey

FOLDER = Path(__file__).parents[2] / "vectors" / "circuit"
SOURCE = "QNet reference implementation, tests/node/circuit/make_vectors.py"
PHASE = 2_950_000


class Stream:
    """Secret bytes from a label, in order."""

    def __init__(self, label: str) -> None:
        self._key = blake3(label.encode())
        self._count = 0

    def __call__(self, count: int) -> bytes:
        self._count += 1
        return keyed(self._key, self._count.to_bytes(4, "big"), count)


def layer_keys(random: Stream) -> LayerKeys:
    return LayerKeys(*(random(32) for _ in range(5)))


def show(keys: LayerKeys) -> dict[str, str]:
    return {name: getattr(keys, name).hex() for name in LayerKeys.__slots__}


def show_traffic(keys: TrafficKeys) -> dict[str, str]:
    named = {"confirm": keys.confirm.hex(), "created": keys.created.hex()}
    return named | show(keys.layer) | {"root": keys.root.hex()}


def setup(length: int) -> dict[str, object]:
    random = Stream(f"qnet vectors setup {length}")
    privates = [random(32) for _ in range(length)]
    ids = [random(32) for _ in range(length)]
    rings = [
        PhaseKeyring(
            PHASE, ahead=0, generate=lambda key=key: X25519PrivateKey.from_private_bytes(key)
        )
        for key in privates
    ]
    hops = [
        HopInfo(index + 1, ids[index], rings[index].public(PHASE), 1 + index % 2)
        for index in range(length)
    ]
    client = Stream(f"qnet vectors setup client {length}")
    body, _ = build_create(hops, PHASE, client)
    again = Stream(f"qnet vectors setup client {length}")
    ephemerals = [again(32) for _ in range(length)]
    opened, received = [], []
    for node_id, ring in zip(ids, rings, strict=True):
        received.append(body)
        opened.append(open_create(body, PHASE, node_id, ring))
        body = opened[-1].next_body
    fresh = [random(32) for _ in range(length)]
    keys, answers = [], []
    for hop, secret in zip(reversed(opened), reversed(fresh), strict=True):
        key = DhKey(secret)
        keys.insert(0, hop.answer(key))
        behind = answers[0] if answers else last_body(keys[0])
        answers.insert(0, created_body(keys[0], key.public, behind))
    return {
        "phase": PHASE,
        "hops": [
            {
                "index": hops[position].index,
                "node_id": ids[position].hex(),
                "phase_private": privates[position].hex(),
                "phase_public": hops[position].phase_key.hex(),
                "cipher": hops[position].cipher,
                "client_ephemeral_private": ephemerals[position].hex(),
                "hop_ephemeral_private": fresh[position].hex(),
                "create_body": received[position].hex(),
                "traffic_keys": show_traffic(keys[position]),
                "created_body": answers[position].hex(),
            }
            for position in range(length)
        ],
        "body_behind_last_hop_blake3": blake3(body).hex(),
    }


def forward(cipher: int, position: int, counter: int) -> dict[str, object]:
    random = Stream(f"qnet vectors forward {cipher} {position} {counter}")
    keys = [layer_keys(random) for _ in range(position + 1)]
    sealers = [ForwardSealer(cipher, key, counter) for key in keys]
    openers = [ForwardOpener(cipher, key, counter) for key in keys]
    if not counter % 65536 and counter:
        for end in (*sealers, *openers):
            end._since = 0
    messages = encode_message(MessageType.DATA, 7, b"to the hop at position %d" % position)
    cell = build_forward(sealers, messages, Filler(random), relay_header(5))
    steps = []
    for opener in openers:
        steps.append(cell.hex())
        onward: list[bytes] = []
        if opener.pass_on(iter([cell]), relay_header(5), onward) is None:
            (cell,) = onward
    return {
        "cipher": cipher,
        "counter": counter,
        "circuit_id": 5,
        "keys": [show(key) for key in keys],
        "messages": messages.hex(),
        "cell_at_each_hop": steps,
    }


def backward(cipher: int, position: int, counter: int) -> dict[str, object]:
    random = Stream(f"qnet vectors backward {cipher} {position} {counter}")
    keys = [layer_keys(random) for _ in range(position + 1)]
    layers = [BackwardLayer(cipher, key, counter) for key in keys]
    speaker = ContentKey(cipher, keys[-1].backward, counter)
    if not counter % 65536 and counter:
        for end in (*layers, speaker):
            end._since = 0
    content = encode_message(MessageType.DATA, 7, b"from the hop at position %d" % position)
    left, right = speaker.seal(content)
    cells = []
    for layer in reversed(layers):
        cell = layer.wrap(left, right, relay_header(5))
        cells.append(cell.hex())
        left, right = cell[8:24], cell[24:]
    return {
        "cipher": cipher,
        "counter": counter,
        "circuit_id": 5,
        "keys": [show(key) for key in keys],
        "content": content.hex(),
        "cells_from_speaker_to_client": cells,
    }


def rekey() -> dict[str, object]:
    random = Stream("qnet vectors rekey")
    root, client, hop = random(32), DhKey(random(32)), DhKey(random(32))
    random = Stream("qnet vectors rekey")
    root, client_private, hop_private = random(32), random(32), random(32)
    keys, new_root = next_keys(root, client.exchange(hop.public), (client.public, hop.public), 3)
    return {
        "root": root.hex(),
        "generation": 3,
        "client_private": client_private.hex(),
        "hop_private": hop_private.hex(),
        "keys": show(keys),
        "new_root": new_root.hex(),
        "ratchet": {"key": root.hex(), "next": ratchet(root).hex()},
    }


def formats() -> dict[str, object]:
    answers = (Answer(bytes([192, 0, 2, 1]), 60), Answer(bytes(15) + b"\x01", 1800))
    messages = {
        "begin": (MessageType.BEGIN, 1, encode_begin("example.com", 443)),
        "connected": (MessageType.CONNECTED, 1, bytes([192, 0, 2, 1])),
        "data": (MessageType.DATA, 65535, b"data"),
        "end_done": (MessageType.END, 1, b"\x00"),
        "end_of_circuit": (MessageType.END, 0, b"\x0d"),
        "resolve": (MessageType.RESOLVE, 2, b"example.com"),
        "resolved": (MessageType.RESOLVED, 2, encode_answers(answers)),
        "credit": (MessageType.CREDIT, 1, (131_072).to_bytes(4, "big")),
        "begin_dir": (MessageType.BEGIN_DIR, 3, b""),
        "padding": (MessageType.PADDING, 0, b"\xff"),
    }
    return {
        "messages": {name: encode_message(*message).hex() for name, message in messages.items()},
        "credit_record": encode_credits([(1, 16), (0x80000001, 2048)])[0].hex(),
        "create_header": encode_header(1, 1, PHASE).hex(),
        "destroy_cell_blake3": blake3(destroy_cell(0x80000001)).hex(),
    }


def make() -> dict[str, dict[str, object]]:
    return {
        "setup.json": {"source": SOURCE, "paths": [setup(1), setup(3)]},
        "forward.json": {
            "source": SOURCE,
            "cells": [
                forward(1, 2, 0),
                forward(2, 2, 41),
                forward(1, 0, 1),
                forward(1, 4, 2),
                forward(1, 1, 65536),
            ],
        },
        "backward.json": {
            "source": SOURCE,
            "cells": [backward(1, 2, 0), backward(2, 2, 9), backward(1, 1, 65536)],
        },
        "rekey.json": {"source": SOURCE, **rekey()},
        "formats.json": {"source": SOURCE, **formats()},
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in make().items():
        (FOLDER / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
