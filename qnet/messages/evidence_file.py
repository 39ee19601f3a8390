"""The file in which evidence travels to the dispute court.

A committee member's ledger writes such files, anybody can take them to the court. Integers stand
in a file as decimal text, bytes as 0x-hexadecimal, a missing part as null.

Source: docs/spec/disputes.md.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from qnet.errors import DecodeError
from qnet.merkle import MAX_PROOF_HASHES
from qnet.messages.proofs import JAIL_LEAVES, KINDS, Evidence, JailEvidence
from qnet.messages.receipt import Side
from qnet.messages.report import AuditLeaf, EpochReport, LinkLeaf, NodeLeaf

EVIDENCE_SCHEMA: Final = "qnet.evidence/1"
MAX_FILE_BYTES: Final = 1 << 20

_MAX_ITEMS: Final = 4096
_MAX_INTEGER_DIGITS: Final = 78
_HEAD: Final = frozenset({"schema", "chain_id", "court", "kind", "evidence"})


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """Evidence bound to one court.

    Args:
        chain_id: EVM chain id.
        court: DisputeCourt, 20 bytes.
        evidence: what it shows.
    """

    chain_id: int
    court: bytes
    evidence: Evidence

    @property
    def kind(self) -> str:
        """Name of the kind of evidence."""
        return next(name for name, class_ in KINDS.items() if isinstance(self.evidence, class_))

    def encode(self) -> bytes:
        """The file's content."""
        document = {
            "schema": EVIDENCE_SCHEMA,
            "chain_id": str(self.chain_id),
            "court": "0x" + self.court.hex(),
            "kind": self.kind,
            "evidence": _to_json(self.evidence),
        }
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> "EvidenceFile":
        """Read a file; whether the evidence holds is not checked here.

        Raises:
            DecodeError: too long, malformed, or of an unknown kind.
        """
        if len(data) > MAX_FILE_BYTES:
            raise DecodeError("evidence: longer than 1 MiB")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DecodeError("evidence: not JSON") from error
        if not isinstance(document, dict) or document.keys() != _HEAD:
            raise DecodeError("evidence: not a map of the expected fields")
        if document["schema"] != EVIDENCE_SCHEMA:
            raise DecodeError(f"evidence: the schema is not {EVIDENCE_SCHEMA}")
        class_ = KINDS.get(str(document["kind"]))
        if class_ is None:
            raise DecodeError(f"evidence: unknown kind {str(document['kind'])[:20]!r}")
        evidence = _from_json(document["evidence"], class_, "evidence")
        if isinstance(evidence, JailEvidence) and len(evidence.leaves) != JAIL_LEAVES:
            raise DecodeError(f"evidence: {len(evidence.leaves)} leaves instead of {JAIL_LEAVES}")
        court = _octets(document["court"], "court")
        if len(court) != 20:
            raise DecodeError("evidence: the court's address does not have 20 bytes")
        return cls(_integer(document["chain_id"], "chain_id"), court, evidence)


def _to_json(value: object) -> object:
    """Write integers as decimal text, bytes as 0x, records by field name."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int):
        return str(int(value))
    if is_dataclass(value):
        return {item.name: _to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Sequence):
        return [_to_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in evidence")


@cache
def _hints(class_: type) -> dict[str, Any]:
    return get_type_hints(class_)


def _from_json(value: object, kind: Any, where: str) -> Any:
    """Read what `_to_json` wrote as a value of type `kind`."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        inner = next(item for item in get_args(kind) if item is not NoneType)
        return None if value is None else _from_json(value, inner, where)
    if origin is tuple:
        return _items(value, get_args(kind)[0], where)
    if kind in {bytes, int, Side}:
        return _scalar(value, kind, where)
    if kind in {EpochReport, NodeLeaf, LinkLeaf, AuditLeaf}:
        return kind.from_json(value)
    return _record(value, kind, where)


def _scalar(value: object, kind: Any, where: str) -> int | bytes:
    if kind is bytes:
        return _octets(value, where)
    number = _integer(value, where)
    if kind is Side and number not in set(Side):
        raise DecodeError(f"{where}: an unknown side")
    return kind(number)  # type: ignore[no-any-return]


def _record(value: object, kind: Any, where: str) -> Any:
    class_ = get_origin(kind) or kind
    names = [item.name for item in fields(class_)]
    if not isinstance(value, dict) or value.keys() != set(names):
        raise DecodeError(f"{where}: not a map of the expected fields")
    hints = dict(_hints(class_))
    if get_args(kind):
        hints["leaf"] = get_args(kind)[0]
    return class_(**{n: _from_json(value[n], hints[n], f"{where}.{n}") for n in names})


def _items(value: object, kind: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise DecodeError(f"{where}: not a list, or a list that is too long")
    if kind is bytes and (len(value) > MAX_PROOF_HASHES):
        raise DecodeError(f"{where}: a proof of {len(value)} steps")
    found = tuple(_from_json(item, kind, where) for item in value)
    if kind is bytes and any(len(item) != 32 for item in found):
        raise DecodeError(f"{where}: a step of the proof does not have 32 bytes")
    return found


def _integer(value: object, where: str) -> int:
    if (
        not isinstance(value, str)
        or not value.isascii()
        or not value.isdecimal()
        or len(value) > _MAX_INTEGER_DIGITS
        or int(value) >> 256
    ):
        raise DecodeError(f"{where}: not an unsigned integer in decimal text")
    return int(value)


def _octets(value: object, where: str) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise DecodeError(f"{where}: not bytes in hexadecimal")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise DecodeError(f"{where}: not bytes in hexadecimal") from error
