"""The vectors of tunnels, made again and taken apart byte by byte as the specification says."""

from struct import Struct

from node.mix.streams.wire import decode_tunnel_frame, decode_tunnel_reply
from tests.node.mix.streams.make_vectors import FILE, text, vector

FORWARD = Struct(">BB16sII16sBH")
BACKWARD = Struct(">BBIII16sIHHH")


def test_the_file_is_what_the_code_makes():
    assert FILE.read_text(encoding="utf-8") == text()


def test_a_frame_of_a_client_by_its_bytes():
    made = vector()
    head = (4, 1 | 2, made["tunnel"], 3, 5, (0b1010).to_bytes(16, "big"), 2)
    messages = made["forward_messages"]
    body = b"".join(made["blocks"]) + messages
    expected = FORWARD.pack(*head, len(messages)) + body
    assert made["forward"] == expected.ljust(2016, b"\0")
    assert decode_tunnel_frame(made["forward"]).messages == messages


def test_frames_of_an_exit_by_their_bytes():
    made = vector()
    messages = made["backward_messages"]
    head = (5, 0, 9, 6, 2, (0b100).to_bytes(16, "big"), 70_000, 13, 2, len(messages))
    assert made["backward"] == (BACKWARD.pack(*head) + messages).ljust(2016, b"\0")
    assert decode_tunnel_reply(made["backward"]).stock == 13
    assert made["gone"] == b"\x05\x08".ljust(2016, b"\0")
