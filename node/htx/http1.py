"""HTTP/1.1 for the decoy site: clients that do not offer h2 get the same site, never a link."""

import re
from http import HTTPStatus
from typing import Final

from node.htx.site import Site, SiteRequest, SiteResponse, error_page

MAX_HEAD_BYTES: Final = 16_384
MAX_BODY_BYTES: Final = 1 << 20
MAX_REQUESTS: Final = 1000
_REQUEST_LINE: Final = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,8191}) HTTP/1\.([01])")
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}):[ \t]*([^\x00\r\n]*?)[ \t]*")


class Http1Server:
    """One connection.

    Args:
        site: what answers.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = b""
        self._skip = 0
        self._requests = 0
        self.closed = False

    def receive(self, data: bytes, unix_s: float) -> bytes:
        """Take bytes from the client; return bytes to send. `closed` tells when to hang up."""
        out: list[bytes] = []
        self._buffer += data
        while not self.closed:
            skipped = min(self._skip, len(self._buffer))
            self._buffer = self._buffer[skipped:]
            self._skip -= skipped
            head, mark, rest = self._buffer.partition(b"\r\n\r\n")
            if len(head) > MAX_HEAD_BYTES:
                out.append(self._fail(400))
            elif not mark:
                break
            else:
                self._buffer = rest
                out.append(self._answer(head.decode("latin-1"), unix_s))
        return b"".join(out)

    def _answer(self, head: str, unix_s: float) -> bytes:
        first, *lines = head.split("\r\n")
        line = _REQUEST_LINE.fullmatch(first)
        fields = [_FIELD.fullmatch(text) for text in lines]
        if line is None or not all(fields):
            return self._fail(400)
        headers = tuple((m[1].lower(), m[2]) for m in fields if m)
        named = dict(headers)
        length = named.get("content-length", "0")
        if "host" not in named or not re.fullmatch(r"[0-9]{1,8}", length):
            return self._fail(400)
        if "transfer-encoding" in named:
            return self._fail(501)
        self._skip = int(length)
        if self._skip > MAX_BODY_BYTES:
            return self._fail(413)
        self._requests += 1
        keep = line[3] == "1" and named.get("connection", "").lower() != "close"
        self.closed = not keep or self._requests >= MAX_REQUESTS
        response = self._site.respond(SiteRequest(line[1], line[2], headers), unix_s)
        return _encode(response, close=self.closed)

    def _fail(self, status: int) -> bytes:
        self.closed = True
        body = error_page(status)
        headers = (("server", "nginx"), ("content-type", "text/html"))
        sized = (*headers, ("content-length", str(len(body))))
        return _encode(SiteResponse(status, sized, body), close=True)


def _encode(response: SiteResponse, *, close: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines.append(f"connection: {'close' if close else 'keep-alive'}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + response.body
