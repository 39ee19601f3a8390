"""Records: `length u24 ‖ type u8 ‖ ciphertext ‖ tag 16`, in sizes that say nothing.

The 4-byte header is the associated data. The plaintext is `content_length u16 ‖ content ‖ zeros`.
A record's total is 256 or n x 2,336 bytes, n = 1 to 7, whatever it carries.

A key object hands out every counter once and cannot be told a nonce, so no (key, nonce) pair
repeats. It makes its cipher when it is first used and drops it on `rest`: 100,000 idle links keep
keys, not ciphers.

Source: docs/spec/htx.md, section "Records"; RFC 8439; NIST SP 800-38D.
"""

import struct
from enum import IntEnum
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from qnet.crypto.aead import MAX_COUNTER, TAG_BYTES
from qnet.errors import CryptoError, DecodeError, LocalProtocolError

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


class RecordCipher(IntEnum):
    """AEADs of records; both ends of a link agree on one in the handshake."""

    CHACHA20_POLY1305 = 0
    AES_256_GCM = 1


class _Aead(Protocol):
    """The one-shot AEADs of `cryptography`."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: memoryview, associated_data: bytes | None) -> bytes: ...


_nonce: Final = struct.Struct("<4xQ").pack


class _RecordKey:
    """The key of one direction in one generation.

    Args:
        key: 32 bytes.
        cipher: what it is used with.
    """

    __slots__ = ("_aead", "_cipher", "_key", "records")

    def __init__(self, key: bytes, cipher: RecordCipher = RecordCipher.CHACHA20_POLY1305) -> None:
        self._key = key
        self._cipher = cipher
        self._aead: _Aead | None = None
        self.records = 0
        """Records sealed or opened under this key, and so the counter of the next one."""

    def _wake(self) -> _Aead:
        aes = self._cipher is RecordCipher.AES_256_GCM
        self._aead = AESGCM(self._key) if aes else ChaCha20Poly1305(self._key)
        return self._aead

    def rest(self) -> None:
        """Drop the cipher until the key is used again; the counter stays."""
        self._aead = None


class RecordSealer(_RecordKey):
    """Owns the sending key of one generation and counts what it sealed.

    Args:
        key: 32 bytes.
        cipher: what it is used with.
    """

    __slots__ = ("sealed_bytes",)

    def __init__(self, key: bytes, cipher: RecordCipher = RecordCipher.CHACHA20_POLY1305) -> None:
        super().__init__(key, cipher)
        self.sealed_bytes = 0

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
        return self._seal(
            header, b"".join((len(content).to_bytes(2, "big"), content, _ZEROS[:zeros]))
        )

    def seal_cells(self, cells: list[bytes]) -> bytes:
        """Return one record with 1 to 7 cells of 2,048 bytes (sizes are the caller's word).

        Raises:
            LocalProtocolError: the key is used up.
        """
        header, length, zeros = _CELLS[len(cells)]
        return self._seal(header, b"".join((length, *cells, zeros)))

    def _seal(self, header: bytes, plaintext: bytes) -> bytes:
        counter = self.records
        if counter >= MAX_COUNTER:
            raise LocalProtocolError("the key is used up")
        self.records = counter + 1
        aead = self._aead or self._wake()
        record = header + aead.encrypt(_nonce(counter), plaintext, header)
        self.sealed_bytes += len(record)
        return record


class RecordOpener(_RecordKey):
    """Owns the receiving key of one generation.

    Args:
        key: 32 bytes.
        cipher: what it is used with.
    """

    __slots__ = ("opened_bytes",)

    def __init__(self, key: bytes, cipher: RecordCipher = RecordCipher.CHACHA20_POLY1305) -> None:
        super().__init__(key, cipher)
        self.opened_bytes = 0

    def open(self, header: bytes, ciphertext: memoryview) -> bytes:
        """Return the plaintext, padding included; a failure leaves the counter as it was.

        Raises:
            CryptoError: the record was not sealed with this key and counter.
        """
        self.opened_bytes += HEADER_BYTES + len(ciphertext)
        aead = self._aead or self._wake()
        try:
            plaintext = aead.decrypt(_nonce(self.records), ciphertext, header)
        except InvalidTag:
            raise CryptoError from None
        self.records += 1
        return plaintext


_HEADERS: Final = {
    _header(kind, size): (kind, size - HEADER_BYTES) for kind in RecordType for size in SIZES
}
"""Every header that a record may have, with what it means."""


def decode_header(header: bytes) -> tuple[RecordType, int]:
    """Return (type, bytes that follow the header).

    Raises:
        DecodeError: unknown type or a size that records do not have.
    """
    meaning = _HEADERS.get(header)
    if meaning is None:
        raise DecodeError("not a record header")
    return meaning


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
