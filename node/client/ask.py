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
    from node.io.control import call_blocking

    path = client_home() / "control.sock"
    return call_blocking(path, command, timeout_s=settings().timeout, **arguments)
