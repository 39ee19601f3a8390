"""Makes the test vectors of tunnels: `python -m tests.node.mix.streams.make_vectors`."""

import json

from node.circuit.messages import MessageType, encode_begin, encode_message
from node.mix.streams.wire import Flag, Seen, TunnelFrame, TunnelReply
from node.mix.surb import Surb
from tests.node.circuit.make_vectors import Stream
from tests.node.mix.make_vectors import FOLDER, PHASE, plain

FILE = FOLDER.with_name("mix_streams.json")
SOURCE = "QNet reference implementation, tests/node/mix/streams/make_vectors.py"


def vector():
    """One frame in each direction, with every field in use."""
    random = Stream("vector tunnel")
    tunnel = random(16)
    blocks = [Surb(PHASE, 10, random(240), random(32)) for _ in range(2)]
    begin = encode_message(MessageType.BEGIN, 1, encode_begin("example.org", 443))
    data = encode_message(MessageType.DATA, 1, b"hello")
    forward = TunnelFrame(tunnel, Flag.OPENED | Flag.ASK, 3, Seen(5, 0b1010), begin + data, blocks)
    backward = TunnelReply(Flag(0), 9, 6, Seen(2, 0b100), 70_000, 13, 2, data)
    gone = TunnelReply(Flag.GONE, 0, 0, Seen())
    return {
        "tunnel": tunnel,
        "blocks": [block.encode() for block in blocks],
        "forward_messages": begin + data,
        "forward": forward.encode(),
        "backward_messages": data,
        "backward": backward.encode(),
        "gone": gone.encode(),
    }


def text():
    return json.dumps({"source": SOURCE, **plain(vector())}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
