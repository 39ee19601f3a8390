"""The server's HTTP/2: a web site, until the first request turns out to carry a ticket.

Requests with and without a ticket take the same path up to that decision, so what a client
without one can observe does not depend on what it sent in place of a ticket.
"""

from collections.abc import Callable
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from node.htx.http2_client import FRAME_HEADER_BYTES, MAX_FRAME_BYTES, PREFACE, SETTINGS_ACK
from node.htx.site import Site, SiteRequest, SiteResponse

Admit = Callable[[SiteRequest], bool]

MAX_REQUESTS: Final = 1000
MAX_STREAMS: Final = 128
MAX_KEPT_BODY_BYTES: Final = 1024
MAX_HEADER_LIST_BYTES: Final = 16_384
MAX_OPEN_HEAD_BYTES: Final = 2 * MAX_HEADER_LIST_BYTES
"""Heads of all requests of a connection that are not complete; a few bytes can name much of them
again, so they are counted unpacked."""
_FIELD_BYTES: Final = 32
_SETTINGS: Final = {
    SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
    SettingCodes.INITIAL_WINDOW_SIZE: 65_536,
    SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_BYTES,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
}


class Http2Server:
    """One connection.

    Args:
        site: what answers.
        admit: asked once, about the first request; True makes the connection a link.
    """

    def __init__(self, site: Site, admit: Admit) -> None:
        self._site = site
        self._admit = admit
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._h2.local_settings = Settings(client=False, initial_values=dict(_SETTINGS))
        self._h2.decoder.max_header_list_size = MAX_HEADER_LIST_BYTES  # before the client's ACK
        self._buffer = b""
        self._greeted = False
        self._acknowledged = False
        self._asked = False
        self._requests: dict[int, SiteRequest] = {}
        self._bodies: dict[int, memoryview] = {}
        self._served = 0
        self.admitted = False
        self.closed = False
        self.inner: bytes | None = None
        """Bytes of the inner protocol, once the client's SETTINGS ACK has come."""

    def start(self) -> bytes:
        """Return the server's SETTINGS, sent as soon as TLS is up."""
        self._h2.initiate_connection()
        return self._h2.data_to_send()

    def receive(self, data: bytes, unix_s: float) -> bytes:
        """Take bytes from the client; return bytes to send."""
        self._buffer += data
        while not self.closed and not self.admitted:
            chunk = self._next_chunk()
            if not chunk:
                break
            self._feed(chunk, unix_s)
        if self.admitted and not self.closed:
            self._expect_acknowledgement()
        return self._h2.data_to_send()

    def _next_chunk(self) -> bytes:
        """Cut one whole frame off the buffer, so that no inner byte reaches the HTTP/2 engine."""
        if not self._greeted:
            size = len(PREFACE)
        elif len(self._buffer) < FRAME_HEADER_BYTES:
            return b""
        else:
            size = FRAME_HEADER_BYTES + int.from_bytes(self._buffer[:3], "big")
            if size > FRAME_HEADER_BYTES + MAX_FRAME_BYTES:
                self._h2.close_connection(ErrorCodes.FRAME_SIZE_ERROR)
                self.closed = True
                return b""
        if len(self._buffer) < size:
            return b""
        self._greeted = True
        chunk, self._buffer = self._buffer[:size], self._buffer[size:]
        return chunk

    def _feed(self, chunk: bytes, unix_s: float) -> None:
        try:
            for event in self._h2.receive_data(chunk):
                self._handle(event, unix_s)
            self._pump()
        except H2Error:
            self.closed = True

    def _expect_acknowledgement(self) -> None:
        if not self._acknowledged:
            if len(self._buffer) < len(SETTINGS_ACK):
                return
            ack, self._buffer = self._buffer[:FRAME_HEADER_BYTES], self._buffer[FRAME_HEADER_BYTES:]
            if ack != SETTINGS_ACK:
                self.closed = True
                return
            self._acknowledged = True
        self.inner, self._buffer = (self.inner or b"") + self._buffer, b""

    def _handle(self, event: Event, unix_s: float) -> None:
        if isinstance(event, SettingsAcknowledged):
            self._acknowledged = True
        elif isinstance(event, RequestReceived) and event.stream_id and event.headers:
            self._requests[event.stream_id] = _request(event.headers)
            if sum(map(_head_bytes, self._requests.values())) > MAX_OPEN_HEAD_BYTES:
                self._requests.clear()
                self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                self.closed = True
        elif isinstance(event, DataReceived) and event.stream_id:
            self._keep_body(event)
        elif isinstance(event, StreamReset) and event.stream_id:
            self._requests.pop(event.stream_id, None)
            self._bodies.pop(event.stream_id, None)
        elif isinstance(event, StreamEnded) and event.stream_id in self._requests:
            self._answer(event.stream_id, unix_s)

    def _keep_body(self, event: DataReceived) -> None:
        stream, data = event.stream_id or 0, event.data or b""
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
        known = self._requests.get(stream)
        if known is not None and len(known.body) <= MAX_KEPT_BODY_BYTES:
            body = (known.body + data)[: MAX_KEPT_BODY_BYTES + 1]
            self._requests[stream] = SiteRequest(known.method, known.path, known.headers, body)

    def _answer(self, stream: int, unix_s: float) -> None:
        request = self._requests.pop(stream)
        response = self._site.respond(request, unix_s)
        admitted = not self._asked and stream == 1 and self._admit(request)
        self._asked = True
        self._send_headers(stream, response, end=not response.body and not admitted)
        if admitted:
            self.admitted = True
            return
        if response.body:
            self._bodies[stream] = memoryview(response.body)
        self._served += 1
        if self._served >= MAX_REQUESTS:
            self._h2.close_connection(ErrorCodes.NO_ERROR)
            self.closed = True

    def _send_headers(self, stream: int, response: SiteResponse, *, end: bool) -> None:
        headers = [(":status", str(response.status)), *response.headers]
        self._h2.send_headers(stream, headers, end_stream=end)

    def _pump(self) -> None:
        """Send as much of the bodies as the client's windows take."""
        for stream in list(self._bodies):
            body = self._bodies[stream]
            while body:
                window = self._h2.local_flow_control_window(stream)
                size = min(window, self._h2.max_outbound_frame_size, len(body))
                if size <= 0:
                    break
                chunk, body = body[:size], body[size:]
                self._h2.send_data(stream, bytes(chunk), end_stream=not body)
            if body:
                self._bodies[stream] = body
            else:
                del self._bodies[stream]


def _request(headers: list[tuple[bytes, bytes]]) -> SiteRequest:
    named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    pseudo = dict(named)
    plain = tuple((name, value) for name, value in named if not name.startswith(":"))
    return SiteRequest(pseudo.get(":method", ""), pseudo.get(":path", ""), plain)


def _head_bytes(request: SiteRequest) -> int:
    """Size of a head as RFC 9113, section 6.5.2 counts it."""
    fields = sum(len(name) + len(value) + _FIELD_BYTES for name, value in request.headers)
    return len(request.path) + fields
