"""Link or web site: the server's decision about a connection once TLS is up."""

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from node.htx.gate import Gate
from node.htx.http1 import Http1Server
from node.htx.http2_client import BODY_NAME, COOKIE_NAME, QUERY_NAME
from node.htx.http2_server import MAX_KEPT_BODY_BYTES, Http2Server
from node.htx.site import Site, SiteRequest
from node.htx.ticket import Ticket

ALPN_H2: Final = "h2"
_MAX_FIELDS: Final = 16


def find_token(request: SiteRequest) -> str | None:
    """Return what a request carries in place of a ticket, in exactly one of three places."""
    found: list[str] = []
    for name, value in request.headers:
        if name == "cookie":
            for part in value.split(";"):
                key, _, item = part.strip().partition("=")
                if key == COOKIE_NAME:
                    found.append(item)
    found += _fields(request.path.partition("?")[2], QUERY_NAME)
    if request.method == "POST" and len(request.body) <= MAX_KEPT_BODY_BYTES:
        found += _fields(request.body.decode("latin-1"), BODY_NAME)
    return found[0] if len(found) == 1 else None


def _fields(text: str, wanted: str) -> list[str]:
    try:
        pairs = parse_qsl(text, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return []
    return [value for name, value in pairs if name == wanted]


class ServerAdmission:
    """Speaks HTTP until a ticket is accepted; without one it is a web server to the end.

    Args:
        alpn: protocol that TLS agreed on.
        site: the decoy.
        gate: decides about tickets.
        source: address of the peer.
        clock: unix time, seconds.
        links: whether a ticket may make the connection a link (TLS 1.3).
    """

    def __init__(
        self,
        alpn: str | None,
        *,
        site: Site,
        gate: Gate,
        source: str,
        clock: Callable[[], float],
        links: bool = True,
    ) -> None:
        self._links = links
        self._gate = gate
        self._source = source
        self._clock = clock
        self.ticket: Ticket | None = None
        self._server: Http1Server | Http2Server
        if alpn == ALPN_H2:
            self._server = Http2Server(site, self._admit)
        else:
            self._server = Http1Server(site)

    def _admit(self, request: SiteRequest) -> bool:
        token = find_token(request) if self._links else None
        self.ticket = self._gate.admit(token, source=self._source, unix_s=self._clock())
        return self.ticket is not None

    @property
    def closed(self) -> bool:
        """Whether the connection should be closed once all is sent."""
        return self._server.closed

    @property
    def inner(self) -> bytes | None:
        """Inner bytes that came along, once the connection is a link; None before."""
        return self._server.inner if isinstance(self._server, Http2Server) else None

    def start(self) -> bytes:
        """Return what a server sends first."""
        return self._server.start() if isinstance(self._server, Http2Server) else b""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the client; return bytes to send."""
        return self._server.receive(data, self._clock())
