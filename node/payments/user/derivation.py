"""Everything a wallet owns follows from 32 bytes: keys, hash chains and blinding factors.

A slot is the place of one instrument: issuance epoch, class (7 for tokens) and a counter. What was
in a slot can be made again from the seed alone; a slot is used for one instrument only.

Source: docs/spec/payments.md, QN-PAY-080.
"""

from dataclasses import dataclass
from typing import Final

from qnet.codec import Writer
from qnet.crypto.blind import blinding_factor
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import ReceiptKey
from qnet.crypto.scalars import Scalar
from qnet.errors import CryptoError, LocalProtocolError
from qnet.messages.instruments import TOKEN_CLASS, Place, token_id_of

SEED_BYTES: Final = 32
_TRIES: Final = 8
"""A key that is no scalar of the curve has a chance of 2^-128; the next is taken then."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Place of one instrument.

    Args:
        epoch: issuance epoch.
        class_: 0 to 6 for a credit, 7 for a token.
        counter: in this epoch and class, from 0.
    """

    epoch: int
    class_: int
    counter: int

    @property
    def name(self) -> bytes:
        """9 bytes."""
        return Writer().u32(self.epoch).u8(self.class_).u32(self.counter).bytes()


class Seed:
    """The root of a wallet.

    Args:
        secret: 32 bytes.

    Raises:
        LocalProtocolError: not 32 bytes.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SEED_BYTES:
            raise LocalProtocolError(f"a wallet's seed has {SEED_BYTES} bytes")
        self._secret = bytearray(secret)

    def __repr__(self) -> str:
        """Nothing of the secret."""
        return "Seed()"

    @property
    def channel(self) -> ReceiptKey:
        """Key of the account that owns the channel."""
        return self._scalar(Label.PAYMENT_CHANNEL, b"")

    def key(self, slot: Slot) -> ReceiptKey:
        """Key of a credit, or the refund key of a token."""
        return self._scalar(Label.PAYMENT_KEY, slot.name)

    def chain(self, slot: Slot) -> HashChain:
        """Hash chain of a token."""
        return HashChain(derive_key(Label.PAYMENT_CHAIN, bytes(self._secret) + slot.name))

    def factor(self, slot: Slot, message: bytes) -> Scalar:
        """What the instrument's message (32 bytes) is blinded with: never two with one factor."""
        return blinding_factor(bytes(self._secret), slot.counter, slot.name + message)

    def message(self, slot: Slot, place: Place, *, relay: int = 0) -> bytes:
        """What is signed blindly for a slot, 32 bytes.

        Args:
            slot: of the instrument.
            place: chain and contract.
            relay: registry index a token is bound to.
        """
        address = self.key(slot).address
        if slot.class_ == TOKEN_CLASS:
            return place.token(slot.epoch, relay, token_id_of(self.chain(slot).top, address))
        return place.credit(slot.epoch, slot.class_, address)

    def _scalar(self, label: Label, name: bytes) -> ReceiptKey:
        for attempt in range(_TRIES):
            material = bytes(self._secret) + name + bytes([attempt])
            try:
                return ReceiptKey(derive_key(label, material))
            except CryptoError:
                continue
        raise AssertionError("eight keys in a row are no scalars")

    def erase(self) -> None:
        """Overwrite the secret."""
        self._secret[:] = bytes(len(self._secret))
