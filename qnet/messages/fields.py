"""Strict reading of CBOR maps: every field once, typed and bounded."""

from collections.abc import Sequence
from typing import Final, cast

from qnet.errors import DecodeError

U16_MAX: Final = 0xFFFF
U24_MAX: Final = 0xFFFFFF
U32_MAX: Final = 0xFFFFFFFF
U64_MAX: Final = 0xFFFFFFFFFFFFFFFF
_U64_BYTES: Final = 8
_WORD_BYTES: Final = 32
_PRINTABLE_LOW: Final = 0x20
_PRINTABLE_HIGH: Final = 0x7E


def pack_word(value: int) -> int | bytes:
    """CBOR integers end at 64 bits; larger values are big-endian bytes without leading zeros."""
    return value if value <= U64_MAX else value.to_bytes((value.bit_length() + 7) // 8, "big")


def unpack_word(value: object) -> int | None:
    """Read what :func:`pack_word` writes, up to 256 bits; None if it is anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= U64_MAX else None
    if isinstance(value, bytes) and _U64_BYTES < len(value) <= _WORD_BYTES and value[0]:
        return int.from_bytes(value, "big")
    return None


class Fields:
    """One decoded map whose keys are exactly those expected.

    Args:
        value: what the CBOR decoder returned.
        keys: the names the map must hold, no more and no fewer.
        what: name of the message, for errors.

    Raises:
        DecodeError: not a map, or other keys.
    """

    __slots__ = ("_map", "_what")

    def __init__(self, value: object, keys: frozenset[str], what: str) -> None:
        if not isinstance(value, dict) or value.keys() != keys:
            raise DecodeError(f"{what}: not a map of the expected fields")
        self._map = cast("dict[str, object]", value)
        self._what = what

    def _bad(self, name: str, rule: str) -> DecodeError:
        return DecodeError(f"{self._what}: {name} {rule}")

    def uint(self, name: str, maximum: int, *, minimum: int = 0) -> int:
        """Read an integer within [minimum, maximum]."""
        value = self._map[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._bad(name, "is not an integer")
        if not minimum <= value <= maximum:
            raise self._bad(name, f"is outside [{minimum}, {maximum}]")
        return value

    def word(self, name: str) -> int:
        """Read an integer of up to 256 bits, as :func:`pack_word` writes it."""
        value = unpack_word(self._map[name])
        if value is None:
            raise self._bad(name, "is not an integer of up to 256 bits in its one spelling")
        return value

    def octets(self, name: str, size: int) -> bytes:
        """Read a byte string of exactly `size` bytes."""
        value = self._map[name]
        if not isinstance(value, bytes) or len(value) != size:
            raise self._bad(name, f"is not {size} bytes")
        return value

    def blob(self, name: str, *, multiple: int, maximum: int) -> bytes:
        """Read 1 to `maximum` pieces of `multiple` bytes, joined."""
        value = self._map[name]
        if not isinstance(value, bytes) or not value or len(value) % multiple:
            raise self._bad(name, f"is not a sequence of {multiple}-byte values")
        if len(value) > multiple * maximum:
            raise self._bad(name, f"holds more than {maximum} values")
        return value

    def text(self, name: str, maximum: int, *, minimum: int = 0, lines: bool = False) -> str:
        """Read printable ASCII of `minimum` to `maximum` characters."""
        value = self._map[name]
        if not isinstance(value, str) or not minimum <= len(value) <= maximum:
            raise self._bad(name, f"is not a text of {minimum} to {maximum} characters")
        for char in value:
            if not (_PRINTABLE_LOW <= ord(char) <= _PRINTABLE_HIGH or (lines and char == "\n")):
                raise self._bad(name, "holds characters outside printable ASCII")
        return value

    def items(self, name: str, maximum: int, *, minimum: int = 0) -> Sequence[object]:
        """Read an array of `minimum` to `maximum` items."""
        value = self._map[name]
        if not isinstance(value, list) or not minimum <= len(value) <= maximum:
            raise self._bad(name, f"is not an array of {minimum} to {maximum} items")
        return value

    def uints(self, name: str, count: int, maximum: int) -> tuple[int, ...]:
        """Read 1 to `count` strictly ascending integers of at most `maximum`."""
        values: list[int] = []
        for item in self.items(name, count, minimum=1):
            if not isinstance(item, int) or isinstance(item, bool) or not 0 <= item <= maximum:
                raise self._bad(name, f"holds something else than integers up to {maximum}")
            if values and item <= values[-1]:
                raise self._bad(name, "is not strictly ascending")
            values.append(item)
        return tuple(values)

    def mapping(self, name: str, maximum: int) -> dict[object, object]:
        """Read a map of at most `maximum` entries."""
        value = self._map[name]
        if not isinstance(value, dict) or len(value) > maximum:
            raise self._bad(name, f"is not a map of at most {maximum} entries")
        return cast("dict[object, object]", value)
