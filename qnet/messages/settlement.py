"""What settles premium payments: what the committee states, and what relays and owners sign.

Wire, beside JSON for people's tools:

- a closing: ``epoch u32 | issued units u128 | log root 32``
- an attestation: ``epoch u32 | root 32 | units u128 | tokens u64 | log root 32``

Source: docs/spec/payments.md, QN-PAY-003, 050 to 054 and 060; IPremiumChannels.sol, IRedeemer.sol.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

from qnet.codec import Reader, Writer
from qnet.crypto.keys import keccak256
from qnet.crypto.points import G1
from qnet.eip712 import digest
from qnet.errors import DecodeError, LocalProtocolError
from qnet.merkle import standard_leaf
from qnet.messages.claims import SpentToken
from qnet.messages.instruments import HASH_BYTES, words
from qnet.messages.json_fields import (
    OCTETS_LIST,
    U32,
    U64,
    U128,
    Json,
    from_json,
    to_json,
)

TREE_DEPTH: Final = 16
"""The leaf of relay r stands at position r."""
REDEEM_MAX: Final = 128
"""Tokens of one redemption."""
KEYS_TYPE: Final = "IssuanceKeys(uint32 epoch,bytes32 keysHash)"
CLOSING_TYPE: Final = "Closing(uint32 epoch,uint128 issuedUnits,bytes32 logRoot)"
ATTESTATION_TYPE: Final = (
    "Attestation(uint32 epoch,bytes32 root,uint128 units,uint64 tokens,bytes32 logRoot)"
)
REDEEM_TYPE: Final = "Redeem(uint32 epoch,uint32 relay,bytes32 tokensHash)"
EXIT_TYPE: Final = "Exit(bytes32 message,uint8 spent,address to)"

NOTHING: Final = bytes(HASH_BYTES)
"""Stands in a tree where there is no leaf."""
_LEAF_KIND: Final = 4
_PATH_MIN: Final = 10
"""The contract takes no shorter paths."""
_UNITS_BYTES: Final = 16
_LEAF_FIELDS: Final[Mapping[str, int]] = {"epoch_units": U64, "cum_units": U128, "tokens": U32}
_PATH_FIELD: Final[Mapping[str, int]] = {"path": OCTETS_LIST}

TokenWords: TypeAlias = tuple[bytes, bytes, int, bytes, tuple[bytes, bytes, bytes, bytes]]


def keys_digest(domain: bytes, epoch: int, keys_hash: bytes) -> bytes:
    """EIP-712 digest of an epoch's keys, 32 bytes; `domain` is that of PremiumChannels."""
    return digest(domain, KEYS_TYPE, (epoch, keys_hash))


