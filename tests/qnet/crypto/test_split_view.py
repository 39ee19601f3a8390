"""One voucher shown to the signers in two versions: how many of them are answered?

Honest signers answer the first version they see and no other; faulty ones answer both. Every
way to split the honest ones is tried, for every committee of up to 7.
"""

import secrets
from itertools import combinations, product

import pytest

from qnet.crypto.blind import blind, sign_blinded, unblind
from qnet.crypto.errors import SignatureError
from qnet.crypto.scalars import SecretScalar
from qnet.crypto.threshold import Committee, Polynomial, combine
from qnet.errors import LocalProtocolError

PARAMETERS = [
    (members, faults, threshold)
    for members in range(1, 8)
    for faults in range(members)
    for threshold in range(1, members + 1)
]


def split_views(members, faults):
    """Signers of version 0 and of version 1, for each way honest signers see one first."""
    honest = range(faults + 1, members + 1)
    faulty = set(range(1, faults + 1))
    for seen in product((0, 1), repeat=len(honest)):
        first = faulty | {index for index, version in zip(honest, seen, strict=True) if not version}
        second = faulty | {index for index, version in zip(honest, seen, strict=True) if version}
        yield first, second


def some_split_signs_twice(members, faults, threshold):
    return any(
        len(first) >= threshold and len(second) >= threshold
        for first, second in split_views(members, faults)
    )


@pytest.mark.parametrize(("members", "faults", "threshold"), PARAMETERS)
def test_two_answers_exist_exactly_when_the_threshold_is_too_low(members, faults, threshold):
    safe = 2 * threshold > members + faults
    assert some_split_signs_twice(members, faults, threshold) == (not safe)
    live = threshold <= members - faults
    if safe and live:
        Committee(members=members, faults=faults, threshold=threshold)
    else:
        with pytest.raises(LocalProtocolError):
            Committee(members=members, faults=faults, threshold=threshold)


def signatures_out_of_one_voucher(threshold, first, second, members=4):
    polynomial = Polynomial.draw(threshold, secrets.token_bytes)
    shares = {index: polynomial.share(index) for index in range(1, members + 1)}
    public = polynomial.commitment()[0]
    obtained = set()
    for message, signers in ((b"\x01" * 32, first), (b"\x02" * 32, second)):
        blinded, factor = blind(message, secrets.token_bytes)
        partials = {
            index: sign_blinded(SecretScalar(shares[index]), blinded, secrets.token_bytes)
            for index in signers
        }
        for some in combinations(partials, min(threshold, len(partials))):
            chosen = {index: partials[index] for index in some}
            try:
                obtained.add(unblind(message, factor, combine(chosen, len(chosen)), public))
            except SignatureError:
                continue
    return len(obtained)


def test_the_attack_in_the_flesh_for_four_members():
    splits = list(split_views(4, 1))
    low = [signatures_out_of_one_voucher(2, *split) for split in splits]
    assert max(low) == 2
    right = [signatures_out_of_one_voucher(3, *split) for split in splits]
    assert max(right) == 1
