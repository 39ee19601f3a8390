"""The mixnet for a running client: one schedule of packets to its guard, messages, and what else.

It sends all the time, whether there is something to say or not; so it runs only where it is wanted.
If it fails it begins anew from what is stored, as after a restart.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from node.client.mix.berth import Berth
from node.client.mix.figures import describe
from node.client.mix.message_file import FILE
from node.client.mix.news import News
from node.client.mix.post import Post
from node.client.mix.rows import OwnAddress
from node.client.mix.store import MessageStore
from node.client.mix.tenancy import ids_to_keep
from node.config import ClientConfig
from node.errors import Stage, StageError
from node.mix.account import Account, Mailbox, MailEvent
from node.mix.carried import Carried
from node.mix.client import MixClient
from node.mix.live_paths import LivePaths
from node.mix.rates import MESSAGES, STREAMS
from node.mix.schedule import Rates
from qnet.crypto.keys import SECRET_BYTES
from qnet.epochs import phase_at
from qnet.errors import QnetError
from qnet.messages.consensus_node import ConsensusNode

if TYPE_CHECKING:
    from node.client.session import Session

RETRY_S: Final = 1.0
"""Pause before a guard is asked again, or everything begins anew."""
HOME_S: Final = 3 * 3600.0
"""Reply blocks that lead to an earlier guard are dead after this time."""
LOOK_S: Final = 5.0
"""Pause between two looks at mailboxes on other nodes."""

_log = structlog.get_logger(__name__)


class MixService:
    """The mixnet for one client; make it with `mix_service`.

    Args:
        session: the client.
        store: its messages.
        rates: of its schedule.

    Attributes:
        store: its messages.
        live: layers and routes.
        carried: what it carries beside messages.
        problem: what stands in the way; empty for nothing.
        news: told when a message came, was delivered or failed.
    """

    def __init__(self, session: Session, store: MessageStore, rates: Rates) -> None:
        self.store = store
        self.rates = rates
        self.live = LivePaths(secrets.token_bytes)
        self.carried: list[Carried] = []
        self.problem = "not started"
        self.news = News()
        self._session = session
        self._clock = asyncio.get_running_loop().time
        self._stir = asyncio.Event()
        self._client: MixClient | None = None
        self._post: Post | None = None
        self._berth: Berth | None = None
        self._others: dict[int, Berth] = {}
        self._phase = -1
        session.view.on_change(self.live.follow)
        if session.view.held is not None:
            self.live.follow(session.view.held.consensus)

    # for others

    def account(self) -> Account:
        """Who the client is in the mixnet now.

        Raises:
            StageError: no guard was reached yet.
        """
        if self._client is None:
            raise StageError(Stage.LINK, "the mixnet is not reached yet", why=self.problem)
        return self._client.account

    def wake(self) -> None:
        """Somebody wrote a message, or has something else to send."""
        if self._post is not None:
            self._post.look_at = 0.0
        self._stir.set()

    async def new_address(self) -> OwnAddress:
        """Make one at the guard in use.

        Raises:
            StageError: no guard was reached yet.
            RejectedError: there are too many.
        """
        node_index = self.account().mailbox_node
        secret, at = secrets.token_bytes(SECRET_BYTES), self._session.wall()
        made = await asyncio.to_thread(self.store.addresses.add, secret, node_index, at)
        if self._client is not None and made.mailbox is not None:
            account = self._client.account
            self._client.account = replace(account, others=[made.mailbox, *account.others])
        self.wake()
        return made

    def status(self) -> dict[str, Any]:
        """How it stands, and what was measured."""
        return describe(self._client, self._berth, self.rates, self.problem, self._clock())

    # life

    async def run(self) -> None:
        """Send and read for as long as the client runs."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_claims())
            while True:
                try:
                    await self._begin()
                except sqlite3.Error as error:
                    self.problem = f"messages cannot be stored: {error}"
                    _log.error("messages cannot be stored", cause=str(error))
                    self._client = self._post = None
                except QnetError as error:
                    self._trouble(error)
                await asyncio.sleep(RETRY_S)

    async def _begin(self) -> None:
        """Reach a guard and use it until its link ends.

        Raises:
            QnetError: none can be reached, or there is no route.
        """
        node = self._guard()
        link = await self._session.entries.link_to(node)
        berth = self._berth_at(node.index)
        client, post = await self._client_at(berth)
        berth.board(link)
        client.control.clear()
        try:
            while berth.is_open:
                await self._turn(client, post, berth)
        finally:
            berth.leave()
        self.problem = f"the link to guard {node.index} ended"

    def _guard(self) -> ConsensusNode:
        usable = self._session.entries.guards(self._session.view.for_circuits())
        if not usable:
            raise StageError(Stage.LINK, "no guard can be reached")
        return usable[0]

    def _berth_at(self, index: int) -> Berth:
        other = self._others.pop(index, None)
        if other is not None:
            other.leave()
        if self._berth is None or self._berth.node_index != index:
            self._berth = Berth(index, ids_to_keep(self.rates.total_hz), self._stir.set)
        return self._berth

    async def _client_at(self, berth: Berth) -> tuple[MixClient, Post]:
        """The client with its account at this node; a new one if there is none."""
        home = await asyncio.to_thread(self._home, berth.node_index)
        account = Account(home.key, berth.node_index, berth.tenancy.new_id)
        now = self._clock()
        if self._client is None or self._post is None:
            client = MixClient(account, self.live.paths, self.rates, secrets.token_bytes, now)
            client.carried = self.carried
            post = Post(self.store, client, self.live, self._ids_left)
            await asyncio.to_thread(post.resume, now)
            self._client, self._post = client, post
        self._client.account = replace(account, others=self._client.account.others)
        self._post.look_at = 0.0
        return self._client, self._post

    def _home(self, index: int) -> Mailbox:
        """Our home at a node; and an address that people can be given, if there is none."""
        addresses, at = self.store.addresses, self._session.wall()
        if not addresses.mailboxes():
            addresses.add(secrets.token_bytes(SECRET_BYTES), index, at)
        return addresses.use_home(index, secrets.token_bytes(SECRET_BYTES), at)

    def _ids_left(self) -> int:
        return len(self._berth.tenancy) if self._berth is not None else 0

    # one turn

    async def _turn(self, client: MixClient, post: Post, berth: Berth) -> None:
        """Read what came, store it, and only then send what is due; wait for more."""
        self._stir.clear()
        at, now = self._session.wall(), self._clock()
        phase = phase_at(at, self._session.view.parameters.key_phase_s)
        if phase != self._phase:
            self._phase = phase
            client.advance(phase)
            await asyncio.to_thread(post.advance, phase, at)
        events = [
            event
            for source in (berth, *self._others.values())
            for delivery in source.take()
            for event in client.receive(delivery, now)
        ]
        await self._keep(post, events, at)
        if post.look_at <= at:
            mailboxes = await asyncio.to_thread(self.store.addresses.mailboxes)
            client.account = replace(client.account, others=mailboxes)
            await asyncio.to_thread(post.feed, phase, now, at)
        own = [each for each in client.account.others if each.node_index == berth.node_index]
        request = berth.ask(
            [client.account.home, *own],
            lambda: self.live.phase_key(berth.node_index, phase),
            phase,
            now,
        )
        if request is not None:
            client.control.append(request)
        for packet in client.packets(phase, self._clock()):
            berth.send(packet)
        self.problem = ""
        await self._keep(post, client.events(), at)
        wait_s = max(0.0, min(client.next_at - self._clock(), LOOK_S))
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stir.wait()

    async def _keep(self, post: Post, events: list[MailEvent], at: float) -> None:
        if not events:
            return
        is_news = await asyncio.to_thread(post.keep, events, at)
        if is_news:
            self.news.tell()

    def _trouble(self, error: QnetError) -> None:
        problem = f"{error.message}: {error.why}" if error.why else error.message
        if problem != self.problem:
            _log.warning("mixnet", cause=problem)
        self.problem = problem

    # mailboxes on other nodes

    async def _keep_claims(self) -> None:
        """Read what comes to other nodes: to addresses, and by reply blocks of an earlier guard."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._client is None:
                continue
            here, since = self._client.account.mailbox_node, self._session.wall() - HOME_S
            homes = await asyncio.to_thread(self.store.addresses.homes, since)
            known = [*homes, *self._client.account.others]
            for index in sorted({each.node_index for each in known} - {here}):
                own = [each for each in known if each.node_index == index]
                try:
                    await self._claim(index, own)
                except QnetError as error:
                    _log.info("mailbox node cannot be reached", node=index, cause=error.message)

    async def _claim(self, index: int, mailboxes: list[Mailbox]) -> None:
        berth = self._others.setdefault(index, Berth(index, 0, self._stir.set))
        if not berth.is_open:
            berth.board(await self._session.entries.link_to(self.live.node(index)))
        phase = phase_at(self._session.wall(), self._session.view.parameters.key_phase_s)
        request = berth.ask(
            mailboxes, lambda: self.live.phase_key(index, phase), phase, self._clock()
        )
        if request is not None:
            berth.send(request)


@asynccontextmanager
async def mix_service(
    session: Session, home: Path, config: ClientConfig
) -> AsyncIterator[MixService | None]:
    """The mixnet for a client, until the context ends: after the client has stopped.

    Gives None where nobody wants it.
    """
    if not (config.mix.messages or config.tier == "mix"):
        yield None
        return
    store = MessageStore(home / FILE)
    try:
        session.mix = MixService(session, store, STREAMS if config.tier == "mix" else MESSAGES)
        yield session.mix
    finally:
        store.close()
