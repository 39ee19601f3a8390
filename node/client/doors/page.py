"""Pages that tell a person in a browser why a request was not served."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the client itself, closing its connection.

    Attributes:
        status: HTTP status code.
        title: What happened.
        why: The cause.
        remedy: What to try.
        error: Error type of `Proxy-Status` (RFC 9209), empty for none.
    """

    status: int
    title: str
    why: str = ""
    remedy: str = ""
    error: str = ""

    def encode(self) -> bytes:
        """The whole HTTP response; text from elsewhere is escaped."""
        paragraphs = "".join(f"<p>{escape(text)}\n" for text in (self.why, self.remedy) if text)
        title = escape(self.title)
        body = (
            f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>QNet: {title}</title>\n'
            f"<h1>{title}</h1>\n{paragraphs}"
        )
        extra = f"Proxy-Status: qnet; error={self.error}\r\n" if self.error else ""
        return encode_response(self.status, body, "text/html; charset=utf-8", extra)


def encode_response(status: int, body: str, kind: str, extra: str = "") -> bytes:
    """A response that is the last one on its connection.

    Args:
        status: HTTP status code.
        body: Text of the body.
        kind: Content type.
        extra: Further header lines, each ended by CRLF.
    """
    content = body.encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        f"Content-Security-Policy: default-src 'none'\r\nX-Content-Type-Options: nosniff\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n{extra}\r\n"
    )
    return head.encode() + content
