import secrets
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto.blind import blind, sign_blinded, unblind
from qnet.crypto.bls import hash_to_g1
from qnet.crypto.errors import SignatureError
from qnet.crypto.points import G2
from qnet.crypto.scalars import Scalar, SecretScalar, random_scalar
from qnet.crypto.threshold import (
    MAX_MEMBERS,
    Committee,
    Polynomial,
    combine,
    find_bad_partials,
    lagrange_at_zero,
    public_share,
    share_fits,
    verify_partial,
)
from qnet.errors import LocalProtocolError

MESSAGE = bytes(range(32))


def dealt(committee):
    polynomial = Polynomial.draw(committee.threshold, secrets.token_bytes)
    shares = {index: polynomial.share(index) for index in committee.indices}
    return polynomial, shares


def partials_of(shares, blinded):
    return {
        index: sign_blinded(SecretScalar(share), blinded, secrets.token_bytes)
        for index, share in shares.items()
    }


@pytest.mark.parametrize("faults", [1, 2])
def test_every_quorum_gives_the_same_signature(faults):
    committee = Committee.tolerating(faults)
    polynomial, shares = dealt(committee)
    public = polynomial.commitment()[0]
    blinded, factor = blind(MESSAGE, secrets.token_bytes)
    partials = partials_of(shares, blinded)
    expected = hash_to_g1(MESSAGE) * polynomial.secret
    for quorum in combinations(committee.indices, committee.threshold):
        signed = combine({index: partials[index] for index in quorum}, committee.threshold)
        assert unblind(MESSAGE, factor, signed, public) == expected
    assert combine(partials, committee.threshold) == blinded * polynomial.secret


def test_one_less_than_the_threshold_cannot_sign():
    committee = Committee.tolerating(1)
    polynomial, shares = dealt(committee)
    blinded, factor = blind(MESSAGE, secrets.token_bytes)
    partials = partials_of(shares, blinded)
    for some in combinations(committee.indices, committee.threshold - 1):
        few = {index: partials[index] for index in some}
        with pytest.raises(LocalProtocolError):
            combine(few, committee.threshold)
        with pytest.raises(SignatureError):
            unblind(MESSAGE, factor, combine(few, len(few)), polynomial.commitment()[0])


def test_any_secret_fits_less_than_the_threshold_shares():
    committee = Committee.tolerating(1)
    _, shares = dealt(committee)
    known = {index: shares[index] for index in (1, 3)}
    for secret in (Scalar(1), random_scalar(secrets.token_bytes)):
        # a polynomial of degree 2 through (0, secret) and both shares; its value at 2
        weights = {0: Scalar(1), 1: Scalar(1), 3: Scalar(1)}
        for place in weights:
            for other in weights:
                if other != place:
                    distance = Scalar(place) - Scalar(other)
                    weights[place] *= (Scalar(2) - Scalar(other)) / distance
        at_two = weights[0] * secret + weights[1] * known[1] + weights[3] * known[3]
        explained = {**known, 2: at_two}
        total = Scalar(0)
        for index, weight in lagrange_at_zero(explained).items():
            total += weight * explained[index]
        assert total == secret


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 1 << 250), min_size=1, max_size=6),
    st.sets(st.integers(1, MAX_MEMBERS), min_size=6, max_size=10),
)
def test_lagrange_recovers_the_constant_term(coefficients, indices):
    polynomial = Polynomial(Scalar(each) for each in coefficients)
    total = Scalar(0)
    for index, weight in lagrange_at_zero(indices).items():
        total += weight * polynomial.share(index)
    assert int(total) == coefficients[0]


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, MAX_MEMBERS))
def test_commitments_tell_right_shares_from_wrong_ones(threshold, index):
    polynomial = Polynomial.draw(threshold, secrets.token_bytes)
    commitment, share = polynomial.commitment(), polynomial.share(index)
    assert public_share(commitment, index) == G2.generator() * share
    assert share_fits(share, index, commitment)
    assert not share_fits(share + Scalar(1), index, commitment)
    if threshold > 1:
        assert not share_fits(share, index % MAX_MEMBERS + 1, commitment)


