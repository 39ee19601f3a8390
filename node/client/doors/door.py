"""What a front door is: a decoder that turns an application's bytes into one request.

SOCKS5, HTTP and DNS each have their own decoder; the engine behind them (`streams`, `names`) is the
same. No sockets here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_address
from typing import Final, Protocol

from node.circuit.messages import MAX_HOST_BYTES, Answer, EndReason
from node.errors import DoorError

MAX_LABEL_BYTES: Final = 255
"""Longest isolation label: a user name of RFC 1929."""

LOCAL_SUFFIXES: Final = ("onion", "i2p", "local", "home.arpa", "internal")
"""Names that mean something to another system or to the local network only.

Source: RFC 6762, RFC 7686, RFC 8375, ICANN resolution 2024.07.29.06.
"""


class Command(Enum):
    """What an application asks for."""

    CONNECT = auto()
    RESOLVE = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """One decoded request.

    Attributes:
        command: CONNECT or RESOLVE.
        host: Host name or address in text, at most 253 bytes of printable ASCII.
        port: TCP port; 0 for RESOLVE.
        label: Isolation label, at most 255 bytes; empty when none was given.
        is_raw_address: Whether the host is an address.
    """

    command: Command
    host: str
    port: int
    label: bytes = b""
    is_raw_address: bool = False


class Door(Protocol):
    """The server's side of one application connection, until it is a tunnel.

    Call `receive` with every chunk and send what it returns; when `request` is set, `leftover`
    holds the first bytes for the destination.
    """

    request: Request | None
    is_tunnel: bool
    """Whether bytes after the request pass unseen; else `forward` judges them."""

    def receive(self, data: bytes) -> bytes:
        """Feed bytes from the application; returns what to send back now.

        Raises:
            DoorError: It is not what this door serves; carries the answer to send.
        """

    def leftover(self) -> bytes:
        """Bytes for the destination that came with the request, handed out once."""

    def forward(self, data: bytes) -> bytes:
        """What of later bytes goes to the destination.

        Raises:
            DoorError: They belong to another request.
        """

    def connected(self) -> bytes:
        """The answer when the exit is connected."""

    def resolved(self, answers: tuple[Answer, ...]) -> bytes:
        """The answer to RESOLVE."""

    def failed(self, reason: EndReason, why: str) -> bytes:
        """The answer when there is no connection."""


def checked_host(name: bytes) -> str:
    """A host as text.

    Raises:
        DoorError: Empty, too long, or not printable ASCII; carries no answer.
    """
    if not 0 < len(name) <= MAX_HOST_BYTES:
        raise DoorError("host name is empty or too long")
    if not all(0x20 < byte < 0x7F for byte in name):
        raise DoorError("host name is not printable ASCII")
    return name.decode("ascii")


def is_address(host: str) -> bool:
    """Whether a host is an IP address in text."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_local_name(host: str) -> bool:
    """Whether no exit can resolve a name, because it belongs to another system or network."""
    name = host.rstrip(".").lower()
    return any(name == suffix or name.endswith("." + suffix) for suffix in LOCAL_SUFFIXES)
