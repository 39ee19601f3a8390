"""A user's wallet and the committee's own members, over HTTP and on a real chain."""

import contextlib
import secrets
import time

import pytest
from aiohttp import web

from ledger.api.middleware import RateLimit, bounded
from ledger.api.payments import PaymentRoutes
from node.errors import IssuersRefusedError
from node.payments.chain_view import RpcChain
from node.payments.user.derivation import Seed
from node.payments.user.policy import Marks
from node.payments.user.recovery import Recovery
from node.payments.user.routes import DirectRoute
from node.payments.user.states import RequestState, State
from node.payments.user.stock import for_token
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from node.payments.user.upkeep import Upkeep
from node.payments.user.wallet import Wallet
from node.payments.user.wallet_file import create_file
from qnet.messages.instruments import TOKEN_UNITS
from tests.ledger.service.payments.issuing import open_world

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]
RELAYS = {1: 3, 2: 1}
COIN = 10**18


@contextlib.asynccontextmanager
async def served(world):
    """Serve every member on loopback; their addresses in order."""
    async with contextlib.AsyncExitStack() as stack:
        urls = []
        for number in sorted(world.offices):
            limit = RateLimit(time.monotonic)
            application = web.Application(middlewares=[bounded(limit)])
            PaymentRoutes(world.offices[number]).add_to(application.router)
            runner = web.AppRunner(application)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield tuple(urls)


class User:
    """A wallet with a channel, and the world it lives in."""

    def __init__(self, world, urls, direct, folder, seed):
        self.world, self.seed, self.folder = world, seed, folder
        self.around = Surroundings(
            place=world.place,
            rewards=world.clock.rewards,
            chain=RpcChain(world.chain.network.url, world.chain.network.manifest),
            members=urls,
            direct=direct,
            fresh=lambda: direct,
            wall=lambda: world.now,
            random=secrets.token_bytes,
        )

    def wallet(self, name="payments"):
        folder, owner = self.folder / name, self.seed.channel.address
        if not folder.exists():
            create_file(folder, owner)
        return Wallet(self.seed, Store(folder, owner), self.around)


@pytest.fixture
async def user(chain, tmp_path):
    seed = Seed(secrets.token_bytes(32))
    async with open_world(chain, tmp_path) as world:
        contracts, amount = chain.contracts, 20 * TOKEN_UNITS * world.unit_wei
        await chain.control.set_balance(seed.channel.address, 10 * COIN)
        transfer = contracts.token.transfer(seed.channel.address, amount)
        await chain.send(chain.network.deployer, transfer)
        approve = contracts.token.approve(contracts.channels.address, amount)
        await chain.send(seed.channel, approve)
        await chain.send(seed.channel, contracts.channels.open(amount))
        await chain.control.finalize()
        async with served(world) as urls, DirectRoute() as direct:
            yield User(world, urls, direct, tmp_path, seed)


async def settle(upkeep, world, rounds, step_s=2.0):
    for _ in range(rounds):
        await upkeep.look()
        world.now += step_s


async def test_a_wallet_buys_swaps_and_comes_back_from_its_seed(user):
    wallet, world = user.wallet(), user.world
    wallet.store.note("auto", b"on")
    upkeep = Upkeep(wallet, lambda: RELAYS, Marks(tokens=3, credits_low=2, credits_buy=6))
    await settle(upkeep, world, 8)
    assert upkeep.problem == ""
    assert wallet.store.requests(RequestState.FAILED) == []
    held = wallet.store.instruments(State.HELD)
    assert sum(entry.is_token for entry in held) == 3
    assert sum(entry.units for entry in held) == 6 * TOKEN_UNITS
    crowd = await wallet.issuers.crowd(user.around.direct)
    assert (crowd.epoch, crowd.buyers, crowd.told) == (0, 1, 4)
    assert crowd.swaps >= 3
    await world.pool()
    again = user.wallet("again")
    found = await Recovery(again, sorted(RELAYS)).run()
    assert found.strangers == 0
    before = {(entry.slot, entry.signature) for entry in held}
    found_now = again.store.instruments(State.HELD, State.UNSURE)
    assert {(entry.slot, entry.signature) for entry in found_now} == before
    again.store.close()
    wallet.store.close()


async def test_credits_roll_into_the_next_epoch(user):
    wallet, world = user.wallet(), user.world
    assert await wallet.send(await wallet.order_credits(3))
    await world.register(1)
    world.now = world.clock.bounds(1)[0] + 1.0
    upkeep = Upkeep(wallet, dict)
    await settle(upkeep, world, 8)
    assert upkeep.problem == ""
    held = wallet.store.instruments(State.HELD)
    assert [entry.slot.epoch for entry in held] == [1, 1, 1]
    wallet.store.close()


async def test_a_credit_is_spent_once(user):
    wallet = user.wallet()
    assert await wallet.send(await wallet.order_credits(1))
    (held,) = wallet.store.instruments(State.HELD)
    copy = user.wallet("copy")
    copy.store.add([held])
    assert await wallet.send(await wallet.order_swap(for_token([held], 1)))
    with pytest.raises(IssuersRefusedError):
        await copy.send(await copy.order_swap(for_token([held], 2)))
    assert copy.store.instrument(held.slot).state is State.STUCK
    copy.store.close()
    wallet.store.close()


async def test_one_member_that_lies_is_named(user):
    user.world.keys[2].lies = True
    wallet = user.wallet()
    assert await wallet.send(await wallet.order_credits(2))
    assert len(wallet.store.instruments(State.HELD)) == 2
    wallet.store.close()
