"""Asks the client of a home over its control socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qnet.cli.settings import settings

DEFAULT_HOME = Path.home() / ".qnet" / "client"


def client_home() -> Path:
    """The home the command works on."""
    return settings().home or DEFAULT_HOME


def ask(command: str, **arguments: Any) -> Any:
    """The running client's answer.

    Raises:
        NodeOffError: None runs in that home.
        QnetError: It answered with an error of its own.
    """
    from node.errors import NodeOffError
    from node.io.control import call_blocking

    path = client_home() / "control.sock"
    try:
        return call_blocking(path, command, timeout_s=settings().timeout, **arguments)
    except NodeOffError as error:
        hints = ("qnet client up", "or name its home with --home")
        raise NodeOffError(error.message, why=error.why, try_=hints) from error
