"""The till of a wallet: tokens for circuits, stored as being spent before anybody sees them.

Source: docs/spec/payments.md, QN-PAY-040 to 044; `node.payments.user.purse`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from node.payments.user.derivation import Seed, Slot
from node.payments.user.purse import Spending, retiring_k
from node.payments.user.states import Instrument, State
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from qnet.crypto.hash_chain import HashChain
from qnet.errors import LocalProtocolError
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import TOKEN_CLASS, Opening

SPEND_MARGIN_SHARE: Final = 8
"""In the last eighth of `SPEND_S` no token is taken, and one that is paid with is paid up."""
LATE_SHARE: Final = 20
"""In the last twentieth nothing is shown: its relay's clock may be ahead of ours."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Till:
    """A `Purse` over the wallet's file.

    Args:
        seed: root of the wallet.
        store: its file.
        around: what it needs from outside.
        clock: calendar and terms; None until they are known.
    """

    seed: Seed
    store: Store
    around: Surroundings
    clock: IssuanceClock | None = None
    _tokens: dict[int, list[Instrument]] = field(default_factory=dict)
    _spending: dict[bytes, Slot] = field(default_factory=dict)

    def covers(self, relay: int) -> bool:
        """Whether a token for a relay is in stock."""
        return bool(self._spendable(relay))

    async def take(self, relay: int) -> Spending | None:
        """Take a token for a relay out of the stock, stored as being spent; None without one."""
        stock = self._spendable(relay)
        if not stock:
            return None
        entry = stock[0]
        self._tokens[relay].remove(entry)
        chain = self.seed.chain(entry.slot)
        self._spending[chain.top] = entry.slot
        last = retiring_k(self.around.random)
        await asyncio.to_thread(self.store.change, entry.slot, State.SPENDING, last=last)
        return Spending(relay, self._opening(entry, chain), chain, last)

    async def spend(self, token: Spending, k: int) -> bool:
        """Store that a token is spent up to k, before its preimage leaves; see `Purse`."""
        slot = self._spending.get(token.opening.top)
        if slot is None or not token.k <= k <= token.last:
            raise LocalProtocolError(f"a token that retires at {token.last} cannot pay {k} units")
        if not self._lasts(slot, LATE_SHARE):
            return False
        if not self._lasts(slot, SPEND_MARGIN_SHARE):
            k = token.last  # while its relay still takes it: k must tell nothing
        is_over = k == token.last
        state = State.SPENT if is_over else State.SPENDING
        await asyncio.to_thread(self.store.change, slot, state, k=k)
        token.k = k
        if is_over:
            self._spending.pop(token.opening.top, None)
        return True

    def refused(self, token: Spending, why: str) -> None:
        """A relay did not take a token; it is not shown to it again."""
        slot = self._spending.pop(token.opening.top, None)
        if slot is None:
            return
        _log.info("token refused", relay=token.relay, cause=why)
        entry = self.store.instrument(slot)
        if entry is not None and entry.state is State.SPENDING:  # not ended by its epoch before
            self.store.change(slot, State.SPENT)

    def _opening(self, entry: Instrument, chain: HashChain) -> Opening:
        refund = self.seed.key(entry.slot).address
        return Opening(entry.slot.epoch, chain.top, refund, entry.signature)

    def _spendable(self, relay: int) -> list[Instrument]:
        """Tokens of a relay that it still takes, oldest first."""
        stock = self._tokens.get(relay, [])
        return [entry for entry in stock if self._lasts(entry.slot, SPEND_MARGIN_SHARE)]

    def _lasts(self, slot: Slot, share: int) -> bool:
        """Whether the last part of the time in which relays take a token has not begun."""
        if self.clock is None:
            return False
        spend_s = self.clock.terms.spend_s
        return self.clock.elapsed(slot.epoch, self.around.wall()) < spend_s - spend_s // share

    def look(self) -> None:
        """Bring the list of tokens up to what is stored."""
        self._tokens = {}
        taken = set(self._spending.values())
        for entry in self.store.instruments(State.HELD):
            if entry.slot.class_ == TOKEN_CLASS and entry.slot not in taken:
                self._tokens.setdefault(entry.relay, []).append(entry)
