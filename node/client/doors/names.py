"""Asks exits for the addresses of names: the engine behind the DNS port."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from node.circuit.messages import Answer, EndReason
from node.client.doors.door import Command, Request
from node.client.doors.listener import Listener
from node.client.doors.streams import (
    CONNECT_MARGIN_S,
    Outcome,
    StreamCarrier,
    StreamHost,
    try_circuits,
)


async def look_up(host: StreamHost, listener: Listener, name: str) -> Sequence[Answer] | EndReason:
    """Addresses of a name, or why there are none.

    Raises:
        StageError: No circuit could be built; names the stage and the cause.
    """
    request = Request(Command.RESOLVE, name, 0)
    outcome = await try_circuits(
        host,
        listener.key(request),
        request,
        lambda circuit: _NameStream(circuit, name).answer(host.connect_timeout_s),
    )
    return outcome if outcome is not None else ()


class _NameStream:
    """One RESOLVE; the sink of its stream."""

    def __init__(self, circuit: StreamCarrier, name: str) -> None:
        self._circuit = circuit
        self._done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._number = circuit.resolve(name, self)

    async def answer(self, timeout_s: float) -> Outcome:
        """What the exit says, or CONNECT_TIMEOUT; the stream is over afterwards."""
        try:
            async with asyncio.timeout(timeout_s + CONNECT_MARGIN_S):
                return await self._done
        except TimeoutError:
            return EndReason.CONNECT_TIMEOUT
        finally:
            if self._number in self._circuit.streams:
                self._circuit.end(self._number, EndReason.RESET)

    # StreamSink

    def stream_connected(self, address: bytes) -> None:
        """Never said of a name."""

    def stream_data(self, chunks: tuple[bytes, ...]) -> None:
        """Never sent for a name."""

    def stream_ended(self, reason: EndReason) -> None:
        """No answer, and why."""
        self._settle(reason)

    def stream_writable(self) -> None:
        """Nothing waits to be sent."""

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """The addresses."""
        self._settle(answers)

    def _settle(self, outcome: Outcome) -> None:
        if not self._done.done():
            self._done.set_result(outcome)
