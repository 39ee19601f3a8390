"""A committee in one process over real HTTP and a chain of its own, with nodes that can sign."""

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from ledger.app import LedgerApp, Secrets, open_app
from ledger.config import LedgerConfig
from node.directory.descriptor import NodeProfile, OnlineIdentity, build_descriptor
from qnet import cbor
from qnet.chain.anvil import Anvil, AnvilOptions, EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.staking import Role as ChainRole
from qnet.crypto.kdf import blake3
from qnet.crypto.keys import DhKey, ReceiptKey, SigningKey
from qnet.eip712 import qnet_domain
from qnet.epochs import EpochClock, consensus_period
from qnet.issuance import PaymentTerms
from qnet.messages.descriptor import Role, TicketKey
from qnet.messages.receipt import LinkReceipt, Side, bucket_round
from tests.support.anvil import WEI, ChainFixture, Network, deploy_network

ROLES = (Role.ENTRY, Role.RELAY, Role.EXIT, Role.ENTRY, Role.RELAY, Role.EXIT)
BOND_WEI = 2000 * WEI
TOKEN = "token of the auditor"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@dataclass
class FakeNode:
    """A registered node: keys, and a port that takes connections."""

    index: int
    role: Role
    identity: SigningKey
    online: SigningKey
    receipt: ReceiptKey
    owner: ReceiptKey
    port: int

    def descriptor(self, committee: "Committee") -> bytes:
        now = committee.now()
        parameters = committee.network.parameters
        network = committee.network.deployment
        registry = network.address("NodeRegistry")
        profile = NodeProfile(
            chain_id=network.chain_id,
            registry=registry,
            owner=self.owner.address,
            index=self.index,
            role=self.role,
            host="127.0.0.1",
            port=self.port,
            sni=f"node{self.index}.devnet",
            spki_hash=blake3(bytes([self.index])),
            link_key=DhKey(secrets.token_bytes(32)).public,
            receipt_address=self.receipt.address,
            family="",
            software="0.1.0",
            policy="accept *:*" if self.role is Role.EXIT else "",
            ciphers=(1,),
            bandwidth_kbps=50_000,
        )
        identity = OnlineIdentity.certify(
            self.identity,
            self.online,
            chain_id=network.chain_id,
            registry=registry,
            until=int(now) + 86_400,
        )
        interval = parameters.consensus_interval_s
        return build_descriptor(
            profile,
            identity,
            tickets=(
                TicketKey(b"ticketid", DhKey(secrets.token_bytes(32)).public, int(now) + 86_400),
            ),
            phase_key=lambda _phase: DhKey(secrets.token_bytes(32)).public,
            period=consensus_period(now, interval) + interval,
            published=int(now),
            parameters=parameters,
            clients=int(self.role is Role.ENTRY),
        ).encode()


