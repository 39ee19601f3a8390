"""What the ledger reads from the chain, always at finalized blocks."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from ledger.domain.directory import DirectoryView
from ledger.domain.state import ChainSnapshot, NodeState, NodeView
from ledger.errors import NotReadyError
from qnet.chain.contracts import Contracts
from qnet.chain.errors import ChainRestartedError
from qnet.chain.reporting import CommitteeMember
from qnet.chain.staking import RegisteredNode
from qnet.chain.values import Block, BlockTag
from qnet.epochs import EpochClock
from qnet.messages.assembly import Network, RegistryEntry
from qnet.messages.consensus import CommitteeTrust
from qnet.messages.descriptor import Role
from qnet.messages.succession import set_at
from qnet.messages.trust import NO_SIGNER
from qnet.parameters import NetworkParameters

FIRST_VERSION: Final = "0.1.0"
"""Least version until holders publish one."""
PARALLEL_READS: Final = 8
KEPT_KEYS: Final = 100_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What we know of the network; only the committee changes while the program runs.

    Args:
        network: chain and contracts.
        oracle: ReportOracle, 20 bytes.
        trust: the committee, without seats whose signatures do not count.
        auditors: signing addresses of all its seats, from which a report draws auditors.
        clock: the calendar.
    """

    network: Network
    oracle: bytes
    trust: CommitteeTrust
    auditors: tuple[bytes, ...]
    clock: EpochClock


@dataclass(frozen=True, slots=True)
class Course:
    """Which report comes next.

    Args:
        epoch: of that report.
        attempt: of that report.
        previous: hash of the report before it, zeros for none, 32 bytes.
    """

    epoch: int
    attempt: int
    previous: bytes


