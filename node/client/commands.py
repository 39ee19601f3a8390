"""What a running client answers on its control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from node.client.session import Session
from node.io.control import Handler


class Commands:
    """The handlers of one session, by name.

    Args:
        session: The client.
        stop: Set by `down`.
    """

    def __init__(self, session: Session, stop: asyncio.Event) -> None:
        self._session = session
        self._stop = stop

    def handlers(self) -> dict[str, Handler]:
        """What `ControlServer` serves."""
        return {
            "status": self.status,
            "circuits": self.circuits,
            "rekey": self.rekey,
            "doors": self.doors,
            "down": self.down,
        }

    async def status(self, _arguments: Mapping[str, Any]) -> Any:
        """Everything `qnet client status` shows."""
        doors = self._session.doors
        return {
            **self._session.status(),
            "listeners": doors.rows(),
            "warnings": doors.warnings(),
        }

    async def circuits(self, _arguments: Mapping[str, Any]) -> Any:
        """Open circuits."""
        return self._session.circuits.rows()

    async def rekey(self, _arguments: Mapping[str, Any]) -> Any:
        """Ask every hop of every circuit for fresh keys."""
        circuits = self._session.circuits.open
        for entry in circuits:
            entry.circuit.rekey()
        return {"circuits": len(circuits)}

    async def doors(self, _arguments: Mapping[str, Any]) -> Any:
        """Addresses of the front doors by kind, and the PAC file."""
        doors = self._session.doors
        return {
            **{kind: doors.addresses(kind) for kind in ("socks", "http", "dns")},
            "pac": doors.pac(),
        }

    async def down(self, _arguments: Mapping[str, Any]) -> Any:
        """Stop the client."""
        self._stop.set()
        return {"stopping": True}
