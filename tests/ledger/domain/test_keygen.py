"""Who makes an epoch's keys, when, and what the keys are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.keygen import EpochKeys, Plan, Timetable
from ledger.domain.keygen_bundles import KeyRound, RoundId
from ledger.errors import CommitteeSizeError
from qnet.crypto.errors import PointError
from qnet.crypto.points import G2
from qnet.crypto.scalars import Scalar
from qnet.crypto.threshold import public_share
from qnet.epochs import EpochClock
from qnet.errors import DecodeError
from qnet.issuance import IssuanceClock, PaymentTerms
from qnet.messages.instruments import KEYS, Place
from qnet.messages.trust import NO_SIGNER

PLACE = Place(1, b"\x02" * 20)


def some_keys(threshold: int = 3) -> EpochKeys:
    points = iter(range(2, 1000))
    commitments = tuple(
        tuple(G2.generator() * Scalar(next(points)) for _ in range(threshold)) for _ in range(KEYS)
    )
    return EpochKeys(9, threshold, (0, 1, 2, 3), commitments)


def test_keys_come_back_as_they_were():
    keys = some_keys()
    assert EpochKeys.decode(keys.encode()) == keys
    assert keys.keys == tuple(commitment[0] for commitment in keys.commitments)
    assert keys.share_keys(7) == tuple(public_share(keys.commitments[7], n) for n in range(1, 5))
    assert keys.hash(PLACE) == PLACE.keys_hash(9, [key.encode_eip2537() for key in keys.keys])


@given(st.integers(0, 400), st.integers(1, 255))
def test_changed_keys_are_not_the_same(place: int, change: int):
    wire = bytearray(some_keys().encode())
    wire[place] ^= change
    try:
        assert EpochKeys.decode(bytes(wire)) != some_keys()
    except (DecodeError, PointError):
        return


@pytest.mark.parametrize("head", [b"\0" * 6, b"\0\0\0\1\5\4" + bytes(4), b"\0\0\0\1\3\101"])
def test_keys_of_no_committee_are_refused(head: bytes):
    with pytest.raises(DecodeError):
        EpochKeys.decode(head + bytes(9999))


def plan(*signers: bytes) -> Plan:
    return Plan(9, PLACE, signers)


def addresses(count: int) -> list[bytes]:
    return [bytes([number + 1]) * 20 for number in range(count)]


@pytest.mark.parametrize(("members", "faults"), [(1, 0), (4, 1), (7, 2), (16, 5), (64, 21)])
def test_a_committee_of_3f_plus_1_makes_keys(members: int, faults: int):
    committee = plan(*addresses(members)).committee
    assert (committee.members, committee.faults) == (members, faults)
    assert committee.threshold == 2 * faults + 1
    assert 2 * committee.threshold > members + faults


@pytest.mark.parametrize("members", [0, 2, 3, 5, 6, 8, 15, 65, 67])
def test_committees_of_other_sizes_are_refused(members: int):
    with pytest.raises(CommitteeSizeError):
        _ = plan(*addresses(members)).committee


def test_a_seat_that_was_given_up_has_no_index():
    one, two, three, four = addresses(4)
    seats = plan(one, NO_SIGNER, two, three, four)
    assert seats.seats == (0, 2, 3, 4)
    assert seats.roster == (one, two, three, four)
    assert seats.index_of(two) == 2
    assert seats.index_of(b"\x77" * 20) is None
    assert seats.committee.members == 4


def timetable(profile: str = "main") -> Timetable:
    terms = PaymentTerms.profile(profile)
    return Timetable(IssuanceClock(EpochClock(1_000_000, 3600, 24), terms))


def test_rounds_follow_one_another_within_the_epoch_before():
    table = timetable()
    begins, ends = table.begins_at(9), table.ends_at(9)
    assert ends - begins == 7 * 86_400
    assert table.window_s(9) == 900
    starts = [
        table.starts_at(RoundId(9, attempt, round_))
        for attempt in range(3)
        for round_ in (KeyRound.DEALING, KeyRound.COMPLAINING, KeyRound.ANSWERING)
    ]
    assert starts[0] == begins
    assert starts[:3] == sorted(starts[:3])
    assert all(begins <= start < ends for start in starts)
    assert table.keys_start_at(9) == begins + 1800


def test_windows_are_a_sixteenth_of_a_short_epoch():
    terms = replace(PaymentTerms.profile("devnet"), issuance_epochs=2)
    table = Timetable(IssuanceClock(EpochClock(1_000_000, 30, 1), terms))
    assert table.window_s(3) == 3.75
    assert table.patience_s(RoundId(3, 0, KeyRound.DEALING)) == 7.5
    assert table.patience_s(RoundId(3, 1, KeyRound.DEALING)) == 3.75
    assert table.patience_s(RoundId(3, 0, KeyRound.COMPLAINING)) == 3.75
