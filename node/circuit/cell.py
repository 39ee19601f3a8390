"""Cells: the fixed-size unit of circuits.

A cell is 2,048 bytes: `circuit_id u32 ‖ command u8 ‖ aux 3 ‖ body 2,040`. `aux` holds the key phase
in CREATE and is zero in every other command.

Source: docs/spec/circuits.md, section "Cells".
"""

import struct
from enum import IntEnum
from typing import Final

from qnet.errors import DecodeError, LocalProtocolError

CELL_BYTES: Final = 2048
HEADER_BYTES: Final = 8
BODY_BYTES: Final = CELL_BYTES - HEADER_BYTES
TAG_BYTES: Final = 16
CONTENT_BYTES: Final = BODY_BYTES - TAG_BYTES
"""C in a forward cell, R in a backward cell: 2,024 bytes."""
MAX_CIRCUIT_ID: Final = (1 << 32) - 1
RESPONDER_BIT: Final = 1 << 31
"""Ids chosen by the side that accepted the link have this bit set."""

_HEADER: Final = struct.Struct(">II")
_ZERO_BODY: Final = bytes(BODY_BYTES)


class Command(IntEnum):
    """What a cell is for."""

    CREATE = 1
    CREATED = 2
    RELAY = 3
    DESTROY = 4
    PADDING = 5


COMMANDS: Final = frozenset(Command)


def encode_header(circuit_id: int, command: Command, phase: int = 0) -> bytes:
    """Return the 8 header bytes of a cell."""
    return _HEADER.pack(circuit_id, command << 24 | phase)


def relay_header(circuit_id: int) -> bytes:
    """Return the header of RELAY cells of one circuit."""
    return _HEADER.pack(circuit_id, Command.RELAY << 24)


def decode_header(cell: bytes) -> tuple[int, Command, int]:
    """Return (circuit id, command, phase) of a cell.

    Raises:
        DecodeError: wrong length, unknown command, or `aux` not zero where it must be.
    """
    if len(cell) != CELL_BYTES:
        raise DecodeError(f"a cell has {CELL_BYTES} bytes, not {len(cell)}")
    circuit_id, word = _HEADER.unpack_from(cell)
    command, aux = word >> 24, word & 0xFFFFFF
    if command not in COMMANDS:
        raise DecodeError(f"unknown cell command {command}")
    if aux and command != Command.CREATE:
        raise DecodeError("reserved bytes of a cell are not zero")
    return circuit_id, Command(command), aux


def destroy_cell(circuit_id: int) -> bytes:
    """Return a DESTROY cell; it says nothing but the id."""
    return encode_header(circuit_id, Command.DESTROY) + _ZERO_BODY


class CircuitIds:
    """Hands out the circuit ids of one side of a link.

    An id stays taken until `release`, which its owner calls once DESTROY went both ways.

    Args:
        initiator: whether this side opened the link.
        limit: most ids taken at a time.
    """

    __slots__ = ("_base", "_last", "_limit", "_taken")

    def __init__(self, *, initiator: bool, limit: int) -> None:
        self._base = 0 if initiator else RESPONDER_BIT
        self._last = 0
        self._limit = limit
        self._taken: set[int] = set()

    def __len__(self) -> int:
        return len(self._taken)

    def is_ours(self, circuit_id: int) -> bool:
        """Whether this side of the link chooses such ids."""
        return circuit_id & RESPONDER_BIT == self._base

    def take(self) -> int:
        """Return a free id.

        Raises:
            LocalProtocolError: the link carries as many circuits as allowed.
        """
        if len(self._taken) >= self._limit:
            raise LocalProtocolError("the link carries as many circuits as allowed")
        while True:
            self._last = self._last % (RESPONDER_BIT - 1) + 1
            circuit_id = self._base | self._last
            if circuit_id not in self._taken:
                self._taken.add(circuit_id)
                return circuit_id

    def release(self, circuit_id: int) -> None:
        """Let an id be used again."""
        self._taken.discard(circuit_id)
