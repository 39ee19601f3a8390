"""Partial signatures of a request as they come in: which to combine, and who lied.

The combination is checked against the key on the chain. Only if it does not hold are the members'
public shares asked who is to blame. A member's share has an index; it is taken to be its place in
the configuration until its answers fit another one.

Source: docs/spec/payments.md, QN-PAY-012.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Final

from node.payments.keys import EpochKeys
from node.payments.user.blinding import Blinded
from qnet.crypto.bls import SignedPoint, holds
from qnet.crypto.errors import PointError, SignatureError
from qnet.crypto.points import G1, G2
from qnet.crypto.threshold import combine, find_bad_partials
from qnet.errors import DecodeError
from qnet.messages.instruments import POINT_BYTES
from qnet.sampling import RandomBytes

SUBSETS_MAX: Final = 64
"""Combinations tried where nobody can be blamed because members disagree about the shares."""


def decode_points(body: bytes, count: int) -> tuple[G1, ...]:
    """A member's partial signatures.

    Raises:
        DecodeError: not so many points, or one that is none.
    """
    if len(body) != count * POINT_BYTES:
        raise DecodeError(f"{len(body)} bytes are no {count} points")
    try:
        return tuple(
            G1.decode(body[start : start + POINT_BYTES])
            for start in range(0, len(body), POINT_BYTES)
        )
    except PointError:
        raise DecodeError("a partial signature is no point") from None


@dataclass(slots=True)
class Partials:
    """What members answered to one request.

    Args:
        blinded: what is to be signed, in order.
        keys: of the epoch.
        random: the operating system's source.
        answers: points by the members' places, from 0.
        index: of a member's share, by its place, where it is another one than the place says.
        liars: places of members whose answer is wrong.
    """

    blinded: Sequence[Blinded]
    keys: EpochKeys
    random: RandomBytes
    answers: dict[int, tuple[G1, ...]] = field(default_factory=dict)
    index: dict[int, int] = field(default_factory=dict)
    liars: set[int] = field(default_factory=set)

    def add(self, place: int, body: bytes) -> None:
        """Take an answer; one that cannot be read makes its member a liar."""
        try:
            self.answers[place] = decode_points(body, len(self.blinded))
        except DecodeError:
            self.liars.add(place)

    def signatures(self) -> tuple[bytes, ...] | None:
        """Verified signatures of all blanks, 48 bytes each; None until enough are right."""
        if len(self.answers) < self.keys.threshold:
            return None
        found = self._try(sorted(self.answers))
        if found is not None:
            return found
        if not self.keys.shares:
            return self._search()
        self.judge()
        return self._try(sorted(self.answers))

    def _try(self, places: Sequence[int]) -> tuple[bytes, ...] | None:
        by_index = {self.index.get(place, place + 1): place for place in places}
        if len(by_index) < self.keys.threshold:
            return None
        made = []
        for position, blinded in enumerate(self.blinded):
            partials = {i: self.answers[place][position] for i, place in by_index.items()}
            try:
                whole = combine(partials, self.keys.threshold)
                made.append(blinded.signature(whole, self.keys.keys[blinded.class_]))
            except SignatureError:
                return None
        return tuple(made)

    def _search(self) -> tuple[bytes, ...] | None:
        subsets = combinations(sorted(self.answers), self.keys.threshold)
        for places in islice(subsets, SUBSETS_MAX):
            found = self._try(places)
            if found is not None:
                return found
        return None

    def judge(self) -> None:
        """Drop the answers that are no multiples by the member's share, if shares are known."""
        bad: set[int] = set()
        if not self.keys.shares:
            return
        for position, blinded in enumerate(self.blinded):
            shares = self.keys.shares[blinded.class_]
            partials = {
                self.index.get(place, place + 1): points[position]
                for place, points in self.answers.items()
                if place not in bad
            }
            unknown = partials.keys() - shares.keys()
            known = {i: point for i, point in partials.items() if i in shares}
            wrong = {*find_bad_partials(blinded.point, known, shares, self.random), *unknown}
            bad |= {place for place in self.answers if self.index.get(place, place + 1) in wrong}
        for place in sorted(bad):
            index = self._fitting(self.answers[place])
            if index is None:
                del self.answers[place]
                self.liars.add(place)
            else:
                self.index[place] = index

    def _fitting(self, points: Sequence[G1]) -> int | None:
        """Index of the share that made all these points; None if none did."""
        first = self.keys.shares[self.blinded[0].class_]
        for index in first:
            pairs = zip(self.blinded, points, strict=True)
            if all(_made(self.keys.shares, index, blinded, point) for blinded, point in pairs):
                return index
        return None


def _made(shares: Sequence[Mapping[int, G2]], index: int, blinded: Blinded, point: G1) -> bool:
    share = shares[blinded.class_].get(index)
    return share is not None and holds(share, SignedPoint(blinded.point, point))
