"""Joint-Feldman key generation as a state machine without I/O: one machine makes one key.

    DEALING --close--> COMPLAINING --close--> ANSWERING --close--> ENDED
       in: dealings       in: complaints         in: answers         result
       out: complaints    out: answers

The result is a `KeyShare`, or `Blame`; or a mere `GroupKey` for a member whose complaint never
got onto the public record, and which therefore cannot sign.

Every dealer commits to a polynomial and sends each member its value there; the group's secret is
the sum of the constant terms, which nobody ever holds. A member whose share does not fit
complains in public, the dealer publishes that share. If anybody is to blame, the attempt is
given up and a new one is made without the blamed as dealers (they still receive), so the faulty
can throw away at most f keys, at the price of one blamed member each.

What the caller provides: (1) a public channel that hands every member the same set of messages
for each round, known to be their authors' (a signed log that a quorum closes, or the chain);
(2) private, authenticated delivery of each `PrivateShare`, bound to the session; (3) the clock:
`close_round` when a round's time is over. A caller makes nine keys with nine machines.

A complaint opens one share to everybody. Up to f per dealer are answered; with the f shares that
faulty members have anyway these are 2f, which is below t, so a dealer's secret stays hidden.

The adversary may be rushing, so the key is not perfectly uniform (Gennaro et al. 1999); for BLS
and its discrete-logarithm assumption that loses nothing that matters (Gennaro et al. 2003).

Source: Pedersen 1991; Gennaro, Jarecki, Krawczyk and Rabin 1999 and 2003 (JF-DKG).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from qnet.crypto.dkg_messages import (
    Answer,
    Complaint,
    Dealing,
    Message,
    PrivateShare,
    Session,
    prove,
)
from qnet.crypto.dkg_record import Fault, Record
from qnet.crypto.errors import ScalarError
from qnet.crypto.points import G2
from qnet.crypto.scalars import Scalar, SecretScalar, decode_scalar, encode_scalar
from qnet.crypto.threshold import (
    Commitment,
    Polynomial,
    public_share,
    share_fits,
)
from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.sampling import RandomBytes


class Round(StrEnum):
    """What the public channel carries now."""

    DEALING = "dealing"
    COMPLAINING = "complaining"
    ANSWERING = "answering"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class GroupKey:
    """The public outcome: the same at every honest member.

    Attributes:
        session: the attempt that made it; its dealers are QUAL.
        commitment: sum of the dealers' commitments.
    """

    session: Session
    commitment: Commitment

    @property
    def public(self) -> G2:
        """The key that signatures verify under."""
        return self.commitment[0]

    def public_shares(self) -> dict[int, G2]:
        """X_i of every member, by index.

        A rushing dealer can choose the share of a faulty member, even 0; the identity then
        stands here and no partial of that member ever verifies.
        """
        return {
            index: public_share(self.commitment, index) for index in self.session.committee.indices
        }


@dataclass(frozen=True, slots=True)
class KeyShare:
    """A member's part of a finished key.

    Attributes:
        index: the member.
        group: what everybody knows.
        secret: x_index, for `blind.sign_blinded`.
    """

    index: int
    group: GroupKey
    secret: SecretScalar

    def erase(self) -> None:
        """Overwrite the secret with zeros; the group's key stays."""
        self.secret.erase()


@dataclass(frozen=True, slots=True)
class Blame:
    """The attempt failed, by the fault of some: the same at every honest member.

    Attributes:
        faults: who and why.
        next_session: the next attempt; None when more than f are left out, which means that the
            public channel failed rather than its members.
    """

    faults: Mapping[int, Fault]
    next_session: Session | None


