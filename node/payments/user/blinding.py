"""Blanks of a wallet: what is sent to be signed, and what comes back made usable.

Source: docs/spec/payments.md, QN-PAY-010 to 012.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from node.payments.user.derivation import Seed
from node.payments.user.states import Blank
from qnet.crypto.blind import blind_with, unblind
from qnet.crypto.errors import SignatureError
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import Scalar
from qnet.messages.instruments import Place


@dataclass(frozen=True, slots=True)
class Blinded:
    """A blank with the point that is to be signed.

    Args:
        blank: what is to be made.
        message: what the signature will stand for, 32 bytes.
        factor: what hides it.
        point: what the signers see.
    """

    blank: Blank
    message: bytes
    factor: Scalar
    point: G1

    @classmethod
    def of(cls, seed: Seed, place: Place, blank: Blank) -> "Blinded":
        """Make it from the seed; the same blank gives the same point again."""
        message = seed.message(blank.slot, place, relay=blank.relay)
        factor = seed.factor(blank.slot, message)
        return cls(blank, message, factor, blind_with(message, factor))

    @property
    def class_(self) -> int:
        """Which of the eight keys signs it."""
        return self.blank.slot.class_

    def signature(self, signed: G1, public: G2) -> bytes:
        """The instrument's signature, compressed, 48 bytes.

        Raises:
            SignatureError: it does not verify.
        """
        return unblind(self.message, self.factor, signed, public).encode()


def blinded_all(seed: Seed, place: Place, blanks: Sequence[Blank]) -> tuple[Blinded, ...]:
    """All blanks of a request, in order."""
    return tuple(Blinded.of(seed, place, blank) for blank in blanks)


def unblind_all(
    blinded: Sequence[Blinded], signed: Sequence[G1], keys: Sequence[G2]
) -> tuple[bytes, ...] | None:
    """Signatures of all blanks, 48 bytes each; None unless every one is right.

    Args:
        blinded: what was to be signed, in order.
        signed: combined signatures of the points, in the same order.
        keys: the eight keys of the epoch.
    """
    if len(signed) != len(blinded):
        return None
    try:
        return tuple(
            each.signature(point, keys[each.class_])
            for each, point in zip(blinded, signed, strict=True)
        )
    except SignatureError:
        return None
