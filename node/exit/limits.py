"""Caps of an exit: how much one circuit, or all together, may ask of one destination and of us.

A refusal ends the stream with RESOURCE_LIMIT and is counted by its cause.
"""

from __future__ import annotations

import resource
from collections.abc import Hashable
from typing import Final

from node.errors import ExitLimitError
from node.exit.address import Address

CONNECTIONS: Final = 16_384
"""Connections of one exit, or half of the files the system allows, whichever is less."""

CONNECTIONS_PER_CIRCUIT: Final = 1024
"""Connections of one circuit, with those that only linger."""

CONNECTIONS_PER_DESTINATION: Final = 1024
"""Connections to one address and port: an exit is no means to exhaust a server."""

OPENING: Final = 2048
"""Connections and names of all circuits that are not there yet."""

OPENING_PER_CIRCUIT: Final = 128
"""Such of one circuit: a scan through an exit is slow."""


class Tally:
    """Counts per key, none above a cap.

    Args:
        cause: What a refusal is counted as.
        most: Largest count of one key.
    """

    __slots__ = ("_counts", "_most", "cause", "refused")

    def __init__(self, cause: str, most: int) -> None:
        self.cause = cause
        self._most = most
        self._counts: dict[Hashable, int] = {}
        self.refused = 0

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, key: Hashable) -> int:
        """How many the key has."""
        return self._counts.get(key, 0)

    def take(self, key: Hashable) -> None:
        """Count one more.

        Raises:
            ExitLimitError: The key has as many as it may.
        """
        held = self._counts.get(key, 0)
        if held >= self._most:
            self.refused += 1
            raise ExitLimitError(self.cause)
        self._counts[key] = held + 1

    def give_back(self, key: Hashable) -> None:
        """Count one less."""
        held = self._counts[key] - 1
        if held:
            self._counts[key] = held
        else:
            del self._counts[key]


class ExitLimits:
    """The caps of one exit."""

    __slots__ = ("_circuits", "_destinations", "_everything", "_opening", "_openings")

    def __init__(self) -> None:
        self._everything = Tally("connections_full", connections_allowed())
        self._circuits = Tally("circuit_full", CONNECTIONS_PER_CIRCUIT)
        self._destinations = Tally("destination_full", CONNECTIONS_PER_DESTINATION)
        self._openings = Tally("openings_full", OPENING)
        self._opening = Tally("circuit_opening_full", OPENING_PER_CIRCUIT)

    def start(self, circuit: int) -> None:
        """A circuit begins to open a connection or to ask for a name.

        Raises:
            ExitLimitError: Too many are being opened.
        """
        self._opening.take(circuit)
        try:
            self._openings.take(None)
        except ExitLimitError:
            self._opening.give_back(circuit)
            raise

    def started(self, circuit: int) -> None:
        """What `start` counted has succeeded or failed."""
        self._openings.give_back(None)
        self._opening.give_back(circuit)

    def hold(self, circuit: int) -> None:
        """A circuit takes a connection.

        Raises:
            ExitLimitError: It, or the exit, has too many.
        """
        self._circuits.take(circuit)
        try:
            self._everything.take(None)
        except ExitLimitError:
            self._circuits.give_back(circuit)
            raise

    def let_go(self, circuit: int) -> None:
        """The connection that `hold` counted is over."""
        self._everything.give_back(None)
        self._circuits.give_back(circuit)

    def reach(self, address: Address, port: int) -> None:
        """A connection to a destination is tried.

        Raises:
            ExitLimitError: The destination has too many from this exit.
        """
        self._destinations.take((address, port))

    def leave(self, address: Address, port: int) -> None:
        """The connection, or the try, that `reach` counted is over."""
        self._destinations.give_back((address, port))

    def held(self) -> dict[str, int]:
        """Connections and openings now."""
        return {
            "connections": self._everything.count(None),
            "destinations": len(self._destinations),
            "opening": self._openings.count(None),
        }

    def refusals(self) -> dict[str, int]:
        """Refusals by cause."""
        tallies = (
            self._everything,
            self._circuits,
            self._destinations,
            self._openings,
            self._opening,
        )
        return {tally.cause: tally.refused for tally in tallies}


def connections_allowed() -> int:
    """Connections that leave half of the process's files to everything else."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if files == resource.RLIM_INFINITY else min(CONNECTIONS, files // 2)
