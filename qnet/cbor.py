"""Deterministic CBOR (RFC 8949, section 4.2.1), a strict and bounded subset.

Only unsigned and negative integers, byte and text strings, arrays, maps, booleans and null;
no tags, floats or indefinite lengths. A value has exactly one encoding, so a decoded message
can be hashed and signed again without keeping its bytes.
"""

import cbor2

from qnet.errors import DecodeError

MAX_DEPTH = 8
"""Nesting of arrays and maps accepted by default."""


def dumps(value: object) -> bytes:
    """Encode a value deterministically (shortest forms, map keys in bytewise order).

    Raises:
        TypeError: the value holds a type outside the subset.
        ValueError: an integer beyond 64 bits, or nested too deeply.
    """
    _check(value, MAX_DEPTH + 1)
    return cbor2.dumps(value, canonical=True)


def loads(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> object:
    """Decode one value and insist that it is encoded deterministically.

    Args:
        data: the encoding, nothing before or after it.
        max_bytes: upper bound of `len(data)`, checked before anything is read.
        max_depth: upper bound of the nesting.

    Raises:
        DecodeError: too large, malformed, trailing bytes, a type outside the subset, or any
            encoding but the deterministic one.
    """
    if len(data) > max_bytes:
        raise DecodeError(f"message of {len(data)} bytes exceeds {max_bytes}")
    _scan_depth(data, max_depth)
    try:
        value = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise DecodeError("malformed CBOR") from error
    except (TypeError, KeyError, AttributeError) as error:
        raise DecodeError("malformed CBOR") from error
    try:
        if dumps(value) != data:
            raise DecodeError("CBOR is not in its deterministic form")
    except (ValueError, TypeError, RecursionError, cbor2.CBOREncodeError) as error:
        raise DecodeError("CBOR holds a type that is not allowed") from error
    return value


def _check(value: object, depth: int) -> None:
    if depth <= 0:
        raise ValueError("nested too deeply")
    if value is None or isinstance(value, (bool, bytes, str)):
        return
    if isinstance(value, int):
        if not -(1 << 64) <= value < 1 << 64:
            raise ValueError("integer beyond 64 bits: encode it as bytes")
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            _check(item, depth - 1)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
                raise TypeError(f"map key of type {type(key).__name__}")
            _check(item, depth - 1)
        return
    raise TypeError(f"type {type(value).__name__} has no place in a message")


def _scan_depth(data: bytes, max_depth: int) -> None:  # noqa: C901, PLR0912 - one byte-level scanner
    """Walk the heads once, without recursion, before a recursive decoder sees the bytes."""
    position = 0
    pending = [1]
    size = len(data)
    while pending:
        if pending[-1] == 0:
            pending.pop()
            continue
        pending[-1] -= 1
        if position >= size:
            raise DecodeError("CBOR ends early")
        head = data[position]
        position += 1
        major, info = head >> 5, head & 31
        if info < 24:
            argument = info
        elif info <= 27:
            width = 1 << (info - 24)
            argument = int.from_bytes(data[position : position + width], "big")
            position += width
            if position > size:
                raise DecodeError("CBOR ends early")
        else:
            raise DecodeError("CBOR of indefinite length")
        if major in {2, 3}:
            position += argument
            if position > size:
                raise DecodeError("CBOR ends early")
        elif major in {4, 5}:
            if len(pending) > max_depth:
                raise DecodeError("CBOR nested too deeply")
            count = argument * (major - 3)
            if count > size - position:
                raise DecodeError("CBOR ends early")
            pending.append(count)
        elif major == 6:
            raise DecodeError("CBOR tag")
        elif major == 7 and head not in {0xF4, 0xF5, 0xF6}:
            raise DecodeError("CBOR float or simple value")
    if position != size:
        raise DecodeError("bytes follow the CBOR value")
