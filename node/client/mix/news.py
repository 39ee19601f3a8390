"""Lets many wait for what happens next, without missing what happened since they looked."""

from __future__ import annotations

import asyncio


class News:
    """Counts what happened.

    Attributes:
        count: how often so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something happened."""
        self.count += 1
        event, self._next = self._next, asyncio.Event()
        event.set()

    async def after(self, seen: int) -> None:
        """Wait until more happened than `seen` times; a count of another run is no wait."""
        if self.count == seen:
            await self._next.wait()
