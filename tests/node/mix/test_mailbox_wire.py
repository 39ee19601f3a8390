import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.keys.phase import PhaseKeyring
from node.mix.mailbox_wire import (
    MAX_CLAIMS,
    MAX_IDS,
    Claim,
    MailboxGrant,
    MailboxRequest,
    decode_grant,
    decode_request,
    make_claim,
)
from node.mix.packet import PACKET_BYTES
from qnet.crypto.keys import DhKey
from qnet.errors import DecodeError, LocalProtocolError

PHASE = 1000
NODE = 7

u24 = st.integers(0, 2**24 - 1)
claims = st.builds(
    Claim, st.binary(min_size=32, max_size=32), u24, st.binary(min_size=16, max_size=16)
)
requests = st.builds(
    MailboxRequest, u24, st.integers(0, MAX_IDS), st.lists(claims, max_size=MAX_CLAIMS).map(tuple)
)
grants = st.builds(
    MailboxGrant,
    u24,
    st.lists(st.binary(min_size=16, max_size=16), max_size=MAX_IDS).map(tuple),
    st.integers(0, 255),
)


@given(requests)
def test_requests(request):
    assert len(request.encode()) == PACKET_BYTES
    assert decode_request(request.encode()) == request


@given(grants)
def test_grants(grant):
    assert len(grant.encode()) == PACKET_BYTES
    assert decode_grant(grant.encode()) == grant


@given(st.binary(max_size=120), st.sampled_from([b"\3", b"\4", b""]), st.booleans())
def test_reading_never_crashes(data, kind, whole):
    data = (kind + data).ljust(PACKET_BYTES, b"\0") if whole else kind + data
    for decode in (decode_request, decode_grant):
        try:
            message = decode(data)
        except DecodeError:
            continue
        assert message.encode() == data


def test_nothing_stands_behind_the_content():
    for message, decode in (
        (MailboxRequest(1, 5), decode_request),
        (MailboxGrant(1), decode_grant),
    ):
        data = message.encode()
        with pytest.raises(DecodeError):
            decode(data[:-1] + b"\1")


def test_bounds_of_what_we_write():
    claim = Claim(bytes(32), 0, bytes(16))
    with pytest.raises(LocalProtocolError):
        MailboxRequest(1, MAX_IDS + 1).encode()
    with pytest.raises(LocalProtocolError):
        MailboxRequest(1, 0, (claim,) * (MAX_CLAIMS + 1)).encode()
    with pytest.raises(LocalProtocolError):
        MailboxGrant(1, (bytes(16),) * (MAX_IDS + 1)).encode()
    with pytest.raises(LocalProtocolError):
        MailboxGrant(1, (bytes(15),)).encode()


@pytest.fixture
def keyring():
    return PhaseKeyring(PHASE)


def test_only_who_has_the_secret_claims_an_address(keyring):
    key = DhKey(secrets.token_bytes(32))
    claim = make_claim(key, NODE, keyring.public(PHASE), PHASE)
    assert claim.is_proven(keyring.exchange(PHASE, claim.key), NODE)
    other = make_claim(DhKey(secrets.token_bytes(32)), NODE, keyring.public(PHASE), PHASE)
    forged = Claim(key.public, PHASE, other.proof)
    assert not forged.is_proven(keyring.exchange(PHASE, key.public), NODE)


def test_a_claim_holds_at_its_node_and_in_its_phase_only(keyring):
    key = DhKey(secrets.token_bytes(32))
    claim = make_claim(key, NODE, keyring.public(PHASE), PHASE)
    assert not claim.is_proven(keyring.exchange(PHASE, key.public), NODE + 1)
    later = Claim(key.public, PHASE + 1, claim.proof)
    assert not later.is_proven(keyring.exchange(PHASE + 1, key.public), NODE)
