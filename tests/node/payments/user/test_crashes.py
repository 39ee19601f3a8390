"""A wallet that is killed at any step has lost nothing, and spends nothing twice.

A child process dies by SIGKILL before and after each store and each request; then another one goes
on from the file.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from node.payments.user.states import RequestState, State
from node.payments.user.stock import for_token
from node.payments.user.upkeep import Upkeep

CHILD = """
import asyncio, json, os, secrets, signal, sys
from pathlib import Path

from node.payments.user.derivation import Seed
from node.payments.user.routes import DirectRoute
from node.payments.user.stock import for_token
from node.payments.user.states import State
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from node.payments.user.wallet import Wallet
from tests.support.issuing import PLACE, REWARDS, Chain, Time

folder, urls, hashes, when, name, nth = sys.argv[1:]
count = 0


def deadly(owner, method):
    inner = getattr(owner, method)

    def step():
        global count
        count += 1
        if count == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)

    def sync(*args, **kwargs):
        if when == "before":
            step()
        result = inner(*args, **kwargs)
        if when == "after":
            step()
        return result

    async def coroutine(*args, **kwargs):
        if when == "before":
            step()
        result = await inner(*args, **kwargs)
        if when == "after":
            step()
        return result

    setattr(owner, method, coroutine if asyncio.iscoroutinefunction(inner) else sync)


deadly({"begin": Store, "finish": Store, "change": Store, "ask": DirectRoute}[name], name)


async def main():
    chain = Chain(hashes={int(k): bytes.fromhex(v) for k, v in json.loads(hashes).items()})
    seed = Seed(bytes(range(32)))
    chain.deposit(seed.channel.address, 1000)
    async with DirectRoute() as direct:
        around = Surroundings(PLACE, REWARDS, chain, tuple(json.loads(urls)), direct,
                              lambda: direct, Time(), secrets.token_bytes)
        wallet = Wallet(seed, Store(Path(folder), seed.channel.address), around)
        await wallet.send(await wallet.order_credits(2))
        held = wallet.store.instruments(State.HELD)[0]
        await wallet.send(await wallet.order_swap(for_token([held], 5)))
        token = await wallet.take(5)
        for k in (1, 2, 3):
            await wallet.spend(token, k)
            print(k, flush=True)
        print("done", flush=True)
        wallet.store.close()


asyncio.run(main())
"""

STEPS = [
    *(("begin", nth) for nth in (1, 2)),
    *(("finish", nth) for nth in (1, 2)),
    *(("change", nth) for nth in (1, 2, 3, 4)),
    *(("ask", nth) for nth in (1, 5, 6, 8, 9)),
]


async def run_child(world, when, name, nth):
    folder = world.folder
    world.wallet().store.close()
    hashes = json.dumps({epoch: value.hex() for epoch, value in world.chain.hashes.items()})
    urls = json.dumps(world.office.urls)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, str(folder), urls, hashes, when, name, str(nth)),
        cwd=Path.cwd(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()[-2000:]
    return [int(line) for line in out.decode().split() if line != "done"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("name", "nth"), STEPS)
async def test_whoever_is_killed_goes_on_where_it_was(world, when, name, nth):
    shown = await run_child(world, when, name, nth)
    wallet = world.wallet()
    upkeep = Upkeep(wallet, dict)
    for _ in range(3):
        await upkeep.look()
        world.time.now += 5
    assert wallet.store.requests(RequestState.OPEN, RequestState.FAILED) == []
    vouchers = {(p.voucher.nonce, p.voucher.batch_hash) for p in world.office.purchases}
    assert len(vouchers) == len({nonce for nonce, _ in vouchers})
    units = sum(
        entry.units + entry.k for entry in wallet.store.instruments(State.HELD, State.SPENT)
    )
    assert units == 2 * 64 * len(world.office.purchases)
    spent = wallet.store.instruments(State.SPENT)
    assert all(entry.k >= max(shown, default=0) for entry in spent)
    held = wallet.store.instruments(State.HELD)
    if spent:
        assert not wallet.covers(5)
    elif not held:
        await wallet.send(await wallet.order_credits(1))
    elif not any(entry.is_token for entry in held):
        await wallet.send(await wallet.order_swap(for_token([held[0]], 5)))
        assert wallet.covers(5)
    wallet.store.close()
