"""The web site that everybody sees who holds no ticket: requests in, responses out, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import unquote

SERVER_NAME: Final = "nginx"
_READ: Final = frozenset({"GET", "HEAD"})
_HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class SiteRequest:
    """A request as a web server sees it.

    Attributes:
        method: upper case.
        path: with query.
        headers: names in lower case, in order.
        body: what was kept of it.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class SiteResponse:
    """A response.

    Attributes:
        status: HTTP status code.
        headers: names in lower case, in order.
        body: whole body; empty for HEAD.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Site(Protocol):
    """Anything that answers requests at once."""

    def respond(self, request: SiteRequest, unix_s: float) -> SiteResponse:
        """Answer; never raises."""


@dataclass(frozen=True, slots=True)
class Page:
    """A file of a static site.

    Attributes:
        content_type: value of the header.
        body: the file.
        etag: value of the header.
        headers: further headers, names in lower case.
    """

    content_type: str
    body: bytes
    etag: str
    headers: tuple[tuple[str, str], ...] = ()


def error_page(status: int) -> bytes:
    """Body of an error response, as common servers write it."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>{SERVER_NAME}</center>\r\n"
        "</body>\r\n</html>\r\n"
    ).encode()


class StaticSite:
    """Files held in memory.

    Args:
        pages: by absolute path; `/a/` also answers for `/a/index.html`.
    """

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = dict(pages)

    def respond(self, request: SiteRequest, unix_s: float) -> SiteResponse:
        """Answer GET and HEAD with a file, anything else with an error page."""
        page = self._find(request.path) if request.method in _READ else None
        if page is not None:
            status, body, kind = 200, page.body, page.content_type
            extra = (("etag", page.etag), ("accept-ranges", "bytes"), *page.headers)
        else:
            status = 404 if request.method in _READ else 405
            body, kind, extra = error_page(status), "text/html", ()
        headers = (
            ("server", SERVER_NAME),
            ("date", formatdate(unix_s, usegmt=True)),
            ("content-type", kind),
            ("content-length", str(len(body))),
            *extra,
        )
        return SiteResponse(status, headers, b"" if request.method == "HEAD" else body)

    def _find(self, path: str) -> Page | None:
        plain = unquote(path.partition("?")[0], errors="replace")
        if plain.endswith("/"):
            plain += "index.html"
        return self._pages.get(plain)


_INDEX: Final = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Field notes</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"></head>
<body><main><h1>Field notes</h1>
<p>Observations from the garden, kept since spring.</p>
<article><h2>Late frost</h2><p>Two nights below zero; the pears held, the figs did not.</p>
</article>
<article><h2>Rain gauge</h2><p>Forty-one millimetres this week, most of it on one evening.</p>
</article></main></body></html>
"""
_STYLE: Final = b"""body{font:1rem/1.6 Georgia,serif;color:#222;background:#fdfcf8;margin:0}
main{max-width:38rem;margin:3rem auto;padding:0 1rem}h1{font-weight:400}
article{border-top:1px solid #ddd;padding:.5rem 0}
"""


def default_site() -> StaticSite:
    """A small site for nodes whose operator gave none; every such node shows the same."""
    return StaticSite(
        {
            "/index.html": Page(_HTML, _INDEX, f'"{len(_INDEX):x}"'),
            "/style.css": Page("text/css", _STYLE, f'"{len(_STYLE):x}"'),
            "/robots.txt": Page("text/plain", b"User-agent: *\nAllow: /\n", '"18"'),
        }
    )
