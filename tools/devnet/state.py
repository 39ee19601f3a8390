"""state.json: what a local network consists of, for the commands that come after `up`."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qnet.files import write_atomic
from tools.devnet.config import STATE_FILE, DevnetConfig, state_root
from tools.devnet.errors import NameUnknownError, NotRunningError, StateUnreadableError
from tools.devnet.processes import Process

SCHEMA = "qnet.devnet.state/1"
MAX_STATE_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Account:
    """A key of this network that owns money or signs.

    Attributes:
        name: e.g. `alice`, `operator-3`, `signer-0`.
        address: 0x-address with checksum.
        keystore: path of its JSON v3 keystore.
    """

    name: str
    address: str
    keystore: str


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node that has keys, perhaps an index in the registry.

    Attributes:
        name: name of its process.
        number: from 1.
        role: entry, relay, mix or exit.
        host: loopback address of its link listener.
        home: its folder.
        operator: name of the owning account.
        node_id: hex, 32 bytes; empty before its keys exist.
        index: index in the registry; 0 before it is registered.
    """

    name: str
    number: int
    role: str
    host: str
    home: str
    operator: str
    node_id: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A committee member: its service, its keys, its prober's home."""

    name: str
    index: int
    url: str
    home: str
    owner: str
    signer: str
    auditor: str
    auditor_home: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything `status`, `down`, `logs` and the demo need to know."""

    config: DevnetConfig
    started_at: str
    stage: str = "new"
    processes: tuple[Process, ...] = ()
    accounts: tuple[Account, ...] = ()
    nodes: tuple[NodeRecord, ...] = ()
    members: tuple[MemberRecord, ...] = ()

    def account(self, name: str) -> Account:
        """The account of that name.

        Raises:
            NameUnknownError: there is none; names those there are.
        """
        for account in self.accounts:
            if account.name == name:
                return account
        known = ", ".join(account.name for account in self.accounts)
        raise NameUnknownError(f"no account {name!r}", why=f"there are: {known}")

    def process(self, name: str) -> Process:
        """The latest process of that name.

        Raises:
            NameUnknownError: there is none; names those there are.
        """
        for process in reversed(self.processes):
            if process.name == name:
                return process
        known = ", ".join(process.name for process in self.processes)
        raise NameUnknownError(f"no process {name!r}", why=f"there are: {known}")

    def with_process(self, process: Process) -> "State":
        """Add a process, in place of an earlier one of the same name."""
        others = tuple(old for old in self.processes if old.name != process.name)
        return replace(self, processes=(*others, process))

    @property
    def running(self) -> bool:
        """Whether any program of this network runs."""
        return any(process.alive for process in self.processes)


def save(state: State) -> None:
    """Write state.json in one step (0600)."""
    path = state.config.home / STATE_FILE
    config = {**asdict(state.config), "home": str(state.config.home)}
    document = {"schema": SCHEMA, **asdict(state), "config": config}
    write_atomic(path, json.dumps(document, indent=1).encode() + b"\n")


def load(home: Path) -> State:
    """Read state.json of a home.

    Raises:
        NotRunningError: there is no state.json.
        StateUnreadableError: it is not one of ours.
    """
    path = home / STATE_FILE
    try:
        if path.stat().st_size > MAX_STATE_BYTES:
            raise StateUnreadableError(f"{path} is larger than 4 MiB")
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NotRunningError(
            f"no devnet at {home}", why=f"{path} does not exist", try_=("qnet devnet up",)
        ) from error
    except (OSError, ValueError) as error:
        raise StateUnreadableError(f"{path} cannot be read", why=str(error)) from error
    try:
        return _parse(document, home)
    except (KeyError, TypeError, AttributeError) as error:
        raise StateUnreadableError(
            f"{path} is not a devnet's state",
            why=f"{type(error).__name__}: {error}",
            try_=(f"rm {path}",),
        ) from error


def _parse(document: dict[str, Any], home: Path) -> State:
    if document["schema"] != SCHEMA:
        raise KeyError(f"schema {document['schema']!r}")
    config = {**document["config"], "home": home.resolve()}
    return State(
        config=DevnetConfig(**config),
        started_at=str(document["started_at"]),
        stage=str(document["stage"]),
        processes=tuple(Process(**entry) for entry in document["processes"]),
        accounts=tuple(Account(**entry) for entry in document["accounts"]),
        nodes=tuple(NodeRecord(**entry) for entry in document["nodes"]),
        members=tuple(MemberRecord(**entry) for entry in document["members"]),
    )


def find_home(home: Path | None) -> Path:
    """The home a command means: the named one, else the running one, else the latest.

    `qnet devnet env` points QNET_HOME at the client's folder; its parent is meant then.

    Raises:
        NotRunningError: none was ever started.
    """
    if home is not None:
        named = home.resolve()
        inside = not (named / STATE_FILE).exists() and (named.parent / STATE_FILE).exists()
        return named.parent if inside else named
    root = state_root()
    found = sorted(root.glob(f"devnet*/{STATE_FILE}"), key=lambda file: file.stat().st_mtime)
    for file in reversed(found):
        if load(file.parent).running:
            return file.parent
    if not found:
        raise NotRunningError(
            "no devnet was ever started here",
            why=f"{root} holds none",
            try_=("qnet devnet up", "qnet devnet status --home DIR"),
        )
    return found[-1].parent


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Keep a second `up` or `down` out of the same home while one works."""
    with (home / ".lock").open("w", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateUnreadableError(
                f"another command works on {home}",
                why=".lock is held",
                try_=("wait until it has finished",),
            ) from error
        yield
