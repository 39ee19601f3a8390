"""Finality: waiting for it, and reading events that can no longer disappear.

Everything that decides about money reads blocks the chain calls ``finalized`` and remembers
their hashes. A hash that changed afterwards means that the chain broke its promise or was
restarted; both are told, never papered over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from qnet.chain.client import ChainClient
from qnet.chain.errors import ChainRestartedError, FinalityBrokenError, TransactionTimeoutError
from qnet.chain.values import BlockMark, Log, TxReceipt

FIRST_POLL_S: Final = 0.02
LONGEST_POLL_S: Final = 1.0
KEPT_MARKS: Final = 64
"""Block hashes remembered, so that a change can be traced back to where it began."""
SPAN_BLOCKS: Final = 2000
"""Blocks read in one step."""


async def _poll(
    look: Callable[[], Awaitable[TxReceipt | None]], tx_hash: bytes, timeout_s: float, what: str
) -> TxReceipt:
    """Ask again and again, ever more slowly, until there is an answer."""
    pause_s = FIRST_POLL_S
    try:
        async with asyncio.timeout(timeout_s):
            while (found := await look()) is None:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 1.5, LONGEST_POLL_S)
            return found
    except TimeoutError as error:
        raise TransactionTimeoutError(
            f"transaction 0x{tx_hash.hex()} is not {what} after {timeout_s:g} s", tx_hash=tx_hash
        ) from error


async def wait_mined(client: ChainClient, tx_hash: bytes, *, timeout_s: float) -> TxReceipt:
    """Wait until a transaction is in a block.

    Raises:
        TransactionTimeoutError: it was not in time.
    """
    return await _poll(lambda: client.tx_receipt(tx_hash), tx_hash, timeout_s, "mined")


async def wait_final(client: ChainClient, tx_hash: bytes, *, timeout_s: float) -> TxReceipt:
    """Wait until a transaction's block is final.

    A reorganisation may move it to another block meanwhile; the result tells the last one.

    Raises:
        TransactionTimeoutError: it was not in time.
    """
    return await _poll(lambda: final_receipt(client, tx_hash), tx_hash, timeout_s, "final")


async def final_receipt(client: ChainClient, tx_hash: bytes) -> TxReceipt | None:
    """Read the result of a transaction if its block is final, else None."""
    found = await client.tx_receipt(tx_hash)
    if found is None:
        return None
    finalized = await client.block("finalized")
    if finalized.number < found.block_number:
        return None
    canonical = await client.block(found.block_number)
    return found if canonical.hash == found.block_hash else None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come; stored in the same transaction as what it read.

    Args:
        genesis_hash: 32-byte hash of block 0 of the chain it reads.
        marks: final blocks seen, oldest first; everything up to the last one has been read.
    """

    genesis_hash: bytes
    marks: tuple[BlockMark, ...]

    @property
    def next_block(self) -> int:
        """First block not read yet."""
        return self.marks[-1].number + 1 if self.marks else 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of newly final blocks, in order, and the cursor after them."""

    logs: tuple[Log, ...]
    cursor: Cursor


class FinalizedLogs:
    """Reads each event of some contracts once, from final blocks only.

    Args:
        client: the chain.
        addresses: the contracts, 20 bytes each.
        start_block: first block that can hold events.
        cursor: where an earlier reader stopped.
        topics: event hashes to read; all if empty.
        span_blocks: blocks read in one step.
    """

    def __init__(
        self,
        client: ChainClient,
        addresses: Sequence[bytes],
        *,
        start_block: int = 0,
        cursor: Cursor | None = None,
        topics: Sequence[bytes] = (),
        span_blocks: int = SPAN_BLOCKS,
    ) -> None:
        self._client = client
        self._addresses = tuple(addresses)
        self._start_block = start_block
        self._topics = tuple(topics)
        self._span_blocks = span_blocks
        self.cursor = cursor or Cursor(client.genesis_hash, ())

    async def poll(self) -> Batch:
        """Read the next final blocks; the batch is empty when there are none.

        Raises:
            ChainRestartedError: the chain began anew or went back behind what was read.
            FinalityBrokenError: a block that was final has another hash now; `rewind` to the
                mark it names and forget what came after.
        """
        finalized = await self._client.block("finalized")
        await self._check(finalized.number)
        first = max(self.cursor.next_block, self._start_block)
        last = min(finalized.number, first + self._span_blocks - 1)
        if last < first:
            return Batch((), self.cursor)
        mark = BlockMark(last, (await self._client.block(last)).hash)
        logs = await self._client.logs(
            self._addresses, from_block=first, to_block=last, topics=self._topics
        )
        logs.sort(key=lambda log: (log.block_number, log.index))
        marks = (*self.cursor.marks, mark)[-KEPT_MARKS:]
        self.cursor = Cursor(self.cursor.genesis_hash, marks)
        return Batch(tuple(logs), self.cursor)

    def rewind(self, to: BlockMark | None) -> Cursor:
        """Go back to a mark (None: to the start), to read the blocks after it again."""
        kept = tuple(mark for mark in self.cursor.marks if to and mark.number <= to.number)
        self.cursor = Cursor(self.cursor.genesis_hash, kept)
        return self.cursor

    async def _check(self, finalized_number: int) -> None:
        """Compare the chain with what is remembered of it."""
        genesis = (await self._client.block(0)).hash
        if genesis != self.cursor.genesis_hash:
            raise ChainRestartedError(
                "the chain was restarted: its first block is another one",
                why=f"0x{genesis.hex()} instead of 0x{self.cursor.genesis_hash.hex()}",
                try_=("start again with an empty home and the new deployment",),
            )
        if not self.cursor.marks:
            return
        newest = self.cursor.marks[-1]
        if finalized_number < newest.number:
            raise ChainRestartedError(
                "the chain went back",
                why=f"block {newest.number} was final, now only {finalized_number} is",
                try_=("wait, if the node is catching up", "else start again with an empty home"),
            )
        if (await self._client.block(newest.number)).hash != newest.hash:
            raise FinalityBrokenError(newest.number, await self._common_mark())

    async def _common_mark(self) -> BlockMark | None:
        """Find the newest remembered block that is still on the chain."""
        for mark in reversed(self.cursor.marks):
            if (await self._client.block(mark.number)).hash == mark.hash:
                return mark
        return None
