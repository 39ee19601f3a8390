"""A private C-Tor network: authorities, relays and a client in a temporary folder.

Needs Debian's `tor` (`scripts/bench-peers` installs it). Relays know no other authorities than
their own, so nothing reaches the public network. Circuits are pinned to three relays whose
processes carry nothing else, as QNet's three nodes do; the authorities are the other relays.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from qnet.errors import NetworkError
from tools.bench.place import HERE, Place
from tools.bench.torcontrol import TorControl
from tools.bench.torrc import PATH_ROLES, TorNode, configuration

AUTHORITIES = 3
BOOTSTRAP_S = 120.0
STOP_S = 5.0
POLL_S = 0.25
CERTIFICATE_MONTHS = "12"
ENOUGH_QUESTION = "GETINFO status/enough-dir-info"
COMMANDS = ("tor", "tor-gencert")
MAX_CONSENSUS_BYTES = 2**20
PATH_FLAGS = {"entry": {"Guard", "Fast", "Stable"}, "relay": {"Fast"}, "exit": {"Exit", "Fast"}}
RELAY_LINES = re.compile(r"^r (\w+) .*\n(?:a .*\n)?s (.*)$", re.MULTILINE)
HEX_FINGERPRINT = re.compile(r"\b((?:[0-9A-F]{4} ?){10})\b")


@dataclass(slots=True)
class TorNetwork:
    """A running network.

    Attributes:
        nodes: By name: authority0…, entry, relay, exit, client.
        socks: Address and port of the client.
        control: The client's control port.
        bootstrap_s: Seconds until the client had a path.
    """

    nodes: dict[str, TorNode]
    socks: tuple[str, int]
    control: TorControl
    bootstrap_s: float = 0.0
    path: list[str] = field(default_factory=list)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the client and the three relays of the path."""
        return {
            name: process.pid
            for name in ("client", *PATH_ROLES)
            if (process := self.nodes[name].process) is not None
        }


def missing() -> str:
    """Why tor cannot be run here; empty when it can."""
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


def version() -> str:
    """The version installed.

    Raises:
        NetworkError: None is.
    """
    if why := missing():
        raise NetworkError("no tor to measure against", why=why, try_=("scripts/bench-peers",))
    line = subprocess.run(["tor", "--version"], capture_output=True, text=True, check=True).stdout
    return line.partition("\n")[0].removeprefix("Tor version ").rstrip(".")


@contextmanager
def tor_network(places: Mapping[str, Place] | None = None) -> Iterator[TorNetwork]:
    """Run a network until the context ends.

    Args:
        places: Where `client`, `entry`, `relay`, `exit` and `hub` (the authorities) are;
            loopback by default.

    Raises:
        NetworkError: Tor is not installed, or no path stood in time; carries the last words.
    """
    version()
    with tempfile.TemporaryDirectory(prefix="qnet-tor-") as scratch:
        nodes = _make_nodes(Path(scratch), places or {})
        authorities = [node for node in nodes.values() if node.dir_port]
        client = nodes["client"]
        socks_port = client.place.free_port()
        started = time.monotonic()
        try:
            for node in nodes.values():
                text = configuration(node, authorities, socks_port=socks_port)
                (node.home / "torrc").write_text(text)
                if node is not client:
                    _start(node)
            # a client that starts with a consensus of half the relays keeps the wrong guards
            _wait_for_consensus(nodes, started + BOOTSTRAP_S)
            _start(client)
            control = _wait_for_client(nodes, started + BOOTSTRAP_S)
            with control:
                path = [nodes[role].fingerprint for role in PATH_ROLES]
                network = TorNetwork(nodes, ("127.0.0.1", socks_port), control, path=path)
                _wait_for_circuit(network, started + BOOTSTRAP_S)
                network.bootstrap_s = time.monotonic() - started
                yield network
        finally:
            _stop(nodes.values())


def _make_nodes(folder: Path, places: Mapping[str, Place]) -> dict[str, TorNode]:
    names = [*(f"authority{i}" for i in range(AUTHORITIES)), *PATH_ROLES, "client"]
    nodes = {}
    for name in names:
        is_authority = name.startswith("authority")
        place = places.get("hub" if is_authority else name, HERE)
        home = folder / name
        (home / "keys").mkdir(parents=True, mode=0o700)
        home.chmod(0o700)
        node = TorNode(name, place, home)
        if name != "client":
            node.or_port = place.free_port()
            node.dir_port = place.free_port() if is_authority else 0
            if is_authority:
                node.v3_identity = _make_certificate(node)
            node.fingerprint = _make_identity(node)
        nodes[name] = node
    return nodes


