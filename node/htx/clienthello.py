"""ClientHello bytes and their JA4: what an observer on the wire sees first.

Source: RFC 8446, section 4.1.2; JA4 technical details, FoxIO, revision of 2024.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from qnet.codec import Reader
from qnet.errors import DecodeError

MAX_HELLO_BYTES: Final = 65_536
_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME, _SIGNATURE_ALGORITHMS, _ALPN, _SUPPORTED_VERSIONS = 0, 13, 16, 43
_VERSIONS: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10"}


def _is_grease(value: int) -> bool:
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What JA4 needs of a hello; GREASE values are left out.

    Attributes:
        version: highest TLS version offered.
        ciphers: in order.
        extensions: in order.
        signature_algorithms: in order.
        alpn: in order.
        has_server_name: whether SNI is there.
    """

    version: int
    ciphers: tuple[int, ...]
    extensions: tuple[int, ...]
    signature_algorithms: tuple[int, ...]
    alpn: tuple[bytes, ...]
    has_server_name: bool

    def ja4(self) -> str:
        """JA4 of a hello over TCP."""
        first = self.alpn[0] if self.alpn else b"00"
        head = (
            f"t{_VERSIONS.get(self.version, '00')}{'d' if self.has_server_name else 'i'}"
            f"{min(len(self.ciphers), 99):02}{min(len(self.extensions), 99):02}"
            f"{chr(first[0])}{chr(first[-1])}"
        )
        hashed = [item for item in self.extensions if item not in {_SERVER_NAME, _ALPN}]
        extensions = _listed(sorted(hashed))
        if self.signature_algorithms:
            extensions += "_" + _listed(self.signature_algorithms)
        return f"{head}_{_short_hash(_listed(sorted(self.ciphers)))}_{_short_hash(extensions)}"


def _listed(values: list[int] | tuple[int, ...]) -> str:
    return ",".join(f"{value:04x}" for value in values)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


def decode_client_hello(data: bytes) -> ClientHello:
    """Read the ClientHello at the start of a captured TCP stream, from one or more TLS records.

    Raises:
        DecodeError: it is not there, or not whole.
    """
    reader = Reader(_handshake_bytes(data[:MAX_HELLO_BYTES]))
    if reader.u8() != _CLIENT_HELLO:
        raise DecodeError("not a ClientHello")
    body = Reader(reader.take(reader.u24()))
    version = body.u16()
    body.take(32)
    body.take(body.u8())
    ciphers = _u16s(body.take(body.u16()))
    body.take(body.u8())
    extensions: dict[int, bytes] = {}
    block = Reader(body.take(body.u16()))
    body.finish()
    while block.remaining:
        kind = block.u16()
        extensions[kind] = block.take(block.u16())
    offered = (
        _u16s(_sized(extensions[_SUPPORTED_VERSIONS], 1))
        if (_SUPPORTED_VERSIONS in extensions)
        else (version,)
    )
    algorithms = extensions.get(_SIGNATURE_ALGORITHMS)
    return ClientHello(
        version=max(offered, default=0),
        ciphers=ciphers,
        extensions=tuple(kind for kind in extensions if not _is_grease(kind)),
        signature_algorithms=_u16s(_sized(algorithms, 2)) if algorithms else (),
        alpn=_alpn(extensions.get(_ALPN)),
        has_server_name=_SERVER_NAME in extensions,
    )


def _handshake_bytes(data: bytes) -> bytes:
    """Join the payloads of the handshake records at the start of a stream."""
    reader, out = Reader(data), b""
    while reader.remaining >= 5:
        kind = reader.u8()
        reader.u16()
        length = reader.u16()
        if kind != _HANDSHAKE_RECORD:
            break
        out += reader.take(min(length, reader.remaining))
    return out


def _sized(data: bytes, size_bytes: int) -> bytes:
    reader = Reader(data)
    content = reader.take(reader.u8() if size_bytes == 1 else reader.u16())
    reader.finish()
    return content


def _u16s(data: bytes) -> tuple[int, ...]:
    if len(data) % 2:
        raise DecodeError("odd list of 16-bit values")
    values = (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    return tuple(value for value in values if not _is_grease(value))


def _alpn(data: bytes | None) -> tuple[bytes, ...]:
    if data is None:
        return ()
    reader, found = Reader(_sized(data, 2)), []
    while reader.remaining:
        name = reader.take(reader.u8())
        if not name:
            raise DecodeError("empty ALPN name")
        found.append(name)
    return tuple(found)
