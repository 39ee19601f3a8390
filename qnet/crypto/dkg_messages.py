"""Public messages of the key generation, and the private share a dealer sends a member.

| message | bytes |
|---|---|
| dealing | 1 ‖ session 32 ‖ dealer u8 ‖ t u8 ‖ t commitments of 96 ‖ proof 48 |
| complaint | 2 ‖ session 32 ‖ accuser u8 ‖ dealer u8 |
| answer | 3 ‖ session 32 ‖ dealer u8 ‖ accuser u8 ‖ share 32 |

Messages carry their author's index but no signature: the caller hands over only what it knows
to be that author's, and only what every member gets to see (see `dkg`). A dealing that is well
formed and wrong decodes; `dkg_record` blames its dealer.

Source: Pedersen 1991; Gennaro, Jarecki, Krawczyk and Rabin 1999, figure 1 (joint-Feldman);
draft-irtf-cfrg-bls-signature, section 3.3 (proof of possession).
"""

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from qnet.codec import Reader, Writer
from qnet.crypto.keys import keccak256
from qnet.crypto.points import G1, G1_BYTES, G2, G2_BYTES
from qnet.crypto.scalars import SCALAR_BYTES, Scalar
from qnet.crypto.threshold import MAX_MEMBERS, Commitment, Committee
from qnet.errors import DecodeError, LocalProtocolError

SESSION_BYTES: Final = 32
MAX_DEALING_BYTES: Final = 35 + MAX_MEMBERS * G2_BYTES + G1_BYTES
PROOF_DST: Final = b"QNET-V01-DKG-POP-BLS12381G1_XMD:SHA-256_SSWU_RO_"
"""Another domain than messages have, so no signature ever passes for a proof."""

_DEALING: Final = 1
_COMPLAINT: Final = 2
_ANSWER: Final = 3


@dataclass(frozen=True, slots=True)
class Session:
    """One attempt to make one key.

    Attributes:
        id: 32 bytes that differ for every key, epoch, chain and attempt.
        committee: sizes; all members receive shares and may complain.
        dealers: those who deal, ascending; a blamed dealer is left out of the next attempt.

    Raises:
        LocalProtocolError: the id is not 32 bytes, or the dealers are no ascending members, at
            least n - f.
    """

    id: bytes
    committee: Committee
    dealers: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.id) != SESSION_BYTES:
            raise LocalProtocolError(f"a session's id has {SESSION_BYTES} bytes")
        known = set(self.dealers) <= set(self.committee.indices)
        if not known or list(self.dealers) != sorted(set(self.dealers)):
            raise LocalProtocolError("dealers are members, in ascending order")
        if len(self.dealers) < self.committee.members - self.committee.faults:
            raise LocalProtocolError("fewer dealers than there are honest members")

    @classmethod
    def first(cls, session_id: bytes, committee: Committee) -> Self:
        """Return the first attempt, in which everybody deals."""
        return cls(session_id, committee, tuple(committee.indices))

    def without(self, blamed: set[int]) -> Self | None:
        """Return the next attempt, or None if more than f members would be left out of it."""
        dealers = tuple(each for each in self.dealers if each not in blamed)
        if len(dealers) < self.committee.members - self.committee.faults:
            return None
        return type(self)(keccak256(self.id + bytes(dealers)), self.committee, dealers)


@dataclass(frozen=True, slots=True)
class Dealing:
    """A dealer's commitment to its polynomial, and proof that it knows the constant term.

    Attributes:
        session: id of the attempt, 32 bytes.
        dealer: its index.
        commitment: A_0 … A_{t-1} if it is right, any number up to 64 if not.
        proof: a_0 times the hash of session, dealer and A_0; without it a dealer could take the
            negative of other dealers' keys for its own, or repeat one.
    """

    session: bytes
    dealer: int
    commitment: Commitment
    proof: G1

    def encode(self) -> bytes:
        """Return 83 + 96·t bytes."""
        writer = Writer().u8(_DEALING).take(self.session).u8(self.dealer)
        writer.u8(len(self.commitment))
        for point in self.commitment:
            writer.take(point.encode())
        return writer.take(self.proof.encode()).bytes()


@dataclass(frozen=True, slots=True)
class Complaint:
    """A member says that the share it got does not fit the dealer's commitment."""

    session: bytes
    accuser: int
    dealer: int

    def encode(self) -> bytes:
        """Return 35 bytes."""
        writer = Writer().u8(_COMPLAINT).take(self.session)
        return writer.u8(self.accuser).u8(self.dealer).bytes()


@dataclass(frozen=True, slots=True)
class Answer:
    """A dealer publishes the share that somebody complained about (32 bytes)."""

    session: bytes
    dealer: int
    accuser: int
    share: bytes

    def encode(self) -> bytes:
        """Return 67 bytes."""
        writer = Writer().u8(_ANSWER).take(self.session)
        return writer.u8(self.dealer).u8(self.accuser).take(self.share).bytes()


Message: TypeAlias = Dealing | Complaint | Answer


@dataclass(frozen=True, slots=True, repr=False)
class PrivateShare:
    """What the transport carries from a dealer to one member, encrypted by the transport.

    Attributes:
        sender: the dealer's index.
        receiver: the member's index.
        share: f_sender(receiver), 32 bytes; secret.
    """

    sender: int
    receiver: int
    share: bytes


def decode(data: bytes) -> Message:
    """Read a public message of at most `MAX_DEALING_BYTES`.

    Raises:
        DecodeError: too long, unknown kind, or not exactly one message.
        PointError: a point of a dealing may not be used.
    """
    if len(data) > MAX_DEALING_BYTES:
        raise DecodeError("longer than any message of the key generation")
    reader = Reader(data)
    kind = reader.u8()
    session = reader.take(SESSION_BYTES)
    author, second = reader.u8(), reader.u8()
    message: Message
    if kind == _DEALING:
        if second > MAX_MEMBERS:
            raise DecodeError("more commitments than any committee has members")
        encoded = [reader.take(G2_BYTES) for _ in range(second)]
        proof = reader.take(G1_BYTES)
        reader.finish()
        commitment = tuple(G2.decode(each) for each in encoded)
        return Dealing(session, author, commitment, G1.decode(proof))
    if kind == _COMPLAINT:
        message = Complaint(session, author, second)
    elif kind == _ANSWER:
        message = Answer(session, author, second, reader.take(SCALAR_BYTES))
    else:
        raise DecodeError(f"unknown kind {kind} of message")
    reader.finish()
    return message


def proof_point(session: bytes, dealer: int, key: G2) -> G1:
    """Return the point that a dealer multiplies by a_0 to prove that it knows it."""
    return G1.hash(session + bytes([dealer]) + key.encode(), PROOF_DST)


def prove(session: bytes, dealer: int, secret: Scalar) -> G1:
    """Return the proof of possession of `secret` (a_0) for this session and dealer."""
    return proof_point(session, dealer, G2.generator() * secret) * secret
