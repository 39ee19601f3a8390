"""Running `qnet` commands that die by SIGKILL, at a chosen step or at any moment."""

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ledger import QNET

ROOT = Path(__file__).parents[2]
CHANCE = random.SystemRandom()


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, its error's code, the data it printed."""

    code: int
    error: str
    data: list[Any]
    errors: str


def run(*words: object) -> Done:
    """Run a command to its end."""
    argv = [str(QNET), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    decoder, rest, data = json.JSONDecoder(), done.stdout.strip(), []
    while rest:
        document, end = decoder.raw_decode(rest)
        data.append(document["data"])
        rest = rest[end:].strip()
    last = done.stderr.strip().splitlines()[-1:]
    error = json.loads(last[0])["error"]["code"] if last and last[0].startswith("{") else ""
    return Done(done.returncode, error, data, done.stderr)


def killed_at(step: tuple[str, str, int], *words: object) -> None:
    """Run a command that dies at a step, e.g. ("after", "broadcast", 1); see `lethal`."""
    argv = [sys.executable, "-m", "tests.support.lethal", *map(str, (*step, *words))]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, (done.returncode, done.stderr)


def killed_within(seconds: tuple[float, float], *words: object) -> bool:
    """Kill a command at a random moment; False if it had ended by itself."""
    argv = [str(QNET), *map(str, words)]
    devnull = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdout=devnull, stderr=devnull)
    time.sleep(CHANCE.uniform(*seconds))
    process.kill()
    return process.wait() == -signal.SIGKILL


def duration_of(*words: object) -> float:
    """Seconds a command takes up to its confirmation."""
    began = time.monotonic()
    run(*words, "--dry-run")
    return time.monotonic() - began
