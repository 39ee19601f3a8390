"""Peers of `qnet bench mix`: built once into a cache folder, run as processes of their own.

A peer answers a line "n" with the microseconds of one unwrap, as JSON by name, after it has
followed each of n fresh packets to its end and compared the message. Nothing that it needs is
installed beside QNet.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from qnet.cli.output import say
from qnet.errors import NetworkError

SOURCES: Final = Path(__file__).parent / "mix_peers"
SPHINXMIX: Final = "sphinxmix==0.0.7"
PETLIB: Final = "petlib==0.0.45"
BUILD_S: Final = 900.0
STOP_S: Final = 5.0


class PeerMissingError(NetworkError):
    """A peer cannot be had here."""

    code = "Q0872"


class Peer:
    """A running peer.

    Args:
        name: of the program.
        process: with pipes.
    """

    __slots__ = ("_process", "name")

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process

    def measure(self, count: int) -> dict[str, float]:
        """Let it unwrap `count` packets; microseconds for one, by format.

        Raises:
            NetworkError: it ended, because a message did not arrive.
        """
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(f"{count}\n")
        questions.flush()
        line = answers.readline()
        if not line:
            raise NetworkError(f"{self.name} failed", why="a packet did not arrive as it was sent")
        return {name: float(value) for name, value in json.loads(line).items()}


def cache_folder() -> Path:
    """Where peers are built."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "qnet" / "mix-peers"


def sphinxmix() -> list[str]:
    """Install PyPI's sphinxmix if it is not there; the command that runs it.

    Raises:
        PeerMissingError: it cannot be installed.
    """
    folder = cache_folder() / "sphinxmix"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        say("installing sphinxmix into the cache folder")
        shutil.rmtree(folder, ignore_errors=True)
        _build("sphinxmix", [sys.executable, "-m", "venv", str(folder)])
        _build("sphinxmix", [str(python), "-m", "pip", "install", "-q", SPHINXMIX, PETLIB])
        (folder / "ready").touch()
    return [str(python), str(SOURCES / "sphinxmix_peer.py")]


def nym() -> list[str]:
    """Build Nym's crates if cargo is there; the command that runs them.

    Raises:
        PeerMissingError: no cargo, or no crates.
    """
    if shutil.which("cargo") is None:
        raise PeerMissingError("no Nym", why="cargo is not installed")
    target = cache_folder() / "rust"
    say("building sphinx-packet and nym-outfox in the cache folder")
    manifest = str(SOURCES / "rust" / "Cargo.toml")
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", manifest]
    _build("Nym", [*command, "--target-dir", str(target)])
    return [str(target / "release" / "qnet-mix-peers")]


def katzenpost() -> list[str]:
    """Build Katzenpost's Sphinx if Go is there; the command that runs it.

    Raises:
        PeerMissingError: no Go, or no modules.
    """
    if shutil.which("go") is None:
        raise PeerMissingError("no Katzenpost", why="Go is not installed")
    program = cache_folder() / "go" / "qnet-mix-peers"
    say("building Katzenpost's Sphinx in the cache folder")
    _build("Katzenpost", ["go", "build", "-C", str(SOURCES / "go"), "-o", str(program), "."])
    return [str(program)]


@contextmanager
def running(name: str, command: Sequence[str]) -> Iterator[Peer]:
    """Start a peer and end it."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        yield Peer(name, process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _build(name: str, command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=BUILD_S)
    except subprocess.CalledProcessError as error:
        raise PeerMissingError(f"no {name}", why=error.stderr[-400:]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissingError(f"no {name}", why=str(error)) from error
