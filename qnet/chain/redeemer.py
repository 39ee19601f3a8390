"""Typed wrapper of Redeemer: settling premium payments without the committee.

Points come compressed, as everywhere in Python, and go to the chain in the form of EIP-2537.

Source: docs/spec/payments.md, QN-PAY-024, 054, 060 and 061; IRedeemer.sol.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from qnet.chain.contract import Contract
from qnet.chain.values import BlockTag, Call
from qnet.crypto.keys import keccak256
from qnet.crypto.points import G1
from qnet.messages.claims import SpentToken
from qnet.messages.instruments import CLASSES, TOKEN_CLASS
from qnet.messages.settlement import ProvenLeaf, Redeem, TokenWords, point_words, token_words
from qnet.messages.swap import CreditInput, Swap, TokenInput
from qnet.messages.voucher import Purchase

BOUGHT_CLASS: Final = CLASSES - 1
"""Vouchers buy credits of the largest class only."""


class Stage(IntEnum):
    """Where an exit or a dispute stands."""

    NONE = 0
    OPEN = 1
    REFUTED = 2
    DONE = 3


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a relay has shown for an epoch.

    Args:
        proven_units: of all tokens it showed.
        credited_units: paid for them.
        last_t: first 16 bytes of the greatest T shown; those of the next must exceed them.
    """

    proven_units: int
    credited_units: int
    last_t: bytes


@dataclass(frozen=True, slots=True)
class ExitState:
    """An exit; addresses have 20 bytes.

    Args:
        stage: where it stands.
        epoch: issuance epoch of the instrument.
        started_at_s: unix time.
        relay: of a token; 0 for a credit.
        units: worth if it is not refuted.
        to: who is paid.
        exiter: who put the bond down.
        key: of a credit, or refund address of a token.
        top: of a token; the class of a credit.
    """

    stage: Stage
    epoch: int
    started_at_s: int
    relay: int
    units: int
    to: bytes
    exiter: bytes
    key: bytes
    top: bytes


@dataclass(frozen=True, slots=True)
class DisputeState:
    """A dispute of a voucher.

    Args:
        stage: where it stands.
        epoch: issuance epoch of the voucher.
        started_at_s: unix time.
        units: paid for.
        channel: 20 bytes.
        low_wei: sum of the channel before the voucher.
        high_wei: sum with it.
    """

    stage: Stage
    epoch: int
    started_at_s: int
    units: int
    channel: bytes
    low_wei: int
    high_wei: int


