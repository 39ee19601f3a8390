"""What relays earned in an issuance epoch, from the claims they handed in.

Claims are named by their EIP-712 digest. Of a token that was claimed several times the highest k
counts, and it counts once.

Source: docs/spec/payments.md, QN-PAY-051 to 053.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from ledger.domain.issuance_log import split_names
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.claims import Claims
from qnet.messages.fields import U32_MAX, U64_MAX, Fields
from qnet.messages.instruments import HASH_BYTES, Place
from qnet.messages.settlement import TREE_DEPTH, Attestation, ClaimLeaf, ClaimTree

CLAIMS_MAX: Final = 400_000
RELAYS_MAX: Final = 1 << TREE_DEPTH
_MAX_BYTES: Final = HASH_BYTES * CLAIMS_MAX + 48 * RELAYS_MAX + 256
_KEYS: Final = frozenset({"epoch", "log", "claims", "leaves"})
_LEAF_FIELDS: Final = 4


def earned(claims: Iterable[Claims], before: Mapping[int, int]) -> tuple[ClaimLeaf, ...]:
    """Leaves of all relays that ever earned something, ascending.

    Args:
        claims: of one epoch.
        before: units that each relay earned in the attested epochs before.
    """
    units, tokens = dict.fromkeys(before, 0), dict.fromkeys(before, 0)
    for (relay, _), k in highest(claims).items():
        units[relay] = units.get(relay, 0) + k
        tokens[relay] = tokens.get(relay, 0) + 1
    return tuple(
        ClaimLeaf(relay, units[relay], before.get(relay, 0) + units[relay], tokens[relay])
        for relay in sorted(units)
    )


def highest(claims: Iterable[Claims]) -> dict[tuple[int, bytes], int]:
    """Highest k of each token, by relay and T."""
    found: dict[tuple[int, bytes], int] = {}
    for claim in claims:
        for token in claim.tokens:
            name = claim.relay, token.token_id
            found[name] = max(found.get(name, 0), token.unit.k)
    return found


@dataclass(frozen=True, slots=True)
class Earnings:
    """What the committee agrees on to attest an epoch.

    Args:
        epoch: issuance epoch.
        log_root: of its log, as the chain has it, 32 bytes.
        claims: names of the claims, 32 bytes each, ascending.
        leaves: one for each relay, ascending.
    """

    epoch: int
    log_root: bytes
    claims: tuple[bytes, ...]
    leaves: tuple[ClaimLeaf, ...]

    def tree(self, place: Place) -> ClaimTree:
        """The tree of the leaves."""
        return ClaimTree(
            self.leaves, chain_id=place.chain_id, channels=place.channels, epoch=self.epoch
        )

    def attestation(self, place: Place) -> Attestation:
        """The statement that members sign."""
        units = sum(leaf.epoch_units for leaf in self.leaves)
        tokens = sum(leaf.tokens for leaf in self.leaves)
        return Attestation(self.epoch, self.tree(place).root, units, tokens, self.log_root)

    def encode(self) -> bytes:
        """Deterministic CBOR."""
        return cbor.dumps(
            {
                "epoch": self.epoch,
                "log": self.log_root,
                "claims": b"".join(self.claims),
                "leaves": [
                    [leaf.relay, leaf.epoch_units, leaf.cum_units, leaf.tokens]
                    for leaf in self.leaves
                ],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a document; whether the leaves follow from the claims is checked elsewhere.

        Raises:
            DecodeError: malformed, too long, or not in order.
        """
        value = cbor.loads(data, max_bytes=_MAX_BYTES, max_depth=3)
        fields = Fields(value, _KEYS, "earnings")
        leaves = tuple(_leaf(item) for item in fields.items("leaves", RELAYS_MAX))
        if any(low.relay >= high.relay for low, high in pairwise(leaves)):
            raise DecodeError("earnings: relays are not in ascending order")
        return cls(
            fields.uint("epoch", U32_MAX),
            fields.octets("log", HASH_BYTES),
            split_names(value, "claims", CLAIMS_MAX),
            leaves,
        )


def _leaf(item: object) -> ClaimLeaf:
    if not isinstance(item, list) or len(item) != _LEAF_FIELDS:
        raise DecodeError("earnings: a leaf is not four numbers")
    for value, maximum in zip(item, (RELAYS_MAX - 1, U64_MAX, U64_MAX, U32_MAX), strict=True):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
            raise DecodeError("earnings: a leaf is not four numbers within bounds")
    return ClaimLeaf(*item)
