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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qnet.errors import NetworkError
from tools.bench.place import HERE, Place
from tools.bench.torcontrol import TorControl

PATH_ROLES = ("entry", "relay", "exit")
AUTHORITIES = 3
BOOTSTRAP_S = 120.0
STOP_S = 5.0
POLL_S = 0.25
VOTING_S = 20
VOTE_S = 4
CERTIFICATE_MONTHS = "12"
ENOUGH_QUESTION = "GETINFO status/enough-dir-info"
COMMANDS = ("tor", "tor-gencert")
HEX_FINGERPRINT = re.compile(r"\b((?:[0-9A-F]{4} ?){10})\b")


@dataclass(slots=True)
class TorNode:
    """One tor process.

    Attributes:
        name: Nickname; `client` has no relay.
        place: Where it runs.
        home: Its folder.
        or_port: Port of the relay; 0 for the client.
        dir_port: Port of the directory; 0 unless an authority.
        fingerprint: Of the relay's identity, 40 hex digits.
        v3_identity: Fingerprint of the authority's signing identity, 40 hex digits.
    """

    name: str
    place: Place
    home: Path
    or_port: int = 0
    dir_port: int = 0
    fingerprint: str = ""
    v3_identity: str = ""
    process: subprocess.Popen[bytes] | None = None


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


def authority_line(node: TorNode) -> str:
    """The line that makes others trust an authority."""
    spaced = " ".join(node.fingerprint[i : i + 4] for i in range(0, 40, 4))
    return (
        f"DirAuthority {node.name} orport={node.or_port} no-v2 v3ident={node.v3_identity} "
        f"{node.place.address}:{node.dir_port} {spaced}"
    )


def configuration(node: TorNode, authorities: Sequence[TorNode], *, socks_port: int = 0) -> str:
    """The text of a node's `torrc`."""
    lines = [
        "TestingTorNetwork 1",
        f"Nickname {node.name}",
        f"DataDirectory {node.home}",
        f"ControlSocket {node.home / 'control'}",
        f"Log notice file {node.home / 'notices.log'}",
        "UseDefaultFallbackDirs 0",
        "ShutdownWaitLength 0",
        f"__OwningControllerProcess {os.getpid()}",
        "Schedulers Vanilla",
        "EnforceDistinctSubnets 0",
        *map(authority_line, authorities),
    ]
    if not node.or_port:
        lines += _client_lines(socks_port)
    else:
        lines += _relay_lines(node)
    if node.dir_port:
        lines += _authority_lines(node)
    return "\n".join(lines) + "\n"


def _client_lines(socks_port: int) -> list[str]:
    return [
        f"SocksPort 127.0.0.1:{socks_port}",
        *(
            f"{option} {role}"
            for option, role in zip(
                ("EntryNodes", "MiddleNodes", "ExitNodes"), PATH_ROLES, strict=True
            )
        ),
        "StrictNodes 1",
        # nothing is built ahead, so that a fresh circuit is one
        "__DisablePredictedCircuits 1",
        "ClientRejectInternalAddresses 0",
    ]


def _relay_lines(node: TorNode) -> list[str]:
    policy = "accept *:*" if node.name == "exit" else "reject *:*"
    return [
        "SocksPort 0",
        f"Address {node.place.address}",
        f"ORPort {node.place.address}:{node.or_port}",
        f"OutboundBindAddress {node.place.address}",
        "ContactInfo bench@example.invalid",
        "AssumeReachable 1",
        "ExitPolicyRejectPrivate 0",
        f"ExitRelay {int(node.name == 'exit')}",
        f"ExitPolicy {policy}",
    ]


def _authority_lines(node: TorNode) -> list[str]:
    return [
        f"DirPort {node.place.address}:{node.dir_port}",
        "AuthoritativeDirectory 1",
        "V3AuthoritativeDirectory 1",
        *(f"{prefix}VotingInterval {VOTING_S}" for prefix in ("V3Auth", "TestingV3AuthInitial")),
        *(f"{prefix}VoteDelay {VOTE_S}" for prefix in ("V3Auth", "TestingV3AuthInitial")),
        *(f"{prefix}DistDelay {VOTE_S}" for prefix in ("V3Auth", "TestingV3AuthInitial")),
        "TestingDirAuthVoteGuard *",
        "TestingDirAuthVoteExit *",
        "TestingMinExitFlagThreshold 0",
    ]


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
                node.process = subprocess.Popen(
                    node.place.command("tor", "-f", str(node.home / "torrc"), "--quiet"),
                    stdin=subprocess.DEVNULL,
                    process_group=0,
                )
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
