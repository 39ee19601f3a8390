"""Errors of the payment cryptography: types for the caller, one text for the user.

The type says which check failed, because what is checked is public (points, signatures and
preimages that a peer sent); nothing secret decides which of them is raised.
"""

from qnet.errors import CryptoError


class PointError(CryptoError):
    """Base: bytes are no point of the group that may be used."""


class PointEncodingError(PointError):
    """Wrong size or flags, or a coordinate that is not below the field modulus."""


class OffCurveError(PointError):
    """The coordinates do not satisfy the curve's equation."""


class SubgroupError(PointError):
    """The point lies on the curve but outside the subgroup of prime order."""


class IdentityPointError(PointError):
    """The point is the identity, which says nothing about any key."""


class ScalarError(CryptoError):
    """Bytes are no scalar from 1 to the group order minus 1."""


class SignatureError(CryptoError):
    """A signature, or one of a batch, does not verify."""


class HashChainError(CryptoError):
    """Base: a step of a hash chain is not accepted."""


class StepRangeError(HashChainError):
    """The step is 0 or beyond the chain's length."""


class StepOrderError(HashChainError):
    """The step is not above the last one accepted (a replay, or an older step)."""


class PreimageError(HashChainError):
    """The preimage has a wrong size or does not hash to the known value."""