@dataclass(frozen=True, slots=True)
class Closing:
    """What the committee states at the end of an issuance epoch.

    Args:
        epoch: issuance epoch.
        issued_units: bought in it, and rolled into it from earlier ones.
        log_root: root over all points signed in it, 32 bytes.
    """

    epoch: int
    issued_units: int
    log_root: bytes

    def values(self) -> tuple[int, int, bytes]:
        """The fields, as the contract takes them."""
        return self.epoch, self.issued_units, self.log_root

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is that of PremiumChannels."""
        return digest(domain, CLOSING_TYPE, self.values())

    def encode(self) -> bytes:
        """Wire form, 52 bytes."""
        writer = Writer().u32(self.epoch).take(self.issued_units.to_bytes(_UNITS_BYTES, "big"))
        return writer.take(self.log_root).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a closing.

        Raises:
            DecodeError: not 52 bytes.
        """
        reader = Reader(data)
        epoch, units = reader.u32(), int.from_bytes(reader.take(_UNITS_BYTES), "big")
        log_root = reader.take(HASH_BYTES)
        reader.finish()
        return cls(epoch, units, log_root)


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the committee states about the claims of relays.

    Args:
        epoch: issuance epoch.
        root: root of the tree of leaves, 32 bytes.
        units: all that was claimed in the epoch.
        tokens: claimed tokens.
        log_root: the closing's, 32 bytes.
    """

    epoch: int
    root: bytes
    units: int
    tokens: int
    log_root: bytes

    def values(self) -> tuple[int, bytes, int, int, bytes]:
        """The fields, as the contract takes them."""
        return self.epoch, self.root, self.units, self.tokens, self.log_root

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is that of PremiumChannels."""
        return digest(domain, ATTESTATION_TYPE, self.values())

    def encode(self) -> bytes:
        """Wire form, 92 bytes."""
        writer = Writer().u32(self.epoch).take(self.root)
        writer.take(self.units.to_bytes(_UNITS_BYTES, "big")).u64(self.tokens)
        return writer.take(self.log_root).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an attestation.

        Raises:
            DecodeError: not 92 bytes.
        """
        reader = Reader(data)
        epoch, root = reader.u32(), reader.take(HASH_BYTES)
        units, tokens = int.from_bytes(reader.take(_UNITS_BYTES), "big"), reader.u64()
        log_root = reader.take(HASH_BYTES)
        reader.finish()
        return cls(epoch, root, units, tokens, log_root)


@dataclass(frozen=True, slots=True)
class ClaimLeaf:
    """What is attested to one relay.

    Args:
        relay: registry index, below 65,536.
        epoch_units: claimed in the epoch.
        cum_units: claimed in all attested epochs.
        tokens: claimed in the epoch.
    """

    relay: int
    epoch_units: int
    cum_units: int
    tokens: int

    def hash(self, chain_id: int, channels: bytes, epoch: int) -> bytes:
        """Leaf hash, 32 bytes; zero for a relay that never earned.

        Args:
            chain_id: EVM chain id.
            channels: PremiumChannels, 20 bytes.
            epoch: issuance epoch.
        """
        if not (self.epoch_units or self.cum_units or self.tokens):
            return NOTHING
        return standard_leaf(
            words(
                *(_LEAF_KIND, chain_id, channels, epoch),
                *(self.relay, self.epoch_units, self.cum_units, self.tokens),
            )
        )


def _empty_hashes() -> tuple[bytes, ...]:
    """Roots of empty trees of depth 0 to 15."""
    found = [NOTHING]
    while len(found) < TREE_DEPTH:
        found.append(keccak256(found[-1] + found[-1]))
    return tuple(found)


_EMPTY: Final = _empty_hashes()


class ClaimTree:
    """The tree of an epoch's leaves: position is the relay, places without a relay are empty.

    Args:
        leaves: at most one for each relay.
        chain_id: EVM chain id.
        channels: PremiumChannels, 20 bytes.
        epoch: issuance epoch.

    Raises:
        LocalProtocolError: two leaves of one relay, or a relay for which there is no place.

    Source: docs/spec/payments.md, QN-PAY-052 and 053.
    """

    __slots__ = ("_leaves", "_levels")

    def __init__(
        self, leaves: Iterable[ClaimLeaf], *, chain_id: int, channels: bytes, epoch: int
    ) -> None:
        self._leaves: dict[int, ClaimLeaf] = {}
        level: dict[int, bytes] = {}
        for leaf in leaves:
            if leaf.relay in self._leaves or not 0 <= leaf.relay < 1 << TREE_DEPTH:
                raise LocalProtocolError(f"no place for a leaf of relay {leaf.relay}")
            self._leaves[leaf.relay] = leaf
            level[leaf.relay] = leaf.hash(chain_id, channels, epoch)
        self._levels = [level]
        for empty in _EMPTY:
            pairs = {position >> 1 for position in level}
            level = {
                pair: keccak256(level.get(2 * pair, empty) + level.get(2 * pair + 1, empty))
                for pair in pairs
            }
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """What is attested, 32 bytes."""
        return self._levels[-1].get(0, keccak256(_EMPTY[-1] + _EMPTY[-1]))

    def path(self, relay: int) -> tuple[bytes, ...]:
        """Siblings of a relay's place from the leaf up, 16 words."""
        return tuple(
            level.get((relay >> height) ^ 1, _EMPTY[height])
            for height, level in enumerate(self._levels[:-1])
        )

    def prove(self, relay: int) -> "ProvenLeaf":
        """A relay's leaf with its path; an empty leaf for one that never earned."""
        return ProvenLeaf(self._leaves.get(relay, ClaimLeaf(relay, 0, 0, 0)), self.path(relay))


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """A leaf with its path.

    Args:
        leaf: of a relay.
        path: siblings from the leaf up, 16 words.
    """

    leaf: ClaimLeaf
    path: tuple[bytes, ...]

    @classmethod
    def nothing(cls, relay: int) -> Self:
        """What a relay shows for an epoch without a root."""
        return cls(ClaimLeaf(relay, 0, 0, 0), (NOTHING,) * TREE_DEPTH)

    def root(self, chain_id: int, channels: bytes, epoch: int) -> bytes:
        """Root of the tree that holds the leaf at its relay's place, 32 bytes."""
        node = self.leaf.hash(chain_id, channels, epoch)
        for height, sibling in enumerate(self.path):
            right = self.leaf.relay >> height & 1
            node = keccak256(sibling + node if right else node + sibling)
        return node

    def values(self) -> tuple[int, int, int, int, list[bytes]]:
        """The fields, as the contract takes them: empty trees at the top of the path left out."""
        leaf, length = self.leaf, TREE_DEPTH
        while length > _PATH_MIN and self.path[length - 1] == _EMPTY[length - 1]:
            length -= 1
        return leaf.relay, leaf.epoch_units, leaf.cum_units, leaf.tokens, list(self.path[:length])

    def to_json(self) -> dict[str, Json]:
        """Decimal strings by field name, and the path as 0x strings."""
        return to_json(self.leaf, _LEAF_FIELDS) | to_json(self, _PATH_FIELD)

    @classmethod
    def from_json(cls, value: object, relay: int) -> Self:
        """Read what :meth:`to_json` wrote.

        Args:
            value: parsed JSON.
            relay: whose leaf was asked for.

        Raises:
            DecodeError: fields missing, unknown or out of bounds.
        """
        fields: Any = from_json(value, {**_LEAF_FIELDS, **_PATH_FIELD}, "leaf of a relay")
        path = fields.pop("path")
        if len(path) != TREE_DEPTH:
            raise DecodeError(f"a path of {len(path)} words instead of {TREE_DEPTH}")
        return cls(ClaimLeaf(relay, **fields), path)


