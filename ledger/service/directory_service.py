"""Consensuses: build, check and publish the directory of a period."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from ledger.domain.directory import DirectoryInput, DirectoryView, assemble, serves_circuits
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import BadDataError, NotReadyError, PeerError
from ledger.service.member import Member
from ledger.service.peers import MAX_ANSWER_BYTES, Peers
from ledger.service.states import States
from qnet import cbor
from qnet.errors import DecodeError, RemoteProtocolError
from qnet.messages.assembly import DESCRIPTOR_INTERVALS, check_descriptor
from qnet.messages.consensus import MAX_NODES, Consensus, SignedConsensus
from qnet.messages.descriptor import SignedDescriptor
from qnet.messages.errors import DescriptorRefusedError

DESCRIPTORS_PATH: Final = "/v1/peer/descriptors"
REACH_TIMEOUT_S: Final = 1.5
REACH_PARALLEL: Final = 64
FIRST_WAIT_TIMEOUTS: Final = 3
"""The first consensus waits this many agreement timeouts for nodes that are still starting."""

_log = structlog.get_logger(__name__)


class DirectoryService:
    """The member's part in consensuses; implements `TopicHandler`.

    Args:
        member: ours.
        peers: the others.
        states: network states by report hash.
    """

    def __init__(self, member: Member, peers: Peers, states: States) -> None:
        self._member = member
        self._peers = peers
        self._states = states
        self._built: dict[bytes, Consensus] = {}
        self._viable_since: float | None = None

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Propose the consensus of a period from everything the committee has received.

        Raises:
            NotReadyError: too few nodes have a valid descriptor and answer.
        """
        period = topic.period
        await self._pull()
        block = await self._member.reader.finalized()
        view = await self._member.reader.directory_view(block)
        known = await self._admissible(period, view)
        reachable = await self._reach(known)
        proposal = DirectoryInput(
            period,
            block.number,
            block.hash,
            tuple(signed.encode() for signed in known),
            tuple(sorted(reachable)),
        )
        if not reachable:
            raise NotReadyError("no node with a valid descriptor answers")
        consensus = await self._assemble(proposal, view)
        await self._check_viable(consensus, view)
        self._keep(consensus)
        return consensus.digest, proposal.encode()

    async def check(self, topic: Topic, digest: bytes, document: bytes, *, certified: bool) -> None:
        """Refuse a proposal that is not what its inputs give, or leaves out a node.

        Raises:
            QnetError: with the reason.
        """
        proposal = DirectoryInput.decode(document)
        if proposal.valid_after != topic.period:
            raise BadDataError("the proposal is of another period")
        view = await self._view_of(proposal)
        consensus = await self._assemble(proposal, view)
        if consensus.digest != digest:
            raise BadDataError("the inputs give another consensus")
        if not certified:
            if not serves_circuits(consensus):
                raise BadDataError("the consensus cannot serve circuits")
            await self._check_omissions(proposal, view)
        self._keep(consensus)

    async def decided(self, topic: Topic, decision: Decision) -> None:
        """Publish the consensus and note the transaction that anchors it."""
        consensus = self._built.get(decision.digest)
        if consensus is None:
            proposal = DirectoryInput.decode(decision.document)
            consensus = await self._assemble(proposal, await self._view_of(proposal))
            if consensus.digest != decision.digest:
                raise RemoteProtocolError("a decided consensus does not follow from its inputs")
        period = topic.period
        signed = SignedConsensus(consensus, decision.bitmap, decision.signatures)
        committee = self._member.reader.contracts.committee
        call = committee.anchor(period, consensus.hash, decision.bitmap, decision.signatures)
        oldest = period - 2 * DESCRIPTOR_INTERVALS * consensus.interval_s
        async with self._member.work() as rows:
            new = await rows.consensuses.add(period, consensus.hash, signed.encode())
            await rows.outbox.add(
                "anchor",
                period,
                target=committee.address,
                call=call.data,
                label=f"anchor the consensus of {period}",
                not_before=self._member.now() + self._member.delay(topic),
            )
            await rows.descriptors.forget(oldest)
            await rows.agreements.trim(Kind.CONSENSUS, oldest)
        if new:
            _log.info("consensus", valid_after=period, nodes=len(consensus.nodes))

    # ---- parts -------------------------------------------------------------------------------

    async def _view_of(self, proposal: DirectoryInput) -> DirectoryView:
        reader = self._member.reader
        if not await reader.check_block(proposal.block_number, proposal.block_hash):
            raise BadDataError("the proposal's block is not on our chain")
        block = await reader.contracts.client.block(proposal.block_number)
        return await reader.directory_view(block)

    async def _assemble(self, proposal: DirectoryInput, view: DirectoryView) -> Consensus:
        return assemble(
            proposal,
            view,
            await self._states.after(view.report_hash),
            network=self._member.facts.network,
            epoch=self._member.clock.epoch_at(proposal.valid_after),
        )

    async def _check_viable(self, consensus: Consensus, view: DirectoryView) -> None:
        """Whether it is worth publishing; the first one waits a little for all nodes."""
        if not serves_circuits(consensus):
            raise NotReadyError(
                f"{len(consensus.nodes)} nodes are ready, one entry, relay and exit are needed"
            )
        async with self._member.work() as rows:
            has_one = await rows.consensuses.get() is not None
        if has_one or len(consensus.nodes) >= len(view.active):
            return
        now = self._member.now()
        if self._viable_since is None:
            self._viable_since = now
        patience = FIRST_WAIT_TIMEOUTS * self._member.parameters.agreement_timeout_s
        if now - self._viable_since < patience:
            raise NotReadyError(f"waiting for {len(view.active) - len(consensus.nodes)} more nodes")

    async def _check_omissions(self, proposal: DirectoryInput, view: DirectoryView) -> None:
        """Refuse to leave out a node whose descriptor we held in time and that answers us."""
        listed = set(proposal.reachable)
        missing = [
            signed
            for signed in await self._admissible(proposal.valid_after, view, in_time=True)
            if signed.descriptor.index not in listed
        ]
        reached = await self._reach(missing)
        if reached:
            raise BadDataError(f"the proposal leaves out {len(reached)} nodes that answer")

    async def _admissible(
        self, period: int, view: DirectoryView, *, in_time: bool = False
    ) -> list[SignedDescriptor]:
        """Newest descriptors that may be listed; `in_time`: only those held at the period.

        A node publishes for the period after next as soon as this one's are due, so its newest
        descriptor may be too new for this period.
        """
        since = period - DESCRIPTOR_INTERVALS * view.parameters.consensus_interval_s
        async with self._member.work() as rows:
            stored = await rows.descriptors.since(since)
        found: dict[int, SignedDescriptor] = {}
        for wire, received_at in stored:
            signed = SignedDescriptor.decode(wire)
            if signed.descriptor.index in found:
                continue
            try:
                check_descriptor(
                    signed,
                    view.registry.get(signed.descriptor.index),
                    network=self._member.facts.network,
                    period=period,
                    parameters=view.parameters,
                )
            except DescriptorRefusedError:
                continue
            if not in_time or received_at <= period:
                found[signed.descriptor.index] = signed
        return list(found.values())

    async def _pull(self) -> None:
        """Fetch the other members' descriptors; who does not answer is left out."""
        answers = await asyncio.gather(
            *(self._peers.call(peer, DESCRIPTORS_PATH, b"\xf6") for peer in self._peers.others),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, PeerError):
                continue
            if isinstance(answer, BaseException):
                raise answer
            await self.store_all(answer)

    async def store_all(self, data: bytes) -> None:
        """Store a member's list of descriptors; bad ones are left out."""
        try:
            items = cbor.loads(data, max_bytes=MAX_ANSWER_BYTES, max_depth=1)
        except DecodeError:
            return
        if not isinstance(items, list) or len(items) > MAX_NODES:
            return
        now = self._member.now()
        signed = []
        for item in items:
            try:
                signed.append(SignedDescriptor.decode(item if isinstance(item, bytes) else b""))
            except RemoteProtocolError:
                continue
        async with self._member.work() as rows:
            for descriptor in signed:
                await rows.descriptors.add(descriptor, now)

    async def _reach(self, descriptors: Sequence[SignedDescriptor]) -> set[int]:
        """Indexes of the nodes whose port takes a connection."""
        turns = asyncio.Semaphore(REACH_PARALLEL)

        async def one(signed: SignedDescriptor) -> int | None:
            node = signed.descriptor
            async with turns:
                try:
                    async with asyncio.timeout(REACH_TIMEOUT_S):
                        _, writer = await asyncio.open_connection(node.host, node.port)
                except (OSError, TimeoutError):
                    return None
                writer.transport.abort()
                return node.index

        found = await asyncio.gather(*(one(signed) for signed in descriptors))
        return {index for index in found if index is not None}

    def _keep(self, consensus: Consensus) -> None:
        if len(self._built) >= 8:
            self._built.clear()
        self._built[consensus.digest] = consensus
