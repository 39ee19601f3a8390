"""What is signed blindly, and how a token is spent: credits, tokens, openings and units.

An opening is 104 bytes, ``epoch u32 | top 32 | refund 20 | signature 48``; a unit 33 bytes,
``k u8 | preimage 32``.

Source: docs/spec/payments.md, QN-PAY-003, 010, 011 and 040.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from qnet.codec import Reader, Writer
from qnet.crypto.keys import ADDRESS_BYTES, keccak256
from qnet.errors import DecodeError, LocalProtocolError

DOMAIN: Final = keccak256(b"QNet premium payments 1")
CLASSES: Final = 7
"""Classes of credits: class c is worth 2^c units."""
TOKEN_CLASS: Final = 7
"""Number of the tokens' key, beside those of the credits."""
TOKEN_UNITS: Final = 64
KEYS: Final = 8
KEY_BYTES: Final = 256
"""A public key as EIP-2537 writes points of G2."""
POINT_BYTES: Final = 48
"""A compressed point of G1."""
HASH_BYTES: Final = 32
OPENING_BYTES: Final = 4 + HASH_BYTES + ADDRESS_BYTES + POINT_BYTES
UNIT_BYTES: Final = 1 + HASH_BYTES

_WORD: Final = 32
_CREDIT_KIND: Final = b"CR".ljust(_WORD, b"\x00")
_TOKEN_KIND: Final = b"CH".ljust(_WORD, b"\x00")


def units_of(class_: int) -> int:
    """Units that an output of a class is worth.

    Raises:
        LocalProtocolError: there is no such class.
    """
    if class_ == TOKEN_CLASS:
        return TOKEN_UNITS
    if not 0 <= class_ < CLASSES:
        raise LocalProtocolError(f"there is no class {class_}")
    return 1 << class_


def words(*values: int | bytes) -> bytes:
    """abi.encode of static values: integers and bytes32 as they are, addresses to the right."""
    words = (
        value.to_bytes(_WORD, "big") if isinstance(value, int) else value.rjust(_WORD, b"\x00")
        for value in values
    )
    return b"".join(words)


@dataclass(frozen=True, slots=True)
class Place:
    """Where instruments are valid.

    Args:
        chain_id: EIP-155 chain id.
        channels: address of PremiumChannels, 20 bytes.
    """

    chain_id: int
    channels: bytes

    def credit(self, epoch: int, class_: int, key: bytes) -> bytes:
        """What stands behind a credit, 32 bytes (QN-PAY-010).

        Args:
            epoch: issuance epoch.
            class_: 0 to 6.
            key: address of the credit's key, 20 bytes.
        """
        return keccak256(
            words(DOMAIN, self.chain_id, self.channels, _CREDIT_KIND, epoch, class_, key)
        )

    def token(self, epoch: int, relay: int, token_id: bytes) -> bytes:
        """What stands behind a token, 32 bytes (QN-PAY-011).

        Args:
            epoch: issuance epoch.
            relay: registry index of the one relay that takes it.
            token_id: T, 32 bytes.
        """
        return keccak256(
            words(DOMAIN, self.chain_id, self.channels, _TOKEN_KIND, epoch, relay, token_id)
        )

    def keys_hash(self, epoch: int, keys: Sequence[bytes]) -> bytes:
        """Hash of the hashes of an epoch's eight public keys, 32 bytes (QN-PAY-003).

        Raises:
            LocalProtocolError: not eight keys of 256 bytes.
        """
        if len(keys) != KEYS or any(len(key) != KEY_BYTES for key in keys):
            raise LocalProtocolError(f"{KEYS} keys of {KEY_BYTES} bytes are hashed")
        head = words(DOMAIN, self.chain_id, self.channels, epoch)
        return keccak256(head + b"".join(map(keccak256, keys)))


def token_id_of(top: bytes, refund: bytes) -> bytes:
    """T of a token, 32 bytes (QN-PAY-011)."""
    return keccak256(words(top, refund))


@dataclass(frozen=True, slots=True)
class Opening:
    """A token as it is shown to its relay.

    Args:
        epoch: issuance epoch.
        top: end of the hash chain, 32 bytes.
        refund: address that may take the rest, 20 bytes.
        signature: compressed point, 48 bytes; whether it is one is checked when it is verified.
    """

    epoch: int
    top: bytes
    refund: bytes
    signature: bytes

    @property
    def token_id(self) -> bytes:
        """T, 32 bytes."""
        return token_id_of(self.top, self.refund)

    def encode(self) -> bytes:
        """Wire form, 104 bytes."""
        writer = Writer().u32(self.epoch).take(self.top).take(self.refund)
        return writer.take(self.signature).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an opening.

        Raises:
            DecodeError: not 104 bytes.
        """
        if len(data) != OPENING_BYTES:
            raise DecodeError(f"opening of {len(data)} bytes instead of {OPENING_BYTES}")
        reader = Reader(data)
        epoch, top, refund = reader.u32(), reader.take(HASH_BYTES), reader.take(ADDRESS_BYTES)
        return cls(epoch, top, refund, reader.rest())


@dataclass(frozen=True, slots=True)
class Unit:
    """All units of a token up to the k-th.

    Args:
        k: 1 to 64.
        preimage: value whose k-fold hash is the token's top, 32 bytes.
    """

    k: int
    preimage: bytes

    def encode(self) -> bytes:
        """Wire form, 33 bytes."""
        return Writer().u8(self.k).take(self.preimage).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a payment; the preimage is checked against the token elsewhere.

        Raises:
            DecodeError: not 33 bytes, or k out of bounds.
        """
        if len(data) != UNIT_BYTES:
            raise DecodeError(f"payment of {len(data)} bytes instead of {UNIT_BYTES}")
        if not 1 <= data[0] <= TOKEN_UNITS:
            raise DecodeError(f"payment up to unit {data[0]} of {TOKEN_UNITS}")
        return cls(data[0], bytes(data[1:]))
