"""Changes of the committee, each certified by a quorum of the set before it.

Wire: deterministic CBOR map ``{v = 1, chain, committee 20, from, prev 32, signers, quorum, bitmap,
sigs}``; signed as EIP-712 ``CommitteeChange``.

Source: docs/spec/directory.md, section Trust.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

from qnet import cbor
from qnet.crypto.keys import ADDRESS_BYTES, EVM_SIGNATURE_BYTES, ReceiptKey
from qnet.eip712 import digest, qnet_domain
from qnet.errors import CryptoError, DecodeError
from qnet.messages.errors import CommitteeForkError
from qnet.messages.fields import U16_MAX, U64_MAX, Fields, pack_word
from qnet.messages.trust import MAX_MEMBERS, NO_SIGNER, CommitteeTrust

CHANGE_VERSION: Final = 1
CHANGE_TYPE: Final = (
    "CommitteeChange(uint64 validFrom,bytes32 previous,address[] signers,uint16 quorum)"
)
MAX_CHANGE_BYTES: Final = 24_576
"""A change of a committee with every seat taken."""
MAX_CHANGES: Final = 64
"""Changes in one chain: more than a year of weekly ones."""
_KEYS: Final = frozenset(
    {"v", "chain", "committee", "from", "prev", "signers", "quorum", "bitmap", "sigs"}
)
_HASH_BYTES: Final = 32


class Seat(Protocol):
    """A member as the contract lists it."""

    @property
    def signer(self) -> bytes:
        """Signing address, 20 bytes."""

    @property
    def active_from_s(self) -> int:
        """First unix time at which its signatures count."""

    @property
    def active_until_s(self) -> int:
        """First unix time at which they do not any more; 0 for no end."""


def set_at(seats: Sequence[Seat], time: int, *, chain_id: int, committee: bytes) -> CommitteeTrust:
    """The set of signers at a time, from the contract's list of all seats, past and future.

    The contract changes seats at issuance epochs only and never moves one, so what it says about a
    time that has passed stays as it is.

    Args:
        seats: all seats in order.
        time: unix seconds.
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
    """
    known = [seat for seat in seats if seat.active_from_s <= time]
    signers = tuple(
        NO_SIGNER if seat.active_until_s and seat.active_until_s <= time else seat.signer
        for seat in known
    )
    active = sum(signer != NO_SIGNER for signer in signers)
    return CommitteeTrust(chain_id, committee, signers, least_quorum(active))


def change_times(seats: Sequence[Seat], until: int) -> list[int]:
    """Unix times up to `until` at which the set changed, ascending; not its beginning."""
    first = min((seat.active_from_s for seat in seats), default=0)
    times = {seat.active_from_s for seat in seats} | {seat.active_until_s for seat in seats}
    return sorted(time for time in times if first < time <= until)


def least_quorum(members: int) -> int:
    """Signatures that a committee of so many signing members needs, as the contract counts."""
    faulty = max(members - 1, 0) // 3
    return (members + faulty) // 2 + 1


@dataclass(frozen=True, slots=True)
class CommitteeChange:
    """A new set of signers.

    Args:
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
        valid_from: first unix time whose consensuses the new set signs.
        previous: hash of the set before it, 32 bytes.
        signers: signing addresses in member order; `NO_SIGNER` for former members.
        quorum: signatures the new set needs.
    """

    chain_id: int
    committee: bytes
    valid_from: int
    previous: bytes
    signers: tuple[bytes, ...]
    quorum: int

    @property
    def digest(self) -> bytes:
        """EIP-712 digest that the old set signs, 32 bytes."""
        values = (self.valid_from, self.previous, self.signers, self.quorum)
        return digest(qnet_domain(self.chain_id, self.committee), CHANGE_TYPE, values)

    @property
    def trust(self) -> CommitteeTrust:
        """The new set."""
        return CommitteeTrust(self.chain_id, self.committee, self.signers, self.quorum)


@dataclass(frozen=True, slots=True)
class SignedChange:
    """A change with signatures of the set before it.

    Args:
        change: what was signed.
        bitmap: bit i set for member i of the old set.
        signatures: 65 bytes for each set bit, in member order.
    """

    change: CommitteeChange
    bitmap: int
    signatures: bytes

    def encode(self) -> bytes:
        """Wire form."""
        change = self.change
        return cbor.dumps(
            {
                "v": CHANGE_VERSION,
                "chain": change.chain_id,
                "committee": change.committee,
                "from": change.valid_from,
                "prev": change.previous,
                "signers": b"".join(change.signers),
                "quorum": change.quorum,
                "bitmap": pack_word(self.bitmap),
                "sigs": self.signatures,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a change; its signatures are not checked.

        Raises:
            DecodeError: malformed, out of bounds, or a set that could not agree safely.
        """
        value = cbor.loads(data, max_bytes=MAX_CHANGE_BYTES, max_depth=1)
        fields = Fields(value, _KEYS, "committee change")
        fields.uint("v", CHANGE_VERSION, minimum=CHANGE_VERSION)
        joined = fields.blob("signers", multiple=ADDRESS_BYTES, maximum=MAX_MEMBERS)
        change = CommitteeChange(
            chain_id=fields.uint("chain", U64_MAX, minimum=1),
            committee=fields.octets("committee", ADDRESS_BYTES),
            valid_from=fields.uint("from", U64_MAX, minimum=1),
            previous=fields.octets("prev", _HASH_BYTES),
            signers=tuple(
                joined[start : start + ADDRESS_BYTES]
                for start in range(0, len(joined), ADDRESS_BYTES)
            ),
            quorum=fields.uint("quorum", U16_MAX, minimum=1),
        )
        active = [signer for signer in change.signers if signer != NO_SIGNER]
        if not active or len(set(active)) != len(active):
            raise DecodeError("committee change: no signers, or one twice")
        if not least_quorum(len(active)) <= change.quorum <= len(active):
            raise DecodeError("committee change: a quorum that could not agree safely")
        signatures = fields.blob("sigs", multiple=EVM_SIGNATURE_BYTES, maximum=MAX_MEMBERS)
        return cls(change, fields.word("bitmap"), signatures)


