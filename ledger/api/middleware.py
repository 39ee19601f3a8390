"""Bounds of every request: size, time, rate; and errors in one shape."""

import asyncio
from collections.abc import Callable, Container
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ledger.errors import NotReadyError, UnauthorisedError
from qnet.errors import (
    ChainRecoverableError,
    NetworkError,
    NotFoundError,
    QnetError,
    RejectedError,
    RemoteProtocolError,
    UsageError,
)

MAX_BODY_BYTES: Final = 4 << 20
MAX_PEER_BODY_BYTES: Final = 17 << 20
REQUEST_S: Final = 10.0
RATE_PER_S: Final = 100.0
BURST: Final = 400.0
SHARED_RATE_PER_S: Final = 500.0
SHARED_BURST: Final = 5000.0
ADDRESSES_MAX: Final = 10_000
PEER_PREFIX: Final = "/v1/peer/"

_log = structlog.get_logger(__name__)

_STATUS: Final[tuple[tuple[type[QnetError], int], ...]] = (
    (UnauthorisedError, 401),
    (NotFoundError, 404),
    (RemoteProtocolError, 400),
    (UsageError, 400),
    (RejectedError, 409),
    (NotReadyError, 503),
    (ChainRecoverableError, 503),
    (NetworkError, 503),
)


class RateLimit:
    """A token bucket per remote address.

    Args:
        now: monotonic seconds.
        rate_per_s: tokens refilled each second.
        burst: tokens a bucket holds.
    """

    def __init__(
        self, now: Callable[[], float], *, rate_per_s: float = RATE_PER_S, burst: float = BURST
    ) -> None:
        self._now = now
        self._rate = rate_per_s
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}
        self.refused = 0

    def admit(self, address: str) -> bool:
        """Take a token; False when there is none."""
        now = self._now()
        if address not in self._buckets and len(self._buckets) >= ADDRESSES_MAX:
            self._buckets.clear()
        tokens, then = self._buckets.get(address, (self._burst, now))
        tokens = min(tokens + (now - then) * self._rate, self._burst)
        if tokens < 1:
            self.refused += 1
            return False
        self._buckets[address] = (tokens - 1, now)
        return True


def refusal(status: int, code: str, message: str, why: str = "") -> web.Response:
    """An error in its one shape."""
    body = {"error": {"code": code, "message": message, "why": why}}
    return web.json_response(body, status=status)


def bounded(
    limit: RateLimit, shared: RateLimit | None = None, over_circuits: Container[str] = ()
) -> Middleware:
    """Middleware that enforces rate and time and turns errors into answers.

    Args:
        limit: of each address.
        shared: of each address, for what is asked over circuits: many stand behind one exit.
        over_circuits: paths with that limit.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        path = request.path if resource is None else resource.canonical
        bucket = shared if shared is not None and path in over_circuits else limit
        if not bucket.admit(request.remote or ""):
            return refusal(429, "Q1011", "too many requests")
        try:
            async with asyncio.timeout(REQUEST_S):
                return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return refusal(error.status, "Q1012", error.reason or "refused")
        except TimeoutError:
            return refusal(503, "Q1013", f"not done within {REQUEST_S:g} s")
        except QnetError as error:
            return _answer(error)

    return middleware


def _answer(error: QnetError) -> web.Response:
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return refusal(status, error.code, error.message, error.why)
    _log.error("request failed", error=error.message, why=error.why)
    return refusal(500, error.code, "internal error")


async def read_body(request: web.Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """Read a request's body up to a limit.

    Raises:
        HTTPRequestEntityTooLarge: it is longer.
    """
    parts: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
        parts.append(chunk)
    return b"".join(parts)
