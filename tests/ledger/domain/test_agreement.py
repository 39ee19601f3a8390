"""Agreement under crashes, loss, delay and reordering; and a leader that lies."""

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger.domain.actions import Action, BuildDocument, CheckDocument, Decided, Persist, Send
from ledger.domain.agreement import Agreement
from ledger.domain.memory import MemberState
from ledger.domain.schedule import Schedule
from ledger.domain.votes import (
    Certificate,
    Certified,
    Decision,
    Kind,
    Message,
    NewView,
    Phase,
    Proposal,
    Signature,
    Topic,
    Vote,
    cast_vote,
    decode_message,
    encode_message,
    make_certificate,
    signatures_of,
)
from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.errors import LocalProtocolError
from qnet.messages.consensus import CommitteeTrust, join_signatures

KEYS = tuple(ReceiptKey(bytes([7 + n]) * 32) for n in range(4))
TRUST = CommitteeTrust(31337, b"\x11" * 20, tuple(key.address for key in KEYS), 3)
TOPIC = Topic(Kind.REPORT, 5)
TIMEOUT_S = 4.0


class Network:
    """Four members, their disks, and the messages on their way."""

    def __init__(self) -> None:
        self.now = 100.0
        self.disks: list[bytes | None] = [None] * 4
        self.members: list[Agreement | None] = [None] * 4
        self.wire: list[tuple[int, int, bytes]] = []
        self.signed: list[set[bytes]] = [set() for _ in range(4)]
        self.signed_on_disk_first = True
        self.decisions: list[Decision] = []
        self.built = 0
        for member in range(4):
            self.start(member)

    def start(self, member: int) -> None:
        disk = self.disks[member]
        self.members[member] = Agreement(
            TOPIC,
            member=member,
            key=KEYS[member],
            trust=TRUST,
            schedule=Schedule(100.0, TIMEOUT_S, 4, first_leader=1),
            state=MemberState.decode(disk) if disk else None,
        )

    def crash(self, member: int) -> None:
        self.members[member] = None

    def alive(self) -> list[int]:
        return [member for member in range(4) if self.members[member] is not None]

    def perform(self, member: int, actions: Iterable[Action], crash_after: int | None = None):
        """Carry out actions; after `crash_after` of them the member dies."""
        for place, action in enumerate(actions):
            if crash_after is not None and place >= crash_after:
                self.crash(member)
                return
            agreement = self.members[member]
            if agreement is None:
                return
            match action:
                case Persist(state):
                    self.disks[member] = state.encode()
                case Send(to, message):
                    self.post(member, to, message)
                case BuildDocument(view):
                    self.built += 1
                    document = b"document %d of member %d" % (self.built, member)
                    self.perform(
                        member, agreement.provide(view, keccak256(document), document), crash_after
                    )
                case CheckDocument(digest, document, _):
                    valid = keccak256(document) == digest
                    self.perform(member, agreement.checked(digest, valid=valid), crash_after)
                case Decided(decision):
                    self.decisions.append(decision)

    def post(self, member: int, to: int | None, message: Message) -> None:
        if isinstance(message, Signature):
            disk = self.disks[member]
            assert disk is not None
            assert MemberState.decode(disk).signed == message.digest
            self.signed[member].add(message.digest)
        data = encode_message(message)
        for other in range(4) if to is None else (to,):
            if other != member:
                self.wire.append((member, other, data))

    def deliver(self, place: int, crash_after: int | None = None) -> None:
        sender, to, data = self.wire.pop(place)
        agreement = self.members[to]
        if agreement is not None:
            actions = agreement.receive(sender, decode_message(data), self.now)
            self.perform(to, actions, crash_after)

    def tick(self, member: int, crash_after: int | None = None) -> None:
        agreement = self.members[member]
        if agreement is not None:
            self.perform(member, agreement.tick(self.now), crash_after)

    def settle(self, seconds: float) -> None:
        """A calm network: everything arrives, clocks run."""
        end = self.now + seconds
        while self.now < end:
            for member in self.alive():
                self.tick(member)
            while self.wire:
                self.deliver(0)
            self.now += 0.5

    def check_safety(self) -> None:
        assert all(len(digests) <= 1 for digests in self.signed), "a member signed twice"
        assert len({decision.digest for decision in self.decisions}) <= 1, "two outcomes"
        for decision in self.decisions:
            TRUST.check_signatures(decision.digest, decision.bitmap, decision.signatures)


