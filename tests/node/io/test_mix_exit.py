"""The exit of the mixnet joined to real connections; what a tunnel must not reach."""

import asyncio
import secrets
import time
from types import SimpleNamespace

import pytest

from node.circuit.keys.phase import PhaseKeyring
from node.circuit.messages import (
    EndReason,
    MessageType,
    decode_end,
    decode_messages,
    encode_begin,
    encode_message,
)
from node.exit.connector import Connector
from node.exit.limits import ExitLimits
from node.exit.own import OwnAddresses
from node.exit.policy import ExitPolicy
from node.io.mix_exit import MixExitService
from node.mix.address import MailAddress
from node.mix.envelope import open_reply, seal_frame
from node.mix.packet import PAYLOAD_START, Delivery
from node.mix.streams.wire import Flag, Seen, TunnelFrame, decode_tunnel_reply
from node.mix.surb import Surb
from qnet.parameters import NetworkParameters

PHASE = 40
INDEX = 7
PARAMETERS = NetworkParameters.profile("main")


class Mixing:
    """Hands deliveries over and keeps what is handed in."""

    def __init__(self):
        paths = SimpleNamespace(begins_at=lambda index, _phase: index == 1)
        self.live = SimpleNamespace(paths=paths)
        self.packets = asyncio.Queue()

    def serve_own(self, handler):
        self.handler = handler

    def hand_in(self, first_index, packet):
        assert first_index == 1
        self.packets.put_nowait(packet)


class Exit:
    """A service with one tunnel."""

    def __init__(self, group, *, allow_private):
        self.mixing, self.keyring = Mixing(), PhaseKeyring(PHASE)
        connector = Connector(
            ExitPolicy.parse("accept *:*", allow_private=allow_private),
            None,
            lambda: 5.0,
            OwnAddresses((), allow_private=allow_private),
            ExitLimits(),
        )
        self.service = MixExitService(
            self.mixing,
            keyring=self.keyring,
            connector=connector,
            parameters=lambda: PARAMETERS,
            spawn=group.create_task,
            random=secrets.token_bytes,
            now=time.monotonic,
        )
        self.blocks, self.number, self.got = {}, 0, 0
        self.tunnel = secrets.token_bytes(16)

    def say(self, *messages):
        self.number += 1
        blocks = [Surb(PHASE, 1, bytes(240), secrets.token_bytes(32)) for _ in range(3)]
        self.blocks |= {surb.reply_key: surb for surb in blocks}
        address = MailAddress(INDEX, self.keyring.public(PHASE))
        frame = TunnelFrame(
            self.tunnel, Flag(0), self.number, Seen(self.got), b"".join(messages), blocks
        )
        payload = seal_frame(frame.encode(), address.key, secrets.token_bytes)
        self.mixing.handler(Delivery(PHASE, address.delivery_id(PHASE), payload))

    async def hear(self):
        """Messages of the next numbered reply."""
        while True:
            packet = await asyncio.wait_for(self.mixing.packets.get(), 10)
            reply = decode_tunnel_reply(self.open(packet))
            if reply.number == self.got + 1:
                self.got += 1
                return decode_messages(reply.messages, 0, len(reply.messages), forward=False)

    def open(self, packet):
        for key in list(self.blocks):
            try:
                frame = open_reply(packet[PAYLOAD_START:], key)
            except Exception:  # noqa: BLE001 - by another block
                continue
            del self.blocks[key]
            return frame
        raise AssertionError("no block opens it")


def begin(host, port):
    return encode_message(MessageType.BEGIN, 1, encode_begin(host, port))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1", "0.0.0.0"],
)
async def test_private_addresses_are_refused_through_a_tunnel(host):
    async with asyncio.TaskGroup() as group:
        exit_ = Exit(group, allow_private=False)
        exit_.say(begin(host, 80))
        (message,) = await exit_.hear()
        assert message.kind is MessageType.END
        assert decode_end(message.data) is EndReason.POLICY
        exit_.service.close()


async def test_bytes_go_to_the_server_and_back_and_both_ends_close():
    async def echo(reader, writer):
        writer.write(await reader.read(-1))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.TaskGroup() as group:
        exit_ = Exit(group, allow_private=True)
        exit_.say(begin("127.0.0.1", port), encode_message(MessageType.DATA, 1, b"hello"))
        (connected,) = await exit_.hear()
        assert connected.kind is MessageType.CONNECTED
        exit_.say(encode_message(MessageType.END, 1, b"\x00"))
        heard = []
        while not heard or heard[-1].kind is not MessageType.END:
            heard += await exit_.hear()
        assert b"".join(each.data for each in heard if each.kind is MessageType.DATA) == b"hello"
        assert decode_end(heard[-1].data) is EndReason.DONE
        assert exit_.service.core.streams == 0
        exit_.service.tick()
        exit_.service.close()
    server.close()


async def test_a_closed_port_is_said():
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    async with asyncio.TaskGroup() as group:
        exit_ = Exit(group, allow_private=True)
        exit_.say(begin("127.0.0.1", port))
        (message,) = await exit_.hear()
        assert decode_end(message.data) is EndReason.CONNECT_REFUSED
        exit_.service.close()
