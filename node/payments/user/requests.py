"""Purchases and swaps of a wallet, made from its seed and stored before anybody hears of them.

Source: docs/spec/payments.md, QN-PAY-021, 030 and 081.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from node.payments.user.blinding import blinded_all
from node.payments.user.derivation import Seed, Slot
from node.payments.user.states import Blank, Instrument, Request, RequestKind, RequestState
from node.payments.user.stock import SwapOrder
from node.payments.user.store import Store
from qnet.eip712 import qnet_domain
from qnet.errors import LocalProtocolError
from qnet.messages.instruments import TOKEN_UNITS, Place
from qnet.messages.swap import CreditInput, Input, Output, Swap, TokenInput
from qnet.messages.voucher import BATCH_MAX, Purchase

BOUGHT_CLASS: Final = 6
"""Class of the credits that channels buy."""
DAY_S: Final = 86_400


@dataclass(frozen=True)
class Maker:
    """Makes requests of one wallet.

    Args:
        seed: its root.
        place: chain and contract.
        store: its file.
    """

    seed: Seed
    place: Place
    store: Store

    @cached_property
    def domain(self) -> bytes:
        """EIP-712 domain of PremiumChannels, 32 bytes."""
        return qnet_domain(self.place.chain_id, self.place.channels)

    def purchase(self, count: int, epoch: int, unit_wei: int, *, at: float) -> Request:
        """Store the next voucher of the channel.

        Args:
            count: credits of 64 units, 1 to 64.
            epoch: running issuance epoch.
            unit_wei: value of a unit.
            at: unix time.

        Raises:
            LocalProtocolError: another number of credits, or the purchase before is not over.
        """
        if not 1 <= count <= BATCH_MAX:
            raise LocalProtocolError(f"a purchase is of 1 to {BATCH_MAX} credits")
        if any(
            request.kind is RequestKind.BUY for request in self.store.requests(RequestState.OPEN)
        ):
            raise LocalProtocolError("the purchase before is not over")
        nonce, cumulative_wei = self.last_voucher()
        wei = count * TOKEN_UNITS * unit_wei
        first = self.store.next_counter(epoch, BOUGHT_CLASS)
        blanks = tuple(Blank(Slot(epoch, BOUGHT_CLASS, first + i)) for i in range(count))
        purchase = Purchase.make(
            self.seed.channel,
            self.domain,
            [blinded.point.encode() for blinded in blinded_all(self.seed, self.place, blanks)],
            cumulative_wei=cumulative_wei + wei,
            nonce=nonce + 1,
            epoch=epoch,
        )
        return self.store.begin(
            Request(
                number=0,
                kind=RequestKind.BUY,
                epoch=epoch,
                body=purchase.encode(),
                blanks=blanks,
                at=at,
                due=at,
                wei=wei,
                nonce=nonce + 1,
            )
        )

    def swap(self, order: SwapOrder, epoch: int, *, at: float, due: float) -> Request:
        """Store a swap.

        Args:
            order: what for what.
            epoch: running issuance epoch.
            at: unix time.
            due: unix time from which it may be sent.

        Raises:
            LocalProtocolError: an input is not held.
        """
        counters: Counter[int] = Counter()
        blanks = []
        for class_, relay in order.outputs:
            counter = self.store.next_counter(epoch, class_) + counters[class_]
            counters[class_] += 1
            blanks.append(Blank(Slot(epoch, class_, counter), relay))
        outputs = tuple(
            Output(blinded.class_, blinded.point.encode())
            for blinded in blinded_all(self.seed, self.place, blanks)
        )
        inputs = tuple(self._input(slot) for slot in order.inputs)
        keys = [self.seed.key(slot) for slot in order.inputs]
        swap = Swap(epoch, inputs, outputs).sign(keys, self.domain)
        return self.store.begin(
            Request(
                number=0,
                kind=RequestKind.SWAP,
                epoch=epoch,
                body=swap.encode(),
                blanks=tuple(blanks),
                inputs=order.inputs,
                at=at,
                due=due,
            )
        )

    def input_of(self, entry: Instrument) -> Input:
        """An instrument as swaps and exits name it."""
        slot, address = entry.slot, self.seed.key(entry.slot).address
        if entry.is_token:
            top = self.seed.chain(slot).top
            return TokenInput(slot.epoch, entry.relay, top, address, entry.signature)
        return CreditInput(slot.epoch, slot.class_, address, entry.signature)

    def last_voucher(self) -> tuple[int, int]:
        """Nonce and cumulative wei of the last voucher that may have been served."""
        vouchers = [
            Purchase.decode(request.body).voucher
            for request in self.store.requests(RequestState.OPEN, RequestState.DONE)
            if request.kind is RequestKind.BUY
        ]
        return max(((one.nonce, one.cumulative_wei) for one in vouchers), default=(0, 0))

    def spent_wei(self, now: float) -> int:
        """What was ordered since midnight UTC."""
        return spent_since(self.store.requests(RequestState.OPEN, RequestState.DONE), now)

    def _input(self, slot: Slot) -> Input:
        entry = self.store.instrument(slot)
        if entry is None or not entry.signature:
            raise LocalProtocolError("what is not held cannot be swapped")
        return self.input_of(entry)


def spent_since(requests: Iterable[Request], now: float) -> int:
    """Wei of the purchases ordered since midnight UTC."""
    midnight = now - now % DAY_S
    return sum(request.wei for request in requests if request.at >= midnight)
