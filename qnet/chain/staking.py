"""Typed wrapper of NodeRegistry."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from qnet.chain.contract import Contract
from qnet.chain.values import BlockTag, Call
from qnet.eip712 import digest, qnet_domain

KEY_PROOF_TYPE: Final = "KeyProof(address owner,bytes32 nodeId,address receiptKey,uint256 deadline)"


class Role(IntEnum):
    """What a node does; the numbers are those of descriptors and contracts."""

    NONE = 0
    ENTRY = 1
    RELAY = 2
    MIX = 3
    EXIT = 4


class NodeState(IntEnum):
    """Where a node stands in its life."""

    NONE = 0
    REGISTERED = 1
    ACTIVE = 2
    RETIRED = 3
    JAILED = 4
    TOMBSTONED = 5


@dataclass(frozen=True, slots=True)
class RegisteredNode:
    """A node as the registry holds it; addresses have 20 bytes, times are unix seconds."""

    index: int
    owner: bytes
    role: Role
    state: NodeState
    since_s: int
    receipt_key: bytes
    payout: bytes
    identity_key: bytes
    node_id: bytes
    has_slot: bool
    jailed_until_s: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node was in an epoch, as of its first second."""

    state: NodeState
    has_slot: bool


class NodeRegistry(Contract):
    """Who runs which node with which keys."""

    NAME: ClassVar[str] = "NodeRegistry"

    async def count(self, at: BlockTag = "latest") -> int:
        """Nodes ever registered; indexes are 1 to this."""
        return int(await self._read("count", at=at))

    async def node(self, index: int, at: BlockTag = "latest") -> RegisteredNode:
        """Read one node.

        Raises:
            ContractError: ``UnknownNode``.
        """
        raw = await self._read("node", index, at=at)
        owner, role, state, since, receipt_key, payout, identity, node_id, slot, jailed = raw
        return RegisteredNode(
            index=index,
            owner=owner,
            role=Role(role),
            state=NodeState(state),
            since_s=since,
            receipt_key=receipt_key,
            payout=payout,
            identity_key=identity,
            node_id=node_id,
            has_slot=slot,
            jailed_until_s=jailed,
        )

    async def nodes(self, at: BlockTag = "latest") -> list[RegisteredNode]:
        """Read all nodes, in order of index."""
        return [await self.node(index, at) for index in range(1, await self.count(at) + 1)]

    async def index_of(self, node_id: bytes, at: BlockTag = "latest") -> int:
        """Index of a node id (32 bytes); 0 if it is not registered."""
        return int(await self._read("indexOf", node_id, at=at))

    async def receipt_key_at(self, index: int, epoch: int, at: BlockTag = "latest") -> bytes:
        """Address that signs a node's receipts in an epoch."""
        return bytes(await self._read("receiptKeyAt", index, epoch, at=at))

    async def status_at(self, index: int, epoch: int, at: BlockTag = "latest") -> NodeStatus:
        """State of a node, and whether it held a paid slot, in an epoch."""
        state, slot = await self._read("statusAt", index, epoch, at=at)
        return NodeStatus(NodeState(state), bool(slot))

    async def is_active(self, index: int, at: BlockTag = "latest") -> bool:
        """Whether a node is bonded and neither retired nor jailed."""
        return bool(await self._read("isActive", index, at=at))

    async def slots_taken(self, role: Role, at: BlockTag = "latest") -> int:
        """Paid slots of a role that are taken."""
        return int(await self._read("slotsTaken", int(role), at=at))

    def key_proof_digest(
        self, owner: bytes, node_id: bytes, receipt_key: bytes, deadline_s: int
    ) -> bytes:
        """Return the 32 bytes that a receipt key signs to belong to a node."""
        domain = qnet_domain(self.client.chain_id, self.address)
        return digest(domain, KEY_PROOF_TYPE, (owner, node_id, receipt_key, deadline_s))

    def register(
        self,
        role: Role,
        *,
        node_id: bytes,
        identity_key: bytes,
        receipt_key: bytes,
        payout: bytes,
        deadline_s: int,
        proof: bytes,
    ) -> Call:
        """Register a node of the sender, who let the registry burn `register_fee_wei` before.

        `proof` is the receipt key's 65-byte signature.
        """
        return self._write(
            "register", int(role), node_id, identity_key, receipt_key, payout, deadline_s, proof
        )

    def rotate_key(self, index: int, new_key: bytes, deadline_s: int, proof: bytes) -> Call:
        """Replace the receipt key from the next epoch on."""
        return self._write("rotateKey", index, new_key, deadline_s, proof)

    def set_payout(self, index: int, payout: bytes) -> Call:
        """Pay future claims to another account."""
        return self._write("setPayout", index, payout)

    def take_slot(self, index: int) -> Call:
        """Take a paid slot that has become free."""
        return self._write("takeSlot", index)

    def take_slot_from(self, index: int, rival: int) -> Call:
        """Take the paid slot of a rival of the same role whose stake is clearly lower."""
        return self._write("takeSlotFrom", index, rival)

    def refresh(self, index: int) -> Call:
        """Make a node active or registered as its bond asks for."""
        return self._write("refresh", index)

    def retire(self, index: int) -> Call:
        """End a node's service for good."""
        return self._write("retire", index)

    def unjail(self, index: int) -> Call:
        """Return to service when the term is over."""
        return self._write("unjail", index)
