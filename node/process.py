"""Long-running processes: the event loop, signals, and the line that says READY."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


def announce(facts: dict[str, Any]) -> None:
    """Tell whoever started this process that it is ready: one line on stdout."""
    print("READY " + json.dumps(facts), flush=True)  # noqa: T201


def run_until_stopped(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `main` on the fastest event loop there is; SIGTERM and SIGINT set its event.

    Raises:
        Exception: Whatever ended `main`, out of its group.
    """
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_with_signals(main))
    except* Exception as group:  # noqa: BLE001 - the first cause is what a person can act on
        cause: BaseException = group
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        _log.error("stopped by a failure", cause=str(cause), kind=type(cause).__name__)
        raise cause from None


async def _with_signals(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await main(stop)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A uvloop where it exists, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
