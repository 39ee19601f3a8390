"""Public keys of an issuance epoch, taken from a committee member and trusted for their hash alone.

The hash on the chain covers the eight keys, not the members' public shares. Shares are believed
if so many members show the same ones that an honest one must be among them; they only serve to
name a liar.

Source: docs/spec/payments.md, QN-PAY-003.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from qnet import cbor
from qnet.crypto.errors import PointError
from qnet.crypto.keys import constant_time_equal
from qnet.crypto.points import G2
from qnet.crypto.threshold import MAX_MEMBERS
from qnet.errors import DecodeError
from qnet.messages.fields import Fields
from qnet.messages.instruments import KEY_BYTES, KEYS, Place

MAX_KEYS_BYTES: Final = 1 << 20
SHARE_BYTES: Final = 96
_NAMES: Final = frozenset({"keys", "shares", "threshold"})


@dataclass(frozen=True, slots=True)
class ShownKeys:
    """What one member says, not yet trusted.

    Args:
        encoded: the eight keys, 256 bytes each.
        shares: of each key, the compressed public shares by index from 1.
        threshold: partial signatures that make one.
    """

    encoded: tuple[bytes, ...]
    shares: tuple[tuple[bytes, ...], ...]
    threshold: int

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a member's answer.

        Raises:
            DecodeError: malformed or out of bounds.
        """
        document = cbor.loads(data, max_bytes=MAX_KEYS_BYTES, max_depth=3)
        fields = Fields(document, _NAMES, "issuance keys")
        keys = _blobs(document, "keys", KEYS, KEY_BYTES)
        threshold = fields.uint("threshold", MAX_MEMBERS, minimum=1)
        rows = document["shares"] if isinstance(document, dict) else ()
        if not isinstance(rows, list) or len(rows) != KEYS:
            raise DecodeError("issuance keys: shares of eight keys are expected")
        shares = tuple(_blobs({"": row}, "", None, SHARE_BYTES) for row in rows)
        return cls(keys, shares, threshold)

    def encode(self) -> bytes:
        """Wire form."""
        return cbor.dumps(
            {
                "keys": list(self.encoded),
                "shares": [list(row) for row in self.shares],
                "threshold": self.threshold,
            }
        )


def _blobs(document: object, name: str, count: int | None, size: int) -> tuple[bytes, ...]:
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) > MAX_MEMBERS:
        raise DecodeError("issuance keys: a list is expected")
    if count is not None and len(rows) != count:
        raise DecodeError(f"issuance keys: {count} entries are expected")
    if not all(isinstance(row, bytes) and len(row) == size for row in rows):
        raise DecodeError(f"issuance keys: entries of {size} bytes are expected")
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """Keys of an issuance epoch that the chain stands for.

    Args:
        epoch: issuance epoch.
        keys: CR_0 … CR_6 and CH.
        encoded: the same, 256 bytes each, as contracts take them.
        threshold: partial signatures that make one.
        shares: of each key, the members' public shares by index; empty if members disagree.
    """

    epoch: int
    keys: tuple[G2, ...]
    encoded: tuple[bytes, ...]
    threshold: int
    shares: tuple[Mapping[int, G2], ...] = ()

    @classmethod
    def choose(
        cls, epoch: int, place: Place, keys_hash: bytes, shown: Iterable[ShownKeys], members: int
    ) -> Self | None:
        """Keys that the chain stands for out of what members show; None if no member has them.

        Args:
            epoch: issuance epoch.
            place: chain and contract.
            keys_hash: on the chain, 32 bytes.
            shown: one for each member that answered.
            members: how many members there are.
        """
        right = [
            one
            for one in shown
            if constant_time_equal(place.keys_hash(epoch, one.encoded), keys_hash)
        ]
        if not right:
            return None
        votes = Counter(right)
        best, count = votes.most_common(1)[0]
        try:
            keys = tuple(G2.decode_eip2537(key) for key in best.encoded)
        except PointError:
            return None
        return cls(epoch, keys, best.encoded, _threshold(votes), _shares(best, count, members))


def _threshold(votes: Mapping[ShownKeys, int]) -> int:
    """What most members say; a wrong one makes signatures that do not verify, and nothing else."""
    told: Counter[int] = Counter()
    for one, count in votes.items():
        told[one.threshold] += count
    return told.most_common(1)[0][0]


def _shares(best: ShownKeys, count: int, members: int) -> tuple[Mapping[int, G2], ...]:
    """Shares that at least one honest member shows: members - threshold are faulty at most."""
    if count <= members - best.threshold:
        return ()
    return tuple(
        {index: share for index, data in enumerate(row, 1) if (share := _share(data)) is not None}
        for row in best.shares
    )


def _share(data: bytes) -> G2 | None:
    """A public share; None for a member that has none."""
    try:
        return G2.decode(data)
    except PointError:
        return None
