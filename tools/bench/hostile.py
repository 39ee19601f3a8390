"""`python -m tools.bench.hostile --home HOME`: a node that keeps to no rule, for attacks.

It is a real node whose core is wrapped: keys, links and setups are in order, and cells that leave
are spoilt as told. A bench or a test tells it over `hostile.sock` in its home; until then it
behaves. Nothing of this is in the node program itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from node import runtime
from node.circuit.actions import Action
from node.circuit.cell import BODY_BYTES, HEADER_BYTES, Command, encode_header
from node.circuit.messages import EndReason
from node.circuit.relay import RelayCore
from node.config import NodeConfig
from node.io.control import ControlServer, call
from node.keys import NodeKeys
from node.process import announce
from node.registration import find_registration
from qnet.errors import UsageError
from tools.bench.node_process import run_node

SOCKET: Final = "hostile.sock"
PULSE_S: Final = 0.02
FLOOD_CELLS: Final = 64
"""Cells of noise for one of a client."""
JUNK_CELLS: Final = 2_000
"""Cells without a circuit, on every link and pulse."""
FOREVER_S: Final = 3_600.0
_COMMAND: Final = 4
_CHANCE: Final = random.SystemRandom()


class Behaviour(StrEnum):
    """What a hostile node does to the RELAY cells that it should send."""

    NONE = "behave"
    DROP = "drop"
    DELAY = "delay"
    REORDER = "reorder"
    DUPLICATE = "duplicate"
    FLIP = "flip"
    FLOOD = "flood"
    JUNK = "junk"
    BLACKHOLE = "blackhole"
    FREEZE = "freeze"
    REFUSE = "refuse"
    STALL = "stall"
    SLOW_CREDIT = "slow-credit"
    MUTE = "mute"
    TRUNCATE = "truncate"
    DIE = "die"


@dataclass(frozen=True, slots=True)
class Spite:
    """How a node misbehaves.

    Attributes:
        behaviour: What it does; `refuse` and `stall` concern setups, `slow-credit` credit, `mute`
            and `truncate` streams that end here, all others cells.
        after: RELAY cells of a circuit in one direction that pass before it begins.
        share: Part of the cells that it spoils from then on.
        seconds: How long it holds cells or credit.
    """

    behaviour: Behaviour = Behaviour.NONE
    after: int = 0
    share: float = 1.0
    seconds: float = FOREVER_S


class HostileCore(RelayCore):
    """A relay's circuits, spoilt on their way out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.spite = Spite()
        self.misdeeds = 0
        self._passed: Counter[bytes] = Counter()
        self._held: dict[int, deque[tuple[float, bytes]]] = {}
        self._swapped: dict[tuple[int, bytes], bytes] = {}
        self._credits: list[tuple[float, tuple[int, bytes]]] = []

    def behave(self, spite: Spite) -> None:
        """Change behaviour; what was held back goes out."""
        self.spite = spite
        self._passed.clear()
        self._swapped.clear()
        for held in self._held.values():
            self._held_until_now(held)
        self._credits = [(0.0, entry) for _, entry in self._credits]

    @staticmethod
    def _held_until_now(held: deque[tuple[float, bytes]]) -> None:
        for place, (_, cell) in enumerate(held):
            held[place] = (0.0, cell)

    # what arrives

    def handle_cells(self, link_id: int, cells: Sequence[bytes], now: float) -> list[Action]:
        """Take cells; setups may be refused or forgotten."""
        kind = self.spite.behaviour
        if kind in {Behaviour.REFUSE, Behaviour.STALL}:
            creates = sum(cell[_COMMAND] == Command.CREATE for cell in cells)
            self.misdeeds += creates
            if kind is Behaviour.STALL:
                cells = [cell for cell in cells if cell[_COMMAND] != Command.CREATE]
            elif creates:
                cells = [
                    cell[:HEADER_BYTES] + bytes(BODY_BYTES)
                    if cell[_COMMAND] == Command.CREATE
                    else cell
                    for cell in cells
                ]
        return super().handle_cells(link_id, cells, now)

    def stream_connected(
        self, circuit: int, stream: int, address: bytes, now: float
    ) -> list[Action]:
        """The destination answered; a mute exit keeps that to itself."""
        if self.spite.behaviour is Behaviour.MUTE:
            self.misdeeds += 1
            found = self._circuits.get(circuit)
            opened = found.ends.outbox.streams.get(stream) if found is not None else None
            if opened is not None:
                opened.is_connected = True  # or the deadline would speak
            return []
        return super().stream_connected(circuit, stream, address, now)

    def stream_data(self, circuit: int, stream: int, data: bytes) -> int:
        """Data of a destination; an exit that truncates says it was all."""
        taken = super().stream_data(circuit, stream, data)
        if self.spite.behaviour is Behaviour.TRUNCATE:
            self.misdeeds += 1
            self.stream_ended(circuit, stream, EndReason.DONE)
        return taken

    # what leaves

    def ready_links(self) -> list[int]:
        """Links with something to send, held cells and noise included."""
        ready = dict.fromkeys(super().ready_links())
        now = time.monotonic()
        ready.update(dict.fromkeys(link for link, held in self._held.items() if _is_due(held, now)))
        if self.spite.behaviour is Behaviour.JUNK:
            ready.update(dict.fromkeys(self._links))
        return list(ready)

    def pull(self, link_id: int, max_cells: int) -> list[bytes]:
        """Return cells to send on a link, spoilt."""
        now = time.monotonic()
        out: list[bytes] = []
        held = self._held.get(link_id)
        while held and _is_due(held, now):
            out.append(held.popleft()[1])
        for cell in super().pull(link_id, max_cells):
            out += self._spoil(link_id, cell, now)
        if self.spite.behaviour is Behaviour.JUNK:
            self.misdeeds += 1
            out += [encode_header(0, Command.PADDING) + bytes(BODY_BYTES)] * JUNK_CELLS
        return out

    def _spoil(self, link_id: int, cell: bytes, now: float) -> list[bytes]:
        spite = self.spite
        if cell[_COMMAND] != Command.RELAY or spite.behaviour not in _SPOILERS:
            return [cell]
        circuit = link_id.to_bytes(8, "big") + cell[:HEADER_BYTES]
        self._passed[circuit] += 1
        if self._passed[circuit] <= spite.after or _CHANCE.random() >= spite.share:
            return [cell]
        self.misdeeds += 1
        if spite.behaviour is Behaviour.DELAY:
            self._held.setdefault(link_id, deque()).append((now + spite.seconds, cell))
            return []
        if spite.behaviour is Behaviour.REORDER:
            return self._swap(link_id, cell)
        return _SPOILERS[spite.behaviour](cell)

    def _swap(self, link_id: int, cell: bytes) -> list[bytes]:
        key = (link_id, cell[:HEADER_BYTES])
        waiting = self._swapped.pop(key, None)
        if waiting is None:
            self._swapped[key] = cell
            return []
        return [cell, waiting]

    def take_credits(self) -> list[tuple[int, bytes]]:
        """Return credit that is due, late if that is what was asked for."""
        due = super().take_credits()
        if self.spite.behaviour is not Behaviour.SLOW_CREDIT and not self._credits:
            return due
        now = time.monotonic()
        wait_s = self.spite.seconds if self.spite.behaviour is Behaviour.SLOW_CREDIT else 0.0
        self.misdeeds += len(due)
        self._credits += [(now + wait_s, entry) for entry in due]
        ready = [entry for at, entry in self._credits if at <= now]
        self._credits = [held for held in self._credits if held[0] > now]
        return ready


