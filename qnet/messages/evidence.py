"""Proof that a committee signed two consensuses for one period.

What members sign is the period and the hash, so two statements suffice; the documents are not
needed. Wire: deterministic CBOR map ``{v = 1, chain, committee 20, period, first, second}``, each
statement ``{hash 32, bitmap, sigs}``, the smaller hash first.

Source: docs/spec/directory.md, section Evidence.
"""

from dataclasses import dataclass
from typing import Final, Self

from qnet import cbor
from qnet.crypto.keys import ADDRESS_BYTES, EVM_SIGNATURE_BYTES, keccak256
from qnet.errors import DecodeError
from qnet.messages.consensus import SignedConsensus, TrustSource, consensus_digest
from qnet.messages.fields import U64_MAX, Fields, pack_word
from qnet.messages.trust import MAX_MEMBERS

EVIDENCE_VERSION: Final = 1
MAX_EVIDENCE_BYTES: Final = 36_864
"""Two statements of a committee with every seat taken."""
_KEYS: Final = frozenset({"v", "chain", "committee", "period", "first", "second"})
_STATEMENT_KEYS: Final = frozenset({"hash", "bitmap", "sigs"})
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Statement:
    """A quorum's word for one hash.

    Args:
        hash: of the consensus, 32 bytes.
        bitmap: bit i set for member i.
        signatures: 65 bytes for each set bit, in member order.
    """

    hash: bytes
    bitmap: int
    signatures: bytes

    @classmethod
    def of(cls, signed: SignedConsensus) -> Self:
        """What the signers of a consensus said."""
        return cls(signed.hash, signed.bitmap, signed.signatures)

    def to_map(self) -> dict[str, object]:
        """CBOR map."""
        return {"hash": self.hash, "bitmap": pack_word(self.bitmap), "sigs": self.signatures}

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a CBOR map.

        Raises:
            DecodeError: malformed.
        """
        fields = Fields(value, _STATEMENT_KEYS, "evidence statement")
        return cls(
            fields.octets("hash", _HASH_BYTES),
            fields.word("bitmap"),
            fields.blob("sigs", multiple=EVM_SIGNATURE_BYTES, maximum=MAX_MEMBERS),
        )


@dataclass(frozen=True, slots=True)
class DoubleConsensus:
    """Two statements of one committee about one period.

    Args:
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
        period: valid_after of both, unix seconds.
        first: the one with the smaller hash.
        second: the other.
    """

    chain_id: int
    committee: bytes
    period: int
    first: Statement
    second: Statement

    @classmethod
    def of(cls, one: SignedConsensus, other: SignedConsensus) -> Self:
        """Make the proof from two consensuses of one period, in any order.

        Raises:
            DecodeError: they are of different periods or networks, or the same document.
        """
        a, b = one.consensus, other.consensus
        if (a.chain_id, a.committee, a.valid_after) != (b.chain_id, b.committee, b.valid_after):
            raise DecodeError("evidence: of different periods or networks")
        if one.hash == other.hash:
            raise DecodeError("evidence: the same document twice")
        first, second = sorted((one, other), key=lambda signed: signed.hash)
        return cls(
            a.chain_id, a.committee, a.valid_after, Statement.of(first), Statement.of(second)
        )

    @property
    def digest(self) -> bytes:
        """Names the contradiction, whoever's signatures prove it (32 bytes)."""
        return keccak256(self.period.to_bytes(8, "big") + self.first.hash + self.second.hash)

    @property
    def culprits(self) -> tuple[int, ...]:
        """Numbers of the members who signed both."""
        both = self.first.bitmap & self.second.bitmap
        return tuple(member for member in range(both.bit_length()) if both >> member & 1)

    def verify(self, trust: TrustSource) -> None:
        """Check both quorums.

        Raises:
            DecodeError: of another chain or committee.
            CryptoError: one is not signed by a quorum.
        """
        if (self.chain_id, self.committee) != (trust.chain_id, trust.committee):
            raise DecodeError("evidence: of another chain or committee")
        members = trust.at(self.period)
        for said in (self.first, self.second):
            message = consensus_digest(self.chain_id, self.committee, self.period, said.hash)
            members.check_signatures(message, said.bitmap, said.signatures)

    def encode(self) -> bytes:
        """Wire form."""
        return cbor.dumps(
            {
                "v": EVIDENCE_VERSION,
                "chain": self.chain_id,
                "committee": self.committee,
                "period": self.period,
                "first": self.first.to_map(),
                "second": self.second.to_map(),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a proof; its signatures are not checked.

        Raises:
            DecodeError: malformed, or the hashes are not in order.
        """
        value = cbor.loads(data, max_bytes=MAX_EVIDENCE_BYTES, max_depth=2)
        if not isinstance(value, dict):
            raise DecodeError("evidence: not a map")
        fields = Fields(value, _KEYS, "evidence")
        fields.uint("v", EVIDENCE_VERSION, minimum=EVIDENCE_VERSION)
        evidence = cls(
            fields.uint("chain", U64_MAX, minimum=1),
            fields.octets("committee", ADDRESS_BYTES),
            fields.uint("period", U64_MAX),
            Statement.parse(value["first"]),
            Statement.parse(value["second"]),
        )
        if evidence.first.hash >= evidence.second.hash:
            raise DecodeError("evidence: hashes are equal or not in order")
        return evidence
