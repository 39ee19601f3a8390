"""Records in JSON: integers as decimal text, 32 bytes as 0x text, lists as arrays of these.

A record's fields are given as a map from name to kind: the bits of an unsigned integer, or one of
the three constants below.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from qnet.errors import DecodeError
from qnet.messages.trust import MAX_MEMBERS

Json: TypeAlias = str | list[str]

OCTETS: Final = 0
"""Kind of a field of 32 bytes."""
U16: Final = 16
U32: Final = 32
U64: Final = 64
U128: Final = 128
U256: Final = 256
U32_LIST: Final = -32
"""Kind of a list of unsigned integers of 32 bits."""
OCTETS_LIST: Final = -1
"""Kind of a list of fields of 32 bytes."""
MAX_LIST: Final = MAX_MEMBERS
"""Most items of a list: one for each seat of a committee."""
_MAX_CHARS: Final = 80
"""2^256 has 78 digits."""
_LISTED: Final[Mapping[int, int]] = {U32_LIST: U32, OCTETS_LIST: OCTETS}
"""Kinds of lists, with those of their items."""


def to_json(record: object, fields: Mapping[str, int]) -> dict[str, Json]:
    """Write the named fields of a record."""
    return {name: _shown(getattr(record, name)) for name in fields}


def from_json(value: object, fields: Mapping[str, int], what: str) -> dict[str, object]:
    """Read what :func:`to_json` wrote.

    Raises:
        DecodeError: fields missing, unknown, out of bounds or not in their one spelling.
    """
    if not isinstance(value, dict) or value.keys() != fields.keys():
        raise DecodeError(f"{what}: not a map of the expected fields")
    return {
        name: _parse_list(value[name], _LISTED[kind], what)
        if kind in _LISTED
        else _parse_field(value[name], kind, what)
        for name, kind in fields.items()
    }


def _shown(value: int | bytes | tuple[int | bytes, ...]) -> Json:
    return [_text(item) for item in value] if isinstance(value, tuple) else _text(value)


def _text(value: int | bytes) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _parse_list(value: object, kind: int, what: str) -> tuple[int | bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise DecodeError(f"{what}: a value is not a short list")
    return tuple(_parse_field(item, kind, what) for item in value)


def _parse_field(text: object, bits: int, what: str) -> int | bytes:
    if not isinstance(text, str) or len(text) > _MAX_CHARS or not text.isascii():
        raise DecodeError(f"{what}: a value is not a short text")
    if bits:
        if not text.isdecimal() or int(text).bit_length() > bits or str(int(text)) != text:
            raise DecodeError(f"{what}: a value is not an unsigned integer of {bits} bits")
        return int(text)
    try:
        octets = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise DecodeError(f"{what}: a value is not hexadecimal") from error
    if len(octets) != 32 or "0x" + octets.hex() != text:
        raise DecodeError(f"{what}: a value is not 32 bytes in lower-case hexadecimal")
    return octets
