"""EIP-712 typed data: what receipts, reports and consensuses are signed as.

A type is written as in the standard, nested types after the main one:
``Mail(Person from,string contents)Person(string name,address wallet)``. Values are given in the
order of the fields, nested structures as sequences; addresses are 20 bytes.

Source: EIP-712.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from qnet.crypto.keys import ADDRESS_BYTES, keccak256
from qnet.errors import LocalProtocolError

Value: TypeAlias = int | bool | bytes | str | Sequence["Value"]

DOMAIN_NAME: Final = "QNet"
DOMAIN_VERSION: Final = "1"
DOMAIN_TYPE: Final = (
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)

_STRUCT: Final = re.compile(r"(\w+)\(([^()]*)\)")
_FIELD: Final = re.compile(r"(\w+)((?:\[\d*\])*) (\w+)")
_INTEGER: Final = re.compile(r"(u?)int(\d{1,3})")
_FIXED_BYTES: Final = re.compile(r"bytes(\d{1,2})")
_ARRAY: Final = re.compile(r"(.+)\[(\d*)\]")


@dataclass(frozen=True, slots=True)
class _Struct:
    """One parsed type: its field types in order and the hash of its encoding."""

    field_types: tuple[str, ...]
    type_hash: bytes


def domain_separator(name: str, version: str, chain_id: int, verifying_contract: bytes) -> bytes:
    """Return the 32-byte hash that binds signatures to one contract on one chain.

    Args:
        name: signing domain, "QNet" for every contract of the project.
        version: major version of the domain.
        chain_id: EIP-155 chain id.
        verifying_contract: 20-byte address.
    """
    return hash_struct(DOMAIN_TYPE, (name, version, chain_id, verifying_contract))


def qnet_domain(chain_id: int, verifying_contract: bytes) -> bytes:
    """Return the domain separator of a contract of this project."""
    return domain_separator(DOMAIN_NAME, DOMAIN_VERSION, chain_id, verifying_contract)


def digest(domain: bytes, type_string: str, values: Sequence[Value]) -> bytes:
    """Return the 32 bytes to sign: keccak256(0x1901 ‖ domain ‖ hashStruct(values)).

    Args:
        domain: 32-byte domain separator.
        type_string: the message's type.
        values: its fields in order.

    Raises:
        LocalProtocolError: the type is malformed or a value does not fit its field.
    """
    return keccak256(b"\x19\x01" + domain + hash_struct(type_string, values))


def hash_struct(type_string: str, values: Sequence[Value]) -> bytes:
    """Return hashStruct of the main type of `type_string` (32 bytes)."""
    main, structs = _parse(type_string)
    return _hash_struct(structs, main, values)


def type_hash(type_string: str) -> bytes:
    """Return typeHash of the main type of `type_string` (32 bytes)."""
    main, structs = _parse(type_string)
    return structs[main].type_hash


@lru_cache(maxsize=128)
def _parse(type_string: str) -> tuple[str, dict[str, _Struct]]:
    """Split a type string into its structures; the first one is the main type."""
    matches = list(_STRUCT.finditer(type_string))
    if not matches or "".join(match.group(0) for match in matches) != type_string:
        raise LocalProtocolError(f"{type_string!r} is not an EIP-712 type")
    sources = {match.group(1): match.group(0) for match in matches}
    fields = {match.group(1): _parse_fields(match.group(2), type_string) for match in matches}
    structs = {}
    for name, types in fields.items():
        used = sorted(_referenced(name, fields) - {name})
        encoded_type = sources[name] + "".join(sources[other] for other in used)
        structs[name] = _Struct(types, keccak256(encoded_type.encode()))
    return matches[0].group(1), structs


def _parse_fields(text: str, type_string: str) -> tuple[str, ...]:
    if not text:
        return ()
    types = []
    for part in text.split(","):
        match = _FIELD.fullmatch(part)
        if match is None:
            raise LocalProtocolError(f"field {part!r} of {type_string!r} is malformed")
        types.append(match.group(1) + match.group(2))
    return tuple(types)


def _referenced(name: str, fields: dict[str, tuple[str, ...]]) -> set[str]:
    """Names of all structures reachable from `name`, itself included."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        bases = (field.split("[", 1)[0] for field in fields[current])
        pending.extend(base for base in bases if base in fields)
    return seen


def _hash_struct(structs: dict[str, _Struct], name: str, values: Sequence[Value]) -> bytes:
    struct = structs[name]
    if len(values) != len(struct.field_types):
        raise LocalProtocolError(
            f"{name} has {len(struct.field_types)} fields, {len(values)} values were given"
        )
    parts = [struct.type_hash]
    parts += [
        _encode(structs, field_type, value)
        for field_type, value in zip(struct.field_types, values, strict=True)
    ]
    return keccak256(b"".join(parts))


def _encode(structs: dict[str, _Struct], kind: str, value: Value) -> bytes:
    """Encode one value as the 32 bytes that stand for it in encodeData."""
    array = _ARRAY.fullmatch(kind)
    if array is not None:
        return _encode_array(structs, array.group(1), array.group(2), value)
    if kind in structs:
        if isinstance(value, int | str | bytes):
            raise _misfit(kind, value)
        return _hash_struct(structs, kind, value)
    if kind == "string" and isinstance(value, str):
        return keccak256(value.encode())
    if kind == "bytes" and isinstance(value, bytes):
        return keccak256(value)
    return _encode_word(kind, value)


def _encode_array(structs: dict[str, _Struct], element: str, length: str, value: Value) -> bytes:
    if isinstance(value, int | str | bytes) or (length and len(value) != int(length)):
        raise _misfit(f"{element}[{length}]", value)
    return keccak256(b"".join(_encode(structs, element, item) for item in value))


def _encode_word(kind: str, value: Value) -> bytes:
    """Encode the types that fit in one word: address, bool, intN, uintN and bytesN."""
    if kind == "address" and isinstance(value, bytes) and len(value) == ADDRESS_BYTES:
        return value.rjust(32, b"\0")
    if kind == "bool" and isinstance(value, bool):
        return int(value).to_bytes(32, "big")
    integer = _INTEGER.fullmatch(kind)
    if integer is not None and isinstance(value, int) and not isinstance(value, bool):
        signed, bits = not integer.group(1), int(integer.group(2))
        low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
        if bits % 8 == 0 and 8 <= bits <= 256 and low <= value < high:
            return value.to_bytes(32, "big", signed=signed)
    fixed = _FIXED_BYTES.fullmatch(kind)
    if fixed is not None and isinstance(value, bytes):
        size = int(fixed.group(1))
        if 1 <= size <= 32 and len(value) == size:
            return value.ljust(32, b"\0")
    raise _misfit(kind, value)


def _misfit(kind: str, value: Value) -> LocalProtocolError:
    return LocalProtocolError(f"a value of type {type(value).__name__} is not a {kind}")
