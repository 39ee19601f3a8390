"""Typed wrapper of StakeHub: bonds, delegation, tickets, settlement, votes of staked tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from qnet.chain.contract import vrs
from qnet.chain.pausing import PausingContract
from qnet.chain.values import BlockTag, Call
from qnet.messages.report import NodeLeaf

TICKETS_MAX: Final = 16
"""Waiting tickets of an account, numbered from 0; also the most liens it may have."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Tokens on their way out of a bond or a pool.

    Args:
        number: 0 to 15, unique among the account's waiting tickets.
        index: node they left.
        from_bond: whether they left its bond, else its pool.
        epoch: last epoch in which they counted.
        amount_wei: what it pays now, slashes taken off.
        unlocks_at_s: unix time from which it can be withdrawn.
    """

    number: int
    index: int
    from_bond: bool
    epoch: int
    amount_wei: int
    unlocks_at_s: int


@dataclass(frozen=True, slots=True)
class Position:
    """A delegation.

    Args:
        shares: shares of the node's pool.
        principal_wei: what of it votes.
        worth_wei: what the shares are worth now.
    """

    shares: int
    principal_wei: int
    worth_wei: int


@dataclass(frozen=True, slots=True)
class Terms:
    """How a node shares its rewards: wei per epoch first, then a margin in ppm."""

    cost_wei: int
    margin_ppm: int


@dataclass(frozen=True, slots=True)
class Lien:
    """Redelegated shares that stay slashable where they came from, until `unlocks_at_s`."""

    source: int
    target: int
    epoch: int
    slashes_seen: int
    unlocks_at_s: int
    shares: int


class StakeHub(PausingContract):
    """Bonds, pools, unbonding tickets, settlement of rewards and votes of staked tokens."""

    NAME: ClassVar[str] = "StakeHub"

    # -- stake of nodes --------------------------------------------------------------------

    async def bond_of(self, index: int, at: BlockTag = "latest") -> int:
        """Own bond of a node, in wei."""
        return int(await self._read("bondOf", index, at=at))

    async def bond_at(self, index: int, timestamp_s: int, at: BlockTag = "latest") -> int:
        """Own bond of a node at a time in the past, in wei."""
        return int(await self._read("bondAt", index, timestamp_s, at=at))

    async def pool_of(self, index: int, at: BlockTag = "latest") -> int:
        """Pool of a node without rewards that still stream, in wei."""
        return int(await self._read("poolOf", index, at=at))

    async def pool_at(self, index: int, timestamp_s: int, at: BlockTag = "latest") -> int:
        """Pool of a node as last checkpointed up to a time in the past, in wei."""
        return int(await self._read("poolAt", index, timestamp_s, at=at))

    async def stake_of(self, index: int, at: BlockTag = "latest") -> int:
        """Stake that counts now: the bond, and the pool up to a multiple of it, in wei."""
        return int(await self._read("stakeOf", index, at=at))

    async def slashable_of(self, index: int, epoch: int, at: BlockTag = "latest") -> int:
        """What a slash for something in an epoch can reach, in wei."""
        return int(await self._read("slashableOf", index, epoch, at=at))

    async def total_bonded(self, at: BlockTag = "latest") -> int:
        """All bonds and delegations that vote, in wei."""
        return int(await self._read("totalBonded", at=at))

    async def shares_of(self, index: int, at: BlockTag = "latest") -> int:
        """All shares of a node's pool."""
        return int(await self._read("sharesOf", index, at=at))

    async def stream_of(self, index: int, at: BlockTag = "latest") -> tuple[int, int]:
        """Rewards of a pool that still stream (wei), and when they end (unix seconds)."""
        unstreamed, ends_at = await self._read("streamOf", index, at=at)
        return unstreamed, ends_at

    async def terms_at(self, index: int, epoch: int, at: BlockTag = "latest") -> Terms:
        """Terms of a node in an epoch."""
        return Terms(*await self._read("termsAt", index, epoch, at=at))

    async def latest_terms_of(self, index: int, at: BlockTag = "latest") -> tuple[Terms, int]:
        """Latest terms of a node, and the epoch from which they count."""
        cost, margin, from_epoch = await self._read("termsOf", index, at=at)
        return Terms(cost, margin), from_epoch

    async def slash_count_of(self, index: int, at: BlockTag = "latest") -> int:
        """Slashes of a node so far."""
        return int(await self._read("slashCountOf", index, at=at))

    async def freezes_of(self, index: int, at: BlockTag = "latest") -> int:
        """Slashes of a node in escrow; its tickets wait while there are any."""
        return int(await self._read("freezesOf", index, at=at))

    # -- stake of accounts -----------------------------------------------------------------

    async def position_of(self, account: bytes, index: int, at: BlockTag = "latest") -> Position:
        """An account's delegation to a node; all zero if there is none."""
        return Position(*await self._read("positionOf", account, index, at=at))

    async def ticket(self, account: bytes, number: int, at: BlockTag = "latest") -> Ticket:
        """Read a waiting ticket; one that does not exist has node 0."""
        return Ticket(number, *await self._read("ticketOf", account, number, at=at))

    async def tickets_of(self, account: bytes, at: BlockTag = "latest") -> list[Ticket]:
        """Read an account's waiting tickets, in order of number."""
        bitmap = int(await self._read("ticketsOf", account, at=at))
        numbers = [number for number in range(TICKETS_MAX) if bitmap >> number & 1]
        return [await self.ticket(account, number, at) for number in numbers]

    async def liens_of(self, account: bytes, at: BlockTag = "latest") -> list[Lien]:
        """Read the liens on an account's redelegated shares."""
        return [Lien(*fields) for fields in await self._read("liensOf", account, at=at)]

    # -- rewards ---------------------------------------------------------------------------

    async def owed(self, index: int, at: BlockTag = "latest") -> int:
        """Settled and not yet claimed by the operator, in wei."""
        return int(await self._read("owed", index, at=at))

    async def settled_cumulative(self, index: int, at: BlockTag = "latest") -> tuple[int, int]:
        """All that was ever settled: (operator, pool), in wei."""
        operator, pool = await self._read("settledCum", index, at=at)
        return operator, pool

    async def settled_through(self, index: int, at: BlockTag = "latest") -> int:
        """Latest epoch a settled leaf came from, plus one; 0 if there was none."""
        return int(await self._read("settledThrough", index, at=at))

    async def reputation_of(self, index: int, at: BlockTag = "latest") -> int:
        """Reputation of a node as of its last settled leaf, in ppm."""
        return int(await self._read("reputationOf", index, at=at))

    # -- votes -----------------------------------------------------------------------------

    async def votes(self, account: bytes, at: BlockTag = "latest") -> int:
        """Votes of staked tokens that count for an account now, in wei."""
        return int(await self._read("getVotes", account, at=at))

    async def past_votes(self, account: bytes, timestamp_s: int) -> int:
        """Votes of staked tokens that counted at a time in the past, in wei."""
        return int(await self._read("getPastVotes", account, timestamp_s))

    async def delegate_of(self, account: bytes) -> bytes:
        """Whom an account lets vote with its staked tokens."""
        return bytes(await self._read("delegates", account))

    def delegate_votes(self, delegatee: bytes) -> Call:
        """Let `delegatee` vote with the sender's staked tokens."""
        return self._write("delegateVotes", delegatee)

    # -- moving tokens ---------------------------------------------------------------------

    def bond(self, index: int, amount_wei: int) -> Call:
        """Bond the sender's tokens (approved before) to its node."""
        return self._write("bond", index, amount_wei)

    def bond_with_permit(self, index: int, amount_wei: int, deadline_s: int, permit: bytes) -> Call:
        """Bond with a signed permit (65 bytes) instead of an approval."""
        return self._write("bondWithPermit", index, amount_wei, deadline_s, *vrs(permit))

    def unbond(self, index: int, amount_wei: int) -> Call:
        """Start to take tokens back; makes a ticket."""
        return self._write("unbond", index, amount_wei)

    def delegate(self, index: int, amount_wei: int, min_shares: int = 0) -> Call:
        """Put the sender's tokens (approved before) into a node's pool."""
        return self._write("delegate", index, amount_wei, min_shares)

    def delegate_with_permit(
        self, index: int, amount_wei: int, min_shares: int, deadline_s: int, permit: bytes
    ) -> Call:
        """Delegate with a signed permit (65 bytes) instead of an approval."""
        return self._write(
            "delegateWithPermit", index, amount_wei, min_shares, deadline_s, *vrs(permit)
        )

    def undelegate(self, index: int, shares: int) -> Call:
        """Take shares out of a node's pool; makes a ticket."""
        return self._write("undelegate", index, shares)

    def redelegate(self, source: int, target: int, shares: int, min_shares: int = 0) -> Call:
        """Move shares to another node's pool at once; makes a lien."""
        return self._write("redelegate", source, target, shares, min_shares)

    def withdraw(self, ticket: int) -> Call:
        """Take the tokens of a ticket of the sender whose time has come."""
        return self._write("withdraw", ticket)

    def poke(self, account: bytes, index: int) -> Call:
        """Bring a delegation up to date: slashes, liens, votes, the pool's checkpoint."""
        return self._write("poke", account, index)

    def set_terms(self, index: int, terms: Terms) -> Call:
        """Say how the sender's node shares its rewards."""
        return self._write("setTerms", index, terms.cost_wei, terms.margin_ppm)

    def settle_node(self, leaf: NodeLeaf, proof: Sequence[bytes]) -> Call:
        """Credit a node with what a final report says; anybody may send it."""
        return self._write("settleNode", leaf.values(), list(proof))

    def claim_operator(self, index: int) -> Call:
        """Pay what is owed to the node's payout account."""
        return self._write("claimOperator", index)
