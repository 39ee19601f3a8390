"""What a running client answers on its control socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from node.client.command.speed import measure_speed
from node.client.session import Session
from node.errors import ControlError, NodeConfigError
from node.io.control import Handler
from qnet.messages.consensus import MAX_CONSENSUS_BYTES


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
            "new": self.new,
            "exits": self.exits,
            "check": self.check,
            "speed": self.speed,
            "down": self.down,
        }

    async def status(self, _arguments: Mapping[str, Any]) -> Any:
        """Everything `qnet client status` shows."""
        doors, mix = self._session.doors, self._session.mix
        return {
            **self._session.status(),
            "mix": mix.status() if mix is not None else None,
            "listeners": doors.rows(),
            "paths": self._session.circuits.rows(),
            "warnings": doors.warnings()
            + self._raw_addresses()
            + self._session.bootstrap.warnings(),
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
        """Addresses of the front doors by kind, the PAC file, and what is wrong with them."""
        doors = self._session.doors
        return {
            **{kind: doors.addresses(kind) for kind in ("socks", "http", "dns")},
            "pac": doors.pac(),
            "warnings": doors.warnings(),
        }

    async def new(self, _arguments: Mapping[str, Any]) -> Any:
        """Fresh circuits for all that follows."""
        return {"retired": self._session.new_identity()}

    async def exits(self, arguments: Mapping[str, Any]) -> Any:
        """All exits, or those of one country; each says whether it admits a port."""
        port, country = _integer(arguments, "port"), arguments.get("country", "")
        if country and not self._session.circuits.choice.atlas.knows_countries:
            raise NodeConfigError(
                "no country of any exit is known",
                why="client.toml names no country_table in [paths]",
                try_=("leave --country out",),
            )
        rows = self._session.circuits.exits(port)
        fitting = [row for row in rows if not country or row["country"] == country]
        return {"port": port, "exits": fitting, **self._session.anonymity()}

    async def check(self, arguments: Mapping[str, Any]) -> Any:
        """Look for leaks."""
        return await self._session.check(str(arguments.get("url", "")))

    async def speed(self, arguments: Mapping[str, Any]) -> Any:
        """Measure circuits of its own."""
        size = min(_integer(arguments, "size"), MAX_CONSENSUS_BYTES)
        within_s = float(_integer(arguments, "within_s"))
        speed = await measure_speed(self._session.circuits, size=size, within_s=within_s)
        return speed.to_json()

    async def down(self, _arguments: Mapping[str, Any]) -> Any:
        """Stop the client."""
        self._stop.set()
        return {"stopping": True}

    def _raw_addresses(self) -> list[str]:
        count = self._session.counts.raw_addresses
        if not count:
            return []
        return [f"{count} requests named an address: a program resolves names itself; use socks5h"]


def _integer(arguments: Mapping[str, Any], name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ControlError(f"control argument {name} is not a natural number")
    return value
