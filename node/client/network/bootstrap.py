"""How a client gets and keeps a consensus: cached, then seeds, bridges, and the chain.

Once circuits stand it asks through them, so that no node learns who asks. Whatever comes is
verified by the quorum's signatures before it is used: a hostile source can withhold a consensus,
but neither forge one nor make the client forget another source.

Source: docs/spec/directory.md, sections Bootstrap and Detection.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog

from node.client.network.causes import Causes
from node.client.network.chain_stage import ChainStage
from node.client.network.fetching import Ask, fetch_document
from node.client.network.keeping import EVIDENCE_FOLDER, Keeping
from node.client.network.sources import Sources, over_http, source_name
from node.directory.consensus import cross_check_at, next_refresh_at, overdue_from
from node.directory.exchange import DirRequest, Kind
from node.errors import BootstrapError, ClockError, Stage, StageError
from node.htx.address import HtxAddress
from node.io.ledger_client import LedgerClient
from node.view import NetworkView
from qnet.crypto.kdf import node_id_of
from qnet.errors import CryptoError, DecodeError, NotFoundError, QnetError, RejectedError
from qnet.messages.consensus import SignedConsensus
from qnet.messages.succession import decode_changes
from qnet.sampling import shuffle

__all__ = ["Bootstrap", "fetch_document"]

RETRY_S = 1.0
RETRY_DIVISOR = 60
"""Waiting times between rounds double up to interval / 60."""
NODES_AT_ONCE = 3
"""Seeds or bridges asked at the same time."""
CLOCK_ROUNDS = 3
"""Rounds in which the local clock may contradict the committee before a start is given up."""
FIRST_CHECK_S = 10
"""Once circuits stand, and at the latest then, the first consensus is compared with another's."""
LOOK_S = 15.0
"""Longest sleep: afterwards the clock is looked at again, which may have been set."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Bootstrap:
    """Fetches consensuses.

    Attributes:
        view: Where they are verified and held.
        sources: How nodes are asked.
        seeds: Where to start.
        wall: Unix clock in seconds.
        keeping: What outlives the process: consensus, committee, evidence.
        bridges: Unlisted nodes, asked when no seed helps.
        chain: What the chain says, where an RPC is configured.
        causes: Which sources failed, at which stage and why.
        diffs: Documents that came as differences.
    """

    view: NetworkView
    sources: Sources
    seeds: Sequence[HtxAddress]
    wall: Callable[[], float]
    keeping: Keeping
    bridges: Sequence[HtxAddress] = ()
    chain: ChainStage | None = None
    causes: Causes = field(default_factory=Causes)
    diffs: int = 0
    _giver: str = ""
    _only_listens: bool = False
    _unsaved: SignedConsensus | None = None

    @property
    def problem(self) -> str:
        """Why the last fetch failed; empty when it did not."""
        return self.causes.problem

    def status(self) -> dict[str, Any]:
        """For `status`: how documents came, who failed, and what the committee did wrong."""
        return {
            "through_circuits": self.sources.anonymous,
            "as_differences": self.diffs,
            "causes": self.causes.rows(),
            "double_consensuses": [
                {"period": proof.period, "signed_by": list(proof.culprits)}
                for proof in self.view.conflicts.values()
            ],
        }

    def warnings(self) -> list[str]:
        """What people should know: that the committee contradicted itself."""
        count = len(self.view.conflicts)
        told = f"the committee signed two consensuses for one period, {count} times"
        return [f"{told}; the proof is in state/{EVIDENCE_FOLDER}"] if count else []

    async def start(self, timeout_s: float) -> None:
        """Get a consensus fit for circuits, from cache, seeds, bridges or the chain.

        Raises:
            TrustAgeError: The committee known is too old, and there is no chain to ask.
            ClockError: What the committee signed contradicts the local clock.
            BootstrapError: No source gave one in time; names every cause.
        """
        self.keeping.load(self.view, self.causes)
        contradictions = 0
        try:
            async with asyncio.timeout(timeout_s):
                await self._check_age()
                for attempt in count():
                    if self._is_fit():
                        return
                    await self._ask_stages(self._is_fit)
                    if self._is_fit():
                        return
                    contradictions += self._clock_error() is not None
                    if contradictions >= CLOCK_ROUNDS:
                        break
                    await self._pause(attempt)
        except TimeoutError:
            pass
        raise self._failure()

    async def follow(self) -> None:
        """Fetch each next consensus soon after it is due, and compare it with others', for ever."""
        if not self._is_overdue():
            await self._first_check()
        while True:
            if self.view.held is not None:
                due = next_refresh_at(self.view.held.consensus, secrets.token_bytes)
                await self._sleep_until(due)
            await self._until_newer()
            if self.view.held is not None:
                due = cross_check_at(self.view.held.consensus, secrets.token_bytes)
                await self._sleep_until(due)
            await self._compare_notes()

    async def _first_check(self) -> None:
        for _ in range(FIRST_CHECK_S):
            if self.sources.standing() or self._is_overdue():
                break
            await asyncio.sleep(1.0)
        await self._compare_notes()

    async def _until_newer(self) -> None:
        """Ask, in rounds, until a newer consensus is held."""
        before = self.view.valid_after

        def is_newer() -> bool:
            return self.view.valid_after != before

        for attempt in count():
            await self._refresh(is_newer)
            if is_newer():
                return
            await self._pause(attempt)

    async def _refresh(self, enough: Callable[[], bool]) -> None:
        """Ask through circuits and over open links; seeds and the rest only if those are late."""
        standing = self.sources.standing()
        for name, ask in standing:
            if await self._fetch(name, Stage.CONSENSUS, ask):
                await self._save()
                return
        if not standing or self._is_overdue():
            await self._ask_stages(enough)

    async def _compare_notes(self) -> None:
        """Ask a source that did not give the consensus held for another one of its period."""
        for name, ask in self.sources.standing():
            if name != self._giver:
                await self._fetch(name, Stage.CONSENSUS, ask)
                await self._save()
                return

    async def _ask_stages(self, enough: Callable[[], bool]) -> None:
        """Seeds, then bridges, then the chain, until it is enough."""
        for stage, addresses in ((Stage.SEED, self.seeds), (Stage.BRIDGE, self.bridges)):
            await self._ask_nodes(stage, addresses, enough)
            await self._save()
            if enough():
                return
        if self.chain is not None:
            await self._ask_chain(self.chain, enough)
            await self._save()

    async def _ask_nodes(
        self, stage: Stage, addresses: Sequence[HtxAddress], enough: Callable[[], bool]
    ) -> None:
        """Dial and ask nodes in random order, a few at once; the first success ends the others."""
        order = list(addresses)
        shuffle(order, secrets.token_bytes)
        waiting = iter(order)
        tasks: list[asyncio.Task[None]] = []

        async def work() -> None:
            for address in waiting:
                await self._ask_node(stage, address)
                if enough():
                    break
            else:
                return
            for task in tasks:
                if task is not asyncio.current_task():
                    task.cancel()

        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(work()) for _ in range(min(NODES_AT_ONCE, len(order)))]

    async def _ask_node(self, stage: Stage, address: HtxAddress) -> None:
        name = source_name(node_id_of(address.identity))
        try:
            async with self.sources.dialled(address, f"{stage} {name}") as ask:
                await self._fetch(name, stage, ask)
        except StageError as error:
            self.causes.failed(stage, name, error)

    async def _ask_chain(self, chain: ChainStage, enough: Callable[[], bool]) -> None:
        """Read the committee, and ask its members for what they signed."""
        if not await chain.renew_trust():
            return
        for stage, addresses in ((Stage.SEED, self.seeds), (Stage.BRIDGE, self.bridges)):
            if self.causes.has_forgeries(stage):  # perhaps signed by the set just read
                await self._ask_nodes(stage, addresses, enough)
        if enough():
            return
        async with LedgerClient(self.keeping.members) as ledger:
            await self._fetch("committee", Stage.CHAIN, over_http(ledger))

    async def _check_age(self) -> None:
        """Start from a committee that was confirmed lately, by bundle, consensus or chain.

        What sources give is not used before; it only tells a wrong clock from an old bundle.
        """
        try:
            self.keeping.check_age(self.wall())
        except StageError as error:
            if self.chain is not None and await self.chain.renew_trust():
                return
            self._only_listens = True
            await self._ask_stages(lambda: False)
            raise self._clock_error() or error from None

    async def _fetch(self, name: str, stage: Stage, ask: Ask) -> bool:
        """Ask one node for something newer; True when it gave it."""
        try:
            signed = await self._latest(ask)
            if self._only_listens:
                self.view.witnesses.heard(name, signed.consensus)
                return False
            if self.chain is not None:
                await self.chain.check_anchor(signed)
            if not self.view.take(signed, name):
                self.causes.passed(name)
                return False
        except RejectedError as error:
            if self._is_overdue():
                self.causes.failed(stage, name, error)
            return False
        except QnetError as error:
            self.causes.failed(stage, name, error)
            return False
        self.causes.passed(name)
        self._giver = name
        self._unsaved = signed
        return True

    async def _save(self) -> None:
        """Write what was taken; apart from asking, which ends when another source was faster."""
        signed, self._unsaved = self._unsaved, None
        if signed is not None:
            await asyncio.to_thread(self.keeping.store, self.view, signed)

    async def _latest(self, ask: Ask) -> SignedConsensus:
        """The newest consensus of a node; in full, if its difference leads nowhere."""
        held = self.view.held
        number = secrets.randbelow(2**16)
        if held is not None:
            request = DirRequest(number, Kind.LATEST, held.consensus.valid_after, held.hash)
            try:
                signed = await self._read(await ask(request, held.consensus.payload), ask)
            except (DecodeError, CryptoError) as error:
                _log.info("no use of an answer; asking for the full document", cause=error.message)
            else:
                self.diffs += 1
                return signed
        request = DirRequest(number, Kind.LATEST, self.view.valid_after)
        return await self._read(await ask(request, b""), ask)

    async def _read(self, data: bytes, ask: Ask) -> SignedConsensus:
        """Verify a document, following the committee if it has changed."""
        try:
            return await asyncio.to_thread(self.view.read, data)
        except CryptoError:
            request = DirRequest(
                secrets.randbelow(2**16), Kind.COMMITTEE, self.view.history.valid_from
            )
            try:
                changes = decode_changes(await ask(request, b""))
            except (RejectedError, NotFoundError, DecodeError):
                changes = ()
            if not self.view.follow(changes):
                raise
            await asyncio.to_thread(self.keeping.store_trust, self.view)
            return await asyncio.to_thread(self.view.read, data)

    def _is_fit(self) -> bool:
        try:
            self.view.for_circuits()
        except QnetError as error:
            self.causes.note(f"{error.message}: {error.why}")
            return False
        return True

    def _is_overdue(self) -> bool:
        """Whether a newer consensus must exist by now."""
        held = self.view.held
        return held is None or self.wall() > overdue_from(held.consensus)

    def _clock_error(self) -> ClockError | None:
        found = self.view.witnesses.verdict(self.wall())
        if found is None:
            return None
        error = ClockError(
            f"the local clock is {found.off} by {found.by_s:.0f} s",
            offset_s=found.offset_s,
            why=found.why,
        )
        self.causes.note(f"{error.message}: {error.why}")
        return error

    def _failure(self) -> StageError:
        return self._clock_error() or BootstrapError(
            self.causes.last_stage,
            "no consensus could be fetched",
            why=self.causes.text or "no seed answered",
            try_=(
                "check the seeds in network.json, or add bridges to client.toml",
                "check this machine's clock",
            ),
        )

    async def _pause(self, attempt: int) -> None:
        """Wait before the next round, longer each time."""
        longest = max(RETRY_S, self.view.parameters.consensus_interval_s / RETRY_DIVISOR)
        await asyncio.sleep(min(RETRY_S * 2.0 ** min(attempt, 10), longest))

    async def _sleep_until(self, due: float) -> None:
        left = due - self.wall()
        while left > 0:
            await asyncio.sleep(min(left, LOOK_S))
            left = due - self.wall()
