"""The few words of Tor's control protocol that a bench needs, over a Unix socket.

Source: control-spec, sections 3 (commands) and 4.1.1 (circuit events).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from qnet.errors import NetworkError

TIMEOUT_S = 30.0
LINE_BYTES = 2**16


class TorControl:
    """A control connection of one thread.

    Args:
        path: The control socket.

    Raises:
        NetworkError: Refused.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self._events: list[str] = []
        self.ask('AUTHENTICATE ""')
        self.ask("SETEVENTS CIRC")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._socket.close()

    def ask(self, command: str) -> str:
        """Send a command; return its answer's lines without codes.

        Raises:
            NetworkError: Tor refused it or said nothing in time.
        """
        try:
            self._socket.sendall(command.encode() + b"\r\n")
        except OSError as error:
            raise NetworkError("tor does not listen", why=str(error)) from error
        answer = []
        while True:
            line = self._line()
            if line.startswith("650"):
                self._events.append(line)
                continue
            answer.append(line[4:])
            if not line.startswith("250"):
                raise NetworkError(f"tor refused {command.partition(' ')[0]}", why=line)
            if line[3] == " ":
                return "\n".join(answer)

    def build(self, path: Sequence[str]) -> tuple[str, float]:
        """Build a circuit over relays given by fingerprint.

        Returns:
            Its id and the seconds it took.

        Raises:
            NetworkError: It failed; the reason.
        """
        started = time.perf_counter()
        circuit = self._extend(path)
        self._wait([circuit])
        return circuit, time.perf_counter() - started

    def hold(self, path: Sequence[str], count: int, *, at_once: int = 8) -> list[str]:
        """Build circuits that stay open and idle; returns their ids.

        Raises:
            NetworkError: One failed.
        """
        held: list[str] = []
        while len(held) < count:
            started = [self._extend(path) for _ in range(min(at_once, count - len(held)))]
            self._wait(started)
            held += started
        return held

    def close_circuit(self, circuit: str) -> None:
        """Close a circuit; one that is closed already is as good."""
        with suppress(NetworkError):
            self.ask(f"CLOSECIRCUIT {circuit}")

    def close_paths(self) -> None:
        """Close every circuit of more than one hop."""
        for line in self.ask("GETINFO circuit-status").splitlines():
            words = line.removeprefix("circuit-status=").split()
            if len(words) > 2 and words[0].isdigit() and "," in words[2]:
                self.close_circuit(words[0])

    def _extend(self, path: Sequence[str]) -> str:
        hops = ",".join(f"${fingerprint}" for fingerprint in path)
        return self.ask(f"EXTENDCIRCUIT 0 {hops}").split()[1]

    def _wait(self, circuits: Iterable[str]) -> None:
        """Wait until every one of the circuits is built."""
        waiting = set(circuits)
        while waiting:
            line = self._events.pop(0) if self._events else self._line()
            words = line.split()
            if len(words) < 4 or words[1] != "CIRC" or words[2] not in waiting:
                continue
            if words[3] == "BUILT":
                waiting.discard(words[2])
            elif words[3] in {"FAILED", "CLOSED"}:
                raise NetworkError("tor built no circuit", why=line)

    def _line(self) -> str:
        """The next line; data blocks are read to their end and joined."""
        line = self._read()
        if line[3:4] != "+":
            return line
        block = [line[:3] + "-" + line[4:]]
        while (more := self._read()) != ".":
            block.append(more)
        return "\n".join(block)

    def _read(self) -> str:
        try:
            line = self._lines.readline(LINE_BYTES)
        except OSError as error:
            raise NetworkError("tor did not answer", why=str(error)) from error
        if not line.endswith(b"\n"):
            raise NetworkError("tor closed the control connection")
        return line.decode().rstrip("\r\n")
