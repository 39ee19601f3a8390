"""Shamir shares over the scalars, Feldman commitments in G2, and signatures from partials.

A polynomial f of degree t - 1 has the secret as f(0); member i (from 1) holds x_i = f(i). The
commitment A_k = a_k·g2 to its coefficients lets everybody compute X_i = x_i·g2, so a wrong share
or a wrong partial signature is known for what it is and blamed by its index.

Source: Shamir 1979; Feldman 1987; Boldyreva 2003, section 3 (threshold signatures).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from qnet.crypto.bls import SignedPoint, find_failing, fresh_weights, holds
from qnet.crypto.points import G1, G2, pairings_agree
from qnet.crypto.scalars import ORDER, Scalar, SecretScalar, random_scalar
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes

MAX_MEMBERS: Final = 64
"""Indices fit in a byte and the largest dealing in 6,231 bytes; committees have 4 to 16."""

Commitment: TypeAlias = tuple[G2, ...]
"""A_0 … A_{t-1}; A_0 is the public key."""


@dataclass(frozen=True, slots=True)
class Committee:
    """How many sign, how many may lie, how many are needed.

    Attributes:
        members: n; they are numbered from 1.
        faults: f, members that may do anything.
        threshold: t, shares that make a signature.

    Raises:
        LocalProtocolError: 2t <= n + f: a split view makes two signatures out of one request
            (t - f honest members for each side suffice, and there are n - f of them); or
            t > n - f: the faulty could stop everything by staying silent.
    """

    members: int
    faults: int
    threshold: int

    def __post_init__(self) -> None:
        if not 0 <= self.faults < self.members <= MAX_MEMBERS:
            raise LocalProtocolError(
                f"a committee has more members than faults, up to {MAX_MEMBERS}"
            )
        if 2 * self.threshold <= self.members + self.faults:
            raise LocalProtocolError("a split view would sign twice: t > (n + f) / 2 is needed")
        if self.threshold > self.members - self.faults:
            raise LocalProtocolError("silent members would stop signing: t <= n - f is needed")

    @classmethod
    def tolerating(cls, faults: int) -> Self:
        """Return the smallest committee for f faults: n = 3f + 1, t = 2f + 1."""
        return cls(members=3 * faults + 1, faults=faults, threshold=2 * faults + 1)

    @property
    def indices(self) -> range:
        """The members' indices, 1 to n."""
        return range(1, self.members + 1)


def check_index(index: int) -> None:
    """Refuse index 0, whose share is the secret itself, and those no committee has.

    Raises:
        LocalProtocolError: not from 1 to `MAX_MEMBERS`.
    """
    if not 1 <= index <= MAX_MEMBERS:
        raise LocalProtocolError(f"a share's index lies between 1 and {MAX_MEMBERS}")


class Polynomial:
    """A dealer's secret polynomial, erasable.

    Args:
        coefficients: a_0 … a_{t-1}, at least one.
    """

    __slots__ = ("_coefficients",)

    def __init__(self, coefficients: Iterable[Scalar]) -> None:
        self._coefficients = tuple(SecretScalar(each) for each in coefficients)

    @classmethod
    def draw(cls, threshold: int, random: RandomBytes) -> Self:
        """Draw one of degree `threshold` - 1 from the operating system's source."""
        return cls(random_scalar(random) for _ in range(threshold))

    @property
    def secret(self) -> Scalar:
        """f(0), what is shared."""
        return self._coefficients[0].reveal()

    def share(self, index: int) -> Scalar:
        """Return f(index).

        Raises:
            LocalProtocolError: the index is 0 or too large, or the polynomial was erased.
        """
        check_index(index)
        value, place = Scalar(0), Scalar(index)
        for coefficient in reversed(self._coefficients):
            value = value * place + coefficient.reveal()
        return value

    def commitment(self) -> Commitment:
        """Return a_k·g2 for every coefficient."""
        return tuple(G2.generator() * each.reveal() for each in self._coefficients)

    def erase(self) -> None:
        """Overwrite the coefficients with zeros."""
        for coefficient in self._coefficients:
            coefficient.erase()


def public_share(commitment: Commitment, index: int) -> G2:
    """Return X_i = f(i)·g2, by Horner's rule on the commitment.

    Raises:
        LocalProtocolError: the index is 0 or too large.
    """
    check_index(index)
    place = Scalar(index)
    value = commitment[-1]
    for coefficient in reversed(commitment[:-1]):
        value = value * place + coefficient
    return value


def share_fits(share: Scalar, index: int, commitment: Commitment) -> bool:
    """Whether f(index) = share for the polynomial that was committed to (Feldman's check)."""
    return G2.generator() * share == public_share(commitment, index)


def lagrange_at_zero(indices: Iterable[int]) -> dict[int, Scalar]:
    """Return lambda_i with f(0) = sum of lambda_i·f(i) for degrees below the number of indices.

    Raises:
        LocalProtocolError: an index is 0, too large, or there twice.
    """
    places = list(indices)
    if len(set(places)) != len(places):
        raise LocalProtocolError("a share counts once")
    weights = {}
    for index in places:
        check_index(index)
        above, below = 1, 1
        for other in places:
            if other != index:
                above = above * other % ORDER
                below = below * (other - index) % ORDER
        weights[index] = Scalar(above) / Scalar(below)
    return weights


def combine(partials: Mapping[int, G1], threshold: int) -> G1:
    """Return x·B from partial signatures x_i·B; the caller checks the result (`blind.unblind`).

    Args:
        partials: by index; of more than `threshold`, those with the lowest indices are used.
        threshold: t.

    Raises:
        LocalProtocolError: fewer than t partials, or an index that no member has.
    """
    chosen = sorted(partials)[:threshold]
    if threshold < 1 or len(chosen) < threshold:
        raise LocalProtocolError(f"{threshold} partial signatures are needed, not {len(chosen)}")
    weights = lagrange_at_zero(chosen)
    return G1.weighted_sum((partials[index] for index in chosen), [weights[i] for i in chosen])


def verify_partial(index: int, blinded: G1, partial: G1, commitment: Commitment) -> bool:
    """Whether member `index` answered x_i·B: e(S_i, g2) = e(B, X_i).

    Raises:
        LocalProtocolError: the index is 0 or too large.
    """
    return holds(public_share(commitment, index), SignedPoint(blinded, partial))


def find_bad_partials(
    blinded: G1,
    partials: Mapping[int, G1],
    public_shares: Mapping[int, G2],
    random: RandomBytes,
) -> tuple[int, ...]:
    """Return the indices of wrong partials, ascending: none costs one check, each bad one a few.

    Args:
        blinded: B.
        partials: S_i by index.
        public_shares: X_i, at least for these indices.
        random: the operating system's source, called after everything else is fixed.
    """
    indices = sorted(partials)
    if not indices:
        return ()

    def all_right(some: Sequence[int]) -> bool:
        weights = fresh_weights(len(some), random)
        answers = G1.weighted_sum((partials[index] for index in some), weights)
        keys = G2.weighted_sum((public_shares[index] for index in some), weights)
        return pairings_agree((answers, G2.generator()), (blinded, keys))

    return tuple(find_failing(indices, all_right))