@dataclass
class Committee:
    """Everything a test needs."""

    folder: Path
    network: Network
    chain: ChainFixture
    offset_s: float
    urls: list[str]
    nodes: list[FakeNode] = field(default_factory=list)
    apps: dict[int, LedgerApp] = field(default_factory=dict)
    http: aiohttp.ClientSession | None = None

    def now(self) -> float:
        return time.time() + self.offset_s

    @property
    def clock(self) -> EpochClock:
        parameters = self.network.parameters
        return EpochClock(
            self.network.deployment.genesis_s, parameters.slot_s, parameters.slots_per_epoch
        )

    @property
    def oracle_domain(self) -> bytes:
        deployment = self.network.deployment
        return qnet_domain(deployment.chain_id, deployment.address("ReportOracle"))

    def home(self, member: int) -> Path:
        return self.folder / f"ledger-{member}"

    def config(self, member: int) -> LedgerConfig:
        return LedgerConfig.model_validate(
            {
                "member": {
                    "index": member,
                    "listen": self.urls[member].removeprefix("http://"),
                    "peers": self.urls,
                },
                "chain": {"rpc": self.network.url, "deployment": self.network.manifest},
                "beacon": {"seed_file": self.folder / "beacon.seed"} if member == 0 else {},
            }
        )

    @contextlib.asynccontextmanager
    async def member(self, member: int) -> AsyncIterator[LedgerApp]:
        """Run one member until the end of the block."""
        config = self.config(member)
        keys = Secrets(
            self.network.member_signers[member], self.network.member_owners[member], TOKEN
        )
        self.home(member).mkdir(exist_ok=True)
        stop, ready = asyncio.Event(), asyncio.Event()
        async with open_app(self.home(member), config, keys, now=self.now) as app:
            self.apps[member] = app
            task = asyncio.create_task(
                app.run(config.host, config.port, on_ready=lambda _port: ready.set(), stop=stop)
            )
            await ready.wait()
            try:
                yield app
            finally:
                stop.set()
                await task
                del self.apps[member]

    async def get(self, member: int, path: str) -> bytes | None:
        assert self.http is not None
        async with self.http.get(self.urls[member] + path) as response:
            body = await response.read()
            return body if response.status == 200 else None

    async def post(self, member: int, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
        assert self.http is not None
        async with self.http.post(self.urls[member] + path, data=body, headers=headers) as response:
            return response.status, await response.read()

    async def publish(self) -> None:
        """All nodes send fresh descriptors to all members."""
        for node in self.nodes:
            data = node.descriptor(self)
            for member in self.apps:
                status, body = await self.post(member, "/v1/descriptors", data)
                assert status == 202, body

    def receipts(self, epoch: int, slot: int, cells: dict[tuple[int, int], int]) -> list[bytes]:
        """Both sides' receipts for each direction."""
        keys = {node.index: node.receipt for node in self.nodes}
        found = []
        for (left, right), count in cells.items():
            for side in Side:
                body = LinkReceipt(epoch, slot, left, right, side, bucket_round(count), bytes(32))
                found.append(body.sign(keys[body.signer], self.oracle_domain).encode())
        return found

    async def send_receipts(
        self, receipts: list[bytes], members: tuple[int, ...] | None = None
    ) -> dict[int, list[int]]:
        answers = {}
        for member in members or list(self.apps):
            status, body = await self.post(member, "/v1/receipts", cbor.dumps(receipts))
            assert status == 200, body
            codes = cbor.loads(body, max_bytes=1 << 20)
            assert isinstance(codes, list)
            answers[member] = codes
        return answers

    async def audit(self, member: int) -> int | None:
        """Do what an auditor does, with probes that all succeed; return the slot."""
        assert self.http is not None
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        url = self.urls[member]
        async with self.http.get(f"{url}/v1/audit/assignments", headers=bearer) as response:
            if response.status != 200:
                return None
            work = await response.json()
        body = {
            "epoch": work["epoch"],
            "slot": work["slot"],
            "results": [
                {"target": item["index"], "probes": [{"micros": 9000 + item["index"]}] * 2}
                for item in work["targets"]
            ],
            "capacity": [
                {"target": index, "bytes": work["burst_bytes"], "micros": 500_000}
                for index in work["capacity"]
            ],
        }
        status, answer = await self.post(
            member, "/v1/audit/results", json.dumps(body).encode(), **bearer
        )
        assert status in {202, 409}, answer
        return int(work["slot"])

    async def until(self, moment: float) -> None:
        await asyncio.sleep(max(moment - self.now(), 0))


@contextlib.contextmanager
def own_chain(
    folder: Path, *, terms: PaymentTerms | None = None, **changes: int
) -> Iterator[Network]:
    """An anvil and a deployment of our own: a committee needs a clock nobody turns back."""
    with Anvil(AnvilOptions(block_time_s=1.0)) as anvil:
        yield asyncio.run(deploy_network(anvil.url, folder, terms=terms, **changes))


@contextlib.asynccontextmanager
async def open_committee(folder: Path, network: Network) -> AsyncIterator[Committee]:
    """Register nodes, and turn chain and clock to just before genesis."""
    ports = free_ports(4)
    # the last value of a hash chain is the seed of one that is a slot shorter
    (folder / "beacon.seed").write_text(network.beacon.value(network.beacon.length - 1).hex())
    async with ChainClient.connect(network.url) as client, contextlib.AsyncExitStack() as stack:
        control = EmbeddedChain(client)
        chain = ChainFixture(network, client, Contracts.bind(client, network.deployment), control)
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        committee = Committee(folder, network, chain, 0.0, urls)
        for role in ROLES:
            committee.nodes.append(await _register(committee, role, stack))
        await control.warp(network.deployment.genesis_s - 3)
        committee.offset_s = await control.now() - time.time()
        committee.http = await stack.enter_async_context(aiohttp.ClientSession())
        yield committee


async def _register(committee: Committee, role: Role, stack: contextlib.AsyncExitStack) -> FakeNode:
    owner = await committee.chain.new_account(BOND_WEI)
    identity, receipt = SigningKey(secrets.token_bytes(32)), ReceiptKey.generate()
    registered = await committee.chain.register_node(
        owner,
        role=ChainRole(int(role)),
        identity_key=identity.public,
        receipt_key=receipt,
        bond_wei=BOND_WEI,
    )

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    stack.push_async_callback(server.wait_closed)
    stack.callback(server.close)
    port = int(server.sockets[0].getsockname()[1])
    online = SigningKey(secrets.token_bytes(32))
    return FakeNode(registered.index, role, identity, online, receipt, owner, port)
