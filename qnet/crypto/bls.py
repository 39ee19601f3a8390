"""BLS signatures of QNet: signatures and messages in G1, keys in G2.

A signature of a 32-byte message m under secret x is S = x·H(m), its key X = x·g2, and it holds
if e(S, g2) = e(H(m), X). For one key and message there is exactly one S, so a signer cannot mark
a signature. Many signatures of one key are checked at once under a random linear combination:
their plain sum proves nothing about its terms, because whoever got x·(H(m1) + H(m2)) from a blind
signer can split it into two halves that only add up.

Source: draft-irtf-cfrg-bls-signature, section 2.7 (CoreVerify, minimal-signature-size); RFC
9380, section 8.8.1; Bellare, Garay and Rabin 1998 (small exponents test).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from qnet.crypto.errors import SignatureError
from qnet.crypto.points import G1, G2, pairings_agree
from qnet.crypto.scalars import Scalar
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes

MESSAGE_BYTES: Final = 32
DST: Final = b"QNET-V01-BLS12381G1_XMD:SHA-256_SSWU_RO_"
"""Domain separation tag of messages; contracts hash with the same."""
COEFFICIENT_BYTES: Final = 16
"""A batch with a wrong member passes with probability 2^-128."""

T = TypeVar("T")


class SignedPoint(NamedTuple):
    """A point of G1 and what is said to be secret · point."""

    point: G1
    signature: G1


def hash_to_g1(message: bytes) -> G1:
    """Hash a message to G1.

    Args:
        message: 32 bytes, a keccak256 that names domain, chain, contract, kind and epoch.

    Raises:
        LocalProtocolError: not 32 bytes.
    """
    if len(message) != MESSAGE_BYTES:
        raise LocalProtocolError(f"a signed message has {MESSAGE_BYTES} bytes")
    return G1.hash(message, DST)


def holds(public: G2, signed: SignedPoint) -> bool:
    """Whether the signature is the point times the secret of `public`: two pairings."""
    return pairings_agree((signed.signature, G2.generator()), (signed.point, public))


def all_hold(public: G2, signed: Sequence[SignedPoint], random: RandomBytes) -> bool:
    """Whether every pair holds under one key: two pairings and two short multi-scalar sums.

    Args:
        public: the key.
        signed: pairs, fixed before any coefficient is drawn.
        random: the operating system's source. A coefficient that whoever chose a signature
            could foresee makes the check worthless.
    """
    if not signed:
        return True
    weights = fresh_weights(len(signed), random)
    points = G1.weighted_sum((pair.point for pair in signed), weights)
    signatures = G1.weighted_sum((pair.signature for pair in signed), weights)
    return holds(public, SignedPoint(points, signatures))


def fresh_weights(count: int, random: RandomBytes) -> list[Scalar]:
    """Draw `count` coefficients of 128 bits; call it only once all inputs are fixed."""
    return [Scalar(int.from_bytes(random(COEFFICIENT_BYTES), "big")) for _ in range(count)]


def find_failing(items: Sequence[T], all_pass: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return the items because of which `all_pass` is false, in their order, by bisection.

    k failing among n cost at most about 2·k·log2(n) + 1 calls.
    """
    if all_pass(items):
        return []
    if len(items) == 1:
        return list(items)
    half = len(items) // 2
    return find_failing(items[:half], all_pass) + find_failing(items[half:], all_pass)


def verify(public: G2, message: bytes, signature: G1) -> None:
    """Check one signature.

    Args:
        public: the key.
        message: 32 bytes.
        signature: a decoded point, so in the subgroup and not the identity.

    Raises:
        SignatureError: it does not hold.
    """
    if not holds(public, SignedPoint(hash_to_g1(message), signature)):
        raise SignatureError


def verify_batch(signed: Iterable[tuple[bytes, G1]], public: G2, random: RandomBytes) -> None:
    """Check signatures of one key together; every one is checked, not their sum.

    Args:
        signed: (message of 32 bytes, signature); read to its end before `random` is called.
        public: the key of all.
        random: the operating system's source, 16 bytes for each signature.

    Raises:
        SignatureError: at least one does not hold; `find_bad` names it.
    """
    pairs = [SignedPoint(hash_to_g1(message), signature) for message, signature in signed]
    if not all_hold(public, pairs, random):
        raise SignatureError


def find_bad(
    signed: Iterable[tuple[bytes, G1]], public: G2, random: RandomBytes
) -> tuple[int, ...]:
    """Return the places of the signatures that do not hold, ascending; arguments as above."""
    pairs = [SignedPoint(hash_to_g1(message), signature) for message, signature in signed]
    if not pairs:
        return ()
    return tuple(
        find_failing(
            range(len(pairs)),
            lambda places: all_hold(public, [pairs[place] for place in places], random),
        )
    )
