"""One local port that applications connect to: what it keeps apart, and how many it takes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from node.client.doors.door import Request
from node.client.doors.isolation import DEFAULT_ISOLATION, IsolationKey, isolation_key
from node.config import MAX_CONNECTIONS

DoorKind = Literal["socks", "http", "dns"]
RawAddress = Literal["warn", "refuse", "allow"]


@dataclass(slots=True, eq=False)
class Listener:
    """One front door that is open.

    Attributes:
        kind: What it speaks.
        address: Local `host:port`, the listener's name in isolation keys.
        isolate: What its streams are kept apart by.
        raw_address: What happens to destinations that an application resolved itself.
        max_connections: Connections (for DNS: questions) served at once.
        active: Served now.
        accepted: Served so far.
        dropped: Turned away because `max_connections` were active.
    """

    kind: DoorKind
    address: str
    isolate: Collection[str] = DEFAULT_ISOLATION
    raw_address: RawAddress = "warn"
    max_connections: int = MAX_CONNECTIONS
    active: int = 0
    accepted: int = 0
    dropped: int = 0

    def admit(self) -> bool:
        """Take one more, or count it as dropped."""
        if self.active >= self.max_connections:
            self.dropped += 1
            return False
        self.active += 1
        self.accepted += 1
        return True

    def leave(self) -> None:
        """One of those admitted is over."""
        self.active -= 1

    def key(self, request: Request) -> IsolationKey:
        """Which streams may share a circuit with a request."""
        return isolation_key(
            self.address, request.label, request.host, request.port, isolate=self.isolate
        )

    def row(self) -> dict[str, Any]:
        """What status shows."""
        return {
            "kind": self.kind,
            "listen": self.address,
            "isolate": sorted(self.isolate),
            "raw_address": self.raw_address,
            "active": self.active,
            "accepted": self.accepted,
            "dropped": self.dropped,
            "max_connections": self.max_connections,
        }
