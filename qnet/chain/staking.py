"""Typed wrappers of NodeRegistry and StakeHub."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from qnet.chain.contract import Contract
from qnet.chain.values import BlockTag, Call
from qnet.eip712 import digest, qnet_domain
from qnet.messages.report import NodeLeaf

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
class Ticket:
    """Unbonded tokens on their way back."""

    ticket_id: int
    owner: bytes
    index: int
    amount_wei: int
    unlocks_at_s: int


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
        """Register a node of the sender; `proof` is the receipt key's 65-byte signature."""
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

    def retire(self, index: int) -> Call:
        """End a node's service for good."""
        return self._write("retire", index)

    def unjail(self, index: int) -> Call:
        """Return to service when the term is over."""
        return self._write("unjail", index)


class StakeHub(Contract):
    """Bonds, unbonding tickets, settlement of rewards and votes of staked tokens."""

    NAME: ClassVar[str] = "StakeHub"

    async def bond_of(self, index: int, at: BlockTag = "latest") -> int:
        """Own bond of a node, in wei."""
        return int(await self._read("bondOf", index, at=at))

    async def bond_at(self, index: int, timestamp_s: int) -> int:
        """Own bond of a node at a time in the past, in wei."""
        return int(await self._read("bondAt", index, timestamp_s))

    async def total_bonded(self, at: BlockTag = "latest") -> int:
        """All bonds together, in wei."""
        return int(await self._read("totalBonded", at=at))

    async def ticket(self, ticket_id: int) -> Ticket:
        """Read an unbonding ticket; one that was withdrawn or never existed has no amount."""
        owner, index, amount, unlocks_at = await self._read("ticket", ticket_id)
        return Ticket(ticket_id, owner, index, amount, unlocks_at)

    async def tickets_of(self, account: bytes) -> list[Ticket]:
        """Read an account's open tickets."""
        return [await self.ticket(ticket) for ticket in await self._read("ticketsOf", account)]

    async def owed(self, index: int, at: BlockTag = "latest") -> int:
        """Settled and not yet claimed by the operator, in wei."""
        return int(await self._read("owed", index, at=at))

    async def settled_cumulative(self, index: int, at: BlockTag = "latest") -> tuple[int, int]:
        """All that was ever settled: (operator, pool), in wei."""
        operator, pool = await self._read("settledCum", index, at=at)
        return operator, pool

    async def settled_through(self, index: int, at: BlockTag = "latest") -> int:
        """The contract's `settledThrough`: how far a node is settled."""
        return int(await self._read("settledThrough", index, at=at))

    async def votes(self, account: bytes, at: BlockTag = "latest") -> int:
        """Votes of staked tokens that count for an account now, in wei."""
        return int(await self._read("getVotes", account, at=at))

    async def past_votes(self, account: bytes, timestamp_s: int) -> int:
        """Votes of staked tokens that counted at a time in the past, in wei."""
        return int(await self._read("getPastVotes", account, timestamp_s))

    async def past_total_supply(self, timestamp_s: int) -> int:
        """Staked tokens with a vote at a time in the past, in wei."""
        return int(await self._read("getPastTotalSupply", timestamp_s))

    async def delegate_of(self, account: bytes) -> bytes:
        """Whom an account lets vote with its staked tokens."""
        return bytes(await self._read("delegates", account))

    def bond(self, index: int, amount_wei: int) -> Call:
        """Bond the sender's tokens (approved before) to its node."""
        return self._write("bond", index, amount_wei)

    def bond_with_permit(self, index: int, amount_wei: int, deadline_s: int, permit: bytes) -> Call:
        """Bond with a signed permit (65 bytes) instead of an approval."""
        r, s, v = permit[:32], permit[32:64], permit[64]
        return self._write("bondWithPermit", index, amount_wei, deadline_s, v, r, s)

    def unbond(self, index: int, amount_wei: int) -> Call:
        """Start to take tokens back; makes a ticket."""
        return self._write("unbond", index, amount_wei)

    def withdraw(self, ticket_id: int) -> Call:
        """Take the tokens of a ticket whose time has come."""
        return self._write("withdraw", ticket_id)

    def delegate(self, delegatee: bytes) -> Call:
        """Let `delegatee` vote with the sender's staked tokens."""
        return self._write("delegate", delegatee)

    def settle_node(self, leaf: NodeLeaf, proof: Sequence[bytes]) -> Call:
        """Credit a node with what a final report says; anybody may send it."""
        return self._write("settleNode", leaf.values(), list(proof))

    def claim_operator(self, index: int) -> Call:
        """Pay what is owed to the node's payout account."""
        return self._write("claimOperator", index)
