import secrets
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto.blind import blind, sign_blinded, unblind
from qnet.crypto.bls import hash_to_g1
from qnet.crypto.dkg import Blame, GroupKey, KeyShare, Participant, Round
from qnet.crypto.dkg_messages import Answer, Complaint, Dealing, PrivateShare, Session, prove
from qnet.crypto.dkg_record import Fault, Record
from qnet.crypto.errors import SignatureError
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import ORDER, Scalar, random_scalar
from qnet.crypto.threshold import Committee, Polynomial, combine, verify_partial
from qnet.errors import LocalProtocolError, RemoteProtocolError
from tests.support.dkg_network import Behaviour, run

FOUR = Committee.tolerating(1)
SEVEN = Committee.tolerating(2)
MESSAGE = bytes(range(32))


def shifted(share):
    return ((int.from_bytes(share, "big") + 1) % ORDER).to_bytes(32, "big")


class Silent(Behaviour):
    fault = Fault.NO_DEALING

    def dealings(self, member):
        return []

    def shares(self, member):
        return []


class Doubled(Behaviour):
    fault = Fault.EQUIVOCATED

    def dealings(self, member):
        others = [Participant(member.session, member.index, secrets.token_bytes) for _ in "ab"]
        return [
            *super().dealings(member),
            *(other.dealing().encode() for other in others),
        ]


class WrongLength(Behaviour):
    fault = Fault.WRONG_LENGTH

    def __init__(self, change):
        self.change = change

    def dealings(self, member):
        dealing = member.dealing()
        commitment = (
            dealing.commitment[: self.change]
            if self.change < 0
            else (
                *dealing.commitment,
                *dealing.commitment[: self.change],
            )
        )
        return [replace(dealing, commitment=commitment).encode()]


class WrongProof(Behaviour):
    fault = Fault.WRONG_PROOF

    def dealings(self, member):
        dealing = member.dealing()
        return [replace(dealing, proof=-dealing.proof).encode()]


class ProofOfAnotherSession(Behaviour):
    fault = Fault.WRONG_PROOF

    def dealings(self, member):
        dealing = member.dealing()
        proof = prove(bytes(32), member.index, member._polynomial.secret)
        return [replace(dealing, proof=proof).encode()]


class Mangled(Behaviour):
    """Commits to a point off the curve, so nothing decodes."""

    fault = Fault.NO_DEALING

    def dealings(self, member):
        data = bytearray(super().dealings(member)[0])
        data[35:83] = b"\x80" + bytes(46) + b"\x01"
        return [bytes(data)]


class BadShares(Behaviour):
    """Sends `victims` of the others a share that does not fit; answers as `reply` says."""

    def __init__(self, victims, reply, bad=shifted):
        self.victims = victims
        self.reply = reply
        self.bad = bad
        self.fault = {
            "right": None,
            "none": Fault.UNANSWERED,
            "wrong": Fault.WRONG_ANSWER,
            "both": Fault.WRONG_ANSWER,
            "zero": Fault.WRONG_ANSWER,
            "too many": Fault.TOO_MANY_COMPLAINTS,
        }[reply]

    def shares(self, member):
        sent = list(member.private_shares())
        for place in range(self.victims):
            share = self.bad(sent[place].share)
            sent[place] = replace(sent[place], share=share)
        return [private for private in sent if private.share is not None]

    def answers(self, member, messages):
        wrong = [replace(message, share=shifted(message.share)) for message in messages]
        zero = [replace(message, share=bytes(32)) for message in messages]
        chosen = {
            "none": [],
            "wrong": wrong,
            "both": [*messages, *wrong, *zero],
            "zero": zero,
        }.get(self.reply, messages)
        return [message.encode() for message in chosen]


class Slanderer(Behaviour):
    """Complains about everybody, several times, though all shares fit; answers nobody's."""

    fault = None

    def complaints(self, member, messages):
        about = [
            Complaint(member.session.id, member.index, dealer).encode()
            for dealer in member.session.dealers
            if dealer != member.index
        ]
        return about * 3


def check(committee, behaviours, attempts):
    """What must hold however the faulty members behave."""
    assert len(attempts) <= committee.faults + 1
    for attempt in attempts:
        results = [member.result for member in attempt.honest(behaviours)]
        if isinstance(results[0], Blame):
            assert all(result == results[0] for result in results)
            assert set(results[0].faults) <= set(behaviours)
        else:
            groups = [result.group for result in results]
            assert all(group == groups[0] for group in groups)
    results = {member.index: member.result for member in attempts[-1].honest(behaviours)}
    assert all(isinstance(result, KeyShare) for result in results.values())
    sign_with_some(committee, results)
    return results


