"""Eight keys at once, with every kind of faulty member."""

import secrets
from itertools import combinations

import pytest

from ledger.domain.keygen import Plan
from ledger.domain.keygen_attempt import Attempt, DealingSecrets, Failed, Made, tape_bytes
from ledger.domain.keygen_bundles import Bundle, KeyRound, RoundId, RoundRecord
from ledger.domain.keygen_payloads import (
    Dealings,
    SealedDealing,
    decode_messages,
    encode_messages,
)
from qnet.crypto.dkg_messages import Answer, Complaint
from qnet.crypto.dkg_record import Fault
from qnet.crypto.keys import DhKey
from qnet.errors import LocalProtocolError
from qnet.messages.instruments import KEYS
from tests.ledger.domain.keygen_network import PLACE, Generation, Member, signs

LIAR = 2


def in_round(round_, lie):
    """Lie in one round, be honest in the others."""

    def told(member, payload):
        return lie(member, payload) if member.attempt.round is round_ else [payload]

    return told


def with_sealed(payload, change):
    """Dealings with what `change` makes of (number of the key, sealed dealing)."""
    if not payload:
        return payload
    dealings = Dealings.decode(payload)
    sealed = tuple(change(number, each) for number, each in enumerate(dealings.sealed))
    return Dealings(dealings.exchange, sealed).encode()


def check(generation: Generation, made: dict[int, Made]) -> None:
    """All honest members hold the same keys, and any t of their shares sign."""
    threshold = generation.plan.committee.threshold
    keys = next(iter(made.values())).keys
    holders = {index: each.shares for index, each in made.items() if each.shares is not None}
    for class_ in range(KEYS):
        for chosen in combinations(sorted(holders), threshold):
            shares = {index: holders[index][class_] for index in chosen}
            assert signs(keys, class_, shares)


def test_four_members_make_eight_keys_any_three_of_whom_sign():
    generation = Generation()
    made = generation.run()
    assert len(made) == 4
    assert all(each.shares is not None for each in made.values())
    check(generation, made)
    assert generation.blamed == []
    keys = made[1].keys
    assert len({key.encode() for key in keys.keys}) == KEYS
    # nobody complained: two rounds
    assert [record.id.round for record in generation.records] == [
        KeyRound.DEALING,
        KeyRound.COMPLAINING,
    ]


def test_seven_members_make_keys_with_two_liars():
    def silent(_member, _payload):
        return []

    def bad_share(member, payload):
        if member.attempt.round is not KeyRound.DEALING or not payload:
            return [payload]
        return [with_sealed(payload, lambda _n, each: SealedDealing(each.dealing, {}))]

    generation = Generation(7, {3: silent, 6: bad_share})
    made = generation.run()
    assert generation.blamed == [
        {3: Fault.NO_DEALING},
        {6: Fault.TOO_MANY_COMPLAINTS},
    ]
    check(generation, made)


@pytest.mark.parametrize(
    ("garble", "fault"),
    [
        (lambda payload: b"", Fault.NO_DEALING),
        (lambda payload: payload[:-1], Fault.NO_DEALING),
        (lambda payload: payload + b"\0", Fault.NO_DEALING),
        (lambda payload: secrets.token_bytes(len(payload)), Fault.NO_DEALING),
        # a point that is none
        (
            lambda payload: with_sealed(
                payload,
                lambda n, each: (
                    SealedDealing(each.dealing[:40] + b"\xff" * 9 + each.dealing[49:], each.shares)
                    if n == 5
                    else each
                ),
            ),
            Fault.NO_DEALING,
        ),
        # no dealing at all for one key
        (
            lambda payload: with_sealed(
                payload, lambda n, each: SealedDealing(b"", each.shares) if n == 0 else each
            ),
            Fault.NO_DEALING,
        ),
    ],
)
def test_a_malformed_dealing_is_blamed_at_once(garble, fault):
    lie = in_round(KeyRound.DEALING, lambda _member, payload: [garble(payload)])
    generation = Generation(4, {LIAR: lie})
    made = generation.run()
    assert generation.blamed == [{LIAR: fault}]
    assert len(generation.records) == 3
    check(generation, made)


def test_the_dealing_of_another_member_is_not_its_own():
    taken = {}

    def listen(member, payload):
        taken[member.attempt.id] = payload
        return [payload]

    def repeat(member, payload):
        return [taken.get(member.attempt.id, payload)]

    generation = Generation(4, {1: listen, LIAR: repeat})
    generation.lies = {1: listen, LIAR: in_round(KeyRound.DEALING, repeat)}
    generation.run()
    assert generation.blamed == [{LIAR: Fault.NO_DEALING}]


def test_two_different_dealings_are_blamed():
    def two(member, payload):
        if not payload:
            return [payload]
        other = Attempt(
            member.attempt.plan,
            member.attempt.number,
            member.attempt.plan.sessions(0),
            index=member.index,
            secrets=DealingSecrets(member.exchange, secrets.token_bytes(len(member.tapes[0]))),
        )
        return [payload, other.deal({})]

    generation = Generation(4, {LIAR: in_round(KeyRound.DEALING, two)})
    made = generation.run()
    assert generation.blamed == [{LIAR: Fault.EQUIVOCATED}]
    check(generation, made)