@dataclass(frozen=True, slots=True)
class CommitteeHistory:
    """A set that is trusted and the certified changes since; a source of trust for any period.

    Args:
        start: the set trusted from the beginning.
        changes: certified changes after it, in order.
    """

    start: CommitteeTrust
    changes: tuple[SignedChange, ...] = ()

    @property
    def chain_id(self) -> int:
        """EVM chain id."""
        return self.start.chain_id

    @property
    def committee(self) -> bytes:
        """Committee contract, 20 bytes."""
        return self.start.committee

    @property
    def newest(self) -> CommitteeTrust:
        """The last set."""
        return self.changes[-1].change.trust if self.changes else self.start

    @property
    def valid_from(self) -> int:
        """Unix time from which the last set signs; 0 for the set it starts from."""
        return self.changes[-1].change.valid_from if self.changes else 0

    def at(self, period: int) -> CommitteeTrust:
        """The set that signs the consensus of a period (unix seconds)."""
        for signed in reversed(self.changes):
            if signed.change.valid_from <= period:
                return signed.change.trust
        return self.start

    def extended(self, signed: SignedChange) -> "CommitteeHistory":
        """Add a change that follows the last set.

        Raises:
            DecodeError: of another chain or committee, not after the last one, or too many.
            CryptoError: the last set has not certified it.
        """
        change, last = signed.change, self.newest
        if (change.chain_id, change.committee) != (self.chain_id, self.committee):
            raise DecodeError("committee change: of another chain or committee")
        if change.previous != last.hash or change.valid_from <= self.valid_from:
            raise DecodeError("committee change: does not follow the last set")
        if len(self.changes) >= MAX_CHANGES:
            raise DecodeError(f"more than {MAX_CHANGES} committee changes")
        last.check_signatures(change.digest, signed.bitmap, signed.signatures)
        return CommitteeHistory(self.start, (*self.changes, signed))

    def follow(self, offered: Iterable[SignedChange]) -> "CommitteeHistory":
        """Add those of the offered changes that are new.

        Raises:
            CommitteeForkError: two certified changes follow one set.
            DecodeError: one does not follow.
            CryptoError: one is not certified.
        """
        history = self
        for signed in offered:
            known = history.following(signed.change.previous)
            if known is None:
                if signed.change.previous == history.newest.hash:
                    history = history.extended(signed)
                continue
            if known.change != signed.change and history.certifies(signed):
                raise CommitteeForkError(signed.change.valid_from)
        return history

    def following(self, previous: bytes) -> SignedChange | None:
        """The change that follows the set with this hash (32 bytes), if it is known."""
        return next((one for one in self.changes if one.change.previous == previous), None)

    def certifies(self, signed: SignedChange) -> bool:
        """Whether one of the sets known has signed a change that follows it."""
        sets = (self.start, *(one.change.trust for one in self.changes))
        for trust in sets:
            if trust.hash == signed.change.previous:
                try:
                    trust.check_signatures(signed.change.digest, signed.bitmap, signed.signatures)
                except CryptoError:
                    return False
                return True
        return False


def sign_change(change: CommitteeChange, key: ReceiptKey) -> bytes:
    """A member's 65-byte signature over a change."""
    return key.sign(change.digest)


def encode_changes(changes: Sequence[SignedChange]) -> bytes:
    """Wire form of a chain of changes: a CBOR array of their wire forms."""
    return cbor.dumps([signed.encode() for signed in changes])


def decode_changes(data: bytes) -> tuple[SignedChange, ...]:
    """Read a chain of changes; no signature is checked.

    Raises:
        DecodeError: malformed or too many.
    """
    value = cbor.loads(data, max_bytes=MAX_CHANGES * (MAX_CHANGE_BYTES + 8), max_depth=1)
    if not isinstance(value, list) or len(value) > MAX_CHANGES:
        raise DecodeError("committee changes: not an array of bounded length")
    return tuple(SignedChange.decode(item if isinstance(item, bytes) else b"") for item in value)