def sign_with_some(committee, results):
    group = next(iter(results.values())).group
    blinded, factor = blind(MESSAGE, secrets.token_bytes)
    partials = {
        index: sign_blinded(result.secret, blinded, secrets.token_bytes)
        for index, result in results.items()
    }
    for index, partial in partials.items():
        assert verify_partial(index, blinded, partial, group.commitment)
        assert G2.generator() * results[index].secret.reveal() == group.public_shares()[index]
    quorums = list(combinations(partials, committee.threshold))
    signatures = {
        unblind(
            MESSAGE,
            factor,
            combine({index: partials[index] for index in quorum}, committee.threshold),
            group.public,
        )
        for quorum in [*quorums[:3], *quorums[-3:]]
    }
    assert len(signatures) == 1
    few = dict(list(partials.items())[: committee.threshold - 1])
    with pytest.raises(SignatureError):
        unblind(MESSAGE, factor, combine(few, len(few)), group.public)


@pytest.mark.parametrize("committee", [FOUR, SEVEN, Committee.tolerating(5)], ids=str)
def test_all_honest(committee):
    attempts = run(committee, {})
    assert len(attempts) == 1
    results = check(committee, {}, attempts)
    assert len(results) == committee.members
    assert results[1].group.session.dealers == tuple(committee.indices)


BLAMED = {
    "silent": Silent(),
    "two dealings": Doubled(),
    "a commitment too short": WrongLength(-1),
    "a commitment too long": WrongLength(1),
    "a wrong proof": WrongProof(),
    "a proof of another session": ProofOfAnotherSession(),
    "a point off the curve": Mangled(),
    "a wrong share and no answer": BadShares(1, "none"),
    "a wrong share and a wrong answer": BadShares(1, "wrong"),
    "a wrong share and two answers": BadShares(1, "both"),
    "a wrong share and zero for an answer": BadShares(1, "zero"),
    "wrong shares for more than f": BadShares(2, "too many"),
    "wrong shares for all": BadShares(3, "too many"),
}


@pytest.mark.parametrize("name", BLAMED)
@pytest.mark.parametrize("index", [1, 4])
def test_a_bad_dealer_is_blamed_and_a_key_made_without_it(name, index):
    behaviours = {index: BLAMED[name]}
    attempts = run(FOUR, behaviours)
    first = attempts[0].honest(behaviours)[0].result
    assert first.faults == {index: BLAMED[name].fault}
    assert len(attempts) == 2
    results = check(FOUR, behaviours, attempts)
    assert index not in next(iter(results.values())).group.session.dealers


@pytest.mark.parametrize(
    "bad",
    [shifted, lambda share: None, lambda share: b"", lambda share: b"\xff" * 32],
    ids=["wrong", "missing", "empty", "not reduced"],
)
def test_a_bad_share_that_is_published_does_no_harm(bad):
    behaviours = {2: BadShares(1, "right", bad)}
    attempts = run(FOUR, behaviours)
    assert len(attempts) == 1
    check(FOUR, behaviours, attempts)


def test_false_complaints_hurt_nobody_who_is_honest():
    behaviours = {3: Slanderer()}
    attempts = run(FOUR, behaviours)
    assert len(attempts) == 1
    check(FOUR, behaviours, attempts)
    behaviours = {1: Slanderer(), 6: Slanderer()}
    attempts = run(SEVEN, behaviours)
    assert len(attempts) == 1
    check(SEVEN, behaviours, attempts)


def test_five_different_faults_among_sixteen():
    committee = Committee.tolerating(5)
    behaviours = {
        1: Silent(),
        4: WrongProof(),
        9: BadShares(1, "wrong"),
        12: BadShares(6, "too many"),
        16: Slanderer(),
    }
    attempts = run(committee, behaviours)
    assert attempts[0].honest(behaviours)[0].result.faults == {
        1: Fault.NO_DEALING,
        4: Fault.WRONG_PROOF,
        9: Fault.WRONG_ANSWER,
        12: Fault.TOO_MANY_COMPLAINTS,
    }
    check(committee, behaviours, attempts)


kinds = st.sampled_from([*BLAMED.values(), BadShares(1, "right"), Slanderer()])


@settings(max_examples=6)
@given(st.dictionaries(st.integers(1, 7), kinds, max_size=2), st.integers(0, 1 << 30))
def test_whatever_two_of_seven_do(behaviours, seed):
    check(SEVEN, behaviours, run(SEVEN, behaviours, seed))


def test_faults_that_show_later_cost_one_attempt_each():
    class Patient(Silent):
        def dealings(self, member):
            alone = 1 not in member.session.dealers
            return [] if alone else Behaviour.dealings(self, member)

        def shares(self, member):
            return Behaviour.shares(self, member)

    behaviours = {1: Silent(), 2: Patient()}
    attempts = run(SEVEN, behaviours)
    assert [list(a.members[3].result.faults) for a in attempts[:-1]] == [[1], [2]]
    check(SEVEN, behaviours, attempts)


def test_a_failed_channel_ends_without_a_next_attempt():
    behaviours = {1: Silent(), 2: Silent()}
    attempts = run(FOUR, behaviours)
    result = attempts[-1].members[3].result
    assert set(result.faults) == {1, 2}
    assert result.next_session is None


# rogue keys


def test_a_rogue_key_needs_a_proof_that_its_dealer_cannot_make():
    """Without proofs, the last dealer sets the group's key to one that it knows."""
    session = Session.first(bytes(32), FOUR)
    honest = [Participant(session, index, secrets.token_bytes) for index in (1, 2, 3)]
    dealings = [member.dealing() for member in honest]
    known = random_scalar(secrets.token_bytes)
    rogue_key = G2.generator() * known
    for dealing in dealings:
        rogue_key += -dealing.commitment[0]
    # the attack: the sum of all constant terms is what the attacker wants
    total = rogue_key
    for dealing in dealings:
        total += dealing.commitment[0]
    assert total == G2.generator() * known
    higher = Polynomial.draw(2, secrets.token_bytes).commitment()
    proofs = [
        prove(session.id, 4, known),
        -(dealings[0].proof + dealings[1].proof + dealings[2].proof),
        dealings[0].proof,
    ]
    for proof in proofs:
        record = Record(session)
        for dealing in dealings:
            record.add(dealing)
        record.add(Dealing(session.id, 4, (rogue_key, *higher), proof))
        record.judge_dealings()
        assert record.faults == {4: Fault.WRONG_PROOF}


def test_a_dealing_cannot_be_copied():
    session = Session.first(bytes(32), FOUR)
    dealing = Participant(session, 1, secrets.token_bytes).dealing()
    record = Record(session)
    record.add(dealing)
    record.add(replace(dealing, dealer=2))
    record.judge_dealings()
    assert record.faults == {2: Fault.WRONG_PROOF, 3: Fault.NO_DEALING, 4: Fault.NO_DEALING}


# the machine's edges


def machine(index=1, session=None):
    return Participant(session or Session.first(bytes(32), FOUR), index, secrets.token_bytes)


def test_messages_are_taken_in_their_round_only():
    member = machine()
    dealing = member.dealing()
    complaint = Complaint(bytes(32), 2, 1)
    answer = Answer(bytes(32), 1, 2, bytes(32))
    taken = {
        Round.DEALING: dealing,
        Round.COMPLAINING: complaint,
        Round.ANSWERING: answer,
        Round.ENDED: None,
    }
    for current, right in taken.items():
        assert member.round is current
        for message in (dealing, complaint, answer):
            if message is right:
                member.receive(message)
                member.receive(message)
            else:
                with pytest.raises(RemoteProtocolError):
                    member.receive(message)
        if current is not Round.ENDED:
            member.close_round()
    with pytest.raises(LocalProtocolError):
        member.close_round()


def test_strangers_and_other_sessions_are_refused():
    member = machine()
    dealing = member.dealing()
    for message in (
        replace(dealing, session=b"\x01" * 32),
        replace(dealing, dealer=5),
        replace(dealing, dealer=0),
    ):
        with pytest.raises(RemoteProtocolError):
            member.receive(message)
    member.close_round()
    for message in (
        Complaint(b"\x01" * 32, 2, 1),
        Complaint(bytes(32), 0, 1),
        Complaint(bytes(32), 5, 1),
        Complaint(bytes(32), 2, 5),
    ):
        with pytest.raises(RemoteProtocolError):
            member.receive(message)
    member.close_round()
    with pytest.raises(RemoteProtocolError):
        member.receive(Answer(bytes(32), 1, 2, bytes(32)))


def test_private_shares_for_others_or_from_strangers_are_refused():
    member = machine()
    for private in (PrivateShare(2, 3, bytes(32)), PrivateShare(5, 1, bytes(32))):
        with pytest.raises(RemoteProtocolError):
            member.receive_share(private)
    member.close_round()
    with pytest.raises(RemoteProtocolError):
        member.receive_share(PrivateShare(2, 1, bytes(32)))
    assert "share" not in repr(PrivateShare(2, 1, b"\x05" * 32))


def test_the_first_private_share_counts():
    session = Session.first(bytes(32), FOUR)
    dealer, member = machine(2, session), machine(1, session)
    (private, *_) = dealer.private_shares()
    member.receive_share(private)
    member.receive_share(replace(private, share=shifted(private.share)))
    member.receive(dealer.dealing())
    assert member.close_round() == ()


def exchange_dealings(members, unreached=()):
    """Everybody's dealing to all; everybody's shares to all but the `unreached`."""
    for dealer in members.values():
        dealing, shares = dealer.dealing(), dealer.private_shares()
        for member in members.values():
            if dealing is not None:
                member.receive(dealing)
        for private in shares:
            if private.receiver not in unreached:
                members[private.receiver].receive_share(private)


def test_members_who_do_not_deal_still_receive():
    session = Session(bytes(32), FOUR, (1, 2, 3))
    members = {index: machine(index, session) for index in FOUR.indices}
    assert members[4].dealing() is None
    assert members[4].private_shares() == ()
    with pytest.raises(RemoteProtocolError):
        members[1].receive_share(PrivateShare(4, 1, bytes(32)))
    exchange_dealings(members)
    for member in members.values():
        assert [member.close_round() for _ in range(3)] == [(), (), ()]
    sign_with_some(FOUR, {index: member.result for index, member in members.items()})


def test_a_member_whose_complaint_was_lost_knows_the_key_and_cannot_sign():
    session = Session.first(bytes(32), FOUR)
    members = {index: machine(index, session) for index in FOUR.indices}
    exchange_dealings(members, unreached={4})
    for member in members.values():
        assert len(member.close_round()) == (3 if member.index == 4 else 0)
        member.close_round()
        member.close_round()
    assert members[4].result == members[1].result.group
    assert isinstance(members[4].result, GroupKey)
    members[4].erase()


def test_a_dealer_answers_at_most_f_and_never_opens_its_secret():
    member = machine()
    member.receive(member.dealing())
    member.close_round()
    member.receive(Complaint(bytes(32), 2, 1))
    dealt = [private.share for private in member.private_shares()]
    other = machine()
    other.receive(other.dealing())
    other.close_round()
    for accuser in (2, 3):
        other.receive(Complaint(bytes(32), accuser, 1))
    assert member.close_round() == (Answer(bytes(32), 1, 2, dealt[0]),)
    assert other.close_round() == ()


def test_secrets_are_erased():
    attempts = run(FOUR, {})
    member = attempts[0].members[1]
    with pytest.raises(LocalProtocolError):
        member.dealing()
    assert all(share.erased for share in member._shares.values())
    key = member.result
    buffer = key.secret._bytes
    assert any(buffer)
    member.erase()
    assert not any(buffer)
    assert key.secret.erased
    with pytest.raises(LocalProtocolError):
        sign_blinded(key.secret, hash_to_g1(MESSAGE), secrets.token_bytes)
    assert key.group.public_shares()[1] is not None
    unfinished = machine()
    unfinished.erase()
    with pytest.raises(LocalProtocolError):
        unfinished.private_shares()
    key.erase()


def test_no_such_member():
    for index in (0, 5):
        with pytest.raises(LocalProtocolError):
            machine(index)


@pytest.mark.parametrize(
    ("session_id", "dealers"),
    [
        (bytes(31), (1, 2, 3, 4)),
        (bytes(32), (1, 2)),
        (bytes(32), (2, 1, 3)),
        (bytes(32), (1, 1, 2, 3)),
        (bytes(32), (0, 1, 2)),
        (bytes(32), (2, 3, 5)),
    ],
)
def test_sessions_that_cannot_be(session_id, dealers):
    with pytest.raises(LocalProtocolError):
        Session(session_id, FOUR, dealers)


def test_a_shared_secret_of_zero_is_still_a_share():
    """A rushing dealer may cancel a faulty member's share; the group key does not mind."""
    polynomial = Polynomial([Scalar(3), Scalar(ORDER - 3)])
    group = GroupKey(Session.first(bytes(32), FOUR), polynomial.commitment())
    assert group.public_shares()[1].is_identity
    assert not verify_partial(1, G1.hash(MESSAGE, b"d" * 16), hash_to_g1(MESSAGE), group.commitment)
