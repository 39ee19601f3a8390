"""Messages of the agreement, their signatures and their encoding.

Source: docs/spec/agreement.md, section Messages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeAlias

from qnet import cbor
from qnet.codec import Writer
from qnet.crypto.keys import EVM_SIGNATURE_BYTES, ReceiptKey, keccak256, recover
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError, DecodeError
from qnet.messages.consensus import MAX_MEMBERS, CommitteeTrust, join_signatures
from qnet.messages.fields import U32_MAX, Fields, pack_word

MAX_DOCUMENT_BYTES: Final = 16 << 20
"""Largest document members agree on."""
MAX_MESSAGE_BYTES: Final = MAX_DOCUMENT_BYTES + (1 << 16)
_CONTEXT: Final = b"qnet agreement vote 2\0"
_HASH_BYTES: Final = 32


class Kind(IntEnum):
    """What is agreed on."""

    CONSENSUS = 1
    REPORT = 2
    KEYS_ROUND = 3
    KEYS = 4
    CLOSING = 5
    ATTESTATION = 6


class Phase(IntEnum):
    """The two votes before a signature."""

    PREPARE = 1
    LOCK = 2


@dataclass(frozen=True, slots=True)
class Topic:
    """One agreement: exactly one document may ever be signed for it.

    Args:
        kind: consensus, report, a round of a key generation, or its keys.
        period: `valid_after` of a consensus, epoch of a report, issuance epoch of keys.
        attempt: how often a report of the epoch was disabled before; of a round of a key
            generation its number (`ledger.domain.keygen_bundles.RoundId`); 0 for the others.
    """

    kind: Kind
    period: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A quorum of votes of one phase.

    Args:
        phase: of the votes.
        view: in which they were cast.
        digest: of the document, 32 bytes.
        bitmap: bit i set for member i.
        signatures: 65 bytes for each set bit, in member order.
    """

    phase: Phase
    view: int
    digest: bytes
    bitmap: int
    signatures: bytes


@dataclass(frozen=True, slots=True)
class NewView:
    """A member entered a view; it tells its lock, to the leader with the locked document."""

    view: int
    lock: Certificate | None
    document: bytes | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """The leader's document; `justify` is the lock it carries on, if there is one."""

    view: int
    digest: bytes
    document: bytes
    justify: Certificate | None


@dataclass(frozen=True, slots=True)
class Vote:
    """A member's vote of one phase for a document (signature 65 bytes)."""

    phase: Phase
    view: int
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Certified:
    """The leader shows a certificate: of PREPARE to ask for locks, of LOCK for signatures."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Signature:
    """A member's one signature over the document's own digest (65 bytes)."""

    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome: document and a quorum of signatures."""

    digest: bytes
    document: bytes
    bitmap: int
    signatures: bytes


Message: TypeAlias = NewView | Proposal | Vote | Certified | Signature | Decision


def vote_digest(
    trust: CommitteeTrust, topic: Topic, phase: Phase, view: int, digest: bytes
) -> bytes:
    """Bytes a vote signs: bound to chain, committee, topic, view and phase (32 bytes)."""
    return keccak256(
        Writer()
        .take(_CONTEXT)
        .take(qnet_domain(trust.chain_id, trust.committee))
        .u8(topic.kind)
        .u64(topic.period)
        .u32(topic.attempt)
        .u32(view)
        .u8(phase)
        .take(digest)
        .bytes()
    )


def cast_vote(
    key: ReceiptKey, trust: CommitteeTrust, topic: Topic, phase: Phase, view: int, digest: bytes
) -> Vote:
    """Sign a vote."""
    return Vote(phase, view, digest, key.sign(vote_digest(trust, topic, phase, view, digest)))


def is_vote_of(member: int, vote: Vote, trust: CommitteeTrust, topic: Topic) -> bool:
    """Whether `member` signed `vote`."""
    message = vote_digest(trust, topic, vote.phase, vote.view, vote.digest)
    return signed_by(trust.signers[member], message, vote.signature)


