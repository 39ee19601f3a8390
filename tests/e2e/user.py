"""A user with a home of its own, beside the client that a devnet brings."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import QNET

PATIENCE_S = 60
LOOK_S = 0.5


@dataclass(frozen=True)
class User:
    """A client with a home of its own."""

    home: Path
    socks: str = ""

    def try_(self, *words, timeout=100):
        """Run a command on this home; returns the finished process."""
        argv = [str(QNET), *map(str, words), "--home", str(self.home)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)

    def run(self, *words, timeout=100):
        done = self.try_(*words, timeout=timeout)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def data(self, *words):
        return json.loads(self.run(*words, "--json"))["data"]

    def up(self, *words):
        self.run("client", "up", *words)

    def down(self):
        self.run("client", "down")


def eventually(holds, seconds=PATIENCE_S):
    """Look again and again until something holds."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(LOOK_S)
    return found
