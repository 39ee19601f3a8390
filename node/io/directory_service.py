"""Serves directory data: on links (DIR_GET, DIR_DATA records) and on circuits' directory streams.

Answers are produced piece by piece, only as fast as they are taken: a link's while little is
unsent, a stream's while it has credit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import structlog

from node.circuit.actions import DeliverData, EndStream
from node.circuit.messages import EndReason
from node.directory.cache import DirectoryService
from node.directory.exchange import DirRequest, Kind, request_size
from node.exit.streams import Key, StreamCore
from node.htx.events import CloseReason
from node.htx.record import RecordType
from node.io.endpoint import Link
from qnet.errors import DecodeError

PIECES_PER_TURN = 64
MAX_WAITING = 16
"""Answers that may wait until a link or stream takes them; who asks for more is cut off."""

_log = structlog.get_logger(__name__)


class DirectoryServer:
    """Answers requests of links and streams.

    A circuit keeps its budget whatever it does to its streams; the service forgets those of
    circuits long gone by itself.

    Args:
        service: Documents and limits.
        core: Where directory streams end.
        wake: Asks the driver to move cells soon.
        now: Clock in unix seconds.
    """

    def __init__(
        self,
        *,
        service: DirectoryService,
        core: StreamCore,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self.service = service
        self._core = core
        self._wake = wake
        self._now = now
        self._streams: dict[Key, _DirectoryStream] = {}
        self._links: dict[int, list[Iterator[bytes]]] = {}

    # links

    def request(self, link: Link, content: bytes) -> None:
        """A DIR_GET record came; measurements are served on circuits only."""
        try:
            asked = _document_request(content)
        except DecodeError as error:
            _log.info("bad directory request", cause=error.message)
            link.close(CloseReason.PROTOCOL)
            return
        answers = self._links.setdefault(link.link_id, [])
        if len(answers) >= MAX_WAITING:
            link.close(CloseReason.RESOURCES)
            return
        source = ("link", link.link_id)
        answers.append(self.service.respond(asked, source=source, now=self._now()))
        self.feed(link)

    def feed(self, link: Link) -> None:
        """Send more of a link's answers, as far as it takes them."""
        answers = self._links.get(link.link_id)
        if not answers:
            return
        while answers and link.is_writable and not link.is_closed:
            piece = next(answers[0], None)
            if piece is None:
                answers.pop(0)
            else:
                link.send_record(RecordType.DIR_DATA, piece)
                link.flush()  # only then the link knows whether it is writable
        if not answers:
            self._links.pop(link.link_id, None)

    def link_closed(self, link_id: int) -> None:
        """Forget a link."""
        self._links.pop(link_id, None)
        self.service.forget(("link", link_id))

    # streams

    def open(self, circuit: int, stream: int) -> None:
        """A directory stream opened."""
        self._streams[circuit, stream] = _DirectoryStream()

    def deliver(self, action: DeliverData) -> bool:
        """Take request bytes; False when this is no directory stream."""
        key = (action.circuit, action.stream)
        state = self._streams.get(key)
        if state is None:
            return False
        data = b"".join(action.chunks)
        self._core.stream_consumed(*key, len(data))
        try:
            requests = state.receive(data)
        except DecodeError:
            self._drop(key, EndReason.PROTOCOL)
            return True
        if len(state.answers) + len(requests) > MAX_WAITING:
            self._drop(key, EndReason.RESOURCE_LIMIT)
            return True
        for asked in requests:
            answer = self.service.respond(
                asked, source=("circuit", action.circuit), now=self._now()
            )
            state.answers.append(answer)
        self._feed_stream(key, state)
        return True

    def end(self, action: EndStream) -> bool:
        """The client ended a stream; False when this is no directory stream."""
        key = (action.circuit, action.stream)
        state = self._streams.get(key)
        if state is None:
            return False
        if action.reason is not EndReason.DONE:
            del self._streams[key]
            return True
        state.ended = True
        self._feed_stream(key, state)
        return True

    def resume(self, circuit: int, stream: int) -> bool:
        """A stream has credit again; False when this is no directory stream."""
        state = self._streams.get((circuit, stream))
        if state is None:
            return False
        self._feed_stream((circuit, stream), state)
        return True

    def _feed_stream(self, key: Key, state: _DirectoryStream) -> None:
        while True:
            if not state.pending:
                state.pending = state.next_pieces()
            if not state.pending:
                break
            taken = self._core.stream_data(*key, state.pending)
            state.pending = state.pending[taken:]
            if state.pending:
                break
        if state.ended and not state.pending and not state.answers:
            self._drop(key, EndReason.DONE)
        self._wake()

    def _drop(self, key: Key, reason: EndReason) -> None:
        del self._streams[key]
        self._core.stream_ended(*key, reason)
        self._wake()


class _DirectoryStream:
    """Requests received and answers not sent yet."""

    __slots__ = ("_buffer", "answers", "ended", "pending")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.answers: list[Iterator[bytes]] = []
        self.pending = b""
        self.ended = False

    def receive(self, data: bytes) -> list[DirRequest]:
        """Complete requests in the bytes so far.

        Raises:
            DecodeError: Malformed.
        """
        self._buffer += data
        requests = []
        while (size := request_size(self._buffer)) is not None and len(self._buffer) >= size:
            requests.append(DirRequest.decode(bytes(self._buffer[:size])))
            del self._buffer[:size]
        return requests

    def next_pieces(self) -> bytes:
        """The next part of the answers, empty when there is none."""
        while self.answers:
            pieces = b"".join(islice(self.answers[0], PIECES_PER_TURN))
            if pieces:
                return pieces
            self.answers.pop(0)
        return b""


def _document_request(content: bytes) -> DirRequest:
    asked = DirRequest.decode(content)
    if asked.kind is Kind.MEASURE:
        raise DecodeError("measurement asked for on a link")
    return asked
