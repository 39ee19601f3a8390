"""A committee for one machine: real keys and signatures, one process, no chain.

It takes descriptors, and signs a consensus for every period with a quorum of throw-away keys, over
the same HTTP interface as `qnet ledger run`. Benches and tests of the network path use it, so that
nodes and clients run exactly the code they run anywhere else.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from node.manifests import Bundle
from qnet import cbor
from qnet.crypto.keys import ReceiptKey
from qnet.epochs import consensus_period, consensus_phases
from qnet.errors import DecodeError, QnetError
from qnet.messages.assembly import count_users
from qnet.messages.consensus import (
    Consensus,
    ConsensusNode,
    SignedConsensus,
    join_signatures,
    sign_consensus,
)
from qnet.messages.descriptor import Descriptor, decode_descriptor
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.trust import CommitteeTrust
from qnet.parameters import DEVNET_CHAIN_ID, NetworkParameters
from tools.bench.issuer import LocalIssuer
from tools.bench.place import HERE

COMMITTEE = bytes.fromhex("c0" * 20)
ORACLE = bytes.fromhex("0a" * 20)
REGISTRY = bytes.fromhex("4e" * 20)
MEMBERS = 4
QUORUM = 3
KBPS_PER_WEIGHT = 100
"""Selection weight follows the rate that a node offers; 100 Mbit/s weigh 1,000."""
MAX_BODY_BYTES = 4 * 2**20


@dataclass(slots=True)
class LocalCommittee:
    """Members in one process.

    Attributes:
        overrides: Parameters that differ from the devnet profile.
        keys: Members' signing keys.
        descriptors: By registry index and first key phase, which names the period.
        signed: Consensuses by period.
        wires: Newest signed descriptors by registry index.
        changes: Certified changes of the committee, encoded; empty while there are none.
        evidence: Proofs received, by digest.
        receipts: Encoded receipts received.
        issuer: Keys that tokens are signed with; None for a network without premium payments.
        url: Where the HTTP interface listens.
    """

    overrides: dict[str, int] = field(default_factory=dict)
    keys: list[ReceiptKey] = field(
        default_factory=lambda: [ReceiptKey.generate() for _ in range(MEMBERS)]
    )
    descriptors: dict[tuple[int, int], Descriptor] = field(default_factory=dict)
    signed: dict[int, SignedConsensus] = field(default_factory=dict)
    wires: dict[int, bytes] = field(default_factory=dict)
    changes: bytes = b""
    evidence: dict[bytes, DoubleConsensus] = field(default_factory=dict)
    receipts: set[bytes] = field(default_factory=set)
    issuer: LocalIssuer | None = None
    url: str = ""
    genesis_s: int = field(default_factory=lambda: int(time.time()))
    _signed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def parameters(self) -> NetworkParameters:
        """Parameters of the network."""
        return self.bundle(()).parameters()

    def bundle(self, seeds: Sequence[str]) -> Bundle:
        """What clients and nodes trust."""
        return Bundle(
            chain_id=DEVNET_CHAIN_ID,
            committee=COMMITTEE,
            oracle=ORACLE,
            registry=REGISTRY,
            signers=tuple(key.address for key in self.keys),
            quorum=QUORUM,
            seeds=tuple(seeds),
            profile="devnet",
            genesis_s=self.genesis_s,
            overrides=self.overrides,
            made_at=self.genesis_s,
        )

    @property
    def trust(self) -> CommitteeTrust:
        """The set of signers."""
        signers = tuple(key.address for key in self.keys)
        return CommitteeTrust(DEVNET_CHAIN_ID, COMMITTEE, signers, QUORUM)

    @property
    def latest(self) -> SignedConsensus | None:
        """The newest consensus."""
        return self.signed[max(self.signed)] if self.signed else None

    def sign(self, now: float) -> SignedConsensus:
        """Sign the consensus of the period that holds `now`."""
        parameters = self.parameters
        period = consensus_period(now, parameters.consensus_interval_s)
        first, _ = consensus_phases(period, parameters.consensus_interval_s, parameters.key_phase_s)
        listed = [d for (_, phase), d in sorted(self.descriptors.items()) if phase == first]
        self.descriptors = {k: d for k, d in self.descriptors.items() if k[1] >= first}
        consensus = Consensus(
            chain_id=DEVNET_CHAIN_ID,
            committee=COMMITTEE,
            valid_after=period,
            interval_s=parameters.consensus_interval_s,
            epoch=0,
            parameters=parameters,
            min_version="0.1.0",
            users=count_users(listed),
            nodes=tuple(_listed(descriptor) for descriptor in listed),
        )
        parts = {i: sign_consensus(consensus, self.keys[i]) for i in range(QUORUM)}
        signed = SignedConsensus(consensus, *join_signatures(parts))
        self.signed[period] = signed
        return signed

    async def wait_for(self, nodes: int) -> SignedConsensus:
        """The first consensus that lists so many nodes."""
        while self.latest is None or len(self.latest.consensus.nodes) < nodes:
            self._signed.clear()
            await self._signed.wait()
        return self.latest

    @asynccontextmanager
    async def serve(self, listener: socket.socket | None = None) -> AsyncIterator[None]:
        """Answer HTTP and sign for every period while the context lasts.

        Args:
            listener: Where; a free port of loopback by default.
        """
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.post("/v1/descriptors", self._take_descriptor),
                web.get("/v1/descriptors", self._give_descriptors),
                web.get("/v1/consensus/latest", self._give_latest),
                web.get("/v1/consensus/{period}", self._give_consensus),
                web.get("/v1/committee/changes", self._give_changes),
                web.post("/v1/evidence", self._take_evidence),
                web.post("/v1/receipts", self._take_receipts),
                web.get("/v1/payments/keys/{epoch}", self._give_keys),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listener or HERE.listener()).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        signing = asyncio.get_running_loop().create_task(self._sign_periods())
        try:
            yield
        finally:
            signing.cancel()
            await runner.cleanup()

    async def _sign_periods(self) -> None:
        interval = self.parameters.consensus_interval_s
        while True:
            now = time.time()
            await asyncio.sleep(consensus_period(now, interval) + interval - now)
            if self.descriptors:
                await asyncio.to_thread(self.sign, time.time())
                self._signed.set()

    async def _take_descriptor(self, request: web.Request) -> web.Response:
        try:
            signed = await asyncio.to_thread(decode_descriptor, await request.read())
        except QnetError as error:
            return web.Response(status=400, text=error.message)
        descriptor = signed.descriptor
        self.descriptors[descriptor.index, descriptor.first_phase] = descriptor
        self.wires[descriptor.index] = signed.encode()
        return web.Response(status=202)

    async def _give_latest(self, _request: web.Request) -> web.Response:
        if self.latest is None:
            return web.Response(status=404)
        return web.Response(body=self.latest.encode())

    async def _give_descriptors(self, request: web.Request) -> web.Response:
        after = int(request.query.get("after", "0"))
        return web.Response(
            body=cbor.dumps([wire for index, wire in sorted(self.wires.items()) if index > after])
        )

    async def _give_consensus(self, request: web.Request) -> web.Response:
        signed = self.signed.get(int(request.match_info["period"]))
        return web.Response(status=404) if signed is None else web.Response(body=signed.encode())

    async def _give_changes(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.changes) if self.changes else web.Response(status=404)

    async def _take_evidence(self, request: web.Request) -> web.Response:
        try:
            proof = DoubleConsensus.decode(await request.read())
            proof.verify(self.trust)
        except QnetError as error:
            return web.Response(status=409, text=error.message)
        self.evidence[proof.digest] = proof
        return web.Response(status=202)

    async def _give_keys(self, _request: web.Request) -> web.Response:
        if self.issuer is None:
            return web.Response(status=404)
        return web.Response(body=self.issuer.shown.encode())

    async def _take_receipts(self, request: web.Request) -> web.Response:
        try:
            bodies = cbor.loads(await request.read(), max_bytes=MAX_BODY_BYTES, max_depth=2)
        except DecodeError as error:
            return web.Response(status=400, text=error.message)
        if not isinstance(bodies, list):
            return web.Response(status=400, text="not a list")
        codes = [int(body in self.receipts) for body in bodies]
        self.receipts.update(body for body in bodies if isinstance(body, bytes))
        return web.Response(body=cbor.dumps(codes))


def _listed(descriptor: Descriptor) -> ConsensusNode:
    ticket = descriptor.tickets[0]
    return ConsensusNode(
        index=descriptor.index,
        node_id=descriptor.node_id,
        role=descriptor.role,
        host=descriptor.host,
        port=descriptor.port,
        sni=descriptor.sni,
        spki_hash=descriptor.spki_hash,
        link_key=descriptor.link_key,
        ticket_id=ticket.key_id,
        ticket_key=ticket.public,
        first_phase=descriptor.first_phase,
        phase_keys=descriptor.phase_keys,
        weight=descriptor.bandwidth_kbps // KBPS_PER_WEIGHT,
        owner=descriptor.owner,
        family=descriptor.family,
        policy=descriptor.policy,
        receipt_address=descriptor.receipt_address,
        identity=descriptor.identity,
        bandwidth_kbps=descriptor.bandwidth_kbps,
        ciphers=descriptor.ciphers,
        flags=0,
        price=descriptor.price,
    )
