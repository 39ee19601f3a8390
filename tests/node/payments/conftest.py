"""A wallet, its committee on loopback, and a clock that tests set."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.payments.user.derivation import Seed
from node.payments.user.routes import DirectRoute
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from node.payments.user.wallet import Wallet
from node.payments.user.wallet_file import create_file
from tests.support.issuing import PLACE, REWARDS, Chain, Office, Time

SECRET = bytes(range(32))


@dataclass
class World:
    """All that a wallet stands in."""

    folder: Path
    office: Office
    direct: DirectRoute
    time: Time
    chain: Chain
    routes: list[DirectRoute] = field(default_factory=list)

    def around(self) -> Surroundings:
        def fresh():
            self.routes.append(self.direct)
            return self.direct

        return Surroundings(
            place=PLACE,
            rewards=REWARDS,
            chain=self.chain,
            members=self.office.urls,
            direct=self.direct,
            fresh=fresh,
            wall=self.time,
            random=secrets.token_bytes,
        )

    def wallet(self, folder: Path | None = None, secret: bytes = SECRET) -> Wallet:
        """Open a wallet, making its file the first time."""
        seed = Seed(secret)
        folder = folder or self.folder
        owner = seed.channel.address
        if not (folder / "wallet.db").exists():
            create_file(folder, owner)
        self.chain.deposit(owner, 1000)
        return Wallet(seed, Store(folder, owner), self.around())


@pytest.fixture
async def world(tmp_path):
    time, chain = Time(), Chain()
    office = Office(time, chain)
    office.prepare(0, 1, 2, 3)
    async with office.open(), DirectRoute() as direct:
        yield World(tmp_path / "payments", office, direct, time, chain)


@pytest.fixture
async def wallet(world):
    opened = world.wallet()
    yield opened
    opened.store.close()
