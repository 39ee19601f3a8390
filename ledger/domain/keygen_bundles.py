"""What members say in the rounds of a key generation, signed, and what counts as said.

| structure | bytes |
|---|---|
| bundle | epoch u32 ‖ attempt u32 ‖ round u8 ‖ author u8 ‖ length u32 ‖ payload ‖ signature 65 |
| record | count u16 ‖ for each bundle length u32 ‖ bundle, ascending by author and name |

A bundle holds all that its author says about all eight keys in one round, so it is signed once. A
record is a set of bundles that the committee agrees on: the public channel that `qnet.crypto.dkg`
asks for. It may hold two bundles of one author, which then said two different things; what a
payload means is not judged here but in `keygen`, by everybody in the same way.

Source: docs/spec/payments.md, QN-PAY-002.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final, Self

from qnet.codec import Reader, Writer
from qnet.crypto.keys import (
    EVM_SIGNATURE_BYTES,
    ReceiptKey,
    constant_time_equal,
    keccak256,
    recover,
)
from qnet.crypto.threshold import MAX_MEMBERS
from qnet.eip712 import digest
from qnet.errors import CryptoError, DecodeError, LocalProtocolError

MAX_PAYLOAD_BYTES: Final = 1 << 17
"""A dealing of eight keys to 64 members has 76 KB."""
MAX_BUNDLE_BYTES: Final = MAX_PAYLOAD_BYTES + 14 + EVM_SIGNATURE_BYTES
OF_AN_AUTHOR: Final = 2
"""Two different bundles of a member prove that it said two things; more prove no more."""
MAX_BUNDLES: Final = OF_AN_AUTHOR * MAX_MEMBERS
BUNDLE_TYPE: Final = "KeygenBundle(uint32 epoch,uint32 attempt,uint8 round,bytes32 payloadHash)"
RECORD_TYPE: Final = "KeygenRecord(uint32 epoch,uint32 attempt,uint8 round,bytes32 bundlesHash)"


class KeyRound(IntEnum):
    """What members say in a round; on the first one nothing is agreed."""

    ANNOUNCING = 0
    DEALING = 1
    COMPLAINING = 2
    ANSWERING = 3


@dataclass(frozen=True, slots=True)
class RoundId:
    """One round of one attempt to make an epoch's keys.

    Args:
        epoch: issuance epoch, u32.
        attempt: from 0, below 2^30.
        round: of the attempt; only the first attempt has an announcing round.
    """

    epoch: int
    attempt: int
    round: KeyRound

    @property
    def number(self) -> int:
        """Attempt and round in one, as topics of the agreement count."""
        return len(KeyRound) * self.attempt + self.round

    @classmethod
    def of(cls, epoch: int, number: int) -> Self:
        """The round that a topic is about."""
        attempt, round_ = divmod(number, len(KeyRound))
        return cls(epoch, attempt, KeyRound(round_))


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that a member says in a round.

    Args:
        id: the round.
        author: index of the member.
        payload: see `keygen_payloads`.
        signature: EIP-712 ``KeygenBundle`` in the domain of PremiumChannels, 65 bytes.
    """

    id: RoundId
    author: int
    payload: bytes
    signature: bytes

    @classmethod
    def sign(
        cls, key: ReceiptKey, *, domain: bytes, id_: RoundId, author: int, payload: bytes
    ) -> Self:
        """Sign a payload.

        Raises:
            LocalProtocolError: it is longer than anybody takes.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise LocalProtocolError("a bundle is longer than anybody takes")
        return cls(id_, author, payload, key.sign(_bundle_digest(domain, id_, payload)))

    def verify(self, *, domain: bytes, address: bytes) -> None:
        """Check that the bundle is of the member with a signing address.

        Raises:
            CryptoError: it is not.
        """
        signer = recover(_bundle_digest(domain, self.id, self.payload), self.signature)
        if not constant_time_equal(signer, address):
            raise CryptoError

    @property
    def name(self) -> bytes:
        """Hash of all but the signature, 32 bytes: two signatures of one payload say one thing."""
        return keccak256(self._unsigned())

    def encode(self) -> bytes:
        """Wire form."""
        return self._unsigned() + self.signature

    def _unsigned(self) -> bytes:
        writer = Writer().u32(self.id.epoch).u32(self.id.attempt).u8(self.id.round)
        return writer.u8(self.author).u32(len(self.payload)).take(self.payload).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a bundle; `verify` checks it.

        Raises:
            DecodeError: malformed or too long.
        """
        if len(data) > MAX_BUNDLE_BYTES:
            raise DecodeError("a bundle is too long")
        reader = Reader(data)
        epoch, attempt, round_ = reader.u32(), reader.u32(), reader.u8()
        if round_ >= len(KeyRound):
            raise DecodeError("a bundle of no round")
        author, size = reader.u8(), reader.u32()
        payload, signature = reader.take(size), reader.take(EVM_SIGNATURE_BYTES)
        reader.finish()
        return cls(RoundId(epoch, attempt, KeyRound(round_)), author, payload, signature)


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """The bundles that count in a round.

    Args:
        id: the round.
        bundles: ascending by author and name, at most two of an author.
    """

    id: RoundId
    bundles: tuple[Bundle, ...]

    @classmethod
    def of(cls, id_: RoundId, bundles: Iterable[Bundle]) -> Self:
        """Put bundles of a round in order."""
        return cls(id_, tuple(sorted(bundles, key=_order)))

    @property
    def authors(self) -> frozenset[int]:
        """Indices of those who said something."""
        return frozenset(bundle.author for bundle in self.bundles)

    def leaves_out(self, bundle: Bundle) -> bool:
        """Whether a bundle is missing that would tell something new."""
        names = {other.name for other in self.bundles if other.author == bundle.author}
        return bundle.name not in names and len(names) < OF_AN_AUTHOR

    def encode(self) -> bytes:
        """Wire form: the document that is agreed on."""
        writer = Writer().u16(len(self.bundles))
        for bundle in self.bundles:
            wire = bundle.encode()
            writer.u32(len(wire)).take(wire)
        return writer.bytes()

    @classmethod
    def decode(cls, id_: RoundId, document: bytes) -> Self:
        """Read the record of a round.

        Raises:
            DecodeError: malformed, out of order, of another round, or more than two of an author.
        """
        reader = Reader(document)
        count = reader.u16()
        if count > MAX_BUNDLES:
            raise DecodeError("a record holds too many bundles")
        bundles = tuple(Bundle.decode(reader.take(reader.u32())) for _ in range(count))
        reader.finish()
        if any(bundle.id != id_ for bundle in bundles):
            raise DecodeError("a record holds a bundle of another round")
        if any(_order(left) >= _order(right) for left, right in pairwise(bundles)):
            raise DecodeError("a record is out of order")
        if _most_of_one(bundles) > OF_AN_AUTHOR:
            raise DecodeError("a record holds too many bundles of one member")
        return cls(id_, bundles)

    def verify(self, *, domain: bytes, roster: Sequence[bytes]) -> None:
        """Check every signature.

        Args:
            domain: EIP-712 domain of PremiumChannels, 32 bytes.
            roster: signing addresses, of index 1 first.

        Raises:
            CryptoError: a bundle is not its author's.
        """
        for bundle in self.bundles:
            if not 1 <= bundle.author <= len(roster):
                raise CryptoError
            bundle.verify(domain=domain, address=roster[bundle.author - 1])

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 ``KeygenRecord``, which members sign: 32 bytes."""
        values = self.id.epoch, self.id.attempt, int(self.id.round), keccak256(self.encode())
        return digest(domain, RECORD_TYPE, values)


def _order(bundle: Bundle) -> tuple[int, bytes]:
    return bundle.author, bundle.name


def _most_of_one(bundles: Sequence[Bundle]) -> int:
    authors = [bundle.author for bundle in bundles]
    return max((authors.count(author) for author in authors), default=0)


def _bundle_digest(domain: bytes, id_: RoundId, payload: bytes) -> bytes:
    values = id_.epoch, id_.attempt, int(id_.round), keccak256(payload)
    return digest(domain, BUNDLE_TYPE, values)