@pytest.mark.parametrize("index", [0, -1, MAX_MEMBERS + 1])
def test_indices_without_a_member(index):
    polynomial = Polynomial.draw(2, secrets.token_bytes)
    point = hash_to_g1(MESSAGE)
    with pytest.raises(LocalProtocolError):
        polynomial.share(index)
    with pytest.raises(LocalProtocolError):
        public_share(polynomial.commitment(), index)
    with pytest.raises(LocalProtocolError):
        verify_partial(index, point, point, polynomial.commitment())
    with pytest.raises(LocalProtocolError):
        combine({index: point, 1: point}, 2)


def test_a_share_counts_once():
    with pytest.raises(LocalProtocolError):
        lagrange_at_zero([1, 2, 1])


def test_a_threshold_is_positive():
    with pytest.raises(LocalProtocolError):
        combine({}, 0)


@settings(max_examples=15)
@given(st.sets(st.integers(1, 7)), st.sampled_from(["other", "negated", "foreign", "doubled"]))
def test_bad_partials_are_blamed_by_index(bad, kind):
    committee = Committee.tolerating(2)
    polynomial, shares = dealt(committee)
    commitment = polynomial.commitment()
    blinded, _ = blind(MESSAGE, secrets.token_bytes)
    partials = partials_of(shares, blinded)
    right = dict(partials)
    for index in bad:
        partials[index] = {
            "other": hash_to_g1(MESSAGE),
            "negated": -right[index],
            "foreign": right[index % committee.members + 1],
            "doubled": right[index] + right[index],
        }[kind]
    publics = {index: public_share(commitment, index) for index in committee.indices}
    assert find_bad_partials(blinded, partials, publics, secrets.token_bytes) == tuple(sorted(bad))
    for index, partial in partials.items():
        assert verify_partial(index, blinded, partial, commitment) == (index not in bad)


def test_partials_that_cancel_out_are_both_blamed():
    committee = Committee.tolerating(1)
    polynomial, shares = dealt(committee)
    blinded, _ = blind(MESSAGE, secrets.token_bytes)
    partials = partials_of(shares, blinded)
    shift = hash_to_g1(MESSAGE)
    partials[1] += shift
    partials[2] += -shift
    publics = {i: public_share(polynomial.commitment(), i) for i in committee.indices}
    assert find_bad_partials(blinded, partials, publics, secrets.token_bytes) == (1, 2)
    assert find_bad_partials(blinded, {}, publics, secrets.token_bytes) == ()


def test_an_erased_polynomial_deals_nothing():
    polynomial = Polynomial.draw(2, secrets.token_bytes)
    buffers = [each._bytes for each in polynomial._coefficients]
    polynomial.erase()
    assert not any(byte for buffer in buffers for byte in buffer)
    with pytest.raises(LocalProtocolError):
        polynomial.share(1)
    with pytest.raises(LocalProtocolError):
        _ = polynomial.secret


def test_committees_of_the_design():
    assert Committee.tolerating(5) == Committee(members=16, faults=5, threshold=11)
    assert Committee.tolerating(1) == Committee(members=4, faults=1, threshold=3)
    assert Committee.tolerating(0) == Committee(members=1, faults=0, threshold=1)
    assert list(Committee.tolerating(1).indices) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("members", "faults", "threshold"),
    [
        (4, 1, 2),
        (7, 2, 3),
        (16, 5, 6),
        (16, 5, 10),
        (4, 1, 4),
        (3, 1, 2),
        (3, 1, 3),
        (0, 0, 0),
        (4, 4, 4),
        (4, -1, 3),
        (MAX_MEMBERS + 1, 0, MAX_MEMBERS),
    ],
)
def test_unsafe_and_stuck_committees_are_refused(members, faults, threshold):
    with pytest.raises(LocalProtocolError):
        Committee(members=members, faults=faults, threshold=threshold)
