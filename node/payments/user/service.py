"""The premium wallet of a running client: opened with it, kept stocked, brought back from its seed.

A client whose wallet cannot be opened runs without one, and says why to whoever asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from node.config import ClientConfig
from node.errors import WalletDamagedError, WalletMissingError
from node.payments.user.exits import WayOut, rows_to_json
from node.payments.user.opening import Premises
from node.payments.user.policy import Marks
from node.payments.user.recovery import Recovery
from node.payments.user.report import describe
from node.payments.user.routes import DirectRoute
from node.payments.user.upkeep import Upkeep
from node.payments.user.wallet import Wallet
from node.payments.user.wallet_file import create_file, put_aside
from qnet.errors import QnetError, RejectedError

if TYPE_CHECKING:
    from node.client.session import Session

TICK_S: Final = 1.0
ON_PATH: Final = 1 << 20
"""A hop of a circuit that stands is wanted so much more than the likeliest other node."""

_log = structlog.get_logger(__name__)


class Premium:
    """Premium payments of one client; make it with `premium`.

    Args:
        session: the client.
        premises: its home.
        direct: route to members that is not anonymous.
    """

    def __init__(self, session: Session, premises: Premises, direct: DirectRoute) -> None:
        self.premises = premises
        self._session = session
        self._direct = direct
        self._upkeep: Upkeep | None = None
        self._problem: QnetError | None = None
        self._is_recovering = False

    def open(self) -> None:
        """Open the wallet, or remember why not."""
        try:
            wallet = self.premises.open(self._direct, self._session)
        except QnetError as error:
            self._problem = error
            _log.warning("no premium wallet", cause=error.message)
            return
        section = self.premises.section
        marks = Marks(section.tokens, section.credits_low, section.credits_buy)
        self._problem = None
        self._upkeep = Upkeep(wallet, self.relays, marks)
        self._session.purse = wallet

    async def run(self) -> None:
        """Look after the wallet for as long as the client runs."""
        while True:
            if self._upkeep is not None and not self._is_recovering:
                await self._upkeep.try_look()
            await asyncio.sleep(TICK_S)

    @property
    def wallet(self) -> Wallet:
        """The open wallet.

        Raises:
            QnetError: why it is not open.
        """
        if self._upkeep is not None:
            return self._upkeep.wallet
        _ = self.premises.section
        raise self._problem or WalletMissingError("no premium wallet", try_=("qnet pay init",))

    def relays(self) -> Mapping[int, int]:
        """How much a token for each node that takes payment is wanted, by registry index.

        Hops of circuits that stand come first, guards above all, then what paths may take next.
        Nobody learns from a swap which relay its token is for.
        """
        held = self._session.view.held
        nodes = held.consensus.nodes if held is not None else ()
        wanted = {node.index: node.weight for node in nodes if node.price and node.weight}
        on_path = Counter(
            node.index
            for made in self._session.circuits.open
            if not made.retired
            for node in made.path.nodes
        )
        top = ON_PATH * max(wanted.values(), default=0)
        return {index: weight + top * on_path.get(index, 0) for index, weight in wanted.items()}

    async def status(self) -> dict[str, Any]:
        """What `qnet pay status` shows."""
        wallet = self.wallet
        assert self._upkeep is not None
        found = await describe(wallet)
        return {**found, "problem": self._upkeep.problem or found["problem"], "client": "running"}

    async def recover(self) -> dict[str, Any]:
        """Bring the wallet back from its seed; a damaged file is put aside.

        Raises:
            RejectedError: a recovery is under way.
            QnetError: seed, chain or members stand in the way.
        """
        if self._is_recovering:
            raise RejectedError("a recovery is under way")
        self._is_recovering = True
        try:
            aside = await asyncio.to_thread(self._make_room)
            held = self._session.view.held
            nodes = held.consensus.nodes if held is not None else ()
            found = await Recovery(self.wallet, sorted(node.index for node in nodes)).run()
        finally:
            self._is_recovering = False
        return {
            "purchases": found.purchases,
            "swaps": found.swaps,
            "strangers": found.strangers,
            "put_aside": str(aside) if aside is not None else None,
            "found": found.rows(),
        }

    async def way_out(self, to: bytes) -> list[dict[str, Any]]:
        """Exit instruments and dispute purchases on chain; see `WayOut`."""
        from qnet.chain.sender import KeySigner, Sender

        wallet, rows = self.wallet, []
        async with self.premises.chain.contracts() as contracts:
            sender = Sender(contracts.client, KeySigner(wallet.seed.channel))
            way_out = WayOut(wallet, contracts, sender, to)
            rows += [row async for row in way_out.instruments()]
            rows += [row async for row in way_out.disputes()]
        return rows_to_json(rows)

    def close(self) -> None:
        """Release the wallet; the client no longer pays."""
        upkeep, self._upkeep = self._upkeep, None
        if upkeep is not None:
            self._session.purse = None
            upkeep.wallet.store.close()

    def _make_room(self) -> Path | None:
        """Have an open wallet, on an empty file if the old one is damaged or missing."""
        aside = None
        if self._upkeep is None:
            self.open()
        if isinstance(self._problem, WalletDamagedError | WalletMissingError):
            seed, folder = self.premises.seed(), self.premises.folder
            aside = put_aside(folder, f"damaged-{int(self._session.wall())}")
            create_file(folder, seed.channel.address)
            self.open()
        return aside


@asynccontextmanager
async def premium(session: Session, home: Path, config: ClientConfig) -> AsyncIterator[Premium]:
    """Premium payments of a client, until the context ends: after the client has stopped."""
    async with DirectRoute() as direct:
        payments = Premium(session, Premises(home, config), direct)
        if config.payments is not None:
            payments.open()
        try:
            yield payments
        finally:
            payments.close()
