"""Keys of an issuance epoch: who makes them, when, and what they are.

Source: docs/spec/payments.md, QN-PAY-001 to 003.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

from ledger.domain.keygen_bundles import KeyRound, RoundId
from ledger.errors import CommitteeSizeError
from qnet.codec import Reader, Writer
from qnet.crypto.dkg_messages import Session
from qnet.crypto.keys import keccak256
from qnet.crypto.points import G2, G2_BYTES
from qnet.crypto.threshold import MAX_MEMBERS, Commitment, Committee, public_share
from qnet.eip712 import qnet_domain
from qnet.errors import DecodeError, LocalProtocolError
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import KEYS, Place
from qnet.messages.trust import NO_SIGNER

WINDOW_MAX_S: Final = 900.0
"""More time for a round gains nothing: a bundle is made and sent in seconds."""
WINDOWS: Final = 16
"""In an epoch: half of it is enough for two attempts in which somebody is silent in each round."""
_CONTEXT: Final = b"qnet keygen session 1\0"


@dataclass(frozen=True)
class EpochKeys:
    """Public keys of an issuance epoch, and what its members' partial signatures verify under.

    Attributes:
        epoch: issuance epoch.
        threshold: t, partial signatures that make one.
        seats: seat of the committee that holds the share of index 1, 2, …; the index is the seat
            plus one unless a seat was given up before.
        commitments: of the eight keys, CR_0 first; t points each.
    """

    epoch: int
    threshold: int
    seats: tuple[int, ...]
    commitments: tuple[Commitment, ...]

    @property
    def keys(self) -> tuple[G2, ...]:
        """The eight public keys, CR_0 first."""
        return tuple(commitment[0] for commitment in self.commitments)

    @cached_property
    def shares(self) -> tuple[tuple[G2, ...], ...]:
        """For each key the public shares of all members, index 1 first.

        A rushing dealer could choose the share of a faulty member, even 0: the identity then
        stands here, which has no encoding, and that member's partials never verify.
        """
        indices = range(1, len(self.seats) + 1)
        return tuple(
            tuple(public_share(commitment, index) for index in indices)
            for commitment in self.commitments
        )

    def share_keys(self, class_: int) -> tuple[G2, ...]:
        """Public shares of all members for the key of a class, index 1 first.

        Args:
            class_: 0 to 6 for credits, 7 for tokens.
        """
        return self.shares[class_]

    def hash(self, place: Place) -> bytes:
        """What is registered on chain, 32 bytes (QN-PAY-003)."""
        return place.keys_hash(self.epoch, [key.encode_eip2537() for key in self.keys])

    def encode(self) -> bytes:
        """``epoch u32 ‖ t u8 ‖ n u8 ‖ n seats u8 ‖ 8·t commitments of 96 bytes``."""
        writer = Writer().u32(self.epoch).u8(self.threshold).u8(len(self.seats))
        writer.take(bytes(self.seats))
        for commitment in self.commitments:
            for point in commitment:
                writer.take(point.encode())
        return writer.bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            DecodeError: malformed.
            PointError: a point may not be used.
        """
        reader = Reader(data)
        epoch, threshold, members = reader.u32(), reader.u8(), reader.u8()
        if not 1 <= threshold <= members <= MAX_MEMBERS:
            raise DecodeError("keys of no committee")
        seats = tuple(reader.take(members))
        commitments = tuple(
            tuple(G2.decode(reader.take(G2_BYTES)) for _ in range(threshold)) for _ in range(KEYS)
        )
        reader.finish()
        return cls(epoch, threshold, seats, commitments)


@dataclass(frozen=True)
class Plan:
    """Who makes the keys of an epoch.

    Args:
        epoch: issuance epoch.
        place: chain and contract.
        signers: signing addresses by seat at the start of the epoch before, zeros for a seat that
            was given up.
    """

    epoch: int
    place: Place
    signers: tuple[bytes, ...]

    @cached_property
    def seats(self) -> tuple[int, ...]:
        """Seats that take part, ascending; the member of index i sits on the i-th."""
        return tuple(seat for seat, signer in enumerate(self.signers) if signer != NO_SIGNER)

    @cached_property
    def roster(self) -> tuple[bytes, ...]:
        """Signing addresses, of index 1 first."""
        return tuple(self.signers[seat] for seat in self.seats)

    @cached_property
    def committee(self) -> Committee:
        """n, f and t = 2f + 1.

        Raises:
            CommitteeSizeError: two quorums of so many members need not share an honest one, or
                there are too many.
        """
        members = len(self.roster)
        faults = max(members - 1, 0) // 3
        try:
            return Committee(members, faults, 2 * faults + 1)
        except LocalProtocolError as error:
            raise CommitteeSizeError(members, error.message) from error

    @cached_property
    def domain(self) -> bytes:
        """EIP-712 domain of PremiumChannels, 32 bytes."""
        return qnet_domain(self.place.chain_id, self.place.channels)

    def index_of(self, address: bytes) -> int | None:
        """Index of a member, from 1; None for who takes no part."""
        return self.roster.index(address) + 1 if address in self.roster else None

    def sessions(self, attempt: int) -> tuple[Session, ...]:
        """Sessions of the eight keys in which everybody deals, begun at an attempt."""
        head = Writer().take(_CONTEXT).take(self.domain).u32(self.epoch).u32(attempt)
        head.take(keccak256(b"".join(self.roster)))
        start = head.bytes()
        return tuple(
            Session.first(keccak256(start + bytes([number])), self.committee)
            for number in range(KEYS)
        )


@dataclass(frozen=True, slots=True)
class Timetable:
    """When the rounds of an epoch's generation are.

    Rounds end early if everybody has spoken: the windows only matter where somebody is silent.

    Args:
        clock: calendar of issuance epochs.
    """

    clock: IssuanceClock

    def begins_at(self, epoch: int) -> int:
        """Unix time from which an epoch's keys are made."""
        return self.clock.bounds(epoch - 1)[0]

    def ends_at(self, epoch: int) -> int:
        """Unix time from which its keys can no more be registered."""
        return self.clock.bounds(epoch)[0]

    def window_s(self, epoch: int) -> float:
        """How long members are waited for in a round."""
        length = self.ends_at(epoch) - self.begins_at(epoch)
        return min(length / WINDOWS, WINDOW_MAX_S)

    def starts_at(self, id_: RoundId) -> float:
        """From when the views of a round's agreement are counted: the earliest it can begin."""
        places = id_.attempt + id_.round - KeyRound.DEALING
        return self.begins_at(id_.epoch) + places * self.window_s(id_.epoch)

    def keys_start_at(self, epoch: int) -> float:
        """The same of the agreement on the keys: after dealing and complaining."""
        return self.starts_at(RoundId(epoch, 0, KeyRound.ANSWERING))

    def patience_s(self, id_: RoundId) -> float:
        """How long a round waits for bundles; the first dealing also for the announcements."""
        windows = 2 if id_.number == KeyRound.DEALING else 1
        return windows * self.window_s(id_.epoch)
