"""Records: `length u24 ‖ type u8 ‖ ciphertext ‖ tag 16`, in sizes that say nothing.

The 4-byte header is the associated data. The plaintext is `content_length u16 ‖ content ‖ zeros`.
A record's total is 256 or n x 2,336 bytes, n = 1 to 7, whatever it carries.
"""

from enum import IntEnum
from typing import Final

from qnet.crypto.aead import TAG_BYTES, OpeningKey, SealingKey
from qnet.errors import DecodeError, LocalProtocolError

CELL_BYTES: Final = 2048
CELLS_PER_RECORD: Final = 7
HEADER_BYTES: Final = 4
SMALL_BYTES: Final = 256
UNIT_BYTES: Final = 2336
MAX_RECORD_BYTES: Final = CELLS_PER_RECORD * UNIT_BYTES
SIZES: Final = (SMALL_BYTES, *(n * UNIT_BYTES for n in range(1, CELLS_PER_RECORD + 1)))
_OVERHEAD: Final = HEADER_BYTES + TAG_BYTES + 2
MAX_CONTENT_BYTES: Final = MAX_RECORD_BYTES - _OVERHEAD


class RecordType(IntEnum):
    """What a record carries; an unknown type closes the link."""

    CELLS = 1
    PACKETS = 2
    CREDIT = 3
    PING = 4
    PONG = 5
    PADDING = 6
    KEY_UPDATE = 7
    KEY_SWITCH = 8
    RECEIPT = 9
    DIR_GET = 10
    DIR_DATA = 11
    CLOSE = 12


_KINDS: Final = {int(kind): kind for kind in RecordType}
_WIRE_LENGTHS: Final = frozenset(size - HEADER_BYTES for size in SIZES)
_ZEROS: Final = bytes(MAX_RECORD_BYTES)


def _header(kind: RecordType, total: int) -> bytes:
    return ((total - HEADER_BYTES) << 8 | kind).to_bytes(HEADER_BYTES, "big")


def _cells_frame(count: int) -> tuple[bytes, bytes, bytes]:
    total, content = count * UNIT_BYTES, count * CELL_BYTES
    zeros = bytes(total - _OVERHEAD - content)
    return _header(RecordType.CELLS, total), content.to_bytes(2, "big"), zeros


# header, content length and padding of a CELLS record with n cells; index 0 stands for none
_CELLS: Final = ((b"", b"", b""), *(_cells_frame(n) for n in range(1, CELLS_PER_RECORD + 1)))


def size_for(content_bytes: int) -> int:
    """Return the smallest record that holds so much content.

    Raises:
        LocalProtocolError: no record does.
    """
    if content_bytes <= SMALL_BYTES - _OVERHEAD:
        return SMALL_BYTES
    if content_bytes > MAX_CONTENT_BYTES:
        raise LocalProtocolError(f"{content_bytes} bytes do not fit in a record")
    return -(-(content_bytes + _OVERHEAD) // UNIT_BYTES) * UNIT_BYTES


class RecordSealer:
    """Owns the sending key of one generation and counts what it sealed.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_key", "sealed_bytes")

    def __init__(self, key: bytes) -> None:
        self._key = SealingKey(key)
        self.sealed_bytes = 0

    @property
    def records(self) -> int:
        """Records sealed under this key."""
        return self._key.counter

    def seal(self, kind: RecordType, content: bytes, total: int = 0) -> bytes:
        """Return a record of `total` bytes, or of the smallest size that fits.

        Raises:
            LocalProtocolError: the content does not fit, or the key is used up.
        """
        size = total or size_for(len(content))
        header = _header(kind, size)
        zeros = size - _OVERHEAD - len(content)
        if zeros < 0 or size not in SIZES:
            raise LocalProtocolError("the record has no such size")
        plaintext = b"".join((len(content).to_bytes(2, "big"), content, _ZEROS[:zeros]))
        self.sealed_bytes += size
        return header + self._key.seal(plaintext, header)

    def seal_cells(self, cells: list[bytes]) -> bytes:
        """Return one record with 1 to 7 cells of 2,048 bytes (sizes are the caller's word)."""
        header, length, zeros = _CELLS[len(cells)]
        self.sealed_bytes += len(cells) * UNIT_BYTES
        return header + self._key.seal(b"".join((length, *cells, zeros)), header)


class RecordOpener:
    """Owns the receiving key of one generation.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_key", "opened_bytes")

    def __init__(self, key: bytes) -> None:
        self._key = OpeningKey(key)
        self.opened_bytes = 0

    @property
    def records(self) -> int:
        """Records opened under this key."""
        return self._key.counter

    def open(self, header: bytes, ciphertext: memoryview) -> bytes:
        """Return the plaintext, padding included.

        Raises:
            CryptoError: the record was not sealed with this key and counter.
        """
        self.opened_bytes += HEADER_BYTES + len(ciphertext)
        return self._key.open(ciphertext, header)


def decode_header(header: bytes) -> tuple[RecordType, int]:
    """Return (type, bytes that follow the header).

    Raises:
        DecodeError: unknown type or a size that records do not have.
    """
    kind = _KINDS.get(header[3])
    length = int.from_bytes(header[:3], "big")
    if kind is None or length not in _WIRE_LENGTHS:
        raise DecodeError("not a record header")
    return kind, length


def content_of(plaintext: bytes) -> bytes:
    """Return what a record carries.

    Raises:
        DecodeError: the length points past the end or the padding is not zeros.
    """
    end = 2 + int.from_bytes(plaintext[:2], "big")
    if end > len(plaintext) or not plaintext.endswith(_ZEROS[: len(plaintext) - end]):
        raise DecodeError("malformed record content")
    return plaintext[2:end]


def cells_of(plaintext: bytes) -> list[bytes]:
    """Return the cells of a CELLS record, 1 to 7.

    Raises:
        DecodeError: the content is not n x 2,048 bytes in the record for n cells.
    """
    count = (len(plaintext) + HEADER_BYTES + TAG_BYTES) // UNIT_BYTES
    _, length, zeros = _CELLS[count]
    if not count or plaintext[:2] != length or not plaintext.endswith(zeros):
        raise DecodeError("malformed CELLS record")
    end = 2 + count * CELL_BYTES
    return [plaintext[at : at + CELL_BYTES] for at in range(2, end, CELL_BYTES)]
