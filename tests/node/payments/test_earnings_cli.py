"""`qnet node earnings` and `qnet node redeem` of a node on a real chain."""

import asyncio
import json

import pytest
from aiohttp import web

from node.keys import load_keys
from node.payments.keys import ShownKeys
from node.payments.toll_store import TollStore, UnitRow
from node.payments.tolls import STORE_NAME
from node.setup import NodePlan, init_node
from qnet.crypto.points import G2
from qnet.messages.instruments import Opening
from tests.support.issuer import EPOCH, bought, issuance_clock, register
from tests.support.ledger import PASSPHRASE, QNET, save_key

pytestmark = pytest.mark.chain
WEI = 10**18
SPENT = (64, 50)


async def member(issuer):
    """A committee member that shows keys and no leaf."""
    shares = tuple((G2.generator().encode(),) for _ in range(8))
    body = ShownKeys(tuple(issuer.keys), shares, 3).encode()

    async def keys(_request):
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/v1/payments/keys/{epoch}", keys)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"


async def run(home, *words):
    """Run the installed command, as an operator does."""
    process = await asyncio.create_subprocess_exec(
        *(str(QNET), "--home", str(home), "--json", "node", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)["data"]


async def test_an_owner_sees_and_redeems(chain, tmp_path):
    contracts, payer, owner = chain.contracts, *chain.network.holders[:2]
    await chain.send(payer, contracts.token.approve(contracts.channels.address, 10**24))
    issuer = await register(chain)
    await chain.send(payer, contracts.channels.open(50 * WEI))
    await bought(chain, payer, 4)
    runner, url = await member(issuer)
    secret = tmp_path / "passphrase"
    secret.touch(mode=0o600)
    secret.write_text(PASSPHRASE)
    home = tmp_path / "node"
    plan = NodePlan(
        role="relay",
        listen="127.0.0.1:1",
        sni="n.example",
        passphrase_file=secret,
        rpc=chain.network.url,
        deployment=chain.network.manifest,
        members=(url,),
        price=1,
        light_kdf=True,
    )
    init_node(home, plan, now=await chain.control.now())
    keys = load_keys(home, secret.read_text())
    node = await chain.register_node(
        owner, identity_key=keys.identity.public, receipt_key=keys.receipt, bond_wei=2000 * WEI
    )
    store = TollStore(home / "state" / STORE_NAME)
    for k in SPENT:
        token = issuer.token(node.index).spent(k)
        opening = Opening(EPOCH, token.top, token.refund, token.signature)
        store.write([opening], [UnitRow(token.token_id, token.unit)])
    store.close()
    save_key(tmp_path / "owner.json", owner)
    clock = await issuance_clock(chain)
    await chain.control.warp(clock.bounds(EPOCH)[1] + clock.terms.attest_s)

    (row,) = await run(home, "earnings")
    assert (row["epoch"], row["tokens"], row["units"]) == (EPOCH, 2, sum(SPENT))
    assert row["pending_units"] == sum(SPENT)
    words = ("--keystore", str(tmp_path / "owner.json"), "--passphrase-file", str(secret))
    done = await run(home, "redeem", *words)
    assert done == [{"epoch": EPOCH, "redeemed_units": sum(SPENT), "state": "redeemed"}]
    (row,) = await run(home, "earnings")
    assert (row["settled_units"], row["pending_units"]) == (sum(SPENT), 0)
    assert await run(home, "redeem", *words) == []
    await runner.cleanup()
