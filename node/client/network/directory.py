"""Directory streams of a circuit: ask any hop for a document or for bytes to measure."""

from __future__ import annotations

import asyncio

from node.circuit.messages import Answer, EndReason
from node.client.paths.circuit import Circuit
from node.directory.exchange import DirRequest, Download, PieceReader
from node.errors import Stage, StreamError
from qnet.errors import LocalProtocolError, QnetError


class DirectoryStream:
    """One request on a stream of its own; also the sink of that stream.

    Args:
        circuit: An open circuit.
        request: What to ask.
        hop: Position of the hop that answers, 0 for the entry.
        base: Payload of the consensus that the request says is held.
    """

    def __init__(
        self, circuit: Circuit, request: DirRequest, *, hop: int, base: bytes = b""
    ) -> None:
        self._circuit = circuit
        self._download = Download(request, base=base)
        self._reader = PieceReader()
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """The complete answer, or the cause of its failure."""
        self._number = circuit.begin_directory(self, hop=hop)
        encoded = request.encode()
        if circuit.send(self._number, encoded) != len(encoded):
            raise LocalProtocolError("a fresh stream has no credit")

    @property
    def received_bytes(self) -> int:
        """Bytes of the answer so far."""
        return self._download.received_bytes

    async def answer(self, timeout_s: float) -> bytes:
        """The complete answer; empty for a measurement.

        Raises:
            StreamError: It did not come in time, or the stream broke.
            QnetError: The hop refused, or what it sent is malformed.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self.done
        except TimeoutError as error:
            raise StreamError(
                Stage.TRANSFER, "no answer on the directory stream", why=f"within {timeout_s:g} s"
            ) from error
        finally:
            self.close()

    def close(self) -> None:
        """Drop the stream, whatever has come."""
        self._circuit.end(self._number, EndReason.RESET)

    # StreamSink

    def stream_connected(self, address: bytes) -> None:
        """Directory streams count as connected at once."""

    def stream_data(self, chunks: tuple[bytes, ...]) -> None:
        """Pieces of the answer."""
        self._circuit.consumed(self._number, sum(map(len, chunks)))
        if self.done.done():
            return
        try:
            for chunk in chunks:
                for piece in self._reader.receive(chunk):
                    answer = self._download.receive(piece)
                    if answer is not None:
                        self.done.set_result(answer)
                        return
        except QnetError as error:
            self.done.set_exception(error)
            self.done.exception()  # who asked may have given up by now

    def stream_ended(self, reason: EndReason) -> None:
        """The hop ended the stream before the answer was complete."""
        if not self.done.done():
            self.done.set_exception(
                StreamError(Stage.TRANSFER, "directory stream ended", why=reason.name.lower())
            )
            self.done.exception()

    def stream_writable(self) -> None:
        """Nothing waits to be sent."""

    def name_resolved(self, answers: tuple[Answer, ...]) -> None:
        """No name was asked for."""
