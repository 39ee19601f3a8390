"""One attempt to make an epoch's eight keys: eight machines of `qnet.crypto.dkg` in step.

    DEALING --record--> COMPLAINING --record--> ANSWERING --record--> outcome
       | a bad dealing: Failed      | no complaint: outcome

Everything follows from the records, which all members share, and from the member's own secrets;
so an attempt is taken up again after a crash by giving it the same secrets and records. Blame for
one key is blame for all: the next attempt makes all eight without the blamed.

Source: docs/spec/payments.md, QN-PAY-002.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from ledger.domain.keygen import EpochKeys, Plan
from ledger.domain.keygen_bundles import Bundle, KeyRound, RoundId, RoundRecord
from ledger.domain.keygen_payloads import (
    Dealings,
    SealedDealing,
    decode_message,
    decode_messages,
    encode_messages,
)
from ledger.domain.keygen_sealing import Route
from qnet.crypto.dkg import Blame, GroupKey, KeyShare, Participant
from qnet.crypto.dkg_messages import (
    Answer,
    Complaint,
    Dealing,
    Message,
    PrivateShare,
    Session,
)
from qnet.crypto.dkg_record import Fault
from qnet.crypto.keys import DhKey
from qnet.crypto.scalars import WIDE_BYTES, SecretScalar
from qnet.crypto.threshold import Committee
from qnet.errors import CryptoError, DecodeError, LocalProtocolError, RemoteProtocolError
from qnet.messages.instruments import KEYS

_M = TypeVar("_M", bound=Message)


def tape_bytes(committee: Committee) -> int:
    """Random bytes that a member's eight polynomials are drawn from."""
    return KEYS * committee.threshold * WIDE_BYTES


@dataclass(frozen=True, slots=True)
class DealingSecrets:
    """What a member's dealings are made of; on disk before a dealing leaves.

    Args:
        exchange: the member's key of this epoch, for shares on their way.
        tape: `tape_bytes` from the operating system's source, of this attempt: read in order
            they give the same polynomials again.
    """

    exchange: DhKey
    tape: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """The keys are made.

    Attributes:
        keys: what everybody knows.
        shares: our shares of the eight secrets; None for a member that has not all of them.
    """

    keys: EpochKeys
    shares: tuple[SecretScalar, ...] | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt was given up, by the fault of some.

    Attributes:
        faults: index → why.
        sessions: of the next attempt. If the blamed have become more than f, which means that
            bundles were not delivered, everybody deals again.
    """

    faults: Mapping[int, Fault]
    sessions: tuple[Session, ...]


Outcome: TypeAlias = Made | Failed


class Attempt:
    """One member in one attempt.

    Args:
        plan: of the epoch.
        number: of the attempt, from 0.
        sessions: of the eight keys.
        index: ours; None for who only watches.
        secrets: ours.
    """

    def __init__(
        self,
        plan: Plan,
        number: int,
        sessions: Sequence[Session],
        *,
        index: int | None,
        secrets: DealingSecrets,
    ) -> None:
        if len(secrets.tape) != tape_bytes(plan.committee):
            raise LocalProtocolError("the tape is for another committee")
        self.plan: Final = plan
        self.number: Final = number
        self.round = KeyRound.DEALING
        self.outcome: Outcome | None = None
        self._index = index
        self._exchange = secrets.exchange
        self._payload = b""
        tape = _Tape(secrets.tape)
        # who watches sees through the eyes of member 1, whose shares it does not get
        self._machines = tuple(Participant(each, index or 1, tape.read) for each in sessions)

    @property
    def id(self) -> RoundId:
        """The round that is open."""
        return RoundId(self.plan.epoch, self.number, self.round)

    @property
    def dealers(self) -> tuple[int, ...]:
        """Indices of those who deal, ascending: the others were blamed."""
        return self._machines[0].session.dealers

    @property
    def deals(self) -> bool:
        """Whether we deal."""
        return self._index in self.dealers

    def deal(self, announced: Mapping[int, bytes]) -> bytes:
        """What we publish in the dealing round: the same each time for the same announcements.

        Args:
            announced: index → X25519 key of 32 bytes; who has announced none gets no share, and
                may complain of that.
        """
        if not self.deals:
            return b""
        sealed = tuple(self._sealed(machine, announced) for machine in self._machines)
        return Dealings(self._exchange.public, sealed).encode()

    def _sealed(self, machine: Participant, announced: Mapping[int, bytes]) -> SealedDealing:
        dealing = machine.dealing()
        assert dealing is not None
        shares = {}
        for private in machine.private_shares():
            route = Route(machine.session.id, private.sender, private.receiver)
            try:
                key = announced[private.receiver]
                shares[private.receiver] = route.seal(
                    private.share, own=self._exchange, receiver=key
                )
            except (KeyError, CryptoError):
                continue
        return SealedDealing(dealing.encode(), shares)

    def say(self) -> bytes:
        """What we publish in the complaining or the answering round."""
        return self._payload

    def close(self, record: RoundRecord) -> None:
        """Take in what counts as said in the open round, and go on to the next.

        Raises:
            LocalProtocolError: the record is of another round, or there is an outcome.
        """
        if record.id != self.id or self.outcome is not None:
            raise LocalProtocolError("a record of another round of the key generation")
        match self.round:
            case KeyRound.DEALING:
                self._close_dealing(record)
            case KeyRound.COMPLAINING:
                self._close_complaining(record)
            case _:
                self._hear(record, Answer)
                self._end()

    def erase(self) -> None:
        """Overwrite every secret of the attempt, the shares of finished keys among them."""
        for machine in self._machines:
            machine.erase()

    # ---- rounds ------------------------------------------------------------------------------

    def _close_dealing(self, record: RoundRecord) -> None:
        for bundle in record.bundles:
            if bundle.author in self.dealers:
                self._take_dealings(bundle)
        self._payload = encode_messages(self._close_machines())
        if any(machine.faults for machine in self._machines):
            self._fail()
        else:
            self.round = KeyRound.COMPLAINING

    def _close_complaining(self, record: RoundRecord) -> None:
        complaints = self._hear(record, Complaint)
        self._payload = encode_messages(self._close_machines())
        if complaints:
            self.round = KeyRound.ANSWERING
        else:
            self._end()

    def _take_dealings(self, bundle: Bundle) -> None:
        try:
            dealings = Dealings.decode(bundle.payload)
        except DecodeError:
            return
        for machine, sealed in zip(self._machines, dealings.sealed, strict=True):
            message = decode_message(sealed.dealing)
            if not isinstance(message, Dealing) or message.dealer != bundle.author:
                continue
            try:
                machine.receive(message)
            except RemoteProtocolError:
                continue
            self._take_share(machine, message.dealer, dealings.exchange, sealed)

    def _take_share(
        self, machine: Participant, dealer: int, exchange: bytes, sealed: SealedDealing
    ) -> None:
        index = self._index
        if index is None or index == dealer or index not in sealed.shares:
            return
        route = Route(machine.session.id, dealer, index)
        try:
            share = route.open(sealed.shares[index], own=self._exchange, dealer=exchange)
        except CryptoError:
            return
        machine.receive_share(PrivateShare(dealer, index, share))

    def _hear(self, record: RoundRecord, kind: type[_M]) -> int:
        """Hand messages of one kind to their machines; return how many count."""
        machines = {machine.session.id: machine for machine in self._machines}
        count = 0
        for message, author in _messages(record):
            machine = machines.get(message.session)
            if machine is None or not isinstance(message, kind) or _author(message) != author:
                continue
            try:
                machine.receive(message)
            except RemoteProtocolError:
                continue
            count += 1
        return count

    def _close_machines(self) -> list[Message]:
        return [message for machine in self._machines for message in machine.close_round()]

    # ---- outcome -----------------------------------------------------------------------------

    def _end(self) -> None:
        self._close_machines()
        results = [machine.result for machine in self._machines]
        groups = [_group(result) for result in results]
        if any(group is None for group in groups):
            self._fail()
            return
        self.outcome = Made(
            EpochKeys(
                self.plan.epoch,
                self.plan.committee.threshold,
                self.plan.seats,
                tuple(group.commitment for group in groups if group is not None),
            ),
            self._shares([result for result in results if isinstance(result, KeyShare)]),
        )

    def _shares(self, found: list[KeyShare]) -> tuple[SecretScalar, ...] | None:
        if self._index is None or len(found) < KEYS:
            return None
        return tuple(share.secret for share in found)

    def _fail(self) -> None:
        faults = {
            index: fault for machine in self._machines for index, fault in machine.faults.items()
        }
        following = [machine.session.without(set(faults)) for machine in self._machines]
        sessions = tuple(session for session in following if session is not None)
        if len(sessions) < KEYS:
            sessions = self.plan.sessions(self.number + 1)
        self.outcome = Failed(dict(sorted(faults.items())), sessions)
        self.erase()


class _Tape:
    """Hands out random bytes that were drawn before."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read(self, size: int) -> bytes:
        start = self._position
        self._position = start + size
        return self._data[start : start + size]


def _messages(record: RoundRecord) -> Iterator[tuple[Message, int]]:
    """Every message of a record with the author of its bundle."""
    for bundle in record.bundles:
        try:
            messages = decode_messages(bundle.payload)
        except DecodeError:
            continue
        for message in messages:
            yield message, bundle.author


def _author(message: Message) -> int:
    return message.accuser if isinstance(message, Complaint) else message.dealer


def _group(result: KeyShare | GroupKey | Blame | None) -> GroupKey | None:
    if isinstance(result, KeyShare):
        return result.group
    return result if isinstance(result, GroupKey) else None
