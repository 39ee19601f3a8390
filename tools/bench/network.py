"""A small network on loopback: a local committee and nodes as processes of their own."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.io.control import call
from node.manifests import Bundle
from node.setup import NodePlan, init_node
from qnet.errors import NetworkError
from tools.bench.committee import LocalCommittee
from tools.bench.issuer import LocalIssuer
from tools.bench.place import HERE, Place

START_S = 60.0
STOP_S = 10.0
LOOK_S = 0.1
FAST_CALENDAR = {"consensus_interval_s": 10, "key_phase_s": 5, "descriptor_lead_s": 1}
"""A first consensus within ten seconds."""

LINE_BYTES = 2**16


@dataclass(slots=True)
class LocalNode:
    """One node of the network.

    Attributes:
        index: Registry index.
        role: entry, relay or exit.
        home: Its folder.
        listen: Address and port.
        seed: Its `htx://` line.
        process: The running process, None while stopped.
        ready: What it said when it was ready.
        place: Where it runs.
        program: Module that runs it.
    """

    index: int
    role: str
    home: Path
    listen: str
    seed: str
    process: asyncio.subprocess.Process | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    place: Place = HERE
    program: str = "node"

    async def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            NetworkError: It did not; carries its last words.
        """
        self.process = await asyncio.create_subprocess_exec(
            *self.place.command(sys.executable, "-m", self.program, "--home", str(self.home)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await self.process.stdout.readline()).decode()
        if not line.startswith("READY "):
            _, errors = await self.process.communicate()
            raise NetworkError(f"node {self.index} did not start", why=errors.decode()[-400:])
        self.ready = json.loads(line.removeprefix("READY "))

    async def knows(self, nodes: int) -> None:
        """Wait until it holds a consensus with so many nodes: before, it finds no next hop."""
        while True:
            held = (await call(self.home / "control.sock", "status"))["consensus"]
            if held is not None and held["nodes"] >= nodes:
                return
            await asyncio.sleep(LOOK_S)

    async def stop(self, *, number: int = signal.SIGTERM) -> None:
        """End the process."""
        process, self.process = self.process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()


@dataclass(slots=True)
class LocalNetwork:
    """The running network.

    Attributes:
        home: Folder of everything.
        committee: Signs consensuses.
        nodes: All nodes.
    """

    home: Path
    committee: LocalCommittee
    nodes: list[LocalNode]

    def bundle(self) -> Bundle:
        """What a client needs."""
        return self.committee.bundle([node.seed for node in self.nodes if node.role == "entry"])


@asynccontextmanager
async def local_network(
    roles: Sequence[str],
    *,
    home: Path | None = None,
    overrides: dict[str, int] | None = None,
    policy: str = "open",
    dns: str = "",
    places: Mapping[str, Place] | None = None,
    hostile: Collection[int] = (),
    programs: Mapping[int, str] | None = None,
    mbps: Sequence[int] = (),
    limits_kbps: Mapping[int, int] | None = None,
    price: int = 0,
) -> AsyncIterator[LocalNetwork]:
    """Run a network until the context ends.

    Args:
        roles: One node for each.
        home: Folder for everything; a temporary one by default.
        overrides: Parameters that differ from the devnet profile.
        policy: Exit policy of the exits.
        dns: DNS server of the exits.
        places: Where the node of each role and the committee (`hub`) run; loopback by default.
        hostile: Registry indexes of nodes that run `tools.bench.hostile`.
        programs: Modules that other nodes run, by registry index.
        mbps: Rate that each node offers, by which it is chosen; equal ones by default.
        limits_kbps: Most that a node sends, by registry index.
        price: Units a MiB that every node takes; their tokens come from `LocalIssuer`.
    """
    with tempfile.TemporaryDirectory(prefix="qnet-") as scratch:
        folder = home or Path(scratch)
        committee = LocalCommittee(FAST_CALENDAR | (overrides or {}))
        listener = (places or {}).get("hub", HERE).listener()
        async with committee.serve(listener):
            nodes = make_homes(
                folder,
                committee,
                roles,
                policy=policy,
                dns=dns,
                places=places,
                mbps=mbps,
                limits_kbps=limits_kbps,
                price=price,
            )
            if price:
                committee.issuer = LocalIssuer.draw()
                committee.issuer.save(folder)
                for node in nodes:
                    node.program = "tools.bench.paid_node"
            for index, program in {
                **dict.fromkeys(hostile, "tools.bench.hostile"),
                **(programs or {}),
            }.items():
                nodes[index - 1].program = program
            network = LocalNetwork(folder, committee, nodes)
            try:
                await asyncio.gather(*(node.start() for node in nodes))
                async with asyncio.timeout(START_S):
                    await committee.wait_for(len(nodes))
                    await asyncio.gather(*(node.knows(len(nodes)) for node in nodes))
                yield network
            finally:
                await asyncio.gather(*(node.stop() for node in nodes))


def make_homes(
    folder: Path,
    committee: LocalCommittee,
    roles: Sequence[str],
    *,
    policy: str,
    dns: str = "",
    allow_private: bool = True,
    places: Mapping[str, Place] | None = None,
    mbps: Sequence[int] = (),
    limits_kbps: Mapping[int, int] | None = None,
    price: int = 0,
) -> list[LocalNode]:
    """Make the homes of all nodes; node i listens on 127.(10+i).0.1 where no place is given."""
    bundle_path = folder / "network.json"
    bundle_path.write_text(json.dumps(committee.bundle(()).to_json()))
    passphrase = folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(secrets.token_hex(16))
    nodes = []
    for index, role in enumerate(roles, start=1):
        place = (places or {}).get(role, Place(f"127.{10 + index}.0.1"))
        plan = NodePlan(
            role=role,
            listen=f"{place.address}:{place.free_port()}",
            sni=f"node{index}.example",
            passphrase_file=passphrase,
            bundle=bundle_path,
            index=index,
            owner="0x" + secrets.token_hex(20),
            members=(committee.url,),
            policy=policy,
            dns=dns,
            allow_private=allow_private,
            outbound=(place.address,),
            mbps=mbps[index - 1] if mbps else 100,
            rate_kbps=(limits_kbps or {}).get(index, 0),
            price=price,
            light_kdf=True,
        )
        home = folder / f"node{index}"
        facts = init_node(home, plan, now=committee.genesis_s)
        nodes.append(LocalNode(index, role, home, plan.listen, facts["seed"], place=place))
    return nodes


@asynccontextmanager
async def running_client(
    home: Path, *words: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, tuple[str, int]]]:
    """A client as a process of its own; yields it and its SOCKS port.

    Args:
        home: Its folder.
        words: What Python is started with.

    Raises:
        NetworkError: It did not start.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    try:
        yield process, await _ready(process, home)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def _ready(process: asyncio.subprocess.Process, home: Path) -> tuple[str, int]:
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        line = (await process.stdout.readline()).decode()
    if not line.startswith("READY "):
        _, errors = await process.communicate()
        raise NetworkError(f"the client in {home} did not start", why=errors.decode()[-400:])
    host, _, port = json.loads(line.removeprefix("READY "))["socks"].rpartition(":")
    return host, int(port)
