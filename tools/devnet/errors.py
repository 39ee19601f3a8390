"""What can go wrong while a local network starts, runs or stops.

Raise `PortTakenError` and `HomeTakenError` before anything was started, `ProcessDiedError`
when a program of the network ended by itself, `ReadyTimeoutError` when it never said READY.
"""

from collections.abc import Sequence
from pathlib import Path

from qnet.errors import (
    ConfigError,
    DaemonOffError,
    NetworkError,
    NotFoundError,
    QnetError,
    UsageError,
)


class TopologyError(UsageError):
    """The wished numbers cannot make a network."""

    code = "Q0230"


class NameUnknownError(NotFoundError):
    """No process, account or node of this network has that name."""

    code = "Q0330"


class HomeTakenError(ConfigError):
    """The home folder holds something that must not be overwritten."""

    code = "Q0430"


class StateUnreadableError(ConfigError):
    """state.json is missing parts or is not ours."""

    code = "Q0431"


class ProgramMissingError(ConfigError):
    """A program the network needs is not installed."""

    code = "Q0432"


class NotRunningError(DaemonOffError):
    """There is no local network to talk to."""

    code = "Q0530"


class PortTakenError(NetworkError):
    """Another program listens where this network wants to."""

    code = "Q0830"

    def __init__(self, host: str, port: int, purpose: str, *, flag: str = "") -> None:
        self.host, self.port = host, port
        other = (f"choose another: {flag}",) if flag else ()
        super().__init__(
            f"{host}:{port} ({purpose}) is taken",
            why="another program listens there, perhaps a devnet that is still up",
            try_=("qnet devnet down", f"ss -ltnup | grep :{port}", *other),
        )


class ProcessDiedError(QnetError):
    """A program of the network ended by itself; carries its last words."""

    code = "Q0130"
    exit_code = 1

    def __init__(self, name: str, returncode: int, tail: Sequence[str], log: Path) -> None:
        self.name, self.returncode, self.tail, self.log = name, returncode, tuple(tail), log
        last = "\n".join(tail) if tail else "(it wrote nothing)"
        super().__init__(
            f"{name} died with status {returncode}",
            why=f"last lines of {log}:\n{last}",
            try_=(f"qnet devnet logs {name}",),
        )


class ReadyTimeoutError(NetworkError):
    """A program did not become ready in time; carries its last words."""

    code = "Q0831"

    def __init__(self, name: str, seconds: float, tail: Sequence[str], log: Path) -> None:
        self.name, self.tail = name, tuple(tail)
        last = "\n".join(tail) if tail else "(it wrote nothing)"
        super().__init__(
            f"{name} was not ready after {seconds:.0f} s",
            why=f"last lines of {log}:\n{last}",
            try_=(f"qnet devnet logs {name}",),
        )


class StageError(QnetError):
    """A stage of the start-up did not reach its goal."""

    code = "Q0131"
    exit_code = 1
