"""Messages inside circuits: `type u8 ‖ stream u16 ‖ length u16 ‖ data`.

A cell carries whole messages; type 0 ends them, what follows it means nothing.

Source: docs/spec/circuits.md, section "Messages".
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from qnet.codec import Reader, Writer
from qnet.errors import DecodeError, LocalProtocolError
from qnet.messages.instruments import OPENING_BYTES, UNIT_BYTES

HEADER_BYTES: Final = 5
MAX_HOST_BYTES: Final = 253
MAX_ANSWERS: Final = 16
MAX_CREDIT_BYTES: Final = (1 << 32) - 1

_HEADER: Final = struct.Struct(">BHH")


class MessageType(IntEnum):
    """Codes of messages; 0 ends the messages of a cell."""

    STOP = 0
    BEGIN = 1
    CONNECTED = 2
    DATA = 3
    END = 4
    RESOLVE = 5
    RESOLVED = 6
    CREDIT = 7
    PAY = 8
    PAY_STATUS = 9
    REKEY = 10
    REKEYED = 11
    REKEY_SWITCH = 12
    BEGIN_DIR = 13
    PADDING = 14


_DATA: Final = int(MessageType.DATA)


class EndReason(IntEnum):
    """Why a stream or a circuit ended; the words people see are these names."""

    DONE = 0
    """Orderly end of one direction of a stream."""
    INTERNAL = 1
    """The node failed in a way that is its own fault."""
    PROTOCOL = 2
    """The hop saw a broken rule or a tag that does not verify."""
    RESOURCE_LIMIT = 3
    """A cap is reached: streams in a circuit, circuits on a link, memory."""
    POLICY = 4
    """The exit's policy refuses the destination, or the node is no exit."""
    RESOLVE_FAILED = 5
    """The name has no address, or the resolver did not answer."""
    CONNECT_REFUSED = 6
    """The destination refused the connection."""
    CONNECT_TIMEOUT = 7
    """No connection within `stream_connect_s`."""
    UNREACHABLE = 8
    """No route to the destination."""
    RESET = 9
    """The connection broke at the side that says so."""
    BUILD_TIMEOUT = 10
    """The next hop did not answer within `circuit_build_s`."""
    IDLE = 11
    """Nothing passed for `circuit_idle_s`."""
    LINK_FAILED = 12
    """No link to the next hop could be opened."""
    LINK_LOST = 13
    """The link to the next hop closed."""
    NEXT_DESTROYED = 14
    """The next hop destroyed the circuit."""
    CIRCUIT_DESTROYED = 16
    """The circuit is gone; said by a core to its own driver."""
    SHUTDOWN = 17
    """The node or the client stops."""
    NAME_NOT_FOUND = 18
    """The name does not exist: the resolver's NXDOMAIN."""


BLAMES_NEXT: Final = frozenset(
    {
        EndReason.BUILD_TIMEOUT,
        EndReason.LINK_FAILED,
        EndReason.LINK_LOST,
        EndReason.NEXT_DESTROYED,
    }
)
"""Reasons by which a hop says that its successor failed."""


