"""Answers to demands: whoever wants to see a leaf of a report gets it, and we its bond."""

import asyncio
from typing import Final

import structlog

from ledger.errors import NotReadyError
from ledger.service.handlers import Handlers
from ledger.service.member import Member
from ledger.service.states import States
from qnet.chain.reporting import ReportStatus
from qnet.errors import ChainRecoverableError, NetworkError

POLL_S: Final = 1.0
RESCAN_BLOCKS: Final = 64
"""Blocks read again each time: the newest ones may be replaced."""
LOOKBACK_BLOCKS: Final = 50_000
"""Blocks read after a start: a week of 12 seconds each, longer than any window."""
BLOCKS_AT_ONCE: Final = 2_000

_log = structlog.get_logger(__name__)


class Demands:
    """Watches the oracle for demands and notes the transactions that answer them.

    Args:
        member: ours.
        states: fetch the report's data if we have missed it.
        handlers: find leaves and proofs.
    """

    def __init__(self, member: Member, states: States, handlers: Handlers) -> None:
        self._member = member
        self._states = states
        self._handlers = handlers
        self._next: int | None = None

    async def run(self) -> None:
        """Look for demands, for ever; a chain that does not answer only delays."""
        while True:
            try:
                await self.step()
            except (ChainRecoverableError, NotReadyError, NetworkError) as error:
                _log.warning("demands wait", error=error.message, why=error.why)
            await asyncio.sleep(POLL_S)

    async def step(self) -> None:
        """Read the demands of all blocks since the last step."""
        contracts = self._member.reader.contracts
        newest = (await contracts.client.block("latest")).number
        since = max(newest - LOOKBACK_BLOCKS, 0) if self._next is None else self._next
        topic = contracts.oracle.abi.event("LeafDemanded").hash
        while since <= newest:
            until = min(since + BLOCKS_AT_ONCE - 1, newest)
            logs = await contracts.client.logs(
                [contracts.oracle.address], from_block=since, to_block=until, topics=[topic]
            )
            for log in logs:
                event = contracts.oracle.event(log)
                assert event is not None
                await self._answer(event.arguments["epoch"], event.arguments["node"])
            since = until + 1
        self._next = max(newest + 1 - RESCAN_BLOCKS, 0)

    async def _answer(self, epoch: int, node: int) -> None:
        """Note the answer to a demand that is open, if our data give the leaf."""
        oracle = self._member.reader.contracts.oracle
        demand = await oracle.demand_of(epoch, node)
        on_chain = await oracle.report(epoch)
        if demand.deadline_s == 0 or on_chain.status is not ReportStatus.SUBMITTED:
            return
        await self._states.after(on_chain.hash)
        found = await self._handlers.proven_leaf(on_chain.hash, node)
        assert found is not None, "the oracle takes demands for leaves of the report only"
        call = oracle.answer_leaf(*found)
        assert call.to is not None
        # all of us at once would pay for one answer: each waits a part of the first half
        share = self._member.parameters.demand_answer_s / (2 * self._member.size)
        place = (self._member.index - epoch - node) % self._member.size
        async with self._member.work() as rows:
            await rows.outbox.add(
                "answer",
                epoch,
                attempt=on_chain.report.attempt,
                subject=node,
                target=call.to,
                call=call.data,
                label=f"show the leaf of node {node} in epoch {epoch}",
                not_before=self._member.now() + place * share,
            )
