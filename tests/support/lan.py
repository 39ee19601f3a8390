"""A machine with one cable: a client's namespace, a network's namespace, and what passes between.

The client's end of the cable is `uplink`; every frame that leaves it is captured at the other end.
"""

import asyncio
import os
import socket
import struct
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.support.dns_server import DnsServer
from tools.bench.network import LocalNetwork, local_network
from tools.bench.place import NAMESPACES, Place

UPLINK, TAP = "uplink", "tap"
GATEWAY, HOME, AWAY = "198.18.0.1", "198.18.0.2", "198.18.7.7"
GATEWAY6, HOME6 = "fd00:18::1", "fd00:18::2"
HOSTS = {
    "entry": "198.19.1.1",
    "relay": "192.0.2.1",
    "exit": "203.0.113.1",
    "hub": "198.51.100.1",
    "web": "203.0.113.80",
    "dns": "203.0.113.53",
}
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_KEPT_BYTES = 256
_BUFFER_BYTES = 32 * 2**20
_CONFIG = Path("/etc/netns")


def unusable():
    """Why there can be no namespaces here; empty when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root"
    if _ip("netns", "add", "qnetprobe", check=False).returncode:
        return "needs the command ip, and the right to add namespaces"
    _ip("netns", "delete", "qnetprobe")
    return ""


def _ip(*words, check=True):
    try:
        return subprocess.run(["ip", *words], capture_output=True, text=True, check=check)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127)
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"ip {' '.join(words)}: {error.stderr}") from error


@dataclass
class Lan:
    """Both ends of the cable."""

    client: Place
    network: Place
    places: dict[str, Place] = field(default_factory=dict)

    def on_client(self, *words):
        """Configure the client's machine."""
        _ip("-n", self.client.namespace, *words)

    def move(self, address=AWAY):
        """Another address, as when a laptop changes its Wi-Fi."""
        self.on_client("address", "flush", "dev", UPLINK, "scope", "global")
        self.on_client("address", "add", f"{address}/16", "dev", UPLINK)
        self.on_client("route", "replace", "default", "via", GATEWAY)

    def unplug(self):
        self.on_client("link", "set", UPLINK, "down")

    def plug(self):
        self.on_client("link", "set", UPLINK, "up")
        self.on_client("route", "replace", "default", "via", GATEWAY)


@contextmanager
def lan():
    """Lay the cable until the context ends."""
    prefix = f"qlan{os.getpid()}"
    client, network = Place(HOME, f"{prefix}-client"), Place(GATEWAY, f"{prefix}-net")
    resolver = _CONFIG / client.namespace / "resolv.conf"
    try:
        for place in (client, network):
            _ip("netns", "add", place.namespace)
            _ip("-n", place.namespace, "link", "set", "lo", "up")
        _ip(
            *("-n", network.namespace, "link", "add", TAP, "type", "veth"),
            *("peer", "name", UPLINK, "netns", client.namespace),
        )
        there = ("-n", network.namespace)
        _ip(*there, "address", "add", f"{GATEWAY}/16", "dev", TAP)
        _ip(*there, "-6", "address", "add", f"{GATEWAY6}/64", "dev", TAP, "nodad")
        _ip(*there, "link", "set", TAP, "up")
        for address in HOSTS.values():
            _ip(*there, "address", "add", f"{address}/32", "dev", "lo")
        made = Lan(client, network)
        made.places = {name: Place(host, network.namespace) for name, host in HOSTS.items()}
        made.on_client("address", "add", f"{HOME}/16", "dev", UPLINK)
        made.on_client("-6", "address", "add", f"{HOME6}/64", "dev", UPLINK, "nodad")
        made.on_client("link", "set", UPLINK, "up")
        made.on_client("route", "add", "default", "via", GATEWAY)
        made.on_client("-6", "route", "add", "default", "via", GATEWAY6)
        resolver.parent.mkdir(parents=True, exist_ok=True)
        resolver.write_text(f"nameserver {GATEWAY}\noptions timeout:1 attempts:1\n")
        yield made
    finally:
        resolver.unlink(missing_ok=True)
        with suppress(OSError):
            resolver.parent.rmdir()
        for place in (client, network):
            if (NAMESPACES / place.namespace).exists():
                _ip("netns", "delete", place.namespace)


@dataclass(frozen=True)
class Packet:
    """What left the client's machine.

    Attributes:
        kind: `tcp`, `udp`, `arp`, `nd` (neighbours and routers of IPv6), or what else it is.
        target: Address and port it goes to.
        flow: Source port with the target; TCP only.
        is_syn: Whether it opens a connection.
        payload: The first bytes that it carries; TCP only.
    """

    kind: str
    target: tuple[str, int] = ("", 0)
    flow: tuple[int, str, int] = (0, "", 0)
    is_syn: bool = False
    payload: bytes = b""


def decode(frame):
    """Read an Ethernet frame."""
    kind = int.from_bytes(frame[12:14], "big")
    body = frame[14:]
    if kind == 0x0806:
        return Packet("arp")
    if kind == 0x86DD:
        protocol, rest, target = body[6], body[40:], socket.inet_ntop(socket.AF_INET6, body[24:40])
        if protocol == 0:  # hop-by-hop options, before reports of multicast groups
            protocol, rest = rest[0], rest[8 * (1 + rest[1]) :]
        if protocol == 58 and (133 <= rest[0] <= 137 or rest[0] == 143):
            return Packet("nd")
        return _transport(protocol, rest, target, len(rest))
    if kind == 0x0800:
        head = 4 * (body[0] & 15)
        target = socket.inet_ntop(socket.AF_INET, body[16:20])
        length = int.from_bytes(body[2:4], "big") or len(body)
        return _transport(body[9], body[head:], target, length - head)
    return Packet(f"ethertype {kind:#06x}")