def signed_by(address: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a 65-byte signature over a 32-byte digest is of this address."""
    try:
        return recover(message, signature) == address
    except CryptoError:
        return False


def signatures_of(decision: Decision) -> dict[int, bytes]:
    """Member number → 65-byte signature of everybody who signed a decision."""
    members = [n for n in range(decision.bitmap.bit_length()) if decision.bitmap >> n & 1]
    starts = range(0, len(decision.signatures), EVM_SIGNATURE_BYTES)
    parts = [decision.signatures[start : start + EVM_SIGNATURE_BYTES] for start in starts]
    return dict(zip(members, parts, strict=False))


def with_signatures(decision: Decision, parts: Mapping[int, bytes]) -> Decision:
    """The same decision with exactly these signatures."""
    bitmap, signatures = join_signatures(parts)
    return replace(decision, bitmap=bitmap, signatures=signatures)


def make_certificate(votes: Mapping[int, Vote]) -> Certificate:
    """Join a quorum of equal votes."""
    first = next(iter(votes.values()))
    bitmap, signatures = join_signatures({member: vote.signature for member, vote in votes.items()})
    return Certificate(first.phase, first.view, first.digest, bitmap, signatures)


def is_certified(certificate: Certificate, trust: CommitteeTrust, topic: Topic) -> bool:
    """Whether a certificate holds a quorum of votes."""
    message = vote_digest(trust, topic, certificate.phase, certificate.view, certificate.digest)
    try:
        trust.check_signatures(message, certificate.bitmap, certificate.signatures)
    except CryptoError:
        return False
    return True


# ---- encoding --------------------------------------------------------------------------------

_CERTIFICATE_KEYS: Final = frozenset({"phase", "view", "digest", "bitmap", "sigs"})
_MESSAGE_KEYS: Final = {
    "new": frozenset({"t", "view", "lock", "doc"}),
    "propose": frozenset({"t", "view", "digest", "doc", "lock"}),
    "vote": frozenset({"t", "phase", "view", "digest", "sig"}),
    "cert": frozenset({"t", "lock"}),
    "sign": frozenset({"t", "digest", "sig"}),
    "decide": frozenset({"t", "digest", "doc", "bitmap", "sigs"}),
}


def certificate_map(certificate: Certificate | None) -> dict[str, object] | None:
    """CBOR map of a certificate."""
    if certificate is None:
        return None
    return {
        "phase": int(certificate.phase),
        "view": certificate.view,
        "digest": certificate.digest,
        "bitmap": pack_word(certificate.bitmap),
        "sigs": certificate.signatures,
    }


def parse_certificate(value: object) -> Certificate | None:
    """Read a certificate map, or None.

    Raises:
        DecodeError: malformed.
    """
    if value is None:
        return None
    fields = Fields(value, _CERTIFICATE_KEYS, "certificate")
    return Certificate(
        Phase(fields.uint("phase", max(Phase), minimum=min(Phase))),
        fields.uint("view", U32_MAX),
        fields.octets("digest", _HASH_BYTES),
        fields.word("bitmap"),
        fields.blob("sigs", multiple=EVM_SIGNATURE_BYTES, maximum=MAX_MEMBERS),
    )


def encode_message(message: Message) -> bytes:
    """Deterministic CBOR of a message."""
    return cbor.dumps(_to_map(message))


def _to_map(message: Message) -> dict[str, object]:
    match message:
        case NewView(view, lock, document):
            return {"t": "new", "view": view, "lock": certificate_map(lock), "doc": document}
        case Proposal(view, digest, document, justify):
            shown = certificate_map(justify)
            return {"t": "propose", "view": view, "digest": digest, "doc": document, "lock": shown}
        case Vote(phase, view, digest, signature):
            return {
                "t": "vote",
                "phase": int(phase),
                "view": view,
                "digest": digest,
                "sig": signature,
            }
        case Certified(certificate):
            return {"t": "cert", "lock": certificate_map(certificate)}
        case Signature(digest, signature):
            return {"t": "sign", "digest": digest, "sig": signature}
        case Decision(digest, document, bitmap, signatures):
            return {
                "t": "decide",
                "digest": digest,
                "doc": document,
                "bitmap": pack_word(bitmap),
                "sigs": signatures,
            }


def decode_message(data: bytes) -> Message:
    """Read a message, every field bounded.

    Raises:
        DecodeError: malformed or unknown.
    """
    value = cbor.loads(data, max_bytes=MAX_MESSAGE_BYTES, max_depth=3)
    tag = value.get("t") if isinstance(value, dict) else None
    if not isinstance(tag, str) or not isinstance(value, dict) or tag not in _MESSAGE_KEYS:
        raise DecodeError("agreement: unknown message")
    fields = Fields(value, _MESSAGE_KEYS[tag], f"agreement {tag}")
    document = _document(value.get("doc"))
    lock = parse_certificate(value.get("lock"))
    if tag == "new":
        return NewView(fields.uint("view", U32_MAX), lock, document)
    if tag == "cert":
        if lock is None:
            raise DecodeError("agreement cert: no certificate")
        return Certified(lock)
    digest = fields.octets("digest", _HASH_BYTES)
    if tag == "vote":
        phase = Phase(fields.uint("phase", max(Phase), minimum=min(Phase)))
        signature = fields.octets("sig", EVM_SIGNATURE_BYTES)
        return Vote(phase, fields.uint("view", U32_MAX), digest, signature)
    if tag == "sign":
        return Signature(digest, fields.octets("sig", EVM_SIGNATURE_BYTES))
    if document is None:
        raise DecodeError(f"agreement {tag}: no document")
    if tag == "propose":
        return Proposal(fields.uint("view", U32_MAX), digest, document, lock)
    bitmap = fields.word("bitmap")
    signatures = fields.blob("sigs", multiple=EVM_SIGNATURE_BYTES, maximum=MAX_MEMBERS)
    return Decision(digest, document, bitmap, signatures)


def _document(value: object) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, bytes) or len(value) > MAX_DOCUMENT_BYTES:
        raise DecodeError("agreement: document is not a bounded byte string")
    return value
