"""Partial signatures of several members put together, and whoever lied found out.

Source: docs/spec/payments.md, QN-PAY-012.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.domain.issuance_log import Request, points_of
from ledger.service.payments.facts import PublicKeys
from qnet.crypto.bls import SignedPoint, all_hold
from qnet.crypto.errors import PointError
from qnet.crypto.points import G1, G1_BYTES, G2
from qnet.crypto.threshold import combine
from qnet.sampling import RandomBytes


@dataclass(frozen=True, slots=True)
class Combined:
    """What came of combining.

    Args:
        signatures: of all points, joined, 48 bytes each; None while too few answers are right.
        liars: indices whose answers are wrong.
    """

    signatures: bytes | None
    liars: frozenset[int]


def split_points(joined: bytes) -> tuple[bytes, ...]:
    """Compressed points of 48 bytes that were joined."""
    return tuple(joined[start : start + G1_BYTES] for start in range(0, len(joined), G1_BYTES))


def combine_answers(
    request: Request, answers: Mapping[int, bytes], public: PublicKeys, random: RandomBytes
) -> Combined:
    """Combine answers to a verified request; what is returned verifies.

    Args:
        request: whose points were signed.
        answers: partial signatures by index of the member, from 1; joined, 48 bytes each.
        public: keys of the request's epoch.
        random: the operating system's source.
    """
    asked = [(class_, G1.decode(point)) for class_, point in points_of(request)]
    read = {index: _decode(answer, len(asked)) for index, answer in answers.items()}
    liars = {index for index, points in read.items() if points is None}
    right = {index: points for index, points in read.items() if points is not None}
    if len(right) < public.threshold:
        return Combined(None, frozenset(liars))
    signed = _combine(right, public.threshold, len(asked))
    if not _all_hold(asked, signed, public.keys, random):
        liars |= {
            index
            for index, points in right.items()
            if not _all_hold(asked, points, [key[index - 1] for key in public.shares], random)
        }
        right = {index: points for index, points in right.items() if index not in liars}
        if len(right) < public.threshold:
            return Combined(None, frozenset(liars))
        signed = _combine(right, public.threshold, len(asked))
    return Combined(b"".join(point.encode() for point in signed), frozenset(liars))


def _combine(right: Mapping[int, Sequence[G1]], threshold: int, count: int) -> list[G1]:
    return [
        combine({index: points[place] for index, points in right.items()}, threshold)
        for place in range(count)
    ]


def _all_hold(
    asked: Sequence[tuple[int, G1]], signed: Sequence[G1], keys: Sequence[G2], random: RandomBytes
) -> bool:
    """Whether every point was multiplied by the secret of its class's key."""
    groups: dict[int, list[SignedPoint]] = {}
    for (class_, point), signature in zip(asked, signed, strict=True):
        groups.setdefault(class_, []).append(SignedPoint(point, signature))
    return all(all_hold(keys[class_], pairs, random) for class_, pairs in groups.items())


def _decode(answer: bytes, count: int) -> list[G1] | None:
    if len(answer) != G1_BYTES * count:
        return None
    try:
        return [G1.decode(point) for point in split_points(answer)]
    except PointError:
        return None