class AgreementMachine(RuleBasedStateMachine):
    """Members crash at any action, messages are lost, doubled and reordered."""

    @initialize()
    def begin(self) -> None:
        self.network = Network()

    @rule(member=st.integers(0, 3), crash_after=st.none() | st.integers(0, 4))
    def tick(self, member: int, crash_after: int | None) -> None:
        self.network.tick(member, crash_after)

    @rule(place=st.integers(0, 10_000), crash_after=st.none() | st.integers(0, 4))
    def deliver(self, place: int, crash_after: int | None) -> None:
        if self.network.wire:
            self.network.deliver(place % len(self.network.wire), crash_after)

    @rule(count=st.integers(1, 30))
    def deliver_many(self, count: int) -> None:
        for _ in range(min(count, len(self.network.wire))):
            self.network.deliver(0)

    @rule(place=st.integers(0, 10_000))
    def lose(self, place: int) -> None:
        if self.network.wire:
            self.network.wire.pop(place % len(self.network.wire))

    @rule(place=st.integers(0, 10_000))
    def double(self, place: int) -> None:
        if self.network.wire:
            self.network.wire.append(self.network.wire[place % len(self.network.wire)])

    @rule(seconds=st.floats(0.1, 9.0))
    def wait(self, seconds: float) -> None:
        self.network.now += seconds

    @rule(member=st.integers(0, 3))
    def restart(self, member: int) -> None:
        self.network.start(member)

    @invariant()
    def safe(self) -> None:
        if hasattr(self, "network"):
            self.network.check_safety()

    def teardown(self) -> None:
        """Whatever happened: three members that stay alive reach an outcome."""
        if not hasattr(self, "network"):
            return
        network = self.network
        down = network.built % 4
        for member in range(4):
            network.crash(member)
            if member != down:
                network.start(member)
        network.settle(400.0)
        network.check_safety()
        assert network.decisions, "no progress with three of four alive"


STEPS = ("deliver",) * 24 + ("lose",) * 6 + ("tick",) * 8 + ("wait", "wait", "crash", "restart")


def storm(network: Network, chance: random.Random, loss: int) -> None:
    """One random event."""
    step = chance.choice(STEPS)
    member = chance.randrange(4)
    crash_after = chance.randrange(5) if chance.random() < 0.03 else None
    if step == "deliver" and network.wire:
        network.deliver(chance.randrange(len(network.wire)), crash_after)
    elif step == "lose" and network.wire and chance.randrange(4) < loss:
        network.wire.pop(chance.randrange(len(network.wire)))
    elif step == "tick":
        network.tick(member, crash_after)
    elif step == "wait":
        network.now += chance.random() * TIMEOUT_S / 2
    elif step == "crash":
        network.crash(member)
    elif step == "restart":
        for fallen in set(range(4)) - set(network.alive()):
            network.start(fallen)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.integers(0, 3))
def test_long_storms_keep_it_safe_and_calm_brings_an_outcome(seed, loss):
    network = Network()
    chance = random.Random(seed)
    for _ in range(400):
        storm(network, chance, loss)
        network.check_safety()
    for member in range(4):
        network.crash(member)
        if member != loss:
            network.start(member)
    network.settle(200.0)
    network.check_safety()
    assert network.decisions, "no progress with three of four alive"


