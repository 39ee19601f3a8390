"""Agreement of the committee on one document per topic, without I/O.

A leader proposes; members vote PREPARE, then LOCK, then sign, each only on a quorum of the vote
before. The signature is the one contracts check, so a member gives it once per topic: with a
quorum locked, no other document can gather votes in any later view. Every `Persist` action must
be on disk before the actions after it leave.

Drive it with :meth:`Agreement.tick` (at least every `resend_s`), :meth:`Agreement.receive`,
:meth:`Agreement.provide` and :meth:`Agreement.checked`; carry out the returned actions in order.

Source: docs/spec/agreement.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ledger.domain.actions import (
    Action,
    BuildDocument,
    CheckDocument,
    Decided,
    Persist,
    Send,
)
from ledger.domain.memory import MemberState
from ledger.domain.schedule import Schedule
from ledger.domain.votes import (
    Certificate,
    Certified,
    Decision,
    Message,
    NewView,
    Phase,
    Proposal,
    Signature,
    Topic,
    Vote,
    cast_vote,
    is_certified,
    is_vote_of,
    make_certificate,
    signatures_of,
    signed_by,
    with_signatures,
)
from qnet.crypto.keys import ReceiptKey
from qnet.errors import CryptoError, LocalProtocolError
from qnet.messages.consensus import CommitteeTrust, join_signatures

RESENDS_PER_VIEW: Final = 4
UNCHECKED_MAX: Final = 8
"""Documents under examination at one time."""


class Agreement:
    """One member's part in the agreement on one topic.

    Args:
        topic: what is agreed on.
        member: our number.
        key: our signing key.
        trust: the committee, in member order.
        schedule: views in time.
        state: what was persisted before a restart.
    """

    def __init__(
        self,
        topic: Topic,
        *,
        member: int,
        key: ReceiptKey,
        trust: CommitteeTrust,
        schedule: Schedule,
        state: MemberState | None = None,
    ) -> None:
        self.topic = topic
        self.state = state or MemberState()
        self._member = member
        self._key = key
        self._trust = trust
        self._schedule = schedule
        self._entered = False
        self._next_resend = 0.0
        self._locks: dict[int, Certificate | None] = {}
        self._votes: dict[Phase, dict[int, Vote]] = {}
        self._signatures: dict[int, Signature] = {}
        self._unchecked: dict[bytes, tuple[int, NewView | Proposal | Decision]] = {}
        self._leading: Message | None = None
        self._building = False
        self._endorsing: bytes | None = None
        self._actions: list[Action] = []

    @property
    def is_leader(self) -> bool:
        """Whether we lead the current view."""
        return self._schedule.leader(self.state.view) == self._member

    @property
    def resend_s(self) -> float:
        """Interval of repetition."""
        return self._schedule.timeout_s / RESENDS_PER_VIEW

    def tick(self, now: float) -> list[Action]:
        """Enter the view of `now` and repeat what may have been lost."""
        if self.state.decided is None and now >= self._schedule.start_s:
            self._enter(self._schedule.view_at(now))
            if now >= self._next_resend:
                self._next_resend = now + self.resend_s
                self._repeat()
        return self._take_actions()

    def provide(self, view: int, digest: bytes, document: bytes) -> list[Action]:
        """Propose the document built for a view; ignored when the view has passed."""
        if self.state.decided is None and view == self.state.view and self._building:
            self._building = False
            self._propose(Proposal(view, digest, document, None))
        return self._take_actions()

    def checked(self, digest: bytes, *, valid: bool) -> list[Action]:
        """Take the driver's judgement on a document and go on with the message that brought it."""
        sender, message = self._unchecked.pop(digest, (0, None))
        decided = self.state.decided
        if decided is not None:
            if valid and digest == self._endorsing == decided.digest:
                self._endorse(decided)
        elif message is not None and valid:
            match message:
                case Decision():
                    self._decide(message)
                case Proposal():
                    if self._fits(message) and self._is_safe(message):
                        self._accept(message)
                case NewView(view, lock, document):
                    if view == self.state.view and lock is not None and document is not None:
                        self._keep(digest, document)
                        self._locks[sender] = lock
                        self._lead()
        return self._take_actions()

    def receive(self, sender: int, message: Message, now: float) -> list[Action]:
        """Take a message of another member, whose identity the transport has checked."""
        if not 0 <= sender < len(self._trust.signers):
            return []
        if isinstance(message, Decision):
            self._on_decision(sender, message)
        elif self.state.decided is not None:
            if isinstance(message, Signature) and message.digest == self.state.decided.digest:
                self._widen({sender: message.signature})
            self._actions.append(Send(sender, self.state.decided))
        else:
            if now >= self._schedule.start_s:
                self._enter(self._schedule.view_at(now))
            self._dispatch(sender, message, now)
        return self._take_actions()

    def ask(self) -> list[Action]:
        """Show our signature of what was decided, and draw the others' from them."""
        if self.state.decided is not None:
            signed = self.state.signed
            self._actions.append(
                Send(None, NewView(self.state.view, None, None))
                if signed is None
                else Send(None, Signature(signed, self._key.sign(signed)))
            )
        return self._take_actions()

    # ---- inputs ------------------------------------------------------------------------------

    def _dispatch(
        self, sender: int, message: NewView | Proposal | Vote | Certified | Signature, now: float
    ) -> None:
        match message:
            case NewView():
                self._follow(message.view, now)
                self._on_new_view(sender, message)
            case Proposal():
                self._follow(message.view, now)
                self._on_proposal(sender, message)
            case Vote():
                self._on_vote(sender, message)
            case Certified(certificate):
                self._on_certificate(certificate)
            case Signature():
                self._on_signature(sender, message)

    def _follow(self, view: int, now: float) -> None:
        """Enter a view one ahead of our clock: clocks differ."""
        if view == self._schedule.view_at(now) + 1:
            self._enter(view)

    def _on_new_view(self, sender: int, message: NewView) -> None:
        if message.view != self.state.view or not self.is_leader:
            return
        lock = message.lock
        if lock is not None:
            if lock.phase is not Phase.PREPARE or not is_certified(lock, self._trust, self.topic):
                return
            if lock.digest not in self.state.documents:
                if message.document is not None:
                    self._ask(sender, message, lock.digest, message.document, certified=True)
                return
        self._locks[sender] = lock
        self._lead()

    def _on_proposal(self, sender: int, proposal: Proposal) -> None:
        if sender != self._schedule.leader(self.state.view):
            return
        if proposal.view == self.state.view and self.state.voted == proposal.digest:
            self._vote(Phase.PREPARE, proposal.digest)
        elif self._fits(proposal) and self._is_safe(proposal):
            certified = proposal.justify is not None
            self._ask(sender, proposal, proposal.digest, proposal.document, certified=certified)

    def _fits(self, proposal: Proposal) -> bool:
        """Whether a vote in the proposal's view is still ours to give."""
        return proposal.view == self.state.view and self.state.voted is None

    def _ask(
        self,
        sender: int,
        message: NewView | Proposal | Decision,
        digest: bytes,
        document: bytes,
        *,
        certified: bool,
    ) -> None:
        """Have a document checked, one at a time for a digest; lost ones come again."""
        if digest not in self._unchecked and len(self._unchecked) < UNCHECKED_MAX:
            self._unchecked[digest] = (sender, message)
            self._actions.append(CheckDocument(digest, document, certified))

    def _is_safe(self, proposal: Proposal) -> bool:
        """Whether our lock allows a vote for the proposal."""
        lock, justify = self.state.lock, proposal.justify
        if justify is not None:
            fits = justify.phase is Phase.PREPARE and justify.digest == proposal.digest
            if not fits or justify.view >= proposal.view:
                return False
            if not is_certified(justify, self._trust, self.topic):
                return False
        if lock is None or lock.digest == proposal.digest:
            return True
        return justify is not None and justify.view > lock.view

    def _on_vote(self, sender: int, vote: Vote) -> None:
        if vote.view != self.state.view or not self.is_leader:
            return
        if vote.digest != self.state.voted:
            return
        if not is_vote_of(sender, vote, self._trust, self.topic):
            return
        votes = self._votes.setdefault(vote.phase, {})
        votes[sender] = vote
        if len(votes) == self._trust.quorum:
            certificate = make_certificate(votes)
            self._leading = Certified(certificate)
            self._actions.append(Send(None, self._leading))
            self._on_certificate(certificate)

    def _on_certificate(self, certificate: Certificate) -> None:
        if certificate.digest not in self.state.documents:
            return
        if not is_certified(certificate, self._trust, self.topic):
            return
        if certificate.phase is Phase.LOCK:
            self._sign(certificate.digest)
        elif certificate.view == self.state.view:
            if self.state.lock is None or self.state.lock.view < certificate.view:
                self._update(replace(self.state, lock=certificate))
            self._vote(Phase.LOCK, certificate.digest)

    def _on_signature(self, sender: int, message: Signature) -> None:
        if signed_by(self._trust.signers[sender], message.digest, message.signature):
            self._signatures[sender] = message
            self._conclude(message.digest)

    def _on_decision(self, sender: int, decision: Decision) -> None:
        if self.state.decided is not None:
            if decision.digest == self.state.decided.digest:
                self._widen(signatures_of(decision))
            return
        try:
            self._trust.check_signatures(decision.digest, decision.bitmap, decision.signatures)
        except CryptoError:
            return
        if self.state.documents.get(decision.digest) == decision.document:
            self._decide(decision)
        else:
            self._ask(sender, decision, decision.digest, decision.document, certified=True)

    # ---- steps -------------------------------------------------------------------------------

    def _enter(self, view: int) -> None:
        """Move to a higher view, or into the first one."""
        if view > self.state.view:
            self.state = replace(self.state, view=view, voted=None)
        elif self._entered:
            return
        self._entered = True
        self._locks = {self._member: self.state.lock}
        self._votes = {}
        self._unchecked = {}
        self._leading = None
        self._building = False
        self._announce()
        self._lead()

    def _announce(self) -> None:
        """Tell the others our view and lock; the leader of the view also gets the document."""
        if self.state.view == 0:
            return
        lock, leader = self.state.lock, self._schedule.leader(self.state.view)
        for member in range(len(self._trust.signers)):
            if member != self._member:
                wanted = lock is not None and member == leader
                document = self.state.documents[lock.digest] if lock and wanted else None
                self._actions.append(Send(member, NewView(self.state.view, lock, document)))

    def _lead(self) -> None:
        """As leader: propose the highest lock of a quorum, or ask for a document."""
        if not self.is_leader or self._leading is not None or self.state.voted is not None:
            return
        if self.state.view > 0 and len(self._locks) < self._trust.quorum:
            return
        locks = [lock for lock in self._locks.values() if lock is not None]
        if locks:
            best = max(locks, key=lambda lock: lock.view)
            document = self.state.documents[best.digest]
            self._propose(Proposal(self.state.view, best.digest, document, best))
        elif not self._building:
            self._building = True
            self._actions.append(BuildDocument(self.state.view))

    def _propose(self, proposal: Proposal) -> None:
        self._building = False
        self._leading = proposal
        self._actions.append(Send(None, proposal))
        self._accept(proposal)

    def _accept(self, proposal: Proposal) -> None:
        """Vote PREPARE, the document on disk first."""
        self._keep(proposal.digest, proposal.document)
        self._update(replace(self.state, voted=proposal.digest))
        self._vote(Phase.PREPARE, proposal.digest)

    def _vote(self, phase: Phase, digest: bytes) -> None:
        vote = cast_vote(self._key, self._trust, self.topic, phase, self.state.view, digest)
        if self.is_leader:
            self._on_vote(self._member, vote)
        else:
            self._actions.append(Send(self._schedule.leader(self.state.view), vote))

    def _sign(self, digest: bytes) -> None:
        """Sign, once per topic, the state on disk first."""
        if self.state.signed not in {None, digest}:
            raise LocalProtocolError("a second document was certified for one topic")
        if self.state.signed is None:
            self._update(replace(self.state, signed=digest))
        signature = Signature(digest, self._key.sign(digest))
        self._actions.append(Send(None, signature))
        self._signatures[self._member] = signature
        self._conclude(digest)

    def _conclude(self, digest: bytes) -> None:
        """Decide when a quorum has signed and the document is known."""
        document = self.state.documents.get(digest)
        found = {
            member: given.signature
            for member, given in self._signatures.items()
            if given.digest == digest
        }
        if len(found) >= self._trust.quorum and document is not None:
            bitmap, joined = join_signatures(found)
            self._decide(Decision(digest, document, bitmap, joined))

    def _decide(self, decision: Decision) -> None:
        if self.state.decided is not None:
            return
        lock, voted = self.state.lock, self.state.voted
        self._update(replace(self.state, decided=decision, documents={}))
        self._actions.append(Decided(decision))
        self._widen({member: given.signature for member, given in self._signatures.items()})
        if voted == decision.digest or (lock is not None and lock.digest == decision.digest):
            self._endorse(decision)
        elif self.state.signed is None:
            # others have checked it; for a signature of ours it must hold against our own facts
            document = decision.document
            self._endorsing = decision.digest
            self._actions.append(CheckDocument(decision.digest, document, certified=False))

    def _endorse(self, decision: Decision) -> None:
        """Sign what a quorum has signed without us: one of them may stop counting."""
        if self.state.signed is None:
            self._update(replace(self.state, signed=decision.digest))
            signature = Signature(decision.digest, self._key.sign(decision.digest))
            self._actions.append(Send(None, signature))
            self._widen({self._member: signature.signature})

    def _widen(self, parts: Mapping[int, bytes]) -> None:
        """Keep signatures of what was decided beyond the quorum, of members we lack."""
        decision, signers = self.state.decided, self._trust.signers
        assert decision is not None
        known = signatures_of(decision)
        new = {
            member: signature
            for member, signature in parts.items()
            if member not in known
            and member < len(signers)
            and signed_by(signers[member], decision.digest, signature)
        }
        if new:
            self._update(replace(self.state, decided=with_signatures(decision, known | new)))

    def _repeat(self) -> None:
        """Say again what the present view waits for."""
        if self.state.signed is not None:
            signature = Signature(self.state.signed, self._key.sign(self.state.signed))
            self._actions.append(Send(None, signature))
        if self._leading is not None:
            self._actions.append(Send(None, self._leading))
        elif self.state.voted is None:
            self._announce()
            self._lead()

    # ---- bookkeeping -------------------------------------------------------------------------

    def _keep(self, digest: bytes, document: bytes) -> None:
        """Hold a document; only those that are voted for, locked or signed stay."""
        wanted = {digest, self.state.voted, self.state.signed}
        if self.state.lock is not None:
            wanted.add(self.state.lock.digest)
        wanted |= {lock.digest for lock in self._locks.values() if lock is not None}
        kept = {key: value for key, value in self.state.documents.items() if key in wanted}
        self.state = replace(self.state, documents={**kept, digest: document})

    def _update(self, state: MemberState) -> None:
        self.state = state
        self._actions.append(Persist(state))

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions
