"""What a node does for the directory beside serving it: descriptors, committee, evidence.

After each consensus it makes the differences that clients will ask for, fetches what it caches,
compares the consensus with every member's, and hands proofs of contradictions to the committee.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from node.io.evidence import EvidenceStore
from node.io.ledger_client import LedgerClient
from node.view import Conflict, NetworkView
from qnet.errors import QnetError
from qnet.messages.consensus import Consensus
from qnet.messages.descriptor import SignedDescriptor
from qnet.messages.errors import ConsensusConflictError
from qnet.messages.succession import decode_changes

SETTLE_S = 2.0
"""Members are compared this long after a consensus, when each of them has it."""
SUBMIT_RETRY_S = 30.0
MAX_PAGES = 64

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DirectoryUpkeep:
    """Directory work of one node.

    Attributes:
        view: The network.
        ledger: The committee.
        evidence: Where proofs are kept.
        settle_s: Time between a consensus and the comparison of members.
        submitted: Digests of the proofs that members took.
    """

    view: NetworkView
    ledger: LedgerClient
    evidence: EvidenceStore
    settle_s: float = SETTLE_S
    submitted: set[bytes] = field(default_factory=set)
    _fresh: asyncio.Event = field(default_factory=asyncio.Event)
    _proved: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of_home(cls, home: Path, view: NetworkView, ledger: LedgerClient) -> DirectoryUpkeep:
        """Work for the node of a home; listens to its view from now on."""
        made = cls(view, ledger, EvidenceStore(home / "state" / "evidence"))
        made.listen()
        return made

    def listen(self) -> None:
        """Follow the view, and take up what earlier runs have proved."""
        self.view.on_change(self._changed)
        self.view.on_conflict(self._conflicting)
        for stored in self.evidence.load():
            self.view.conflicts.setdefault(stored.evidence.digest, stored.evidence)
            self._proved.set()

    def loops(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Everything that has to run."""
        return (self.follow, self.submit)

    async def follow(self) -> None:
        """Do the work of each consensus, for ever."""
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            await asyncio.to_thread(self.view.cache.prepare)
            await self.follow_committee()
            await self._fetch_descriptors()
            await asyncio.sleep(self.settle_s)
            await self._compare_members()

    async def submit(self) -> None:
        """Send every proof to the committee until a member has taken it, for ever."""
        while True:
            await self._proved.wait()
            self._proved.clear()
            for digest, proof in list(self.view.conflicts.items()):
                if digest in self.submitted:
                    continue
                if await self.ledger.submit_evidence(proof.encode()):
                    self.submitted.add(digest)
                    _log.warning("evidence submitted", period=proof.period)
                else:
                    self._proved.set()
            if self._proved.is_set():
                await asyncio.sleep(SUBMIT_RETRY_S)

    async def follow_committee(self) -> None:
        """Learn of changes of the committee, and serve their certificates."""
        data = await self.ledger.committee_changes()
        if data is None:
            return
        try:
            changes = decode_changes(data)
            self.view.follow(changes)
            self.view.serve_changes(changes)
        except QnetError as error:
            _log.warning("committee changes are not used", cause=error.message)

    async def _fetch_descriptors(self) -> None:
        held = self.view.held
        if held is None:
            return
        after = 0
        for _ in range(MAX_PAGES):
            page = await self.ledger.descriptors(after)
            known = [self._keep(wire, held.consensus) for wire in page]
            if not known or max(known) <= after:
                return
            after = max(known)

    def _keep(self, wire: bytes, consensus: Consensus) -> int:
        """Cache a descriptor; returns its index, 0 if it is malformed."""
        try:
            signed = SignedDescriptor.decode(wire)
        except QnetError as error:
            _log.info("bad descriptor", cause=error.message)
            return 0
        self.view.cache.descriptors.store(signed, consensus)
        return signed.descriptor.index

    async def _compare_members(self) -> None:
        """Look whether a member serves another consensus of the period than the one held."""
        async for wire in self.ledger.consensus_of_each(self.view.valid_after):
            try:
                signed = await asyncio.to_thread(self.view.read, wire)
                self.view.take(signed)
            except ConsensusConflictError:
                continue  # kept and submitted by the listener
            except QnetError as error:
                _log.info("a member's consensus is not used", cause=error.message)

    def _changed(self, _consensus: Consensus) -> None:
        self._fresh.set()

    def _conflicting(self, conflict: Conflict) -> None:
        self.evidence.keep(conflict)
        self._proved.set()
