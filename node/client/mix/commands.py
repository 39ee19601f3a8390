"""What a running client answers about messages on its control socket: `msg.*`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from node.client.mix.service import MixService
from node.errors import ControlError, MixOffError
from node.io.control import Handler

MAX_WAIT_S: Final = 30.0
_MS: Final = 1000


class MessageCommands:
    """The handlers of one client, by name.

    Args:
        mix: the mixnet for it; None if it is not wanted.
    """

    def __init__(self, mix: MixService | None) -> None:
        self._found = mix

    def handlers(self) -> dict[str, Handler]:
        """What `ControlServer` serves."""
        return {
            "msg.wake": self.wake,
            "msg.wait": self.wait,
            "msg.address": self.address,
            "msg.status": self.status,
        }

    async def wake(self, _arguments: Mapping[str, Any]) -> Any:
        """Look for messages that were written."""
        if self._found is not None:
            self._found.wake()
        return {"awake": self._found is not None}

    async def wait(self, arguments: Mapping[str, Any]) -> Any:
        """Wait for news since the caller last looked; returns their number so far."""
        seen, wait_ms = arguments.get("seen"), arguments.get("wait_ms")
        if not isinstance(seen, int) or not isinstance(wait_ms, int):
            raise ControlError("control arguments seen and wait_ms are numbers")
        news = self._mix.news
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait_ms / _MS, MAX_WAIT_S)):
                await news.after(seen)
        return {"news": news.count}

    async def address(self, _arguments: Mapping[str, Any]) -> Any:
        """Make an address."""
        return {"number": (await self._mix.new_address()).number}

    async def status(self, _arguments: Mapping[str, Any]) -> Any:
        """How it stands in the mixnet."""
        return self._mix.status()

    @property
    def _mix(self) -> MixService:
        if self._found is None:
            raise MixOffError("the client carries no messages")
        return self._found