class Redeemer(Contract):
    """Redeems tokens, pays exits, decides disputes."""

    NAME: ClassVar[str] = "Redeemer"

    async def redemption_of(self, epoch: int, relay: int, at: BlockTag = "latest") -> Redemption:
        """What a relay has shown for an epoch; all zero if nothing."""
        return Redemption(*await self._read("redemptionOf", epoch, relay, at=at))

    async def exit_of(self, exit_id: bytes, at: BlockTag = "latest") -> ExitState:
        """An exit, by the message (32 bytes) its instrument was signed for."""
        stage, *rest = await self._read("exitOf", exit_id, at=at)
        return ExitState(Stage(stage), *rest)

    async def dispute_of(self, dispute_id: bytes, at: BlockTag = "latest") -> DisputeState:
        """A dispute, by the digest (32 bytes) of its voucher."""
        stage, *rest = await self._read("disputeOf", dispute_id, at=at)
        return DisputeState(Stage(stage), *rest)

    async def disputed_through(self, channel: bytes, at: BlockTag = "latest") -> int:
        """Sum up to which a channel has disputed, in wei."""
        return int(await self._read("disputedThrough", channel, at=at))

    # -- relays ------------------------------------------------------------------------------

    def redeem(
        self,
        shown: Redeem,
        proven: ProvenLeaf,
        keys: Sequence[bytes],
        owner_signature: bytes = b"",
    ) -> Call:
        """Be paid what tokens prove beyond what was attested.

        Args:
            shown: the tokens.
            proven: the relay's leaf, `ProvenLeaf.nothing` if the epoch has no root.
            keys: the epoch's eight keys, 256 bytes each.
            owner_signature: of the relay's owner over `shown`; empty if the owner sends it.

        Raises:
            PointError: the signature of a token is no point.
        """
        return self._write(
            "redeem",
            shown.epoch,
            shown.relay,
            shown.values(),
            proven.values(),
            _shown(keys, TOKEN_CLASS),
            owner_signature,
        )

    # -- exits -------------------------------------------------------------------------------

    def start_credit_exit(
        self, credit: CreditInput, to: bytes, key_signature: bytes, keys: Sequence[bytes]
    ) -> Call:
        """Begin to exit a credit, with a bond (approved before).

        Args:
            credit: the credit; its signature of a swap is not used.
            to: who is paid, 20 bytes.
            key_signature: of the credit's key over `settlement.Exit`, 65 bytes.
            keys: the epoch's eight keys, 256 bytes each.

        Raises:
            PointError: the signature of the credit is no point.
        """
        return self._write(
            "startCreditExit",
            *(credit.epoch, credit.class_, credit.key, point_words(credit.signature)),
            *(to, key_signature, _shown(keys, credit.class_)),
        )

    def start_token_exit(
        self,
        left: TokenInput | tuple[int, int, SpentToken],
        to: bytes,
        key_signature: bytes,
        keys: Sequence[bytes],
    ) -> Call:
        """Begin to exit what is left of a token, with a bond (approved before).

        Args:
            left: a token of which nothing is spent; or epoch, relay, and the token with the
                highest payment its owner knows of.
            to: who is paid, 20 bytes.
            key_signature: of the refund key over `settlement.Exit`, 65 bytes.
            keys: the epoch's eight keys, 256 bytes each.

        Raises:
            PointError: the signature of the token is no point.
        """
        instrument: TokenWords
        if isinstance(left, TokenInput):
            epoch, relay = left.epoch, left.relay
            signature = point_words(left.signature)
            instrument = (left.top, left.refund, 0, bytes(32), signature)
        else:
            epoch, relay, token = left
            instrument = token_words(token)
        return self._write(
            "startTokenExit", epoch, relay, instrument, to, key_signature, _shown(keys, TOKEN_CLASS)
        )

    def challenge_by_swap(
        self,
        exit_id: bytes,
        swap: Swap,
        position: int,
        signatures: Sequence[bytes],
        keys: Sequence[bytes],
    ) -> Call:
        """Refute an exit by a swap of the same instrument, delivering its outputs.

        Args:
            exit_id: number of the exit, 32 bytes.
            swap: as its owner signed it.
            position: which of its inputs is exited, from 0.
            signatures: of the outputs' points, 48 bytes each, in their order.
            keys: the eight keys of the swap's epoch, 256 bytes each.

        Raises:
            PointError: a point or a signature is none.
        """
        outputs = _full(output.point for output in swap.outputs)
        classes = bytes(output.class_ for output in swap.outputs)
        inputs = b"".join(entry.name for entry in swap.inputs)
        described = (swap.epoch, inputs, classes, outputs, swap.inputs[position].signed)
        return self._write("challengeBySwap", exit_id, described, _full(signatures), b"".join(keys))

    def challenge_by_preimage(self, exit_id: bytes, units: int, preimage: bytes) -> Call:
        """Refute the exit of a token by a preimage (32 bytes) deeper than it admits."""
        return self._write("challengeByPreimage", exit_id, units, preimage)

    def finalize_exit(self, exit_id: bytes) -> Call:
        """Pay an exit that was not refuted; anybody may send it."""
        return self._write("finalizeExit", exit_id)

    # -- disputes ----------------------------------------------------------------------------

    def dispute_issuance(self, purchase: Purchase) -> Call:
        """Say that a collected voucher was not served, with a bond (approved before).

        Raises:
            PointError: a point is none.
        """
        return self._write("disputeIssuance", purchase.voucher.values(), _full(purchase.points))

    def deliver(
        self,
        dispute_id: bytes,
        purchase: Purchase,
        signatures: Sequence[bytes],
        keys: Sequence[bytes],
    ) -> Call:
        """Deliver what is disputed, or what another voucher bought for some of the same money.

        Args:
            dispute_id: digest of the disputed voucher, 32 bytes.
            purchase: the disputed one, or the other.
            signatures: of its points, 48 bytes each, in their order.
            keys: the eight keys of its epoch, 256 bytes each.

        Raises:
            PointError: a point or a signature is none.
        """
        return self._write(
            "deliver",
            *(dispute_id, purchase.voucher.values(), purchase.signature),
            *(_full(purchase.points), _full(signatures), _shown(keys, BOUGHT_CLASS)),
        )

    def refund_issuance(self, dispute_id: bytes) -> Call:
        """Give back what was paid and not delivered; anybody may send it."""
        return self._write("refundIssuance", dispute_id)


def _full(points: Iterable[bytes]) -> bytes:
    """Compressed points of G1, one after the other in the form of EIP-2537."""
    return b"".join(G1.decode(point).encode_eip2537() for point in points)


def _shown(keys: Sequence[bytes], class_: int) -> bytes:
    """The key of a class, and behind it the hashes of all."""
    return keys[class_] + b"".join(map(keccak256, keys))
