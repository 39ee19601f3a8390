"""What a link tells its owner: events in the past tense, and the reasons why links end."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from node.htx.record import RecordType

NODE_ID_BYTES: Final = 32


class CloseReason(IntEnum):
    """Why a link ended; the number is the content of a CLOSE record."""

    DONE = 0
    """The owner has no more use for the link."""
    SHUTDOWN = 1
    """The program stops."""
    IDLE = 2
    """Least recently used link of a full pool."""
    RESOURCES = 3
    """A queue or table is full."""
    PROTOCOL = 4
    """The peer broke a rule; nothing is sent."""
    CRYPTO = 5
    """A record did not open; nothing is sent."""
    TIMEOUT = 6
    """A deadline passed: handshake, rekey answer or health check."""
    SLOW_READER = 7
    """The peer does not take what is queued for it."""
    LOST = 8
    """The connection broke."""
    PIN = 9
    """The certificate is not the one the address names; no ticket was sent."""
    NOT_ADMITTED = 10
    """The server answered like a plain web site."""
    VERSION = 11
    """No common protocol version."""
    UNKNOWN_NODE = 12
    """The peer claims a node id with another link key than that node's."""


class Role(IntEnum):
    """Role of a peer as sent in the third handshake payload."""

    CLIENT = 0
    ENTRY = 1
    RELAY = 2
    MIX = 3
    EXIT = 4


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who is at the other end.

    Attributes:
        role: a `Role`, as claimed by a client or given by the dialled node.
        node_id: 32 bytes, proven by its link key; None for clients.
    """

    role: int
    node_id: bytes | None

    @property
    def is_node(self) -> bool:
        """Whether the peer proved to be a node."""
        return self.node_id is not None


CLIENT: Final = PeerIdentity(Role.CLIENT, None)


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """The inner handshake ended well.

    Attributes:
        peer: who is at the other end.
        version: protocol version both speak.
        features: feature bits both have.
    """

    peer: PeerIdentity
    version: int
    features: int


@dataclass(frozen=True, slots=True)
class CellsReceived:
    """Cells arrived.

    Attributes:
        cells: 2,048 bytes each, in order.
    """

    cells: list[bytes]


@dataclass(frozen=True, slots=True)
class RecordReceived:
    """A record for the owner of the link arrived.

    Attributes:
        kind: PACKETS, CREDIT, RECEIPT, DIR_GET or DIR_DATA.
        content: without padding.
    """

    kind: RecordType
    content: bytes


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The link ended; no event follows.

    Attributes:
        reason: why.
        by_peer: whether the peer sent CLOSE.
    """

    reason: CloseReason
    by_peer: bool = False


LinkEvent = LinkOpened | CellsReceived | RecordReceived | LinkClosed