def damage(receivers):
    """A dealing whose shares do not open at some receivers."""

    def lie(member, payload):
        def change(number, each):
            if number != 3:
                return each
            shares = {
                to: bytes(len(share)) if to in receivers else share
                for to, share in each.shares.items()
            }
            return SealedDealing(each.dealing, shares)

        return [with_sealed(payload, change)]

    return in_round(KeyRound.DEALING, lie)


def test_a_bad_share_is_complained_of_and_answered_and_all_sign():
    generation = Generation(4, {LIAR: damage({3})})
    made = generation.run()
    assert generation.blamed == []
    _dealt, complained, answered = generation.records
    said = {bundle.author: decode_messages(bundle.payload) for bundle in complained.bundles}
    assert [type(each) for each in said[3]] == [Complaint]
    assert said[1] == said[4] == []
    answers = [m for bundle in answered.bundles for m in decode_messages(bundle.payload)]
    assert [(each.dealer, each.accuser) for each in answers] == [(LIAR, 3)]
    # the member whose share was published signs like everybody
    assert made[3].shares is not None
    check(generation, made)


def test_a_bad_share_that_is_not_answered_is_blamed():
    def lie(member, payload):
        if member.attempt.round is KeyRound.ANSWERING:
            return []
        return damage({3})(member, payload)

    generation = Generation(4, {LIAR: lie})
    made = generation.run()
    assert generation.blamed == [{LIAR: Fault.UNANSWERED}]
    check(generation, made)


def test_a_wrong_answer_is_blamed():
    def lie(member, payload):
        if member.attempt.round is not KeyRound.ANSWERING:
            return damage({3})(member, payload)
        answers = [
            Answer(each.session, each.dealer, each.accuser, each.share[::-1])
            for each in decode_messages(payload)
        ]
        return [encode_messages(answers)]

    generation = Generation(4, {LIAR: lie})
    generation.run()
    assert generation.blamed == [{LIAR: Fault.WRONG_ANSWER}]


def test_shares_that_are_wrong_for_more_than_f_are_blamed():
    generation = Generation(4, {LIAR: damage({1, 3})})
    generation.run()
    assert generation.blamed == [{LIAR: Fault.TOO_MANY_COMPLAINTS}]


def complaints_of(member, *, accuser, dealers):
    sessions = member.attempt.plan.sessions(0)
    return encode_messages(
        Complaint(session.id, accuser, dealer) for session in sessions for dealer in dealers
    )


def test_a_false_complaint_is_answered_and_harms_nobody():
    lie = in_round(
        KeyRound.COMPLAINING,
        lambda member, _payload: [complaints_of(member, accuser=LIAR, dealers=[1, 3, 4])],
    )
    generation = Generation(4, {LIAR: lie})
    made = generation.run()
    assert generation.blamed == []
    assert len(generation.records) == 3
    check(generation, made)


def test_a_complaint_in_another_members_name_counts_for_nothing():
    lie = in_round(
        KeyRound.COMPLAINING,
        lambda member, _payload: [complaints_of(member, accuser=3, dealers=[1, 4])],
    )
    generation = Generation(4, {LIAR: lie})
    generation.run()
    assert len(generation.records) == 2


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xff", b"\0\1\3abc", bytes(range(99))])
def test_rubbish_in_place_of_complaints_counts_for_nothing(rubbish):
    lie = in_round(KeyRound.COMPLAINING, lambda _member, _payload: [rubbish])
    generation = Generation(4, {LIAR: lie})
    made = generation.run()
    assert generation.blamed == []
    check(generation, made)


def test_a_member_that_announced_no_key_complains_and_is_answered():
    generation = Generation()
    del generation.announced[4]
    made = generation.run()
    assert generation.blamed == []
    assert len(generation.records) == 3
    check(generation, made)


def test_a_key_of_low_order_is_no_key():
    generation = Generation()
    generation.announced[4] = bytes(32)
    made = generation.run()
    assert generation.blamed == []
    check(generation, made)


def test_if_more_than_f_are_blamed_everybody_deals_again():
    def silent_at_first(member, payload):
        return [] if member.attempt.number == 0 else [payload]

    generation = Generation(4, {LIAR: silent_at_first, 3: silent_at_first})
    made = generation.run()
    assert set(generation.blamed[0]) == {LIAR, 3}
    assert generation.members[0].attempt.dealers == (1, 2, 3, 4)
    ids = {bundle.payload for record in generation.records for bundle in record.bundles}
    assert len(ids) > 4
    check(generation, made)