def _is_due(held: deque[tuple[float, bytes]], now: float) -> bool:
    return bool(held) and held[0][0] <= now


def _flip(cell: bytes) -> list[bytes]:
    place = _CHANCE.randrange(HEADER_BYTES, len(cell))
    return [cell[:place] + bytes([cell[place] ^ 1 << _CHANCE.randrange(8)]) + cell[place + 1 :]]


def _flood(cell: bytes) -> list[bytes]:
    return [cell, *(cell[:HEADER_BYTES] + os.urandom(BODY_BYTES) for _ in range(FLOOD_CELLS))]


def _freeze(cell: bytes) -> list[bytes]:
    time.sleep(FOREVER_S)
    return [cell]


def _die(cell: bytes) -> list[bytes]:
    del cell
    os._exit(1)


_SPOILERS: Final[Mapping[Behaviour, Callable[[bytes], list[bytes]]]] = {
    Behaviour.DROP: lambda _cell: [],
    Behaviour.BLACKHOLE: lambda _cell: [],
    Behaviour.DUPLICATE: lambda cell: [cell, cell],
    Behaviour.FLIP: _flip,
    Behaviour.FLOOD: _flood,
    Behaviour.FREEZE: _freeze,
    Behaviour.DIE: _die,
    Behaviour.DELAY: lambda cell: [cell],
    Behaviour.REORDER: lambda cell: [cell],
}


# --- telling it -----------------------------------------------------------------------------


async def tell(home: Path, behaviour: Behaviour, *, timeout_s: float = 30.0, **how: float) -> None:
    """Let the hostile node of a home behave like this from now on.

    Args:
        home: Its folder.
        behaviour: What it does.
        timeout_s: How long to wait for its word.
        how: `after`, `share`, `seconds` of `Spite`.

    Raises:
        QnetError: It does not answer.
    """
    await call(home / SOCKET, "behave", timeout_s=timeout_s, behaviour=behaviour.value, **how)


async def misdeeds(home: Path) -> int:
    """How often a hostile node broke a rule."""
    return int((await call(home / SOCKET, "told"))["misdeeds"])


def spite_of(arguments: Mapping[str, Any]) -> Spite:
    """Read what a node is told.

    Raises:
        UsageError: Not a behaviour, or an unknown word.
    """
    words = {name: value for name, value in arguments.items() if name != "behaviour"}
    if not words.keys() <= {field.name for field in fields(Spite)}:
        raise UsageError(f"unknown words: {', '.join(words)}")
    try:
        return replace(Spite(Behaviour(arguments.get("behaviour", ""))), **words)
    except ValueError as error:
        raise UsageError(str(error)) from error


# --- the process ----------------------------------------------------------------------------


async def _serve(home: Path, config: NodeConfig, keys: NodeKeys, stop: asyncio.Event) -> None:
    registration = await find_registration(config, keys.node_id)
    node = runtime.NodeRuntime(home, config, keys, registration)

    def core() -> HostileCore:
        assert isinstance(node.core, HostileCore)
        return node.core

    async def behave(arguments: Mapping[str, Any]) -> Any:
        core().behave(spite_of(arguments))
        return asdict(core().spite)

    async def told(_arguments: Mapping[str, Any]) -> Any:
        return {**asdict(core().spite), "misdeeds": core().misdeeds}

    async def pulse() -> None:
        while True:
            await asyncio.sleep(PULSE_S)
            if core().spite.behaviour is not Behaviour.NONE:
                node.driver.wake()

    def ready(facts: dict[str, Any]) -> None:
        node.spawn(pulse())
        announce(facts)

    control = ControlServer({"behave": behave, "told": told})
    async with control.serve(home / SOCKET):
        await node.run(ready, stop)


def main() -> None:
    """Run the node of a home until SIGTERM."""
    with patch.object(runtime, "RelayCore", HostileCore):
        run_node(_serve, __doc__)


if __name__ == "__main__":
    main()
