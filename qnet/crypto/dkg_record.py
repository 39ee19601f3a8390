"""The public record of one key generation, and whom it blames.

Blame is a function of the set of public messages and nothing else, not of their order, so all
members who saw the same set come to the same verdict. No honest dealer is ever blamed as long as
its messages are delivered: it deals once, at most f members lie about it, and it answers them.
"""

from enum import StrEnum
from typing import Final, TypeVar

from qnet.crypto.bls import SignedPoint, holds
from qnet.crypto.dkg_messages import Answer, Complaint, Dealing, Message, Session, proof_point
from qnet.crypto.errors import ScalarError
from qnet.crypto.scalars import Scalar, decode_scalar
from qnet.crypto.threshold import share_fits
from qnet.errors import RemoteProtocolError

T = TypeVar("T")


class Fault(StrEnum):
    """Why a dealer is left out of the next attempt."""

    NO_DEALING = "no dealing, or none that decodes"
    EQUIVOCATED = "two different dealings"
    WRONG_LENGTH = "a commitment of the wrong degree"
    WRONG_PROOF = "no proof that it knows its constant term"
    TOO_MANY_COMPLAINTS = "more complaints than there are members who lie"
    UNANSWERED = "a complaint without an answer"
    WRONG_ANSWER = "a published share that does not fit the commitment"


def _two_of(known: set[T], new: T) -> set[T]:
    """Two different ones are enough to blame, so nobody fills the memory with a thousand."""
    return known if len(known) > 1 else known | {new}


class Record:
    """Collects the messages of one attempt.

    Args:
        session: the attempt.
    """

    __slots__ = ("_answers", "_complaints", "_dealings", "_faults", "session")

    def __init__(self, session: Session) -> None:
        self.session: Final = session
        self._dealings: dict[int, set[Dealing]] = {each: set() for each in session.dealers}
        self._complaints: dict[int, set[int]] = {each: set() for each in session.dealers}
        self._answers: dict[tuple[int, int], set[bytes]] = {}
        self._faults: dict[int, Fault] = {}

    def add(self, message: Message) -> None:
        """Take a message in; one that was taken in before changes nothing.

        Raises:
            RemoteProtocolError: another session, an author that is no member or dealer, or an
                answer to no complaint. The message counts for nothing.
        """
        if message.session != self.session.id:
            raise RemoteProtocolError("a message of another session")
        if message.dealer not in self._dealings:
            raise RemoteProtocolError(f"member {message.dealer} does not deal in this session")
        if isinstance(message, Dealing):
            self._dealings[message.dealer] = _two_of(self._dealings[message.dealer], message)
        elif isinstance(message, Complaint):
            if message.accuser not in self.session.committee.indices:
                raise RemoteProtocolError("a complaint by no member")
            self._complaints[message.dealer].add(message.accuser)
        else:
            self._add_answer(message)

    def _add_answer(self, answer: Answer) -> None:
        if answer.accuser not in self._complaints[answer.dealer]:
            raise RemoteProtocolError("an answer to no complaint")
        place = answer.dealer, answer.accuser
        self._answers[place] = _two_of(self._answers.get(place, set()), answer.share)

    def judge_dealings(self) -> None:
        """Blame dealers whose dealing is missing, doubled or visibly wrong."""
        for dealer in self.session.dealers:
            fault = self._fault_of_dealing(dealer)
            if fault is not None:
                self._faults[dealer] = fault

    def _fault_of_dealing(self, dealer: int) -> Fault | None:
        dealings = self._dealings[dealer]
        if not dealings:
            return Fault.NO_DEALING
        if len(dealings) > 1:
            return Fault.EQUIVOCATED
        (dealing,) = dealings
        if len(dealing.commitment) != self.session.committee.threshold:
            return Fault.WRONG_LENGTH
        key = dealing.commitment[0]
        point = proof_point(self.session.id, dealer, key)
        return None if holds(key, SignedPoint(point, dealing.proof)) else Fault.WRONG_PROOF

    def judge_answers(self) -> None:
        """Blame dealers who were accused too often, kept silent or answered wrongly."""
        for dealer in self.session.dealers:
            if dealer in self._faults:
                continue
            accusers = self._complaints[dealer]
            if len(accusers) > self.session.committee.faults:
                self._faults[dealer] = Fault.TOO_MANY_COMPLAINTS
            elif any((dealer, accuser) not in self._answers for accuser in accusers):
                self._faults[dealer] = Fault.UNANSWERED
            elif any(self.published_share(dealer, accuser) is None for accuser in accusers):
                self._faults[dealer] = Fault.WRONG_ANSWER

    @property
    def faults(self) -> dict[int, Fault]:
        """Blamed dealers in ascending order."""
        return dict(sorted(self._faults.items()))

    def dealing(self, dealer: int) -> Dealing | None:
        """The dealing of a dealer that was not blamed; None for one that was."""
        if dealer in self._faults:
            return None
        (dealing,) = self._dealings[dealer]
        return dealing

    def sound_dealings(self) -> list[Dealing]:
        """The dealings of all who were not blamed, by ascending index."""
        found = map(self.dealing, self.session.dealers)
        return [dealing for dealing in found if dealing is not None]

    def accusers(self, dealer: int) -> list[int]:
        """Who complained about a dealer, ascending."""
        return sorted(self._complaints[dealer])

    def published_share(self, dealer: int, accuser: int) -> Scalar | None:
        """The share that answers a complaint; None without exactly one answer that fits."""
        answers = self._answers.get((dealer, accuser), set())
        if len(answers) != 1:
            return None
        try:
            share = decode_scalar(next(iter(answers)))
        except ScalarError:
            return None
        dealing = self.dealing(dealer)
        if dealing is None or not share_fits(share, accuser, dealing.commitment):
            return None
        return share
