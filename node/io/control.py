"""The control socket: one JSON line asks, one JSON line answers, owner only (mode 0600).

Request `{"command": "status", "arguments": {…}}`; answer `{"data": …}` or `{"error": {"code",
"message", "why", "try", "exit"}}`. A line longer than the limit, or none in time, closes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import structlog

from node.errors import ControlError, NodeOffError
from qnet.errors import QnetError

MAX_REQUEST_BYTES = 64 * 2**10
MAX_ANSWER_BYTES = 4 * 2**20
REQUEST_TIMEOUT_S = 10.0
MAX_CLIENTS = 32

_SUN_PATH_BYTES = 100
"""Longest path a Unix socket address holds everywhere (sun_path), with a margin."""

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]

_log = structlog.get_logger(__name__)


class ControlServer:
    """Answers commands with the handler of that name; use `serve` to run it."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._clients = 0

    @asynccontextmanager
    async def serve(self, path: Path) -> AsyncIterator[None]:
        """Listen on `path` for as long as the context lasts."""
        _remove(path)
        with _bindable(path) as address:
            server = await asyncio.start_unix_server(self._talk, address, limit=MAX_REQUEST_BYTES)
        _make_private(path)
        try:
            yield
        finally:
            server.close()
            _remove(path)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= MAX_CLIENTS:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    line = await reader.readline()
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ValueError, OSError) as error:
            _log.debug("control client dropped", cause=type(error).__name__)
        finally:
            self._clients -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            command, arguments = _parse_request(line)
            handler = self._handlers.get(command)
            if handler is None:
                raise ControlError(f"unknown control command: {command[:40]!r}")
            return {"data": await handler(arguments)}
        except QnetError as error:
            return {"error": _error_fields(error)}


class RemoteControlError(QnetError):
    """The program behind the control socket answered with an error; code and exit are its own."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__(
            str(fields.get("message", "unknown error")),
            why=str(fields.get("why", "")),
            try_=tuple(str(hint) for hint in fields.get("try", ())),
        )
        self.code = str(fields.get("code", "Q0001"))  # type: ignore[misc]
        self.exit_code = int(fields.get("exit", 70))  # type: ignore[misc]

    code: ClassVar[str]
    exit_code: ClassVar[int]


async def call(path: Path, command: str, *, timeout_s: float = 30.0, **arguments: Any) -> Any:
    """Ask the program that owns a control socket.

    Args:
        path: The socket.
        command: What to ask.
        timeout_s: Longest wait for the answer.
        arguments: JSON-ready arguments.

    Returns:
        The answer's `data`.

    Raises:
        NodeOffError: Nothing listens there, or it does not answer in time.
        ControlError: The answer is malformed.
        RemoteControlError: It answered with an error.
    """
    try:
        async with asyncio.timeout(timeout_s):
            with _bindable(path) as address:
                reader, writer = await asyncio.open_unix_connection(address, limit=MAX_ANSWER_BYTES)
            try:
                request = {"command": command, "arguments": arguments}
                writer.write(json.dumps(request).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise NodeOffError(
            f"nothing answers on {path}", why=str(error) or f"no answer in {timeout_s:g} s"
        ) from error
    except ValueError as error:
        raise ControlError("answer on the control socket is too long") from error
    return _parse_answer(line)


def call_blocking(path: Path, command: str, *, timeout_s: float = 30.0, **arguments: Any) -> Any:
    """`call` for the command line."""
    return asyncio.run(call(path, command, timeout_s=timeout_s, **arguments))


def _parse_request(line: bytes) -> tuple[str, Mapping[str, Any]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("control request is not JSON") from error
    if not isinstance(request, dict):
        raise ControlError("control request is not an object")
    command, arguments = request.get("command"), request.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise ControlError("control request has no command")
    return command, arguments


def _parse_answer(line: bytes) -> Any:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("control answer is not JSON") from error
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise RemoteControlError(answer["error"])
    if not isinstance(answer, dict) or "data" not in answer:
        raise ControlError("control answer has no data")
    return answer["data"]


def _error_fields(error: QnetError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "why": error.why,
        "try": list(error.try_),
        "exit": error.exit_code,
    }


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    path.chmod(0o600)


@contextmanager
def _bindable(path: Path) -> Iterator[str]:
    """A spelling of `path` short enough for a socket address."""
    if len(os.fsencode(path)) <= _SUN_PATH_BYTES or not Path("/proc/self/fd").is_dir():
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
