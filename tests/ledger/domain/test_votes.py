"""Messages of the agreement survive their encoding; anything else is a decode error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.memory import MemberState
from ledger.domain.votes import (
    Certificate,
    Certified,
    Decision,
    Kind,
    NewView,
    Phase,
    Proposal,
    Signature,
    Topic,
    Vote,
    cast_vote,
    decode_message,
    encode_message,
    is_certified,
    is_vote_of,
    make_certificate,
    signed_by,
)
from qnet import cbor
from qnet.crypto.keys import ReceiptKey
from qnet.errors import DecodeError
from qnet.messages.consensus import MAX_MEMBERS, CommitteeTrust

KEYS = tuple(ReceiptKey(bytes([7 + n]) * 32) for n in range(4))
TRUST = CommitteeTrust(31337, b"\x11" * 20, tuple(key.address for key in KEYS), 3)
TOPIC = Topic(Kind.CONSENSUS, 60)

hashes = st.binary(min_size=32, max_size=32)
views = st.integers(0, 2**32 - 1)
signatures = st.binary(min_size=65, max_size=65)
joined = st.lists(signatures, min_size=1, max_size=4).map(b"".join)
bitmaps = st.integers(0, 2**64 - 1) | st.integers(0, 2**256 - 1)
certificates = st.builds(Certificate, st.sampled_from(Phase), views, hashes, bitmaps, joined)
documents = st.binary(max_size=200)
messages = st.one_of(
    st.builds(NewView, views, st.none() | certificates, st.none() | documents),
    st.builds(Proposal, views, hashes, documents, st.none() | certificates),
    st.builds(Vote, st.sampled_from(Phase), views, hashes, signatures),
    st.builds(Certified, certificates),
    st.builds(Signature, hashes, signatures),
    st.builds(Decision, hashes, documents, bitmaps, joined),
)


@given(messages)
def test_messages_survive(message):
    assert decode_message(encode_message(message)) == message


def test_a_decision_of_every_seat_survives():
    decision = Decision(bytes(32), b"d", (1 << MAX_MEMBERS) - 1, bytes(65) * MAX_MEMBERS)
    assert decode_message(encode_message(decision)) == decision


@given(
    st.builds(
        MemberState,
        view=views,
        voted=st.none() | hashes,
        lock=st.none() | certificates,
        signed=st.none() | hashes,
        decided=st.none() | st.builds(Decision, hashes, documents, bitmaps, joined),
        documents=st.dictionaries(hashes, documents, max_size=3),
    )
)
def test_memory_survives(state):
    assert MemberState.decode(state.encode()) == state


@given(st.binary(max_size=200) | messages.map(encode_message), st.data())
def test_flipped_and_random_bytes_are_decode_errors_or_messages(data, draw):
    changed = bytearray(data)
    if changed:
        changed[draw.draw(st.integers(0, len(changed) - 1))] ^= draw.draw(st.integers(0, 255))
    for decode in (decode_message, MemberState.decode):
        try:
            decode(bytes(changed))
        except DecodeError:
            continue


@pytest.mark.parametrize(
    "value",
    [
        {"t": "cert", "lock": None},
        {"t": "propose", "view": 0, "digest": bytes(32), "doc": None, "lock": None},
        {"t": "propose", "view": 0, "digest": bytes(32), "doc": "text", "lock": None},
        {"t": "shout"},
        {"t": 5},
        [],
    ],
)
def test_incomplete_messages_are_refused(value):
    with pytest.raises(DecodeError):
        decode_message(cbor.dumps(value))


GOOD = {"view": 0, "voted": None, "lock": None, "signed": None, "decided": None, "docs": {}}


@pytest.mark.parametrize(
    "change",
    [
        {"voted": b"short"},
        {"docs": {"name": b""}},
        {"docs": {b"name": ""}},
        {"view": -1},
        {"decided": encode_message(Signature(bytes(32), bytes(65)))},
    ],
)
def test_damaged_memory_is_refused(change):
    with pytest.raises(DecodeError):
        MemberState.decode(cbor.dumps({**GOOD, **change}))


def test_votes_are_bound_to_topic_view_phase_and_digest():
    vote = cast_vote(KEYS[1], TRUST, TOPIC, Phase.PREPARE, 4, b"\x01" * 32)
    assert is_vote_of(1, vote, TRUST, TOPIC)
    assert not is_vote_of(2, vote, TRUST, TOPIC)
    assert not is_vote_of(1, vote, TRUST, Topic(Kind.REPORT, 60))
    assert not is_vote_of(1, vote, TRUST, Topic(Kind.CONSENSUS, 60, attempt=1))
    for other in (
        Vote(Phase.LOCK, 4, vote.digest, vote.signature),
        Vote(Phase.PREPARE, 5, vote.digest, vote.signature),
        Vote(Phase.PREPARE, 4, b"\x02" * 32, vote.signature),
    ):
        assert not is_vote_of(1, other, TRUST, TOPIC)
    assert not signed_by(KEYS[1].address, bytes(32), bytes(65))


def test_a_certificate_needs_a_quorum():
    votes = {n: cast_vote(KEYS[n], TRUST, TOPIC, Phase.LOCK, 0, b"\x01" * 32) for n in (0, 2, 3)}
    assert is_certified(make_certificate(votes), TRUST, TOPIC)
    del votes[2]
    assert not is_certified(make_certificate(votes), TRUST, TOPIC)