TestAgreementMachine = AgreementMachine.TestCase
TestAgreementMachine.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_four_members_decide_in_the_first_view():
    network = Network()
    network.settle(2.0)
    assert len(network.decisions) == 4
    assert network.built == 1
    network.check_safety()


@pytest.mark.parametrize("down", range(4))
def test_three_of_four_decide(down):
    network = Network()
    network.crash(down)
    network.settle(12.0)
    assert len(network.decisions) == 3


def test_two_of_four_never_decide_and_the_third_completes():
    network = Network()
    network.crash(0)
    network.crash(3)
    network.settle(60.0)
    assert not network.decisions
    network.start(3)
    network.settle(120.0)
    assert len({decision.digest for decision in network.decisions}) == 1


def test_a_late_member_learns_the_decision():
    network = Network()
    network.crash(2)
    network.settle(8.0)
    network.start(2)
    network.settle(8.0)
    assert len(network.decisions) == 4


def test_a_refused_document_is_never_signed():
    network = Network()
    agreement = network.members[0]
    assert agreement is not None
    actions = agreement.receive(1, Proposal(0, b"\x01" * 32, b"lie", None), 100.0)
    network.perform(0, actions)
    assert network.disks[0] is None
    assert not network.wire


def test_a_leader_that_tells_different_things_gets_no_quorum():
    network = Network()
    network.crash(1)  # member 1 leads view 0; what follows is what it might send
    for member, document in ((0, b"left"), (2, b"left"), (3, b"right")):
        proposal = Proposal(0, keccak256(document), document, None)
        network.wire.append((1, member, encode_message(proposal)))
    network.settle(60.0)
    network.check_safety()
    assert len(network.decisions) == 3


def test_a_proposal_of_somebody_else_is_ignored():
    network = Network()
    agreement = network.members[0]
    assert agreement is not None
    document = b"not the leader's"
    assert not agreement.receive(2, Proposal(0, keccak256(document), document, None), 100.0)


def test_a_locked_member_refuses_another_document_without_a_higher_certificate():
    lock = certificate(Phase.PREPARE, 0)
    state = MemberState(lock=lock, documents={lock.digest: DOCUMENT})
    member = member_at(0, 105.0, state)
    assert member.receive(2, Proposal(1, keccak256(b"other"), b"other", None), 105.0) == []
    (check,) = member.receive(2, Proposal(1, DIGEST, DOCUMENT, None), 105.0)
    assert isinstance(check, CheckDocument)


def test_a_forged_certificate_is_ignored():
    votes = [cast_vote(KEYS[n], TRUST, TOPIC, Phase.PREPARE, 0, b"\x05" * 32) for n in (0, 1)]
    network = Network()
    agreement = network.members[0]
    assert agreement is not None
    forged = Certificate(
        Phase.PREPARE, 0, b"\x05" * 32, 0b111, votes[0].signature + votes[1].signature * 2
    )
    agreement.tick(105.0)
    assert not agreement.receive(3, NewView(1, forged, b"x"), 105.0)
    assert not agreement.receive(2, Proposal(1, b"\x05" * 32, b"x", forged), 105.0)


def member_at(member: int, now: float, state: MemberState | None = None) -> Agreement:
    agreement = Agreement(
        TOPIC,
        member=member,
        key=KEYS[member],
        trust=TRUST,
        schedule=Schedule(100.0, TIMEOUT_S, 4, first_leader=1),
        state=state,
    )
    agreement.tick(now)
    return agreement


DOCUMENT = b"the document"
DIGEST = keccak256(DOCUMENT)


def certificate(phase: Phase, view: int, digest: bytes = DIGEST) -> Certificate:
    return make_certificate(
        {n: cast_vote(KEYS[n], TRUST, TOPIC, phase, view, digest) for n in (0, 1, 2)}
    )


