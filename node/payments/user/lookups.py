"""What members stored of a channel and of an instrument, believed as far as it is signed.

Source: docs/spec/payments.md, "Interfaces between programs".
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.payments.keys import EpochKeys
from node.payments.user.blinding import Blinded, unblind_all
from node.payments.user.issuers import Issuers
from node.payments.user.partials import decode_points
from node.payments.user.routes import MAX_ANSWER_BYTES, Route
from node.payments.user.states import Request, RequestKind
from qnet import cbor
from qnet.crypto.keys import constant_time_equal
from qnet.crypto.points import G1
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError, DecodeError
from qnet.messages.instruments import Place
from qnet.messages.swap import Swap
from qnet.messages.voucher import Purchase

_DEPTH: Final = 3


@dataclass(frozen=True, slots=True)
class StoredSwap:
    """A swap as a member stored it.

    Args:
        swap: signed by the keys of its inputs.
        signed: combined signatures of its points; empty while it is not served. Not checked.
    """

    swap: Swap
    signed: tuple[G1, ...]


@dataclass(frozen=True, slots=True)
class StoredPurchase:
    """A purchase as a member stored it; `signed` as for swaps."""

    purchase: Purchase
    signed: tuple[G1, ...]


@dataclass(frozen=True, slots=True)
class InputLookup:
    """Looks for the swap that took an instrument.

    Args:
        place: chain and contract.
        message: of the instrument, 32 bytes.
    """

    place: Place
    message: bytes

    async def ask(self, issuers: Issuers, route: Route, threshold: int) -> list[StoredSwap] | None:
        """The swaps that members show; None if it is unspent.

        Raises:
            IssuersSilentError: too few answered to tell.
        """
        path = f"/v1/payments/input/{self.message.hex()}"
        return await issuers.find(route, path, self.read, threshold)

    def read(self, body: bytes) -> StoredSwap | None:
        """A member's answer; None unless the instrument's own key signed the swap.

        Raises:
            DecodeError: malformed.
        """
        data, signed = _pair(_load(body))
        swap = Swap.decode(data)
        if not any(
            constant_time_equal(entry.message(self.place), self.message) for entry in swap.inputs
        ):
            return None
        try:
            swap.verify(qnet_domain(self.place.chain_id, self.place.channels))
        except CryptoError:
            return None
        return StoredSwap(swap, _points(signed, len(swap.outputs)))


@dataclass(frozen=True, slots=True)
class PurchasesLookup:
    """Looks for the purchases of a channel, a page of them.

    Args:
        place: chain and contract.
        channel: its owner, 20 bytes.
        after: only those of greater nonce.
    """

    place: Place
    channel: bytes
    after: int

    async def ask(
        self, issuers: Issuers, route: Route, threshold: int
    ) -> list[list[StoredPurchase]] | None:
        """What each member shows; None if there was none.

        Raises:
            IssuersSilentError: too few answered to tell.
        """
        path = f"/v1/payments/purchases/{self.channel.hex()}?after={self.after}"
        return await issuers.find(route, path, self.read, threshold)

    def read(self, body: bytes) -> list[StoredPurchase] | None:
        """A member's answer; None unless the owner signed all, and all are asked for.

        Raises:
            DecodeError: malformed.
        """
        rows = _load(body)
        if not isinstance(rows, list):
            raise DecodeError("a list of purchases is expected")
        found = []
        domain = qnet_domain(self.place.chain_id, self.place.channels)
        for row in rows:
            data, signed = _pair(row)
            purchase = Purchase.decode(data)
            if not constant_time_equal(purchase.voucher.channel, self.channel):
                return None
            if purchase.voucher.nonce <= self.after:
                return None
            try:
                purchase.verify(domain)
            except CryptoError:
                return None
            found.append(StoredPurchase(purchase, _points(signed, len(purchase.points))))
        return found


async def delivered(
    issuers: Issuers,
    route: Route,
    request: Request,
    blinded: Sequence[Blinded],
    keys: EpochKeys,
) -> tuple[bytes, ...] | None:
    """Signatures of a request that members combined among themselves; None if there are none.

    One honest member suffices, and it may be long after the epoch.

    Raises:
        IssuersSilentError: too few answered to tell.
    """
    shown: list[tuple[G1, ...]] = []
    if request.kind is RequestKind.BUY:
        bought = Purchase.decode(request.body)
        after = bought.voucher.nonce - 1
        pages = PurchasesLookup(issuers.place, bought.voucher.channel, after)
        for page in await pages.ask(issuers, route, keys.threshold) or ():
            shown += [one.signed for one in page if one.purchase == bought]
    else:
        swap = Swap.decode(request.body)
        place = InputLookup(issuers.place, swap.inputs[0].message(issuers.place))
        for one in await place.ask(issuers, route, keys.threshold) or ():
            shown += [one.signed] if one.swap == swap else []
    for signed in shown:
        found = await asyncio.to_thread(unblind_all, blinded, signed, keys.keys)
        if found is not None:
            return found
    return None


def _load(body: bytes) -> object:
    return cbor.loads(body, max_bytes=MAX_ANSWER_BYTES, max_depth=_DEPTH)


def _pair(row: object) -> tuple[bytes, list[Any]]:
    if not isinstance(row, list) or len(row) != 2:
        raise DecodeError("a request with its signatures is expected")
    data, signed = row
    if not isinstance(data, bytes) or not isinstance(signed, list):
        raise DecodeError("a request with its signatures is expected")
    if not all(isinstance(point, bytes) for point in signed):
        raise DecodeError("signatures are expected")
    return data, signed


def _points(signed: list[bytes], count: int) -> tuple[G1, ...]:
    return decode_points(b"".join(signed), count) if signed else ()
