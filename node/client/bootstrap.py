"""How a client gets and keeps a consensus: cached, then seeds, then its own entries.

Whatever comes is verified by the quorum's signatures before it is used, so a hostile seed can
withhold a consensus but never forge one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from node.circuit.origin import OriginLink
from node.client.dialler import Dialler
from node.client.entries import Entries
from node.client.entry import EntryLink
from node.directory.consensus import next_refresh_at
from node.directory.exchange import DirRequest, Download, Kind, Piece
from node.errors import BootstrapError, Stage, StageError
from node.htx.address import HtxAddress
from node.htx.record import RecordType
from node.view import NetworkView
from qnet.errors import NotFoundError, QnetError, RejectedError
from qnet.files import write_atomic
from qnet.sampling import shuffle

FETCH_TIMEOUT_S = 15.0
DIAL_TIMEOUT_S = 5.0
RETRY_S = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Bootstrap:
    """Fetches consensuses.

    Attributes:
        view: Where they are verified and held.
        entries: Links to the client's guards, used once there is a consensus.
        seeds: Where to start.
        path: Where the newest one is kept; None keeps none.
        now: Monotonic clock in seconds.
        wall: Unix clock in seconds.
        dialler: Opens links.
        problem: Why the last fetch failed, for status.
    """

    view: NetworkView
    entries: Entries
    seeds: Sequence[HtxAddress]
    path: Path | None
    now: Callable[[], float]
    wall: Callable[[], float]
    dialler: Dialler
    problem: str = ""
    _causes: dict[str, str] = field(default_factory=dict)

    def load(self) -> bool:
        """Use the consensus of an earlier run, if it still holds."""
        if self.path is None or not self.path.exists():
            return False
        try:
            return self.view.offer(self.path.read_bytes())
        except QnetError as error:
            _log.info("cached consensus is not used", cause=error.message)
            return False

    async def start(self, timeout_s: float) -> None:
        """Get a consensus fit for circuits, from cache or seeds.

        Raises:
            BootstrapError: No seed gave one in time; names every cause.
        """
        self.load()
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_fit():
                    await self._ask_seeds()
                    if not self._is_fit():
                        await asyncio.sleep(RETRY_S)
        except TimeoutError as error:
            raise BootstrapError(
                Stage.SEED,
                "no consensus could be fetched",
                why="; ".join(sorted(set(self._causes.values()))) or "no seed answered",
                try_=("check the seeds in network.json", "check this machine's clock"),
            ) from error

    async def follow(self) -> None:
        """Fetch each next consensus soon after it is due, for ever."""
        while True:
            if self.view.held is not None:
                due = next_refresh_at(self.view.held.consensus, secrets.token_bytes)
                await asyncio.sleep(max(due - self.wall(), 0.05))
            before = self.view.valid_after
            while self.view.valid_after == before:
                await self._refresh()
                if self.view.valid_after == before:
                    await asyncio.sleep(RETRY_S)

    async def _refresh(self) -> None:
        """Ask an open entry; without one, the seeds."""
        for link in list(self.entries.links.values()):
            if link.is_open and await self._fetch(link, link.name):
                return
        await self._ask_seeds()

    async def _ask_seeds(self) -> None:
        order = list(self.seeds)
        shuffle(order, secrets.token_bytes)
        for seed in order:
            name = f"seed {seed.identity.hex()[:8]}"
            link = EntryLink(
                origin=OriginLink(random=secrets.token_bytes, parameters=self.view.parameters),
                name=name,
                now=self.now,
            )
            try:
                await self.dialler.dial(
                    seed,
                    handler=link,
                    parameters=self.view.parameters,
                    timeout_s=DIAL_TIMEOUT_S,
                )
            except StageError as error:
                self._failed(name, error)
                continue
            fetched = await self._fetch(link, name)
            link.close()
            if fetched:
                return

    async def _fetch(self, link: EntryLink, name: str) -> bool:
        """Ask one node for something newer; True when it gave it."""
        try:
            data = await fetch_document(
                link, DirRequest(secrets.randbelow(2**16), Kind.LATEST, self.view.valid_after)
            )
            if not self.view.offer(data):
                return False
        except (RejectedError, NotFoundError) as error:
            self._failed(name, error)
            return False
        except QnetError as error:
            self._failed(name, error)
            return False
        self.problem = ""
        self._causes.clear()
        if self.path is not None:
            await asyncio.to_thread(write_atomic, self.path, data)
        return True

    def _is_fit(self) -> bool:
        try:
            self.view.for_circuits()
        except QnetError as error:
            self.problem = f"{error.message}: {error.why}"
            return False
        return True

    def _failed(self, name: str, error: QnetError) -> None:
        cause = f"{name}: {error.message}" + (f" ({error.why})" if error.why else "")
        self._causes[name] = cause
        self.problem = cause
        _log.info("no consensus", cause=cause)


async def fetch_document(link: EntryLink, request: DirRequest) -> bytes:
    """Ask one node for a document over its link.

    Raises:
        NotFoundError: It has none.
        RejectedError: It has nothing newer, or is busy.
        DecodeError: Its answer is malformed.
        BootstrapError: No answer in time.
    """
    download = Download(request)
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def receive(kind: RecordType, content: bytes) -> None:
        if kind is not RecordType.DIR_DATA or done.done():
            return
        try:
            answer = download.receive(Piece.decode(content))
        except QnetError as error:
            done.set_exception(error)
            return
        if answer is not None:
            done.set_result(answer)

    with link.reading(receive):
        link.send_record(RecordType.DIR_GET, request.encode())
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                return await done
        except TimeoutError as error:
            raise BootstrapError(
                Stage.CONSENSUS, "no answer", why=f"within {FETCH_TIMEOUT_S:g} s"
            ) from error