class Message(NamedTuple):
    """One message: its type, stream (0 for the circuit itself) and data."""

    kind: MessageType
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One address of a name.

    Args:
        address: 4 or 16 bytes.
        ttl_s: how long it may be kept.
    """

    address: bytes
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Form:
    """What a type of message may look like; sizes of its data in bytes, inclusive."""

    low: int
    high: int
    on_stream: bool
    forward: bool
    backward: bool


_ANY: Final = 65_535
FORMS: Final[dict[int, Form]] = {
    MessageType.BEGIN: Form(3, 2 + MAX_HOST_BYTES, on_stream=True, forward=True, backward=False),
    MessageType.CONNECTED: Form(0, 16, on_stream=True, forward=False, backward=True),
    MessageType.DATA: Form(1, _ANY, on_stream=True, forward=True, backward=True),
    MessageType.RESOLVE: Form(1, MAX_HOST_BYTES, on_stream=True, forward=True, backward=False),
    MessageType.RESOLVED: Form(
        1, 1 + 21 * MAX_ANSWERS, on_stream=True, forward=False, backward=True
    ),
    MessageType.CREDIT: Form(4, 4, on_stream=True, forward=True, backward=True),
    MessageType.PAY: Form(UNIT_BYTES, OPENING_BYTES, on_stream=False, forward=True, backward=False),
    MessageType.PAY_STATUS: Form(5, 5, on_stream=False, forward=False, backward=True),
    MessageType.REKEY: Form(36, 36, on_stream=False, forward=True, backward=False),
    MessageType.REKEYED: Form(36, 36, on_stream=False, forward=False, backward=True),
    MessageType.REKEY_SWITCH: Form(4, 4, on_stream=False, forward=True, backward=False),
    MessageType.BEGIN_DIR: Form(0, 0, on_stream=True, forward=True, backward=False),
    MessageType.PADDING: Form(0, _ANY, on_stream=False, forward=True, backward=True),
}
"""END (one byte, on a stream or, backward only, on the circuit) is checked apart."""


def encode_message(kind: MessageType, stream: int, data: bytes) -> bytes:
    """Return the bytes of one message."""
    return _HEADER.pack(kind, stream, len(data)) + data


def data_header(stream: int, length: int) -> bytes:
    """Return the header of a DATA message."""
    return _HEADER.pack(MessageType.DATA, stream, length)


def sole_data(content: bytes) -> tuple[int, bytes]:
    """Return (stream, data) if the content of a cell is one DATA message; (0, nothing) if not.

    The short way of bulk data: `decode_messages` would say the same of it.
    """
    kind, stream, length = _HEADER.unpack_from(content)
    end = HEADER_BYTES + length
    last = len(content)
    if kind != _DATA or not stream or not length or end > last or (end < last and content[end]):
        return 0, b""
    return stream, content[HEADER_BYTES:end]


def decode_messages(content: bytes, start: int, end: int, *, forward: bool) -> list[Message]:
    """Return the messages that stand in content[start:end].

    Raises:
        DecodeError: an unknown type, a wrong direction, stream or size, or a message that leaves
            its cell.
    """
    found: list[Message] = []
    position = start
    while position < end and content[position]:
        if position + HEADER_BYTES > end:
            raise DecodeError("a message header leaves its cell")
        kind, stream, length = _HEADER.unpack_from(content, position)
        position += HEADER_BYTES
        if position + length > end:
            raise DecodeError("a message leaves its cell")
        _check(kind, stream, length, forward=forward)
        found.append(Message(_TYPES[kind], stream, content[position : position + length]))
        position += length
    return found


_TYPES: Final = {int(kind): kind for kind in MessageType}


def _check(kind: int, stream: int, length: int, *, forward: bool) -> None:
    if kind == MessageType.END:
        if length != 1 or (forward and not stream):
            raise DecodeError("malformed END")
        return
    form = FORMS.get(kind)
    if form is None:
        raise DecodeError(f"unknown message type {kind}")
    if not (form.forward if forward else form.backward):
        raise DecodeError(f"{_TYPES[kind].name} came from the wrong side")
    if not form.low <= length <= form.high or bool(stream) != form.on_stream:
        raise DecodeError(f"malformed {_TYPES[kind].name}")


def encode_begin(host: str, port: int) -> bytes:
    """Data of BEGIN: `port u16 ‖ host`, ASCII (names in IDNA form, or an address).

    Raises:
        LocalProtocolError: the host or port cannot be sent.
    """
    if not 0 < port < 1 << 16:
        raise LocalProtocolError(f"port {port} is out of range")
    return port.to_bytes(2, "big") + encode_host(host)


def decode_begin(data: bytes) -> tuple[str, int]:
    """Return (host, port).

    Raises:
        DecodeError: port 0 or a host that is not printable ASCII.
    """
    reader = Reader(data)
    port = reader.u16()
    if not port:
        raise DecodeError("port 0")
    return decode_host(reader.rest()), port


def encode_host(host: str) -> bytes:
    """Data of RESOLVE: a name in ASCII.

    Raises:
        LocalProtocolError: empty, too long, or not printable ASCII.
    """
    data = host.encode("ascii", "replace")
    if not _is_host(data) or not host.isascii():
        raise LocalProtocolError(f"not a host name: {host[:64]!r}")
    return data


def decode_host(data: bytes) -> str:
    """Return the name.

    Raises:
        DecodeError: it is not printable ASCII of 1 to 253 bytes.
    """
    if not _is_host(data):
        raise DecodeError("not a host name")
    return data.decode("ascii")


def _is_host(data: bytes) -> bool:
    return 0 < len(data) <= MAX_HOST_BYTES and all(0x20 < byte < 0x7F for byte in data)


def encode_answers(answers: tuple[Answer, ...]) -> bytes:
    """Data of RESOLVED: `count u8`, then `length u8 ‖ address ‖ ttl_s u32` each; at most 16."""
    kept = answers[:MAX_ANSWERS]
    writer = Writer().u8(len(kept))
    for answer in kept:
        writer.u8(len(answer.address)).take(answer.address).u32(answer.ttl_s)
    return writer.bytes()


def decode_answers(data: bytes) -> tuple[Answer, ...]:
    """Return the addresses of RESOLVED.

    Raises:
        DecodeError: malformed.
    """
    reader = Reader(data)
    count = reader.u8()
    if count > MAX_ANSWERS:
        raise DecodeError(f"{count} answers")
    answers = []
    for _ in range(count):
        length = reader.u8()
        if length not in {4, 16}:
            raise DecodeError(f"an address of {length} bytes")
        answers.append(Answer(reader.take(length), reader.u32()))
    reader.finish()
    return tuple(answers)


def decode_end(data: bytes) -> EndReason:
    """Return the reason of END; an unknown code reads as INTERNAL."""
    code = int.from_bytes(data, "big")
    return EndReason(code) if code in _REASONS else EndReason.INTERNAL


_REASONS: Final = frozenset(EndReason)


def decode_address(data: bytes) -> bytes:
    """Return the address of CONNECTED: 0, 4 or 16 bytes.

    Raises:
        DecodeError: any other size.
    """
    if len(data) not in {0, 4, 16}:
        raise DecodeError(f"an address of {len(data)} bytes")
    return data
