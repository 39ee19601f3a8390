"""Chains of committee changes: what is followed, what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qnet.crypto.keys import ReceiptKey
from qnet.errors import CryptoError, DecodeError, RemoteProtocolError
from qnet.messages.errors import CommitteeForkError
from qnet.messages.succession import (
    MAX_CHANGES,
    CommitteeChange,
    CommitteeHistory,
    SignedChange,
    change_times,
    decode_changes,
    encode_changes,
    least_quorum,
    set_at,
    sign_change,
)
from qnet.messages.trust import MAX_MEMBERS, NO_SIGNER, CommitteeTrust, join_signatures

CHAIN, COMMITTEE = 31337, b"\xc0" * 20
KEYS = [ReceiptKey.generate() for _ in range(12)]


def trust_of(keys: Sequence[ReceiptKey | None]) -> CommitteeTrust:
    signers = tuple(NO_SIGNER if key is None else key.address for key in keys)
    active = sum(key is not None for key in keys)
    return CommitteeTrust(CHAIN, COMMITTEE, signers, least_quorum(active))


def change(
    before: Sequence[ReceiptKey | None],
    after: Sequence[ReceiptKey | None],
    time: int,
    *,
    signed_by: Sequence[int] = (0, 1, 2),
) -> SignedChange:
    new = trust_of(after)
    body = CommitteeChange(CHAIN, COMMITTEE, time, trust_of(before).hash, new.signers, new.quorum)
    parts = {}
    for member in signed_by:
        key = before[member]
        assert key is not None
        parts[member] = sign_change(body, key)
    return SignedChange(body, *join_signatures(parts))


SETS: list[list[ReceiptKey | None]] = [
    KEYS[:4],
    KEYS[:5],
    [KEYS[0], None, *KEYS[2:5]],
    [KEYS[0], None, *KEYS[2:8]],
]
CHAIN_OF = [
    change(SETS[0], SETS[1], 100),
    change(SETS[1], SETS[2], 200, signed_by=(0, 1, 2, 4)),
    change(SETS[2], SETS[3], 300, signed_by=(0, 2, 4)),
]
START = CommitteeHistory(trust_of(SETS[0]))
WHOLE = START.follow(CHAIN_OF)


def test_each_period_has_the_set_of_its_time() -> None:
    expected = {0: 0, 99: 0, 100: 1, 199: 1, 200: 2, 299: 2, 300: 3, 10**12: 3}
    assert {time: WHOLE.at(time) for time in expected} == {
        time: trust_of(SETS[place]) for time, place in expected.items()
    }
    assert (WHOLE.newest, WHOLE.valid_from) == (trust_of(SETS[3]), 300)


def test_any_suffix_of_what_is_known_may_come_again() -> None:
    for known in range(4):
        history = START.follow(CHAIN_OF[:known])
        for start in range(known + 1):
            assert history.follow(CHAIN_OF[start:]) == WHOLE
    assert START.follow(CHAIN_OF[1:]) == START


def test_too_few_signatures_or_those_of_another_set_are_refused() -> None:
    for signed_by in ((0, 1), (3,)):
        with pytest.raises(CryptoError):
            START.extended(change(SETS[0], SETS[1], 100, signed_by=signed_by))
    strangers: list[ReceiptKey | None] = list(KEYS[8:12])
    forged = change(strangers, SETS[1], 100)
    forged = replace(forged, change=replace(forged.change, previous=START.start.hash))
    with pytest.raises(CryptoError):
        START.extended(forged)


def test_a_former_member_signs_for_nobody() -> None:
    gone: list[ReceiptKey | None] = [KEYS[0], KEYS[1], *KEYS[2:5]]
    body = CHAIN_OF[2].change
    parts = {place: sign_change(body, key) for place, key in enumerate(gone) if key is not None}
    parts = {place: parts[place] for place in (0, 1, 2)}
    with pytest.raises(CryptoError):
        START.follow(CHAIN_OF[:2]).extended(SignedChange(body, *join_signatures(parts)))


def test_gaps_and_steps_back_in_time_are_refused() -> None:
    with pytest.raises(DecodeError, match="follow"):
        START.extended(CHAIN_OF[1])
    early = change(SETS[1], SETS[2], 100, signed_by=(0, 1, 2, 4))
    with pytest.raises(DecodeError, match="follow"):
        START.follow(CHAIN_OF[:1]).extended(early)
    other = replace(CHAIN_OF[0], change=replace(CHAIN_OF[0].change, chain_id=1))
    with pytest.raises(DecodeError, match="another chain"):
        START.extended(other)


def test_two_certified_followers_of_one_set_are_a_fork() -> None:
    second = change(SETS[0], SETS[3], 150, signed_by=(1, 2, 3))
    with pytest.raises(CommitteeForkError):
        WHOLE.follow([second])
    weak = change(SETS[0], SETS[3], 150, signed_by=(1, 2))
    assert WHOLE.follow([weak]) == WHOLE


def test_chains_are_bounded() -> None:
    full = CommitteeHistory(START.start, tuple(CHAIN_OF[:1]) * MAX_CHANGES)
    with pytest.raises(DecodeError, match=str(MAX_CHANGES)):
        full.extended(change(SETS[1], SETS[2], 200, signed_by=(0, 1, 2, 4)))
    with pytest.raises(DecodeError):
        decode_changes(encode_changes([CHAIN_OF[0]] * (MAX_CHANGES + 1)))


def test_encoding_round_trips() -> None:
    assert decode_changes(encode_changes(CHAIN_OF)) == tuple(CHAIN_OF)


@pytest.mark.parametrize(
    "changes",
    [
        {"quorum": 2},
        {"quorum": 6},
        {"signers": (NO_SIGNER, NO_SIGNER)},
        {"signers": (KEYS[0].address, KEYS[0].address)},
    ],
)
def test_sets_that_could_not_agree_safely_are_refused(changes: dict[str, object]) -> None:
    bad = replace(CHAIN_OF[0], change=replace(CHAIN_OF[0].change, **changes))
    with pytest.raises(DecodeError):
        SignedChange.decode(bad.encode())


@settings(max_examples=100)
@given(st.data())
def test_decoders_refuse_or_round_trip(data: st.DataObject) -> None:
    wire = bytearray(CHAIN_OF[0].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        wire[data.draw(st.integers(0, len(wire) - 1))] ^= data.draw(st.integers(1, 255))
    assume(bytes(wire) != CHAIN_OF[0].encode())
    try:
        signed = SignedChange.decode(bytes(wire))
    except DecodeError:
        return
    assert signed.encode() == bytes(wire)
    with pytest.raises(RemoteProtocolError):
        START.extended(signed)


def test_a_committee_of_every_seat_can_change() -> None:
    signers = tuple(place.to_bytes(20, "big") for place in range(1, MAX_MEMBERS + 1))
    body = CommitteeChange(CHAIN, COMMITTEE, 5, bytes(32), signers, least_quorum(MAX_MEMBERS))
    signed = SignedChange(
        body, *join_signatures({place: bytes(65) for place in range(MAX_MEMBERS)})
    )
    assert MAX_MEMBERS == 256
    assert SignedChange.decode(signed.encode()) == signed
    assert decode_changes(encode_changes([signed] * MAX_CHANGES)) == (signed,) * MAX_CHANGES


@given(st.integers(1, MAX_MEMBERS))
def test_two_quorums_share_an_honest_member(members: int) -> None:
    faulty = (members - 1) // 3
    quorum = least_quorum(members)
    assert 2 * quorum - members > faulty
    assert quorum <= members - faulty


@dataclass(frozen=True)
class Chair:
    """A seat of the contract."""

    signer: bytes
    active_from_s: int
    active_until_s: int = 0


SEATS = [
    Chair(KEYS[0].address, 10),
    Chair(KEYS[1].address, 10, 200),
    Chair(KEYS[2].address, 10),
    Chair(KEYS[3].address, 10),
    Chair(KEYS[4].address, 100),
]


def test_sets_follow_from_the_seats_of_the_contract() -> None:
    assert change_times(SEATS, 99) == []
    assert change_times(SEATS, 10**9) == [100, 200]
    expected: dict[int, list[ReceiptKey | None]] = {
        10: list(KEYS[:4]),
        99: list(KEYS[:4]),
        100: list(KEYS[:5]),
        200: [KEYS[0], None, *KEYS[2:5]],
    }
    for time, keys in expected.items():
        assert set_at(SEATS, time, chain_id=CHAIN, committee=COMMITTEE) == trust_of(keys)
