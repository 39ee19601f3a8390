"""What relays earned: highest k of each token, sums over attested epochs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.relay_earnings import Earnings, earned
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.claims import Claims, SpentToken
from qnet.messages.instruments import Place, Unit
from qnet.messages.settlement import ClaimLeaf, ClaimTree

PLACE = Place(31337, b"\x0c" * 20)


def claims(relay, *spent):
    tokens = tuple(
        SpentToken(bytes([name]) * 32, bytes(20), bytes(48), Unit(k, bytes(32)))
        for name, k in spent
    )
    return Claims(3, relay, tokens)


def test_the_highest_k_of_a_token_counts_and_it_counts_once():
    found = earned(
        [claims(2, (1, 10), (2, 64)), claims(2, (1, 30)), claims(2, (1, 20)), claims(7, (1, 5))],
        {},
    )
    assert found == (ClaimLeaf(2, 94, 94, 2), ClaimLeaf(7, 5, 5, 1))


def test_sums_carry_on_even_without_claims():
    found = earned([claims(2, (1, 10))], {2: 100, 9: 50})
    assert found == (ClaimLeaf(2, 10, 110, 1), ClaimLeaf(9, 0, 50, 0))


def test_the_attestation_follows_from_the_leaves():
    earnings = Earnings(3, b"\x07" * 32, (), earned([claims(2, (1, 10), (2, 4))], {9: 50}))
    attestation = earnings.attestation(PLACE)
    tree = ClaimTree(
        [ClaimLeaf(2, 14, 14, 2), ClaimLeaf(9, 0, 50, 0)],
        chain_id=31337,
        channels=PLACE.channels,
        epoch=3,
    )
    assert attestation.values() == (3, tree.root, 14, 2, b"\x07" * 32)


leaves = st.dictionaries(
    st.integers(0, 65_535),
    st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 60), st.integers(0, 1 << 20)),
    max_size=20,
)


@given(leaves, st.sets(st.binary(min_size=32, max_size=32), max_size=5))
def test_documents_survive_writing(found, names):
    listed = tuple(ClaimLeaf(relay, *found[relay]) for relay in sorted(found))
    earnings = Earnings(3, bytes(32), tuple(sorted(names)), listed)
    assert Earnings.decode(earnings.encode()) == earnings


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_decoder(data):
    try:
        found = Earnings.decode(data)
    except DecodeError:
        return
    assert found.encode() == data


@pytest.mark.parametrize(
    "change",
    [
        {"leaves": [[2, 1, 1, 1], [1, 1, 1, 1]]},
        {"leaves": [[2, 1, 1, 1], [2, 1, 1, 1]]},
        {"leaves": [[65_536, 1, 1, 1]]},
        {"leaves": [[1, 1, 1]]},
        {"leaves": [[1, 1, 1, True]]},
        {"leaves": [[1, -1, 1, 1]]},
        {"leaves": 3},
        {"claims": b"\x02" * 32 + b"\x01" * 32},
        {"log": b""},
        {"epoch": None},
    ],
)
def test_malformed_documents(change):
    right = {"epoch": 3, "log": bytes(32), "claims": b"", "leaves": [[1, 2, 3, 4]]}
    assert Earnings.decode(cbor.dumps(right)).leaves == (ClaimLeaf(1, 2, 3, 4),)
    with pytest.raises(DecodeError):
        Earnings.decode(cbor.dumps({**right, **change}))