def decision(document: bytes = DOCUMENT, members: tuple[int, ...] = (0, 1, 2)) -> Decision:
    bitmap, joined = join_signatures({n: KEYS[n].sign(DIGEST) for n in members})
    return Decision(DIGEST, document, bitmap, joined)


def test_a_decision_with_another_document_is_not_believed():
    agreement = member_at(3, 100.0)
    actions = agreement.receive(0, decision(b"another"), 100.0)
    assert actions == [CheckDocument(DIGEST, b"another", certified=True)]
    assert agreement.checked(DIGEST, valid=False) == []
    assert agreement.receive(0, decision(), 100.0) == [
        CheckDocument(DIGEST, DOCUMENT, certified=True)
    ]
    assert Decided(decision()) in agreement.checked(DIGEST, valid=True)
    assert agreement.receive(1, decision(), 100.0) == []
    assert agreement.receive(1, Signature(DIGEST, bytes(65)), 100.0) == [Send(1, decision())]
    assert agreement.tick(200.0) == []


def test_a_decision_without_a_quorum_is_ignored():
    agreement = member_at(3, 100.0)
    short = replace(decision(), bitmap=0b11, signatures=decision().signatures[:130])
    assert agreement.receive(0, short, 100.0) == []


def test_a_leader_checks_the_document_that_comes_with_a_lock():
    leader = member_at(2, 105.0)
    lock = certificate(Phase.PREPARE, 0)
    asked = leader.receive(0, NewView(1, lock, b"another"), 105.0)
    assert asked == [CheckDocument(DIGEST, b"another", certified=True)]
    assert leader.checked(DIGEST, valid=False) == []
    leader.receive(0, NewView(1, lock, DOCUMENT), 105.0)
    leader.checked(DIGEST, valid=True)
    proposed = leader.receive(3, NewView(1, None, None), 105.0)
    assert Send(None, Proposal(1, DIGEST, DOCUMENT, lock)) in proposed


def test_a_lock_without_its_document_is_not_counted():
    leader = member_at(2, 105.0)
    assert leader.receive(0, NewView(1, certificate(Phase.PREPARE, 0), None), 105.0) == []
    assert leader.receive(3, NewView(1, None, None), 105.0) == []
    assert leader.receive(3, NewView(1, certificate(Phase.LOCK, 0), DOCUMENT), 105.0) == []


def test_new_views_of_other_views_or_to_others_are_ignored():
    assert member_at(3, 105.0).receive(0, NewView(1, None, None), 105.0) == []
    assert member_at(2, 105.0).receive(0, NewView(0, None, None), 105.0) == []
    assert member_at(3, 105.0).receive(9, NewView(1, None, None), 105.0) == []


def test_a_view_one_ahead_is_followed_two_ahead_is_not():
    agreement = member_at(3, 100.0)
    agreement.receive(0, NewView(2, None, None), 100.0)
    assert agreement.state.view == 0
    agreement.receive(0, NewView(1, None, None), 100.0)
    assert agreement.state.view == 1


def test_a_late_judgement_and_a_late_document_are_dropped():
    agreement = member_at(3, 100.0)
    assert agreement.receive(1, Proposal(0, DIGEST, DOCUMENT, None), 100.0)
    agreement.tick(105.0)
    assert agreement.checked(DIGEST, valid=True) == []
    leader = member_at(1, 100.0)
    leader.tick(105.0)
    assert leader.provide(0, DIGEST, DOCUMENT) == []


def test_a_proposal_must_carry_the_lock_it_claims():
    agreement = member_at(3, 105.0)
    for justify in (
        certificate(Phase.LOCK, 0),
        certificate(Phase.PREPARE, 1),
        certificate(Phase.PREPARE, 0, b"\x01" * 32),
    ):
        assert agreement.receive(2, Proposal(1, DIGEST, DOCUMENT, justify), 105.0) == []


