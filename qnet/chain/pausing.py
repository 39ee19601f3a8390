"""Base of the wrappers of contracts that a guardian can pause for a while."""

from qnet.chain.contract import Contract
from qnet.chain.values import BlockTag, Call


class PausingContract(Contract):
    """A contract whose risky functions stop while it is paused; ways out never do."""

    async def guardian(self, at: BlockTag = "latest") -> bytes:
        """Account that may pause, 20 bytes."""
        return bytes(await self._read("guardian", at=at))

    async def is_paused(self, at: BlockTag = "latest") -> bool:
        """Whether it is paused now."""
        return bool(await self._read("isPaused", at=at))

    async def paused_until(self, at: BlockTag = "latest") -> int:
        """First second after the present or the last pause, unix seconds; 0 before the first."""
        return int(await self._read("pausedUntil", at=at))

    async def paused_since(self, timestamp_s: int, at: BlockTag = "latest") -> int:
        """Seconds from a moment until now in which it was paused."""
        return int(await self._read("pausedSince", timestamp_s, at=at))

    def pause(self, until_s: int) -> Call:
        """Pause until a moment (the guardian)."""
        return self._write("pause", until_s)

    def unpause(self) -> Call:
        """End a pause early (the guardian, or a proposal's action)."""
        return self._write("unpause")

    def set_guardian(self, account: bytes) -> Call:
        """Appoint who may pause (a proposal's action)."""
        return self._write("setGuardian", account)
