"""Swaps: old instruments for new ones, named by nobody.

A request (wire): ``epoch u32 | inputs u8 | input… | outputs u8 | output…`` with

- an input that is a credit: ``0 u8 | epoch u32 | class u8 | key 20 | signature 48 | signed 65``
- an input that is a token: ``1 u8 | epoch u32 | relay u32 | top 32 | refund 20 | signature 48 |
  signed 65``
- an output: ``class u8 | point 48``

Source: docs/spec/payments.md, QN-PAY-030 to 032.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self, TypeAlias

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
from qnet.messages.instruments import (
    CLASSES,
    HASH_BYTES,
    POINT_BYTES,
    TOKEN_CLASS,
    Place,
    token_id_of,
    units_of,
)

INPUTS_MAX: Final = 8
OUTPUTS_MAX: Final = 8
SWAP_TYPE: Final = "Swap(uint32 epoch,bytes32 inputsHash,bytes32 outputsHash)"

_CREDIT: Final = 0
_TOKEN: Final = 1


@dataclass(frozen=True, slots=True)
class CreditInput:
    """A credit that is given up.

    Args:
        epoch: issuance epoch of its key.
        class_: 0 to 6.
        key: address that signs for it, 20 bytes.
        signature: compressed point, 48 bytes.
        signed: signature of the swap by the key, 65 bytes.
    """

    epoch: int
    class_: int
    key: bytes
    signature: bytes
    signed: bytes = b""

    @property
    def owner(self) -> bytes:
        """Address that signs the swap."""
        return self.key

    @property
    def name(self) -> bytes:
        """What the swap's hash covers."""
        return Writer().u8(_CREDIT).u32(self.epoch).u8(self.class_).take(self.key).bytes()

    def message(self, place: Place) -> bytes:
        """What stands behind the credit, 32 bytes."""
        return place.credit(self.epoch, self.class_, self.key)


@dataclass(frozen=True, slots=True)
class TokenInput:
    """The rest of a token that is given up.

    Args:
        epoch: issuance epoch of its key.
        relay: registry index it is bound to.
        top: end of its hash chain, 32 bytes.
        refund: address that signs for it, 20 bytes.
        signature: compressed point, 48 bytes.
        signed: signature of the swap by the refund key, 65 bytes.
    """

    epoch: int
    relay: int
    top: bytes
    refund: bytes
    signature: bytes
    signed: bytes = b""

    @property
    def owner(self) -> bytes:
        """Address that signs the swap."""
        return self.refund

    @property
    def name(self) -> bytes:
        """What the swap's hash covers."""
        writer = Writer().u8(_TOKEN).u32(self.epoch).u32(self.relay)
        return writer.take(self.top).take(self.refund).bytes()

    def message(self, place: Place) -> bytes:
        """What stands behind the token, 32 bytes."""
        return place.token(self.epoch, self.relay, token_id_of(self.top, self.refund))


Input: TypeAlias = CreditInput | TokenInput


@dataclass(frozen=True, slots=True)
class Output:
    """A blinded point to be signed.

    Args:
        class_: 0 to 6 for a credit, 7 for a token.
        point: compressed, 48 bytes.
    """

    class_: int
    point: bytes

    def encode(self) -> bytes:
        """Wire form, 49 bytes; also what the swap's hash covers."""
        return Writer().u8(self.class_).take(self.point).bytes()


@dataclass(frozen=True, slots=True)
class Swap:
    """One exchange.

    Args:
        epoch: running issuance epoch, of the outputs' keys.
        inputs: 1 to 8 credits, or one token; none twice.
        outputs: 1 to 8.
    """

    epoch: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]

    @property
    def units_out(self) -> int:
        """What the outputs are worth together."""
        return sum(units_of(output.class_) for output in self.outputs)

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest that every input's key signs, 32 bytes; `domain` is PremiumChannels'."""
        inputs = keccak256(b"".join(entry.name for entry in self.inputs))
        outputs = keccak256(b"".join(output.encode() for output in self.outputs))
        return digest(domain, SWAP_TYPE, (self.epoch, inputs, outputs))

    def sign(self, keys: Sequence[ReceiptKey], domain: bytes) -> Self:
        """The swap with the signature of each input's key, in their order."""
        digest_ = self.digest(domain)
        signed = (
            replace(entry, signed=key.sign(digest_))
            for entry, key in zip(self.inputs, keys, strict=True)
        )
        return replace(self, inputs=tuple(signed))

    def verify(self, domain: bytes) -> None:
        """Check the signature of every input's key; the instruments are checked elsewhere.

        Raises:
            CryptoError: one did not sign this swap.
        """
        digest_ = self.digest(domain)
        for entry in self.inputs:
            if not constant_time_equal(recover(digest_, entry.signed), entry.owner):
                raise CryptoError

    def encode(self) -> bytes:
        """Wire form."""
        writer = Writer().u32(self.epoch).u8(len(self.inputs))
        for entry in self.inputs:
            writer.take(entry.name).take(entry.signature).take(entry.signed)
        writer.u8(len(self.outputs))
        return writer.take(b"".join(output.encode() for output in self.outputs)).bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a swap; signatures and points are not checked here.

        Raises:
            DecodeError: malformed, too many inputs or outputs, one twice, or tokens beside others.
        """
        reader = Reader(data)
        epoch, count = reader.u32(), reader.u8()
        if not 1 <= count <= INPUTS_MAX:
            raise DecodeError(f"swap of {count} inputs, 1 to {INPUTS_MAX} are allowed")
        inputs = tuple(_read_input(reader) for _ in range(count))
        if len({entry.name for entry in inputs}) != count:
            raise DecodeError("swap with one input twice")
        if count > 1 and any(isinstance(entry, TokenInput) for entry in inputs):
            raise DecodeError("swap of a token and something else")
        count = reader.u8()
        if not 1 <= count <= OUTPUTS_MAX:
            raise DecodeError(f"swap of {count} outputs, 1 to {OUTPUTS_MAX} are allowed")
        outputs = tuple(Output(reader.u8(), reader.take(POINT_BYTES)) for _ in range(count))
        if any(output.class_ > TOKEN_CLASS for output in outputs):
            raise DecodeError("swap for a class that does not exist")
        reader.finish()
        return cls(epoch, inputs, outputs)


def _read_input(reader: Reader) -> Input:
    kind, epoch = reader.u8(), reader.u32()
    if kind == _CREDIT:
        class_, key = reader.u8(), reader.take(ADDRESS_BYTES)
        if class_ >= CLASSES:
            raise DecodeError("swap of a credit of a class that does not exist")
        return CreditInput(
            epoch, class_, key, reader.take(POINT_BYTES), reader.take(EVM_SIGNATURE_BYTES)
        )
    if kind != _TOKEN:
        raise DecodeError("swap with an input of unknown kind")
    relay, top, refund = reader.u32(), reader.take(HASH_BYTES), reader.take(ADDRESS_BYTES)
    return TokenInput(
        epoch, relay, top, refund, reader.take(POINT_BYTES), reader.take(EVM_SIGNATURE_BYTES)
    )
