"""The sockets this process holds, as the kernel tells: whom it is connected to, and how.

Linux only: `/proc/self/fd` names the sockets, `/proc/self/net` describes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from node.errors import Stage, StageError

PROCESS: Final = Path("/proc/self")
PROTOCOLS: Final = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "icmp6")
_LINK: Final = "socket:["


@dataclass(frozen=True, slots=True)
class OwnSocket:
    """One socket.

    Attributes:
        protocol: `tcp`, `udp`, `raw` or `icmp`, with 6 for IPv6; `packet` below all of them.
        local: Local address.
        local_port: Local port.
        peer: Address of the other end; the unspecified address for none.
        peer_port: Its port; 0 for none.
    """

    protocol: str
    local: IPv4Address | IPv6Address
    local_port: int
    peer: IPv4Address | IPv6Address
    peer_port: int

    @property
    def has_peer(self) -> bool:
        """Whether it is connected."""
        return not self.peer.is_unspecified

    @property
    def stays_inside(self) -> bool:
        """Whether nothing it sends can leave this machine."""
        end = self.peer if self.has_peer else self.local
        return _plain(end).is_loopback

    @property
    def is_ours(self) -> bool:
        """Whether it may be a link: TCP with a peer."""
        return self.protocol in {"tcp", "tcp6"} and self.has_peer

    @property
    def where(self) -> tuple[str, int]:
        """Address and port of the other end, an IPv4 address in its plain form."""
        return str(_plain(self.peer)), self.peer_port


def own_sockets(process: Path = PROCESS) -> list[OwnSocket]:
    """All network sockets of a process.

    Raises:
        StageError: This system does not tell.
    """
    if not (process / "net" / "tcp").exists():
        why = f"{sys.platform} has no {process}/net"
        raise StageError(Stage.LINK, "this process's sockets cannot be listed", why=why)
    inodes = set(_inodes(process))
    found: list[OwnSocket] = []
    for protocol in PROTOCOLS:
        with suppress(FileNotFoundError):
            found += parse(protocol, (process / "net" / protocol).read_text("ascii"), inodes)
    with suppress(FileNotFoundError):
        found += parse_packet((process / "net" / "packet").read_text("ascii"), inodes)
    return found


def parse(protocol: str, table: str, inodes: Iterable[int]) -> Iterator[OwnSocket]:
    """Read a table of `/proc/net` and keep the sockets with these inodes."""
    wanted = set(inodes)
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[9].isdigit() and int(fields[9]) in wanted:
            yield OwnSocket(protocol, *_end(fields[1]), *_end(fields[2]))


def parse_packet(table: str, inodes: Iterable[int]) -> Iterator[OwnSocket]:
    """Read `/proc/net/packet`: sockets that send whole frames."""
    wanted, nowhere = set(inodes), IPv4Address(0)
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields and fields[-1].isdigit() and int(fields[-1]) in wanted:
            yield OwnSocket("packet", nowhere, 0, nowhere, 0)


def _inodes(process: Path) -> Iterator[int]:
    for entry in (process / "fd").iterdir():
        with suppress(OSError):  # closed in the meantime
            target = str(entry.readlink())
            if target.startswith(_LINK):
                yield int(target.removeprefix(_LINK).removesuffix("]"))


def _end(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    """`0100007F:1F90`: the address as the machine's own 32-bit words, the port in hex."""
    address, _, port = text.partition(":")
    raw = bytes.fromhex(address)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    number = int(port, 16)
    return (IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)), number


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
