"""The tokens' keys of the issuance epochs that a relay takes tokens of.

Members show keys, the chain says by their hash which are right; nobody else is asked.

Source: docs/spec/payments.md, QN-PAY-003 and 041.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from node.payments.keys import EpochKeys, ShownKeys
from node.payments.relay.relay_chain import RelayChain
from node.payments.relay.tollgate import Issued
from qnet.errors import DecodeError, QnetError
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import TOKEN_CLASS

LOOKS_AN_EPOCH: Final = 120
"""How often new keys are looked for."""
PAUSE_MAX_S: Final = 60.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class TollKeys:
    """Keys by issuance epoch.

    Args:
        chain: says which keys are right.
        clock: calendar of issuance epochs.
        members: how many committee members there are.
        ask: keys of an epoch as members show them.
        now: unix clock.
        keep: stores the eight keys of an epoch, 256 bytes each: members may be gone when they are
            needed to redeem.
        issued: what the tollgate reads.
    """

    chain: RelayChain
    clock: IssuanceClock
    members: int
    ask: Callable[[int], Awaitable[list[bytes]]]
    now: Callable[[], float]
    keep: Callable[[int, bytes], None] = lambda _epoch, _keys: None
    issued: dict[int, Issued] = field(default_factory=dict)
    _found: dict[int, EpochKeys] = field(default_factory=dict)

    @property
    def pause_s(self) -> float:
        """Between two looks."""
        start, end = self.clock.bounds(0)
        return min((end - start) / LOOKS_AN_EPOCH, PAUSE_MAX_S)

    async def follow(self) -> None:
        """Learn the keys of each epoch as they come, for ever."""
        while True:
            try:
                await self.look()
            except QnetError as error:
                _log.info("issuance keys", cause=error.message)
            await asyncio.sleep(self.pause_s)

    async def look(self) -> None:
        """Learn keys that are missing: of the running epoch, the next, and those just over.

        Raises:
            QnetError: the chain does not answer.
        """
        now = self.now()
        running = max(self.clock.epoch_at(now), 0)
        for epoch in range(max(running - 1, 0), running + 2):
            end = self.clock.bounds(epoch)[1] + self.clock.terms.spend_s
            if epoch in self.issued or now >= end:
                continue
            keys = await self.keys_of(epoch)
            if keys is not None:
                self.issued[epoch] = Issued(keys.keys[TOKEN_CLASS], end)
                _log.info("tokens taken", epoch=epoch)
        for epoch in [old for old in self.issued if old < running - 2]:
            del self.issued[epoch]

    async def keys_of(self, epoch: int) -> EpochKeys | None:
        """Keys of an epoch; None while the chain or members have none.

        Raises:
            QnetError: the chain does not answer.
        """
        found = self._found.get(epoch)
        if found is not None:
            return found
        issuance = await self.chain.issuance(epoch)
        if issuance is None:
            return None
        shown = []
        for body in await self.ask(epoch):
            try:
                shown.append(ShownKeys.decode(body))
            except DecodeError as error:
                _log.warning("a member shows malformed keys", cause=error.message)
        keys = await asyncio.to_thread(
            EpochKeys.choose, epoch, self.chain.place, issuance.keys_hash, shown, self.members
        )
        if keys is not None:
            await asyncio.to_thread(self.keep, epoch, b"".join(keys.encoded))
            self._found[epoch] = keys
        return keys
