"""Claims: the tokens a relay was paid with, handed in to the committee.

Wire: ``epoch u32 | relay u32 | count u16 | token… | signature 65``, a token being ``top 32 |
refund 20 | signature 48 | k u8 | preimage 32``.

Source: docs/spec/payments.md, QN-PAY-051.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from qnet.codec import Reader, Writer
from qnet.crypto.keys import (
    ADDRESS_BYTES,
    EVM_SIGNATURE_BYTES,
    ReceiptKey,
    constant_time_equal,
    keccak256,
    recover,
)
from qnet.eip712 import digest
from qnet.errors import CryptoError, DecodeError
from qnet.messages.instruments import HASH_BYTES, POINT_BYTES, TOKEN_UNITS, Unit, token_id_of

CLAIMS_MAX: Final = 512
"""Tokens of one message."""
CLAIMS_TYPE: Final = "RelayClaims(uint32 epoch,uint32 relay,bytes32 tokensHash)"


@dataclass(frozen=True, slots=True)
class SpentToken:
    """A token as far as it was spent.

    Args:
        top: end of the hash chain, 32 bytes.
        refund: address that may take the rest, 20 bytes.
        signature: compressed point, 48 bytes.
        unit: highest payment, with its preimage.
    """

    top: bytes
    refund: bytes
    signature: bytes
    unit: Unit

    @property
    def token_id(self) -> bytes:
        """T, 32 bytes."""
        return token_id_of(self.top, self.refund)

    def encode(self) -> bytes:
        """Wire form, 133 bytes."""
        writer = Writer().take(self.top).take(self.refund).take(self.signature)
        return writer.take(self.unit.encode()).bytes()


@dataclass(frozen=True, slots=True)
class Claims:
    """What one relay claims of an epoch, or a part of it.

    Args:
        epoch: issuance epoch.
        relay: registry index.
        tokens: 1 to 512, none twice.
        signature: of the relay's receipt key, 65 bytes.
    """

    epoch: int
    relay: int
    tokens: tuple[SpentToken, ...]
    signature: bytes = b""

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is that of PremiumChannels."""
        hashed = keccak256(b"".join(token.encode() for token in self.tokens))
        return digest(domain, CLAIMS_TYPE, (self.epoch, self.relay, hashed))

    @classmethod
    def make(
        cls, key: ReceiptKey, domain: bytes, *, epoch: int, relay: int, tokens: Sequence[SpentToken]
    ) -> Self:
        """Sign claims as the relay."""
        unsigned = cls(epoch, relay, tuple(tokens))
        return cls(epoch, relay, unsigned.tokens, key.sign(unsigned.digest(domain)))

    def verify(self, domain: bytes, receipt_address: bytes) -> None:
        """Check the relay's signature; tokens and preimages are checked elsewhere.

        Raises:
            CryptoError: another signer.
        """
        if not constant_time_equal(recover(self.digest(domain), self.signature), receipt_address):
            raise CryptoError

    def encode(self) -> bytes:
        """Wire form."""
        writer = Writer().u32(self.epoch).u32(self.relay).u16(len(self.tokens))
        writer.take(b"".join(token.encode() for token in self.tokens))
        return writer.take(self.signature).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read claims.

        Raises:
            DecodeError: malformed, none or too many, one twice, or k out of bounds.
        """
        reader = Reader(data)
        epoch, relay, count = reader.u32(), reader.u32(), reader.u16()
        if not 1 <= count <= CLAIMS_MAX:
            raise DecodeError(f"claim of {count} tokens, 1 to {CLAIMS_MAX} are allowed")
        tokens = tuple(_read_token(reader) for _ in range(count))
        if len({token.token_id for token in tokens}) != count:
            raise DecodeError("claim of one token twice")
        signature = reader.take(EVM_SIGNATURE_BYTES)
        reader.finish()
        return cls(epoch, relay, tokens, signature)


def _read_token(reader: Reader) -> SpentToken:
    top, refund = reader.take(HASH_BYTES), reader.take(ADDRESS_BYTES)
    signature, k = reader.take(POINT_BYTES), reader.u8()
    if not 1 <= k <= TOKEN_UNITS:
        raise DecodeError(f"claim up to unit {k} of {TOKEN_UNITS}")
    return SpentToken(top, refund, signature, Unit(k, reader.take(HASH_BYTES)))
