"""Hash chains (PayWord): top = h^64(seed); the k-th preimage w_k pays the k-th unit.

    seed = w_64 -> w_63 -> … -> w_1 -> top        h = keccak256 over 32 bytes, h^k(w_k) = top

Whoever knows w_k knows every earlier preimage and no later one, so the highest preimage shown
is the whole account. A relay that saw w_a checks w_k with k - a hashes; a contract needs k.

Source: Rivest and Shamir 1996, "PayWord and MicroMint", section 3.
"""

from typing import Final

from qnet.crypto.errors import PreimageError, StepOrderError, StepRangeError
from qnet.crypto.keys import keccak256
from qnet.errors import LocalProtocolError

CHAIN_UNITS: Final = 64
"""Units of one token, L."""
PREIMAGE_BYTES: Final = 32


def _hash_times(value: bytes, times: int) -> bytes:
    for _ in range(times):
        value = keccak256(value)
    return value


class HashChain:
    """The payer's side: all preimages of one chain, 2 KiB.

    Args:
        seed: 32 secret bytes of this chain alone; paying all 64 units reveals them.

    Raises:
        LocalProtocolError: not 32 bytes.
    """

    __slots__ = ("_values",)

    def __init__(self, seed: bytes) -> None:
        if len(seed) != PREIMAGE_BYTES:
            raise LocalProtocolError(f"a chain's seed has {PREIMAGE_BYTES} bytes")
        values = [seed]
        for _ in range(CHAIN_UNITS):
            values.append(keccak256(values[-1]))
        self._values = tuple(reversed(values))

    @property
    def top(self) -> bytes:
        """h^64(seed), 32 bytes: public."""
        return self._values[0]

    def preimage(self, k: int) -> bytes:
        """Return w_k, 32 bytes; it pays k units in all.

        Args:
            k: units, 1 to 64.

        Raises:
            StepRangeError: another k.
        """
        if not 1 <= k <= CHAIN_UNITS:
            raise StepRangeError
        return self._values[k]


def verify(top: bytes, k: int, preimage: bytes, limit: int = CHAIN_UNITS) -> None:
    """Check h^k(preimage) = top: k hashes.

    Args:
        top: 32 bytes.
        k: units, 1 to `limit`.
        preimage: w_k, 32 bytes.
        limit: the last unit that is accepted.

    Raises:
        StepRangeError: k is 0 or above the limit; nothing was hashed.
        PreimageError: a wrong preimage.
    """
    verify_next(top, 0, k, preimage, limit)


def verify_next(
    last: bytes, last_k: int, k: int, preimage: bytes, limit: int = CHAIN_UNITS
) -> None:
    """Check a preimage against the last one accepted: h^(k - last_k)(preimage) = last.

    Args:
        last: w_(last_k), or the top when `last_k` is 0; 32 bytes.
        last_k: units accepted before.
        k: units, above `last_k` and not above `limit`.
        preimage: w_k, 32 bytes.
        limit: the last unit that is accepted.

    Raises:
        StepRangeError: k is 0 or above the limit; nothing was hashed.
        StepOrderError: k is not above `last_k`; nothing was hashed.
        PreimageError: a wrong preimage.
    """
    if not 1 <= k <= limit:
        raise StepRangeError
    if k <= last_k:
        raise StepOrderError
    if len(preimage) != PREIMAGE_BYTES or _hash_times(preimage, k - last_k) != last:
        raise PreimageError


class ChainMeter:
    """The payee's side: the highest preimage seen of one chain.

    Args:
        top: 32 bytes, from a token whose signature was verified.
        limit: the last unit that is accepted.
    """

    __slots__ = ("k", "limit", "preimage")

    def __init__(self, top: bytes, limit: int = CHAIN_UNITS) -> None:
        self.limit = limit
        self.k = 0
        self.preimage = top

    def accept(self, k: int, preimage: bytes) -> int:
        """Check a payment, keep it and return the units it adds; a failure changes nothing.

        Raises:
            HashChainError: as `verify_next`.
        """
        verify_next(self.preimage, self.k, k, preimage, self.limit)
        added = k - self.k
        self.k, self.preimage = k, preimage
        return added