def _make_certificate(node: TorNode) -> str:
    subprocess.run(
        [
            *("tor-gencert", "--create-identity-key", "-m", CERTIFICATE_MONTHS),
            *("-a", f"{node.place.address}:{node.dir_port}", "--passphrase-fd", "0"),
        ],
        input=b"private network\n",
        cwd=node.home / "keys",
        capture_output=True,
        check=True,
    )
    text = (node.home / "keys" / "authority_certificate").read_text()
    return text.partition("\nfingerprint ")[2].partition("\n")[0]


def _make_identity(node: TorNode) -> str:
    done = subprocess.run(
        [
            *("tor", "--ignore-missing-torrc", "-f", str(node.home / "none"), "--list-fingerprint"),
            *("--DataDirectory", str(node.home), "--Nickname", node.name, "--ORPort", "1"),
            *("--Address", node.place.address, "--ContactInfo", "none"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found = HEX_FINGERPRINT.search(done.stdout)
    if found is None:
        raise NetworkError(f"tor made no identity for {node.name}", why=done.stdout[-400:])
    return found[1].replace(" ", "")


def _start(node: TorNode) -> None:
    node.process = subprocess.Popen(
        node.place.command("tor", "-f", str(node.home / "torrc"), "--quiet"),
        stdin=subprocess.DEVNULL,
        process_group=0,
    )


def lists_path(consensus: str) -> bool:
    """Whether a consensus has the three relays with the flags that their place asks for."""
    flags = dict(RELAY_LINES.findall(consensus))
    return all(
        {"Running", "Valid", *wanted} <= set(flags.get(role, "").split())
        for role, wanted in PATH_FLAGS.items()
    )


def _wait_for_consensus(nodes: Mapping[str, TorNode], deadline: float) -> None:
    authority = nodes["authority0"]
    failure = "no consensus yet"
    while time.monotonic() < deadline:
        _all_alive(nodes.values())
        try:
            text = _fetch_consensus(authority)
        except (OSError, HTTPException) as error:
            failure = str(error)
        else:
            if lists_path(text):
                return
            failure = "the relays of the path are not in the consensus"
        time.sleep(POLL_S)
    raise NetworkError("the tor network did not come up", why=failure)


def _fetch_consensus(authority: TorNode) -> str:
    place = authority.place
    connection = HTTPConnection(place.address, authority.dir_port, timeout=STOP_S)
    with place.inside():
        connection.connect()
    try:
        connection.request("GET", "/tor/status-vote/current/consensus")
        return connection.getresponse().read(MAX_CONSENSUS_BYTES).decode("ascii", "replace")
    finally:
        connection.close()


def _wait_for_client(nodes: Mapping[str, TorNode], deadline: float) -> TorControl:
    """The client's control port, once it knows the network."""
    client = nodes["client"]
    control: TorControl | None = None
    while time.monotonic() < deadline:
        _all_alive(nodes.values())
        if control is None and (client.home / "control").exists():
            control = TorControl(client.home / "control")
        # with nothing built ahead, knowing the relays is as far as it gets by itself
        if control is not None and control.ask(ENOUGH_QUESTION).endswith("=1\nOK"):
            return control
        time.sleep(POLL_S)
    if control is not None:
        control.close()
    raise NetworkError("the tor network did not come up", why=_last_words(client))


def _wait_for_circuit(network: TorNetwork, deadline: float) -> None:
    """Wait until a circuit over the path can be built."""
    failure = "no try"
    while time.monotonic() < deadline:
        try:
            circuit, _ = network.control.build(network.path)
        except NetworkError as error:
            failure = error.why
            time.sleep(POLL_S)
        else:
            network.control.close_circuit(circuit)
            return
    raise NetworkError("tor builds no circuit", why=failure)


def _all_alive(nodes: Iterable[TorNode]) -> None:
    for node in nodes:
        if node.process is not None and node.process.poll() is not None:
            raise NetworkError(f"tor process {node.name} died", why=_last_words(node))


def _last_words(node: TorNode) -> str:
    log = node.home / "notices.log"
    return log.read_text(errors="replace")[-400:] if log.exists() else "it wrote no log"


def _stop(nodes: Iterable[TorNode]) -> None:
    running = [node.process for node in nodes if node.process is not None]
    for process in running:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
    for process in running:
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
