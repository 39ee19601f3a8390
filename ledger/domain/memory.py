"""What a member remembers of an agreement over a restart, and its encoding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from ledger.domain.votes import (
    MAX_DOCUMENT_BYTES,
    Certificate,
    Decision,
    certificate_map,
    decode_message,
    encode_message,
    parse_certificate,
)
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.fields import U32_MAX, Fields
from qnet.messages.trust import MAX_MEMBERS

MAX_STATE_BYTES: Final = 4 * MAX_DOCUMENT_BYTES
MAX_DOCUMENTS: Final = MAX_MEMBERS + 4
"""Those the members are locked on, and our own: proposed, voted for, locked, signed."""
_KEYS: Final = frozenset({"view", "voted", "lock", "signed", "decided", "docs"})
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class MemberState:
    """One member's memory of one topic.

    Args:
        view: highest view taken part in.
        voted: digest voted PREPARE for in `view`, if any (32 bytes).
        lock: highest certificate of PREPARE accepted.
        signed: digest signed, if any (32 bytes).
        decided: the outcome, if known.
        documents: by digest, those voted for or locked.
    """

    view: int = 0
    voted: bytes | None = None
    lock: Certificate | None = None
    signed: bytes | None = None
    decided: Decision | None = None
    documents: Mapping[bytes, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Deterministic CBOR."""
        return cbor.dumps(
            {
                "view": self.view,
                "voted": self.voted,
                "lock": certificate_map(self.lock),
                "signed": self.signed,
                "decided": None if self.decided is None else encode_message(self.decided),
                "docs": dict(self.documents),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> "MemberState":
        """Read what :meth:`encode` wrote.

        Raises:
            DecodeError: malformed.
        """
        value = cbor.loads(data, max_bytes=MAX_STATE_BYTES, max_depth=3)
        fields = Fields(value, _KEYS, "agreement state")
        values = cast("dict[str, object]", value)
        decided = None
        if isinstance(values["decided"], bytes):
            message = decode_message(values["decided"])
            if not isinstance(message, Decision):
                raise DecodeError("agreement state: not a decision")
            decided = message
        return cls(
            view=fields.uint("view", U32_MAX),
            voted=_digest(values["voted"]),
            lock=parse_certificate(values["lock"]),
            signed=_digest(values["signed"]),
            decided=decided,
            documents=_documents(fields.mapping("docs", MAX_DOCUMENTS)),
        )


def _digest(value: object) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, bytes) or len(value) != _HASH_BYTES:
        raise DecodeError("agreement state: a digest is not 32 bytes")
    return value


def _documents(value: Mapping[object, object]) -> dict[bytes, bytes]:
    documents: dict[bytes, bytes] = {}
    for digest, document in value.items():
        if not isinstance(digest, bytes) or not isinstance(document, bytes):
            raise DecodeError("agreement state: a document is not bytes")
        documents[digest] = document
    return documents
