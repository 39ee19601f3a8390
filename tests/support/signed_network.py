"""A small network of real keys, for tests: nodes, registry, descriptors, committee, consensus."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from node.directory.descriptor import NodeProfile, OnlineIdentity, build_descriptor
from qnet.crypto.kdf import blake3, node_id_of
from qnet.crypto.keys import DhKey, ReceiptKey, SigningKey, keccak256
from qnet.messages.assembly import Network, RegistryEntry, build_consensus
from qnet.messages.consensus import (
    CommitteeTrust,
    Consensus,
    SignedConsensus,
    join_signatures,
    sign_consensus,
)
from qnet.messages.descriptor import Role, SignedDescriptor, TicketKey
from qnet.parameters import NetworkParameters

CHAIN_ID = 31337
COMMITTEE = b"\xc0" * 20
REGISTRY = b"\xee" * 20
ORACLE = b"\x0a" * 20
NETWORK = Network(chain_id=CHAIN_ID, committee=COMMITTEE, registry=REGISTRY)
PARAMETERS = NetworkParameters.profile("devnet")
PERIOD = 1_800_000_000
"""A multiple of both profiles' intervals."""
ROLES = (
    Role.ENTRY,
    Role.RELAY,
    Role.EXIT,
    Role.ENTRY,
    Role.RELAY,
    Role.EXIT,
    Role.ENTRY,
    Role.RELAY,
)


def seeded(seed: int = 1) -> Callable[[int], bytes]:
    """A reproducible byte source for statistical tests."""
    return random.Random(seed).randbytes


@dataclass(frozen=True)
class NodeKeys:
    """Everything one node of the test network holds."""

    index: int
    role: Role
    identity: SigningKey
    online: SigningKey
    receipt: ReceiptKey
    owner: bytes

    @classmethod
    def make(cls, index: int, role: Role) -> "NodeKeys":
        return cls(
            index,
            role,
            SigningKey(os.urandom(32)),
            SigningKey(os.urandom(32)),
            ReceiptKey.generate(),
            keccak256(index.to_bytes(4, "big"))[:20],
        )

    def entry(self, **changes: object) -> RegistryEntry:
        entry = RegistryEntry(
            index=self.index,
            node_id=node_id_of(self.identity.public),
            identity=self.identity.public,
            owner=self.owner,
            role=self.role,
            active=True,
            receipt_address=self.receipt.address,
            paid_slot=True,
        )
        return replace(entry, **changes)

    def profile(self, **changes: object) -> NodeProfile:
        profile = NodeProfile(
            chain_id=CHAIN_ID,
            registry=REGISTRY,
            owner=self.owner,
            index=self.index,
            role=self.role,
            host=f"127.{10 + self.index}.0.1",
            port=4430,
            sni=f"node{self.index}.devnet",
            spki_hash=blake3(b"spki" + bytes([self.index % 256])),
            link_key=DhKey(os.urandom(32)).public,
            receipt_address=self.receipt.address,
            family="",
            software="0.1.0",
            policy="accept *:*" if self.role is Role.EXIT else "",
            ciphers=(1,),
            bandwidth_kbps=50_000,
        )
        return replace(profile, **changes)

    def online_identity(self, *, until: int = PERIOD + 30 * 86_400) -> OnlineIdentity:
        return OnlineIdentity.certify(
            self.identity, self.online, chain_id=CHAIN_ID, registry=REGISTRY, until=until
        )

    def descriptor(
        self,
        *,
        period: int = PERIOD,
        published: int = PERIOD - 10,
        ticket_until: int = PERIOD + 86_400,
        online_until: int = PERIOD + 30 * 86_400,
        parameters: NetworkParameters = PARAMETERS,
        clients: int = 0,
        **changes: object,
    ) -> SignedDescriptor:
        return build_descriptor(
            self.profile(**changes),
            self.online_identity(until=online_until),
            tickets=(TicketKey(b"ticketid", DhKey(os.urandom(32)).public, ticket_until),),
            phase_key=lambda _phase: DhKey(os.urandom(32)).public,
            period=period,
            published=published,
            parameters=parameters,
            clients=clients,
        )


@dataclass(frozen=True)
class TestNetwork:
    """Nodes, their committee of four with a quorum of three, and a consensus."""

    __test__ = False

    nodes: tuple[NodeKeys, ...]
    members: tuple[ReceiptKey, ...]
    trust: CommitteeTrust
    consensus: Consensus

    def sign(
        self, consensus: Consensus, *, members: tuple[int, ...] = (0, 1, 2)
    ) -> SignedConsensus:
        parts = {i: sign_consensus(consensus, self.members[i]) for i in members}
        bitmap, signatures = join_signatures(parts)
        return SignedConsensus(consensus, bitmap, signatures)


def make_network(
    roles: tuple[Role, ...] = ROLES,
    *,
    weights: dict[int, int] | None = None,
    period: int = PERIOD,
    parameters: NetworkParameters = PARAMETERS,
) -> TestNetwork:
    nodes = tuple(NodeKeys.make(index, role) for index, role in enumerate(roles, start=1))
    members = tuple(ReceiptKey.generate() for _ in range(4))
    trust = CommitteeTrust(CHAIN_ID, COMMITTEE, tuple(key.address for key in members), 3)
    consensus = build_consensus(
        period,
        [
            node.descriptor(
                period=period,
                published=period - 10,
                ticket_until=period + 86_400,
                online_until=period + 30 * 86_400,
                parameters=parameters,
                clients=800 if node.role is Role.ENTRY else 0,
            )
            for node in nodes
        ],
        {node.index: node.entry() for node in nodes},
        {node.index: 80_000 for node in nodes},
        parameters,
        network=NETWORK,
        epoch=3,
        weights=weights or {node.index: 1000 * node.index for node in nodes},
        reachable={node.index for node in nodes},
        min_version="0.1.0",
    )
    return TestNetwork(nodes, members, trust, consensus)