def _transport(protocol, data, target, length):
    if protocol not in {6, 17}:
        return Packet(f"protocol {protocol}", (target, 0))
    source, port = struct.unpack(">HH", data[:4])
    if protocol == 17:
        return Packet("udp", (target, port))
    offset = 4 * (data[12] >> 4)
    flow = (source, target, port)
    return Packet("tcp", (target, port), flow, bool(data[13] & 2), data[offset : min(length, 256)])


class Capture:
    """Every frame that leaves the client, from now on."""

    def __init__(self, place):
        with place.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._socket.setsockopt(socket.SOL_SOCKET, 33, _BUFFER_BYTES)  # SO_RCVBUFFORCE
            self._socket.bind((TAP, 0))
        self._socket.setblocking(False)  # noqa: FBT003
        self.packets = []

    def __enter__(self):
        asyncio.get_running_loop().add_reader(self._socket, self.read)
        return self

    def __exit__(self, *_):
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def read(self):
        """Take what has arrived."""
        with suppress(BlockingIOError):
            while True:
                frame, address = self._socket.recvfrom(_KEPT_BYTES)
                if address[2] != _PACKET_OUTGOING:
                    self.packets.append(decode(frame))

    @property
    def dropped(self):
        """Frames the kernel could not keep for us, since the last look."""
        told = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        return struct.unpack("II", told)[1]


def leaks(packets, allowed):
    """What is no link: neither TCP to an allowed address, nor talk with neighbours (ARP, ND)."""
    return [
        packet
        for packet in packets
        if packet.kind not in {"arp", "nd"}
        and not (packet.kind == "tcp" and packet.target in allowed)
    ]


def first_bytes(packets):
    """The first bytes of each TCP connection that was opened and sent any."""
    opened, first = set(), []
    for packet in packets:
        if packet.is_syn:
            opened.add(packet.flow)
        elif packet.payload and packet.flow in opened:
            opened.remove(packet.flow)
            first.append(packet.payload)
    return first


def is_client_hello(payload):
    """Whether bytes begin a TLS handshake with a ClientHello (RFC 8446, 4.1.2 and 5.1)."""
    return payload[:1] == b"\x16" and payload[1:3] == b"\x03\x01" and payload[5:6] == b"\x01"


class Files:
    """Serves random bytes, the address it sees, a page of many parts, and half a file."""

    def __init__(self, size):
        self.body = os.urandom(size)
        self.peers = []

    async def root(self, request):
        self.peers.append(request.remote)
        return web.Response(body=self.body)

    async def who(self, request):
        return web.Response(text=f"your address is {request.remote}\n")

    async def page(self, _request):
        pictures = "".join(f"<img src='/?{number}'>" for number in range(12))
        script = "document.title = 'loaded ' + document.images.length"
        html = f"<html><body>{pictures}<script>{script}</script></body></html>"
        return web.Response(text=html, content_type="text/html")

    async def slow(self, request):
        answer = web.StreamResponse(headers={"Content-Length": str(len(self.body))})
        await answer.prepare(request)
        await answer.write(self.body[: len(self.body) // 2])
        await asyncio.sleep(120)
        return answer


@dataclass
class World:
    """A network behind the cable, and a web server and a DNS server of its own.

    Attributes:
        lan: The cable.
        network: Nodes and committee.
        files: The web server's content.
        url: Where the web server is, by a name that only the exits' DNS server knows.
        raw_url: The same by its address.
        questions: What the DNS server of the exits was asked.
        local: What the DNS server of the client's machine was asked.
    """

    lan: Lan
    network: LocalNetwork
    files: Files
    url: str
    raw_url: str
    questions: DnsServer
    local: DnsServer

    @property
    def allowed(self):
        """Addresses of the entries, seeds included."""
        listens = (
            node.listen.rpartition(":") for node in self.network.nodes if node.role == "entry"
        )
        return {(host, int(port)) for host, _, port in listens}

    async def on_client(self, *words, timeout_s=20):
        """Run an application on the client's machine; returns its code and output."""
        process = await asyncio.create_subprocess_exec(
            *self.lan.client.command(*words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(timeout_s):
            out, errors = await process.communicate()
        return process.returncode, out, errors.decode()


@asynccontextmanager
async def lan_world(roles, *, size=2**18):
    """Run a network behind a cable until the context ends."""
    files = Files(size)
    app = web.Application()
    app.add_routes(
        web.get(f"/{name}", handler)
        for name, handler in {
            "": files.root,
            "who": files.who,
            "page": files.page,
            "slow": files.slow,
        }.items()
    )
    loop = asyncio.get_running_loop()
    with lan() as laid:
        records = {"web.test.": (HOSTS["web"],)}
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        listener = laid.places["web"].listener()
        await web.SockSite(runner, listener).start()
        port = listener.getsockname()[1]
        servers = []
        for place in (laid.places["dns"], laid.network):
            with place.inside():
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.bind((place.address, 53))
            servers.append(
                await loop.create_datagram_endpoint(lambda: DnsServer(records, 300), sock=sock)
            )
        (_, questions), (_, local) = servers
        try:
            async with local_network(
                roles, policy="accept *:*", dns=f"{HOSTS['dns']}:53", places=laid.places
            ) as network:
                url, raw_url = f"http://web.test:{port}", f"http://{HOSTS['web']}:{port}"
                yield World(laid, network, files, url, raw_url, questions, local)
        finally:
            for transport, server in servers:
                transport.close()
                await server.close()
            await runner.cleanup()