class Participant:
    """One member in one attempt.

    Args:
        session: the attempt.
        index: this member.
        random: the operating system's source, never a seeded one.

    Raises:
        LocalProtocolError: the index is no member's.
    """

    __slots__ = ("_polynomial", "_record", "_shares", "index", "result", "round", "session")

    ACCEPTS: ClassVar[Mapping[Round, type[Message]]] = {
        Round.DEALING: Dealing,
        Round.COMPLAINING: Complaint,
        Round.ANSWERING: Answer,
    }

    def __init__(self, session: Session, index: int, random: RandomBytes) -> None:
        if index not in session.committee.indices:
            raise LocalProtocolError(f"the committee has no member {index}")
        self.session = session
        self.index = index
        self.round = Round.DEALING
        self.result: KeyShare | GroupKey | Blame | None = None
        self._record = Record(session)
        self._shares: dict[int, SecretScalar | None] = {}
        self._polynomial: Polynomial | None = None
        if index in session.dealers:
            self._polynomial = Polynomial.draw(session.committee.threshold, random)
            self._keep_share(index, self._polynomial.share(index))

    @property
    def faults(self) -> Mapping[int, Fault]:
        """Whom the rounds closed so far blame; any fault means that the attempt has failed."""
        return self._record.faults

    def dealing(self) -> Dealing | None:
        """The dealing to publish, the same each time; None for a member that does not deal.

        Like every message it counts once it comes back by the public channel.
        """
        if self._polynomial is None:
            return None
        proof = prove(self.session.id, self.index, self._polynomial.secret)
        return Dealing(self.session.id, self.index, self._polynomial.commitment(), proof)

    def private_shares(self) -> tuple[PrivateShare, ...]:
        """The shares to send in secret, one to every other member; none if it does not deal."""
        polynomial = self._polynomial
        if polynomial is None:
            return ()
        return tuple(
            PrivateShare(self.index, other, encode_scalar(polynomial.share(other)))
            for other in self.session.committee.indices
            if other != self.index
        )

    def receive(self, message: Message) -> None:
        """Take in a message of the public channel; one known already changes nothing.

        Raises:
            RemoteProtocolError: it does not belong to this round, session or committee, and
                counts for nothing.
        """
        if self.round is Round.ENDED or not isinstance(message, self.ACCEPTS[self.round]):
            raise RemoteProtocolError(f"no such message is taken while {self.round}")
        self._record.add(message)

    def receive_share(self, private: PrivateShare) -> None:
        """Take in a private share; the first of each dealer counts.

        A share that is no scalar, like none at all, leads to a complaint.

        Raises:
            RemoteProtocolError: not for this member, not of a dealer, or too late.
        """
        if self.round is not Round.DEALING or private.receiver != self.index:
            raise RemoteProtocolError("a share for somebody else, or too late")
        if private.sender not in self.session.dealers:
            raise RemoteProtocolError(f"member {private.sender} does not deal in this session")
        if private.sender in self._shares:
            return
        try:
            self._keep_share(private.sender, decode_scalar(private.share))
        except ScalarError:
            self._shares[private.sender] = None

    def _keep_share(self, dealer: int, share: Scalar) -> None:
        self._shares[dealer] = SecretScalar(share)

    def close_round(self) -> tuple[Message, ...]:
        """End the round and return what this member publishes in the next.

        Raises:
            LocalProtocolError: the machine has ended.
        """
        steps: dict[Round, tuple[Callable[[], tuple[Message, ...]], Round]] = {
            Round.DEALING: (self._complain, Round.COMPLAINING),
            Round.COMPLAINING: (self._answer, Round.ANSWERING),
            Round.ANSWERING: (self._conclude, Round.ENDED),
        }
        if self.round not in steps:
            raise LocalProtocolError("the key generation has ended")
        act, following = steps[self.round]
        messages = act()
        self.round = following
        return messages

    def _complain(self) -> tuple[Message, ...]:
        self._record.judge_dealings()
        return tuple(
            Complaint(self.session.id, self.index, dealing.dealer)
            for dealing in self._record.sound_dealings()
            if not self._share_fits(dealing)
        )

    def _share_fits(self, dealing: Dealing) -> bool:
        share = self._shares.get(dealing.dealer)
        return share is not None and share_fits(share.reveal(), self.index, dealing.commitment)

    def _answer(self) -> tuple[Message, ...]:
        accusers = self._record.accusers(self.index) if self._polynomial else []
        # beyond f the attempt is lost anyway, and what is published could add up to the secret
        if self._polynomial is None or len(accusers) > self.session.committee.faults:
            return ()
        return tuple(
            Answer(
                self.session.id,
                self.index,
                accuser,
                encode_scalar(self._polynomial.share(accuser)),
            )
            for accuser in accusers
        )

    def _conclude(self) -> tuple[Message, ...]:
        self._record.judge_answers()
        faults = self._record.faults
        if faults:
            self.result = Blame(faults, self.session.without(set(faults)))
        else:
            self.result = self._with_own_share(self._group_key())
        self._erase_working_secrets()
        return ()

    def _group_key(self) -> GroupKey:
        commitments = [dealing.commitment for dealing in self._record.sound_dealings()]
        columns = zip(*commitments, strict=True)
        return GroupKey(self.session, tuple(sum(rest, start=first) for first, *rest in columns))

    def _with_own_share(self, group: GroupKey) -> KeyShare | GroupKey:
        total = Scalar(0)
        for dealer in self.session.dealers:
            share = self._record.published_share(dealer, self.index)
            kept = self._shares.get(dealer)
            if share is None and kept is not None:
                share = kept.reveal()
            if share is not None:
                total += share
        if not share_fits(total, self.index, group.commitment):
            return group
        return KeyShare(self.index, group, SecretScalar(total))

    def _erase_working_secrets(self) -> None:
        if self._polynomial is not None:
            self._polynomial.erase()
        for share in self._shares.values():
            if share is not None:
                share.erase()

    def erase(self) -> None:
        """Overwrite every secret with zeros, the share of a finished key among them."""
        self._erase_working_secrets()
        if isinstance(self.result, KeyShare):
            self.result.erase()