def test_a_higher_certificate_frees_a_locked_member():
    lock = certificate(Phase.PREPARE, 0, keccak256(b"old"))
    state = MemberState(view=0, lock=lock, documents={lock.digest: b"old"})
    proposal = Proposal(2, DIGEST, DOCUMENT, certificate(Phase.PREPARE, 1))
    agreement = member_at(0, 109.0, state)
    assert agreement.receive(3, proposal, 109.0) == [
        CheckDocument(DIGEST, DOCUMENT, certified=True)
    ]
    votes = [action for action in agreement.checked(DIGEST, valid=True) if isinstance(action, Send)]
    assert isinstance(votes[0].message, Vote)


def test_votes_for_something_else_or_forged_do_not_count():
    leader = member_at(1, 100.0)
    leader.provide(0, DIGEST, DOCUMENT)
    good = cast_vote(KEYS[0], TRUST, TOPIC, Phase.PREPARE, 0, DIGEST)
    assert leader.receive(2, good, 100.0) == []
    other = cast_vote(KEYS[2], TRUST, TOPIC, Phase.PREPARE, 0, b"\x07" * 32)
    assert leader.receive(2, other, 100.0) == []
    assert leader.receive(0, good, 100.0) == []
    assert member_at(3, 100.0).receive(0, good, 100.0) == []


def test_certificates_of_unknown_documents_and_forged_ones_are_ignored():
    agreement = member_at(3, 100.0)
    assert agreement.receive(1, Certified(certificate(Phase.LOCK, 0)), 100.0) == []
    state = MemberState(documents={DIGEST: DOCUMENT})
    agreement = member_at(3, 100.0, state)
    forged = replace(certificate(Phase.LOCK, 0), view=3)
    assert agreement.receive(1, Certified(forged), 100.0) == []
    old = Certified(certificate(Phase.PREPARE, 5))
    assert agreement.receive(1, old, 100.0) == []


def test_a_forged_signature_does_not_count():
    agreement = member_at(3, 100.0, MemberState(documents={DIGEST: DOCUMENT}))
    for member in (0, 1):
        agreement.receive(member, Signature(DIGEST, KEYS[member].sign(DIGEST)), 100.0)
    assert agreement.receive(2, Signature(DIGEST, KEYS[0].sign(DIGEST)), 100.0) == []
    actions = agreement.receive(2, Signature(DIGEST, KEYS[2].sign(DIGEST)), 100.0)
    assert any(isinstance(action, Decided) for action in actions)


def decided_by(agreement: Agreement) -> dict[int, bytes]:
    """Whose signatures a member keeps of what was decided."""
    assert agreement.state.decided is not None
    return signatures_of(agreement.state.decided)


def messages(actions: Iterable[Action]) -> list[Message]:
    return [action.message for action in actions if isinstance(action, Send)]


OWN = {member: Signature(DIGEST, KEYS[member].sign(DIGEST)) for member in range(4)}


def test_everybody_keeps_every_signature_beyond_the_quorum():
    network = Network()
    network.settle(2.0)
    for disk in network.disks:
        assert disk is not None
        decided = MemberState.decode(disk).decided
        assert decided is not None
        assert decided.bitmap == 0b1111
        TRUST.check_signatures(decided.digest, decided.bitmap, decided.signatures)


def test_who_hears_a_quorum_before_the_certificate_signs_too():
    """Else the quorum would be three of which one may stop counting before the chain is asked."""
    state = MemberState(voted=DIGEST, documents={DIGEST: DOCUMENT})
    agreement = member_at(3, 100.0, state)
    for member in (0, 1):
        agreement.receive(member, OWN[member], 100.0)
    actions = agreement.receive(2, OWN[2], 100.0)
    places = [place for place, action in enumerate(actions) if action == Send(None, OWN[3])]
    saved = [place for place, a in enumerate(actions) if isinstance(a, Persist) and a.state.signed]
    assert min(saved) < places[0]
    assert sorted(decided_by(agreement)) == [0, 1, 2, 3]