def follow(generation: Generation, index, secrets_of) -> list[Attempt]:
    """Replay the records of a generation."""
    attempts = []
    sessions, number = generation.plan.sessions(0), 0
    attempt = None
    for record in generation.records:
        if attempt is None:
            attempt = Attempt(
                generation.plan, number, sessions, index=index, secrets=secrets_of(number)
            )
            attempts.append(attempt)
        attempt.close(record)
        if isinstance(attempt.outcome, Failed):
            sessions, number = attempt.outcome.sessions, number + 1
            attempt = None
    return attempts


def test_a_member_that_comes_back_says_the_same_and_holds_the_same():
    lie = in_round(KeyRound.DEALING, lambda _member, _payload: [b""])
    generation = Generation(4, {LIAR: lie})
    made = generation.run()
    member: Member = generation.members[2]
    again = follow(generation, 3, lambda number: member.secrets_of(generation.plan, number))
    last = again[-1].outcome
    assert isinstance(last, Made)
    assert last.keys == made[3].keys
    ours, theirs = last.shares, made[3].shares
    assert ours is not None
    assert theirs is not None
    assert [a.reveal() == b.reveal() for a, b in zip(ours, theirs, strict=True)] == [True] * 8
    # the same dealing, byte for byte, from the same tape and announcements
    (dealt,) = [b.payload for b in generation.records[0].bundles if b.author == 3]
    rebuilt = Attempt(
        generation.plan,
        0,
        generation.plan.sessions(0),
        index=3,
        secrets=member.secrets_of(generation.plan, 0),
    )
    assert rebuilt.deal(generation.announced) == dealt == rebuilt.deal(generation.announced)


@pytest.mark.parametrize("index", [None, 3])
def test_who_was_away_learns_the_keys_and_no_shares(index):
    generation = Generation()
    made = generation.run()
    size = tape_bytes(generation.plan.committee)

    def other(_number):
        return DealingSecrets(DhKey(secrets.token_bytes(32)), secrets.token_bytes(size))

    (attempt,) = follow(generation, index, other)
    assert isinstance(attempt.outcome, Made)
    assert attempt.outcome.keys == made[1].keys
    assert attempt.outcome.shares is None


def test_who_does_not_deal_says_nothing_in_the_dealing_round():
    lie = in_round(KeyRound.DEALING, lambda member, payload: [b""] if payload else [payload])
    generation = Generation(4, {LIAR: lie})
    generation.run()
    liar = generation.members[LIAR - 1]
    assert not liar.attempt.deals
    assert liar.attempt.dealers == (1, 3, 4)
    assert generation.records[1].bundles[1].payload == b""


def test_records_of_another_round_and_tapes_of_another_committee_are_refused():
    generation = Generation()
    generation.run()
    member = generation.members[0]
    with pytest.raises(LocalProtocolError):
        member.attempt.close(generation.records[0])
    fresh = Attempt(
        generation.plan,
        0,
        generation.plan.sessions(0),
        index=1,
        secrets=member.secrets_of(generation.plan, 0),
    )
    with pytest.raises(LocalProtocolError):
        fresh.close(RoundRecord.of(RoundId(7, 1, KeyRound.DEALING), []))
    with pytest.raises(LocalProtocolError):
        Attempt(
            generation.plan,
            0,
            generation.plan.sessions(0),
            index=1,
            secrets=DealingSecrets(member.exchange, b"short"),
        )


def test_a_failed_attempt_leaves_no_secrets():
    lie = in_round(KeyRound.DEALING, lambda _member, _payload: [b""])
    generation = Generation(4, {LIAR: lie})
    first = [
        Attempt(
            generation.plan,
            0,
            generation.plan.sessions(0),
            index=member.index,
            secrets=member.secrets_of(generation.plan, 0),
        )
        for member in generation.members
    ]
    for member, attempt in zip(generation.members, first, strict=True):
        member.attempt = attempt
    generation.close_round()
    assert isinstance(first[0].outcome, Failed)
    with pytest.raises(LocalProtocolError, match="erased"):
        first[0].deal(generation.announced)


def test_sessions_differ_by_key_epoch_attempt_contract_and_committee():
    base = Generation().plan
    others = [
        Plan(base.epoch + 1, base.place, base.signers),
        Plan(base.epoch, type(PLACE)(PLACE.chain_id + 1, PLACE.channels), base.signers),
        Plan(base.epoch, type(PLACE)(PLACE.chain_id, b"\x09" * 20), base.signers),
        Plan(base.epoch, base.place, base.signers[::-1]),
    ]
    ids = [session.id for plan in (base, *others) for session in plan.sessions(0)]
    ids += [session.id for session in base.sessions(1)]
    assert len(set(ids)) == KEYS * 6


def test_bundles_by_non_dealers_are_not_dealings():
    """A blamed dealer's dealing in the next attempt counts for nothing."""
    seen = []

    def stubborn(member, payload):
        if member.attempt.number == 0:
            seen.append(payload)
            return [b""]
        return [seen[0]] if member.attempt.round is KeyRound.DEALING else [payload]

    generation = Generation(4, {LIAR: stubborn})
    made = generation.run()
    assert len(generation.blamed) == 1
    check(generation, made)
    assert isinstance(generation.records[1].bundles[1], Bundle)