class ChainReader:
    """Reads registry, stakes and calendar.

    Args:
        contracts: of this network.
    """

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self._turns = asyncio.Semaphore(PARALLEL_READS)
        self._view: DirectoryView | None = None
        self._keys: dict[tuple[int, int], bytes] = {}

    async def check_chain(self) -> None:
        """Refuse a chain that began anew since we connected to it.

        Raises:
            ChainRestartedError: its first block is another one.
        """
        client = self.contracts.client
        if (await client.block(0)).hash != client.genesis_hash:
            raise ChainRestartedError(
                "the chain was restarted while we ran: its first block is another one",
                why="nothing we know and nothing we signed belongs to this chain",
                try_=("point `rpc` at the old chain", "or deploy again and start with empty homes"),
            )

    async def facts(self) -> NetworkFacts:
        """Read chain id, contracts, committee and calendar."""
        contracts = self.contracts
        block = await self.finalized()
        seats = await self.seats(block)
        return NetworkFacts(
            network=Network(
                contracts.client.chain_id, contracts.committee.address, contracts.registry.address
            ),
            oracle=contracts.oracle.address,
            trust=self.live_set(seats, block.timestamp),
            auditors=self.set_of(seats, block.timestamp).signers,
            clock=await contracts.epochs.clock(),
        )

    async def seats(self, block: Block) -> list[CommitteeMember]:
        """Every seat of the committee, past and future, as a block has them."""
        return await self.contracts.committee.members(block.number)

    def set_of(self, seats: Sequence[CommitteeMember], time: int) -> CommitteeTrust:
        """Whose signatures count at a time (unix seconds)."""
        return set_at(
            seats,
            time,
            chain_id=self.contracts.client.chain_id,
            committee=self.contracts.committee.address,
        )

    def live_set(self, seats: Sequence[CommitteeMember], time: int) -> CommitteeTrust:
        """The same without those whose signatures the contract does not take (QN-AGR-042).

        Where the others are no quorum, as before the first bonds are final, nothing can be decided
        on chain at all, and the set stays whole.
        """
        trust = self.set_of(seats, time)
        dead = {seat.index for seat in seats if seat.suspended or not seat.bonded}
        signers = tuple(
            NO_SIGNER if place in dead else signer for place, signer in enumerate(trust.signers)
        )
        live = sum(signer != NO_SIGNER for signer in signers)
        return replace(trust, signers=signers) if live >= trust.quorum else trust

    async def finalized(self) -> Block:
        """The newest finalized block."""
        return await self.contracts.client.block("finalized")

    async def check_block(self, number: int, hash_: bytes) -> bool:
        """Whether a block of this number and hash is final on our node.

        Raises:
            NotReadyError: our node has not come that far.
        """
        if (await self.finalized()).number < number:
            raise NotReadyError(f"block {number} is not final here yet")
        try:
            return (await self.contracts.client.block(number)).hash == hash_
        except ChainRestartedError:
            return False

    async def directory_view(self, block: Block) -> DirectoryView:
        """Read registry, stakes and parameters at a block; the last one read is kept."""
        kept = self._view
        if kept is not None and (kept.block_number, kept.block_hash) == (block.number, block.hash):
            return kept
        contracts, at = self.contracts, block.number
        epoch = await contracts.epochs.current_epoch(at)
        nodes = await self._nodes(await contracts.registry.count(at), at)
        keys = await self._all(
            [partial(contracts.registry.receipt_key_at, node.index, epoch, at) for node in nodes]
        )
        stakes = await self._all(
            [partial(contracts.hub.stake_of, node.index, at) for node in nodes]
        )
        view = DirectoryView(
            block_number=block.number,
            block_hash=block.hash,
            parameters=await contracts.parameters.all(at),
            report_hash=await contracts.oracle.last_report_hash(at),
            min_version=await contracts.versions.minimum_version(epoch) or FIRST_VERSION,
            registry={node.index: _entry(node, key) for node, key in zip(nodes, keys, strict=True)},
            stakes_wei={node.index: stake for node, stake in zip(nodes, stakes, strict=True)},
        )
        self._view = view
        return view

    async def course(self, at: BlockTag) -> Course:
        """Which report comes next, as a block has it."""
        oracle = self.contracts.oracle
        epoch = await oracle.next_epoch(at)
        attempt = await oracle.attempt_of(epoch, at)
        return Course(epoch, attempt, await oracle.last_report_hash(at))

    async def snapshot(self, epoch: int, block: Block, *, clock: EpochClock) -> ChainSnapshot:
        """Read everything a report rests on at a block (QN-REW-001).

        Raises:
            NotReadyError: the epoch is not started at that block, or not over.
        """
        contracts, at = self.contracts, block.number
        start, end = clock.epoch_bounds(epoch)
        info = await contracts.epochs.info(epoch, at)
        if info.started_at_s == 0 or block.timestamp <= end:
            raise NotReadyError(f"epoch {epoch} is not started and over at block {at}")
        count = await contracts.epochs.node_count_of(epoch, at)
        nodes = [
            partial(self._node_view, index, epoch, start, end, at) for index in range(1, count + 1)
        ]
        return ChainSnapshot(
            chain_id=contracts.client.chain_id,
            oracle=contracts.oracle.address,
            block_number=block.number,
            block_hash=block.hash,
            epoch=epoch,
            attempt=await contracts.oracle.attempt_of(epoch, at),
            params_hash=info.params_hash,
            reveal=info.reveal,
            budget_wei=info.budget_wei,
            prev_report_hash=await contracts.oracle.last_report_hash(at),
            members=self.set_of(await self.seats(block), start).signers,
            nodes=tuple(await self._all(nodes)),
        )

    async def _node_view(self, index: int, epoch: int, start: int, end: int, at: int) -> NodeView:
        """One node in an epoch, from facts of the past that no later block changes."""
        registry, hub = self.contracts.registry, self.contracts.hub
        node = await registry.node(index, at)
        status = await registry.status_at(index, epoch, at)
        terms = await hub.terms_at(index, epoch, at)
        return NodeView(
            index=index,
            owner=node.owner,
            role=Role(int(node.role)),
            state=NodeState(int(status.state)),
            slot=status.has_slot,
            receipt_key=await registry.receipt_key_at(index, epoch, at),
            bond_start_wei=await hub.bond_at(index, start, at),
            bond_end_wei=await hub.bond_at(index, end, at),
            pool_start_wei=await hub.pool_at(index, start, at),
            pool_end_wei=await hub.pool_at(index, end, at),
            cost_wei=terms.cost_wei,
            margin_ppm=terms.margin_ppm,
        )

    async def receipt_key(self, index: int, epoch: int) -> bytes | None:
        """Receipt key of a node in an epoch, None if there is no such node.

        Keys change from the next epoch on only, so an answer stays right.
        """
        known = self._keys.get((index, epoch))
        if known is not None:
            return known
        if not 1 <= index <= await self.contracts.registry.count():
            return None
        key = await self.contracts.registry.receipt_key_at(index, epoch)
        if len(self._keys) > KEPT_KEYS:
            self._keys.clear()
        self._keys[index, epoch] = key
        return key

    async def registered(self, index: int) -> RegisteredNode | None:
        """A node as the registry holds it now, None if there is none."""
        if not 1 <= index <= await self.contracts.registry.count():
            return None
        return await self.contracts.registry.node(index)

    async def parameters(self) -> NetworkParameters:
        """Parameters in force at the newest finalized block."""
        return await self.contracts.parameters.all("finalized")

    async def parameters_hash(self) -> bytes:
        """Hash of the parameters in force at the newest finalized block, 32 bytes."""
        return await self.contracts.parameters.hash("finalized")

    async def _nodes(self, count: int, at: int) -> list[RegisteredNode]:
        registry = self.contracts.registry
        return await self._all([partial(registry.node, index, at) for index in range(1, count + 1)])

    async def _all(self, reads: Sequence[Callable[[], Coroutine[Any, Any, _T]]]) -> list[_T]:
        """Carry out reads, a few at a time, in order."""

        async def one(read: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
            async with self._turns:
                return await read()

        return list(await asyncio.gather(*(one(read) for read in reads)))


def _entry(node: RegisteredNode, receipt_key: bytes) -> RegistryEntry:
    return RegistryEntry(
        index=node.index,
        node_id=node.node_id,
        identity=node.identity_key,
        owner=node.owner,
        role=Role(int(node.role)),
        active=NodeState(int(node.state)) is NodeState.ACTIVE,
        receipt_address=receipt_key,
        paid_slot=node.has_slot,
    )
