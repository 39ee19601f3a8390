"""The configuration text of each process of a private C-Tor network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.place import Place

PATH_ROLES = ("entry", "relay", "exit")
VOTING_S = 20
VOTE_S = 4


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
        # a busy machine is no reason to give a circuit up
        "LearnCircuitBuildTimeout 0",
        "CircuitBuildTimeout 60",
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
