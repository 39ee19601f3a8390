"""A local network while it is being built: what runs, who owns what, what is written down."""

import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.devnet.accounts import OpenAccount
from tools.devnet.config import DevnetConfig
from tools.devnet.errors import NameUnknownError, ProgramMissingError
from tools.devnet.processes import Process, Spec, check_alive, spawn, stop_all, wait_ready
from tools.devnet.progress import Progress
from tools.devnet.state import State, save
from tools.devnet.topology import Topology

LOGS = "logs"


class Network:
    """What the stages of a start-up share.

    Args:
        config: size and addresses.
        topology: layout.
        progress: where to tell how far it is.
    """

    def __init__(self, config: DevnetConfig, topology: Topology, progress: Progress) -> None:
        self.config = config
        self.topology = topology
        self.progress = progress
        self.accounts: dict[str, OpenAccount] = {}
        self.passphrase = ""
        self.seeds: list[str] = []
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.state = State(config=config, started_at=started)

    def account(self, name: str) -> OpenAccount:
        """An account by name.

        Raises:
            NameUnknownError: there is none.
        """
        if name not in self.accounts:
            raise NameUnknownError(f"no account {name!r}")
        return self.accounts[name]

    def record(self, **changes: Any) -> None:
        """Change fields of the state and write it down."""
        self.state = replace(self.state, **changes)
        save(self.state)

    def spec(self, name: str, *argv: str, **options: Any) -> Spec:
        """What to start under a name; output goes to the network's log folder."""
        return Spec(name, argv, self.config.home / LOGS, {}, **options)

    def qnet(self, name: str, *words: str, **options: Any) -> Spec:
        """A `qnet` command to start under a name."""
        return self.spec(name, str(qnet_program()), *words, **options)

    def launch(self, spec: Spec) -> Process:
        """Start a program and write it down, without waiting for it."""
        process = spawn(spec)
        self.state = self.state.with_process(process)
        save(self.state)
        return process

    def await_ready(self, spec: Spec) -> dict[str, object]:
        """Wait until a launched program is ready; whatever dies meanwhile ends the wait.

        Raises:
            ProcessDiedError: this or another program of the network died.
            ReadyTimeoutError: it did not become ready in time.
        """
        process = self.state.process(spec.name)
        others = [found for found in self.state.processes if found.name != spec.name]
        return wait_ready(spec, process, others=lambda: check_alive(others))

    def start(self, spec: Spec) -> dict[str, object]:
        """Start a program and wait until it is ready."""
        self.launch(spec)
        return self.await_ready(spec)

    def stop(self) -> None:
        """Stop everything that was started."""
        stop_network(self.state)


def stop_network(state: State) -> list[str]:
    """Stop every program, and delete what is of use to a running chain only.

    Returns:
        Names of those that had to be killed.
    """
    killed = stop_all(state.processes)
    shutil.rmtree(state.config.chain_states, ignore_errors=True)
    return killed


def qnet_program() -> Path:
    """Path of the `qnet` command of this environment.

    Raises:
        ProgramMissingError: it is not installed.
    """
    program = Path(sys.executable).with_name("qnet")
    if not program.exists():
        raise ProgramMissingError(
            "the qnet command is not installed in this environment",
            why=f"{program} does not exist",
            try_=("scripts/setup",),
        )
    return program