@dataclass(frozen=True, slots=True)
class Redeem:
    """Tokens that a relay shows to the contract itself.

    Args:
        epoch: issuance epoch.
        relay: registry index.
        tokens: at most 128, in ascending order of the first 16 bytes of T.
    """

    epoch: int
    relay: int
    tokens: tuple[SpentToken, ...]

    @classmethod
    def of(cls, epoch: int, relay: int, tokens: Iterable[SpentToken]) -> Self:
        """Bring tokens into the order in which the contract takes them."""
        return cls(epoch, relay, tuple(sorted(tokens, key=lambda token: token.token_id)))

    def values(self) -> list[TokenWords]:
        """The tokens, as the contract takes them.

        Raises:
            PointError: the signature of a token is no point.
        """
        return [token_words(token) for token in self.tokens]

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest by which the relay's owner lets another hand them in, 32 bytes.

        Raises:
            PointError: the signature of a token is no point.
        """
        head = words(HASH_BYTES, len(self.tokens))  # where the list begins, and how long it is
        listed = b"".join(
            words(top, refund, units, preimage, *signature)
            for top, refund, units, preimage, signature in self.values()
        )
        hashed = keccak256(head + listed)
        return digest(domain, REDEEM_TYPE, (self.epoch, self.relay, hashed))


@dataclass(frozen=True, slots=True)
class Exit:
    """What the key of an instrument signs to be paid its value.

    Args:
        message: what stands behind the instrument, 32 bytes; also the number of the exit.
        spent: units of a token its owner knows to be spent; 0 for a credit.
        to: who is paid, 20 bytes.
    """

    message: bytes
    spent: int
    to: bytes

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is that of PremiumChannels."""
        return digest(domain, EXIT_TYPE, (self.message, self.spent, self.to))


def token_words(token: SpentToken) -> TokenWords:
    """A token as the contract takes it, its signature in the form of EIP-2537.

    Raises:
        PointError: the signature is no point.
    """
    return (
        *(token.top, token.refund, token.unit.k, token.unit.preimage),
        point_words(token.signature),
    )


def point_words(compressed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """A point of G1 (48 bytes) as the four words of EIP-2537.

    Raises:
        PointError: it is no point.
    """
    full = G1.decode(compressed).encode_eip2537()
    return full[:32], full[32:64], full[64:96], full[96:]
