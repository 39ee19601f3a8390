"""Where a local network listens and how large it is."""

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.devnet.errors import HomeTakenError, PortTakenError, TopologyError

MIN_NODES = 6
MAX_NODES = 200
MIN_COMMITTEE = 4
MAX_COMMITTEE = 16
STATE_FILE = "state.json"
DEVNET_CHAIN_ID = 31337
PORT_STEP = 101
"""Distance between the ports tried when a default one is taken."""
PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class DevnetConfig:
    """Size and addresses of one local network.

    Attributes:
        home: folder of this network; everything it writes lies below.
        nodes: number of nodes, 6 to 200.
        committee: number of committee members, 4 to 16.
        seed: shapes which node has which role, never a key.
        chain_port: TCP port of anvil on 127.0.0.1.
        ledger_port: TCP port of the first committee member, the others follow.
        dns_port: UDP port of the `*.devnet` name server on 127.0.0.1.
        socks_port: TCP port of the client's SOCKS5 listener on 127.0.0.1; its HTTP proxy and its
            DNS port follow.
        web_port: TCP port of the web server behind `web.devnet`, on 127.0.0.1.
        node_port: TCP port of every node, each on an address of its own; its metrics follow.
    """

    home: Path
    nodes: int = 11
    committee: int = 4
    seed: int = 7
    chain_port: int = 18545
    ledger_port: int = 18701
    dns_port: int = 18553
    socks_port: int = 19150
    web_port: int = 18080
    node_port: int = 4430

    def __post_init__(self) -> None:
        """Refuse sizes that cannot make three disjoint hops or a quorum."""
        if not MIN_NODES <= self.nodes <= MAX_NODES:
            raise TopologyError(
                f"{self.nodes} nodes: need {MIN_NODES} to {MAX_NODES}",
                why="a path takes three nodes of different roles, and each role needs a spare",
                try_=("qnet devnet up --nodes 11",),
            )
        if not MIN_COMMITTEE <= self.committee <= MAX_COMMITTEE:
            raise TopologyError(
                f"{self.committee} committee members: need {MIN_COMMITTEE} to {MAX_COMMITTEE}",
                why="a quorum that survives one failure takes at least 3f + 1 = 4 members",
                try_=("qnet devnet up --committee 4",),
            )

    @property
    def rpc(self) -> str:
        """JSON-RPC address of the chain."""
        return f"http://127.0.0.1:{self.chain_port}"

    @property
    def http_port(self) -> int:
        """TCP port of the client's HTTP proxy."""
        return self.socks_port + 1

    @property
    def names_port(self) -> int:
        """TCP and UDP port on which the client answers DNS questions."""
        return self.socks_port + 2

    @property
    def metrics_port(self) -> int:
        """TCP port of every node's metrics, each on its own address."""
        return self.node_port + 1

    @property
    def deployment(self) -> Path:
        """Path of the contract manifest."""
        return self.home / "deployment.json"

    @property
    def network(self) -> Path:
        """Path of the client's network bundle."""
        return self.home / "network.json"

    @property
    def site(self) -> Path:
        """Folder that `web.devnet` serves."""
        return self.home / "site"

    @property
    def chain_states(self) -> Path:
        """States of old blocks, of use to the running chain only."""
        return self.home / "chain-states"

    @property
    def client_home(self) -> Path:
        """Home of the client."""
        return self.home / "client"

    @property
    def beacon_seed(self) -> Path:
        """Path of the file with the secret seed of the beacon's hash chain."""
        return self.home / "beacon.seed"

    @property
    def passphrase_file(self) -> Path:
        """Path of the file that unlocks every keystore of this network."""
        return self.home / "passphrase"

    def member_url(self, index: int) -> str:
        """HTTP address of committee member `index` (from 0)."""
        return f"http://127.0.0.1:{self.ledger_port + index}"


def state_root() -> Path:
    """Folder under which homes are made when none is named."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "qnet"


def free_home(root: Path) -> Path:
    """First of `devnet`, `devnet-2`, … below `root` that is absent or empty."""
    for number in range(1, 1000):
        home = root / ("devnet" if number == 1 else f"devnet-{number}")
        if not home.exists() or not any(home.iterdir()):
            return home
    raise HomeTakenError(
        f"{root} holds 999 networks already",
        why="each `devnet up` without --home takes a new folder",
        try_=(f"rm -r {root}/devnet-*", "qnet devnet up --home DIR"),
    )


def claim_home(home: Path) -> None:
    """Make `home`, or refuse it when something lies there.

    Raises:
        HomeTakenError: it is a file or holds files.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise HomeTakenError(
            f"{home} is not empty",
            why="a devnet never overwrites keys or logs of an earlier one",
            try_=(f"rm -r {home}", "qnet devnet up --home ANOTHER"),
        )
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)


@dataclass(frozen=True, slots=True)
class Listener:
    """A place where the network wants to listen.

    Attributes:
        field: name in `DevnetConfig` of the port.
        flag: option of `qnet devnet up` that moves it.
        purpose: what listens there.
        places: (host, port) of each.
        kind: TCP or UDP.
    """

    field: str
    flag: str
    purpose: str
    places: tuple[tuple[str, int], ...]
    kind: socket.SocketKind = socket.SOCK_STREAM


def listeners(config: DevnetConfig, node_hosts: tuple[str, ...]) -> tuple[Listener, ...]:
    """Every place where a network listens."""
    local = "127.0.0.1"
    members = tuple((local, config.ledger_port + index) for index in range(config.committee))
    ports = (config.node_port, config.metrics_port)
    nodes = tuple((host, port) for host in node_hosts for port in ports)
    names = ((local, config.dns_port),)
    doors = tuple(
        (local, port) for port in (config.socks_port, config.http_port, config.names_port)
    )
    return (
        Listener("chain_port", "--chain-port", "chain", ((local, config.chain_port),)),
        Listener("ledger_port", "--ledger-port", "committee", members),
        Listener("dns_port", "--dns-port", "names", names, socket.SOCK_DGRAM),
        Listener("socks_port", "--socks", "client", doors),
        Listener("web_port", "--web-port", "web.devnet", ((local, config.web_port),)),
        Listener("node_port", "--node-port", "node", nodes),
    )


def check_ports(config: DevnetConfig, node_hosts: tuple[str, ...]) -> None:
    """Try every address this network will listen on.

    Raises:
        PortTakenError: the first one that is in use.
    """
    for listener in listeners(config, node_hosts):
        for host, port in listener.places:
            if not _is_free(host, port, listener.kind):
                raise PortTakenError(host, port, listener.purpose, flag=listener.flag)


def move_to_free_ports(config: DevnetConfig, node_hosts: tuple[str, ...]) -> DevnetConfig:
    """Replace each port that is taken by one that is free; the others stay.

    Raises:
        PortTakenError: none of many tries is free.
    """
    for listener in listeners(config, node_hosts):
        first = listener.places[0][1]
        if all(_is_free(host, port, listener.kind) for host, port in listener.places):
            continue
        moved = _free_port(listener, first)
        ports: dict[str, Any] = {listener.field: moved}
        config = replace(config, **ports)
    return config


def _free_port(listener: Listener, first: int) -> int:
    for port in range(first + PORT_STEP, PORT_MAX - MAX_COMMITTEE, PORT_STEP):
        shifted = [(host, port + place - first) for host, place in listener.places]
        if all(_is_free(host, at, listener.kind) for host, at in shifted):
            return port
    host, port = listener.places[0]
    raise PortTakenError(host, port, listener.purpose, flag=listener.flag)


def _is_free(host: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