def test_who_signed_before_a_decision_keeps_its_own_signature_and_those_it_heard():
    state = MemberState(voted=DIGEST, signed=DIGEST, documents={DIGEST: DOCUMENT})
    agreement = member_at(0, 100.0, state)
    agreement.receive(1, Certified(certificate(Phase.LOCK, 0)), 100.0)
    agreement.receive(1, decision(members=(1, 2, 3)), 100.0)
    assert sorted(decided_by(agreement)) == [0, 1, 2, 3]


@pytest.mark.parametrize("valid", [True, False])
def test_who_only_hears_of_a_decision_signs_if_its_own_facts_agree(*, valid: bool):
    agreement = member_at(3, 100.0)
    agreement.receive(0, decision(), 100.0)
    actions = agreement.checked(DIGEST, valid=True)
    assert CheckDocument(DIGEST, DOCUMENT, certified=False) in actions
    assert OWN[3] not in messages(actions)
    later = agreement.checked(DIGEST, valid=valid)
    assert (OWN[3] in messages(later)) == valid
    assert agreement.state.signed == (DIGEST if valid else None)
    assert agreement.checked(DIGEST, valid=True) == [] or not valid


def test_no_second_document_is_ever_endorsed():
    agreement = member_at(3, 100.0, MemberState(signed=b"\x01" * 32))
    agreement.receive(0, decision(), 100.0)
    assert messages(agreement.checked(DIGEST, valid=True)) == []
    assert messages(agreement.checked(DIGEST, valid=True)) == []
    assert agreement.state.signed == b"\x01" * 32


def test_signatures_are_drawn_from_the_others_when_they_are_missing():
    agreement = member_at(0, 100.0, MemberState(signed=DIGEST, decided=decision()))
    other = member_at(3, 100.0, MemberState(signed=DIGEST, decided=decision(members=(1, 2, 3))))
    assert member_at(0, 100.0).ask() == []
    assert messages(agreement.ask()) == [OWN[0]]
    (answer,) = messages(other.receive(0, OWN[0], 100.0))
    assert sorted(decided_by(other)) == [0, 1, 2, 3]
    agreement.receive(3, answer, 100.0)
    assert decided_by(agreement) == decided_by(other)
    silent = member_at(2, 100.0, MemberState(decided=decision()))
    assert messages(silent.ask()) == [NewView(0, None, None)]


def test_forged_signatures_and_those_of_other_documents_widen_nothing():
    agreement = member_at(0, 100.0, MemberState(signed=DIGEST, decided=decision()))
    forged = Decision(DIGEST, DOCUMENT, 0b1000, KEYS[0].sign(DIGEST))
    beyond = Decision(DIGEST, DOCUMENT, 1 << 9, KEYS[3].sign(DIGEST))
    for message in (forged, beyond, Signature(b"\x07" * 32, KEYS[3].sign(b"\x07" * 32))):
        agreement.receive(3, message, 100.0)
    assert sorted(decided_by(agreement)) == [0, 1, 2]


def test_a_second_certified_document_is_an_alarm():
    state = MemberState(signed=b"\x01" * 32, documents={DIGEST: DOCUMENT})
    agreement = member_at(3, 100.0, state)
    with pytest.raises(LocalProtocolError):
        agreement.receive(1, Certified(certificate(Phase.LOCK, 0)), 100.0)


def test_views_follow_the_clock_and_grow():
    schedule = Schedule(100.0, 4.0, 4, first_leader=2)
    assert [schedule.view_at(t) for t in (0, 100, 103.9, 104, 115.9, 116)] == [0, 0, 0, 1, 3, 4]
    assert schedule.view_at(123.9) == 4
    assert schedule.view_at(124.0) == 5
    assert [schedule.leader(view) for view in range(5)] == [2, 3, 0, 1, 2]
    last = 0
    for second in range(100, 3000):
        view = schedule.view_at(second)
        assert last <= view <= last + 1
        last = view
