"""`qnet chain deploy`, previewed, interrupted and repeated."""

import asyncio
import json
import secrets

import pytest

from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import CONTRACT_NAMES, Deployment
from tests.support.killing import killed_at, run

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]
HOLDER, OTHER = "0x" + "22" * 20, "0x" + "33" * 20
TRANSACTIONS = 22


@pytest.fixture
def order(world, tmp_path):
    """Words of a deployment by alice, with files for committee, parameters and holders."""
    seats = [
        {"owner": f"0x{i + 16:040x}", "signer": f"0x{i:040x}", "url": "http://x"}
        for i in range(1, 5)
    ]
    files = {"committee": json.dumps(seats), "holders": json.dumps({OTHER: "2"})}
    for name, content in (*files.items(), ("parameters", "unbond_s = 61\n")):
        (tmp_path / name).write_text(content)
    return [
        *("chain", "deploy", "--rpc", world.url, "--manifest", tmp_path / "deployment.json"),
        *("--profile", "devnet", "--committee", tmp_path / "committee"),
        *("--parameters", tmp_path / "parameters", "--set", "escrow_s=12"),
        *("--allocations", tmp_path / "holders", "--holder", f"{HOLDER}=1.5"),
        *("--beacon-anchor", "0x" + secrets.token_hex(32)),
        *("--account", world.keystores["alice"], "--passphrase-file", world.passphrase_file),
        *("--yes", "--json"),
    ]


def sent(world):
    """Transactions of alice so far."""

    async def work():
        async with ChainClient.connect(world.url) as client:
            return await client.transaction_count(world.keys["alice"].address)

    return asyncio.run(work())


def test_the_preview_names_everything_and_nothing_is_sent(world, order):
    before = sent(world)
    words = [word for word in order if word not in {"--yes", "--json"}]
    done = run(*words, "--dry-run")
    assert done.code == 0
    assert sent(world) == before
    assert not order[5].exists()
    for expected in (
        f"{TRANSACTIONS} transactions",
        "unbond_s = 61 instead of 60",
        "escrow_s = 12 instead of 10",
        f"1.5 QNET to {HOLDER}",
        f"2 QNET to {OTHER}",
        "member 3: 0x",
        "DisputeCourt",
        "nothing was sent",
    ):
        assert expected in done.errors


def test_killed_on_the_way_it_goes_on_to_one_deployment(world, order):
    before, manifest = sent(world), order[5]
    for step in (("before", "broadcast", 2), ("after", "broadcast", 9), ("after", "prepare", 4)):
        killed_at(step, *order)
        assert json.loads(manifest.read_text())["complete"] is False
    done = run(*order)
    assert done.code == 0, done.errors
    assert "go on after step" in done.errors
    assert sent(world) == before + TRANSACTIONS
    assert set(done.data[0]["contracts"]) == set(CONTRACT_NAMES)

    async def look():
        async with ChainClient.connect(world.url) as client:
            contracts = await Contracts.open(client, Deployment.load(manifest))
            parameters = await contracts.parameters.all()
            held = await contracts.token.balance_of(bytes.fromhex(HOLDER[2:]))
            return parameters.unbond_s, parameters.escrow_s, held

    assert asyncio.run(look()) == (61, 12, 15 * 10**17)
    verified = run(
        *("gov", "contracts", "verify", "--rpc", world.url, "--deployment", manifest, "--json")
    )
    assert (verified.code, verified.data[0]["verified"]) == (0, True)
    again = run(*order)
    assert again.code == 0
    assert sent(world) == before + TRANSACTIONS


def test_another_order_does_not_continue_it(world, order):
    killed_at(("after", "broadcast", 2), *order)
    done = run(*order, "--set", "escrow_s=13")
    assert (done.code, done.error) == (4, "Q0401")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--set", "escrow_s"), 2),
        (("--set", "escrow_s=0"), 2),
        (("--set", "nope=1"), 3),
        (("--holder", HOLDER), 2),
        (("--beacon-anchor", "0x12"), 2),
        (("--vault", "-1"), 2),
    ],
)
def test_wrong_words_are_told_before_anything_is_sent(world, order, words, code):
    before = sent(world)
    done = run(*order, *words)
    assert done.code == code
    assert sent(world) == before
