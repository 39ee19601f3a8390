"""Stages two to four: committee, nodes, names and the client, each as programs of their own."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from node.manifests import load_bundle
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.errors import QnetError
from qnet.messages.consensus import CommitteeTrust, Consensus, SignedConsensus
from tools.devnet import homes
from tools.devnet.errors import StageError
from tools.devnet.network import Network
from tools.devnet.processes import Spec, check_alive
from tools.devnet.state import MemberRecord

MEMBER_READY_S = 60.0
NODE_READY_S = 60.0
CLIENT_READY_S = 90.0
CONSENSUS_S = 90.0
POLL_S = 0.5
MAX_CONSENSUS_BYTES = 4 << 20


async def start_committee(network: Network) -> None:
    """Start one `qnet ledger run` per member."""
    with network.progress.stage("committee"):
        specs: list[Spec] = []
        records: list[MemberRecord] = []
        for member in network.topology.members:
            home = homes.write_member(network, member)
            words = ("ledger", "run", "--home", str(home))
            specs.append(network.qnet(member.name, *words, ready_timeout_s=MEMBER_READY_S))
            records.append(
                MemberRecord(
                    name=member.name,
                    index=member.index,
                    url=member.url,
                    home=str(home),
                    owner=member.owner,
                    signer=member.signer,
                    auditor=member.auditor,
                    auditor_home=str(network.config.home / member.auditor),
                )
            )
        network.record(members=tuple(records))
        _start_together(network, specs)
        network.progress.note(", ".join(member.url for member in network.topology.members[:1]))
    network.record(stage="committee")


async def start_nodes(network: Network) -> None:
    """Start the name server and one `qnet node run` per node; wait for a common consensus."""
    with network.progress.stage("names"):
        hosts = homes.write_hosts(network)
        options = ("--port", str(network.config.dns_port), "--hosts", str(hosts))
        argv = (sys.executable, "-m", "tools.devnet.dns", *options)
        network.start(network.spec("dns", *argv))
        network.progress.note(f"*.devnet at 127.0.0.1:{network.config.dns_port}/udp")
    with network.progress.stage("web server"):
        place = ("--bind", "127.0.0.1", "--directory", str(homes.write_site(network)))
        server = (sys.executable, "-u", "-m", "http.server", str(network.config.web_port))
        network.start(network.spec("web", *server, *place, marker="Serving HTTP"))
        network.progress.note(f"http://web.devnet:{network.config.web_port}/")
    with network.progress.stage("nodes"):
        async with ChainClient.connect(network.config.rpc) as client:
            contracts = await Contracts.open(client, Deployment.load(network.config.deployment))
            await homes.write_bundle(network, contracts, network.seeds)
        specs = []
        for node in network.state.nodes:
            words = ("node", "run", "--home", node.home)
            specs.append(network.qnet(node.name, *words, ready_timeout_s=NODE_READY_S))
        _start_together(network, specs)
    with network.progress.stage("consensus"):
        consensus = await await_consensus(network)
        network.progress.note(f"{len(consensus.nodes)} nodes, quorum-signed")
    network.record(stage="nodes")


def _start_together(network: Network, specs: Sequence[Spec]) -> None:
    for spec in specs:
        network.launch(spec)
    for spec in specs:
        network.await_ready(spec)


async def await_consensus(network: Network) -> Consensus:
    """Wait until the committee has signed a view that lists every node.

    Raises:
        StageError: it does not within 90 s; says what was seen last.
        ProcessDiedError: a program died meanwhile.
    """
    bundle = load_bundle(network.config.network)
    trust = CommitteeTrust(bundle.chain_id, bundle.committee, bundle.signers, bundle.quorum)
    wanted = {record.index for record in network.state.nodes}
    deadline, last = time.monotonic() + CONSENSUS_S, "no member has one"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while time.monotonic() < deadline:
            check_alive(network.state.processes)
            for member in network.topology.members:
                try:
                    found = await fetch_consensus(session, member.url, trust)
                except (aiohttp.ClientError, TimeoutError, QnetError) as error:
                    last = f"{member.name}: {error}"
                    continue
                missing = wanted - set(found.by_index)
                if not missing:
                    return found
                last = f"{member.name} lists {len(found.nodes)} of {len(wanted)} nodes"
            await asyncio.sleep(POLL_S)
    raise StageError(
        f"no consensus with every node after {CONSENSUS_S:.0f} s",
        why=last,
        try_=("qnet devnet logs ledger-0", "qnet devnet logs node-1"),
    )


async def fetch_consensus(
    session: aiohttp.ClientSession, url: str, trust: CommitteeTrust
) -> Consensus:
    """Fetch a member's latest consensus and check its signatures.

    Raises:
        StageError: it has none.
        RemoteProtocolError: it is malformed or not signed by a quorum.
    """
    async with session.get(f"{url}/v1/consensus/latest") as response:
        if response.status != 200:
            raise StageError(f"status {response.status}")
        data = await response.content.read(MAX_CONSENSUS_BYTES)
    return SignedConsensus.decode(data, trust=trust).consensus


async def start_auditors(network: Network) -> None:
    """Start one prober per member; it shares a token with its member and nothing else."""
    with network.progress.stage("auditors"):
        specs = []
        for member in network.state.members:
            home = homes.write_auditor(member)
            options = ("--bundle", str(network.config.network), "--ledger", member.url)
            token = str(Path(member.home) / homes.AUDIT_FILE)
            words = ("node", "auditor", "--home", str(home), *options, "--token-file", token)
            specs.append(network.qnet(member.auditor, *words, ready_timeout_s=NODE_READY_S))
        _start_together(network, specs)


async def start_client(network: Network) -> None:
    """Start `qnet client up`."""
    with network.progress.stage("client"):
        home: Path = homes.write_client(network)
        options = ("--foreground", "--timeout", str(CLIENT_READY_S))
        words = ("client", "up", "--home", str(home), *options)
        network.start(network.qnet("client", *words, ready_timeout_s=CLIENT_READY_S))
        network.progress.note(f"socks5h://127.0.0.1:{network.config.socks_port}")
    network.record(stage="client")
