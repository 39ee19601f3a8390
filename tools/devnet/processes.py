"""Starting, watching and stopping the programs of a local network.

Each program leads a process group of its own and outlives the command that started it. It is
known by its pid and the kernel's start time of that pid, so a recycled pid is never signalled.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.devnet.errors import ProcessDiedError, ProgramMissingError, ReadyTimeoutError

READY_PREFIX = "READY "
TAIL_LINES = 15
TAIL_BYTES = 64 * 1024
POLL_S = 0.05
STOP_GRACE_S = 6.0


@dataclass(frozen=True, slots=True)
class Spec:
    """What to start.

    Attributes:
        name: unique within the network.
        argv: absolute path of the program, and arguments; never holds a secret.
        logs: folder for `NAME.out` (stdout) and `NAME.err` (stderr).
        env: variables added to the inherited ones.
        ready_timeout_s: how long it may take until its READY line.
        marker: how that line begins.
    """

    name: str
    argv: tuple[str, ...]
    logs: Path
    env: Mapping[str, str]
    ready_timeout_s: float = 30.0
    marker: str = READY_PREFIX

    @property
    def out(self) -> Path:
        """File that receives its stdout."""
        return self.logs / f"{self.name}.out"

    @property
    def err(self) -> Path:
        """File that receives its stderr."""
        return self.logs / f"{self.name}.err"

    @property
    def files(self) -> tuple[Path, Path]:
        """Both of them, stdout's first."""
        return self.out, self.err


@dataclass(frozen=True, slots=True)
class Process:
    """A started program, as it stands in state.json."""

    name: str
    pid: int
    started: int
    out: str
    err: str

    @property
    def alive(self) -> bool:
        """Whether that very program still runs (a zombie does not)."""
        return self.started == start_ticks(self.pid)


def start_ticks(pid: int) -> int | None:
    """Kernel start time of a running pid, in clock ticks since boot; None when it is gone.

    Source: proc_pid_stat(5), fields 3 (state) and 22 (starttime).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def spawn(spec: Spec) -> Process:
    """Start a program in a session of its own, its output going to files.

    Raises:
        ProgramMissingError: its executable does not exist.
    """
    spec.logs.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        pid = os.posix_spawn(
            spec.argv[0],
            spec.argv,
            {**os.environ, **spec.env},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(spec.out), append, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, str(spec.err), append, 0o600),
            ],
            setsid=True,
        )
    except FileNotFoundError as error:
        raise ProgramMissingError(
            f"cannot start {spec.name}: {spec.argv[0]} is missing",
            why="the set-up is incomplete",
            try_=("scripts/setup",),
        ) from error
    started = start_ticks(pid)
    return Process(spec.name, pid, -1 if started is None else started, *map(str, spec.files))


def wait_ready(
    spec: Spec, process: Process, *, others: Callable[[], None] = lambda: None
) -> dict[str, object]:
    """Wait for the program's `READY <json>` line.

    Args:
        spec: what was started.
        process: what it became.
        others: called at each look; raises when something else of the network died.

    Returns:
        The object behind READY.

    Raises:
        ProcessDiedError: it ended first.
        ReadyTimeoutError: it did not say so in time.
    """
    deadline = time.monotonic() + spec.ready_timeout_s
    while True:
        gone = not process.alive
        ready = find_ready(spec.out, spec.marker)
        if ready is not None:
            return ready
        if gone:
            check_alive([process])
        if time.monotonic() > deadline:
            tail = log_tail(*spec.files)
            raise ReadyTimeoutError(spec.name, spec.ready_timeout_s, tail, spec.err)
        others()
        time.sleep(POLL_S)


def find_ready(out: Path, marker: str = READY_PREFIX) -> dict[str, object] | None:
    """The object of a complete ready line in a program's stdout; empty when it names none."""
    try:
        text = out.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    for line in text.splitlines(keepends=True):
        if line.startswith(marker) and line.endswith("\n"):
            told = line.removeprefix(marker)
            value = json.loads(told) if told.startswith("{") else {}
            return value if isinstance(value, dict) else {}
    return None


def log_tail(*files: Path, lines: int = TAIL_LINES) -> list[str]:
    """Last lines of the given files together, those of the last file last."""
    found: list[str] = []
    for file in files:
        with contextlib.suppress(FileNotFoundError), file.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
            found += [line for line in text.splitlines() if line.strip()]
    return found[-lines:]


def check_alive(processes: Sequence[Process]) -> None:
    """Raise for the first program that is gone.

    Raises:
        ProcessDiedError: with its last log lines.
    """
    for process in processes:
        if not process.alive:
            out, err = Path(process.out), Path(process.err)
            raise ProcessDiedError(process.name, _exit_status(process.pid), log_tail(out, err), err)


def _exit_status(pid: int) -> int:
    """Exit status where the dead program is our own child, else -1."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return -1
    return os.waitstatus_to_exitcode(status) if found == pid else -1


def stop_all(processes: Sequence[Process], *, grace_s: float = STOP_GRACE_S) -> list[str]:
    """Stop programs in reverse order: SIGTERM to each group, SIGKILL to what is left.

    Args:
        processes: in the order in which they were started.
        grace_s: time between the two signals, for all together.

    Returns:
        Names of those that had to be killed.
    """
    for process in reversed(processes):
        if process.alive:
            _signal_group(process.pid, signal.SIGTERM)
    _wait_gone(processes, grace_s)
    killed = [process.name for process in processes if process.alive]
    for process in processes:
        if process.alive or (start_ticks(process.pid) is None and _group_left(process.pid)):
            _signal_group(process.pid, signal.SIGKILL)
    _wait_gone(processes, grace_s)
    return killed


def _wait_gone(processes: Sequence[Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for process in processes:
            _exit_status(process.pid)
        if not any(process.alive for process in processes):
            return
        time.sleep(POLL_S)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _group_left(group: int) -> bool:
    """Whether children of a program that led `group` survive it.

    Only sessions started by `spawn` are asked about: the kernel keeps a pid reserved while a
    group of that number exists, so the number cannot have been reused meanwhile.
    """
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text("ascii", errors="replace")
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if fields[0] not in {"Z", "X"} and int(fields[2]) == group and int(fields[3]) == group:
            return True
    return False
