"""The chain goes away and begins anew under programs that know the old one: each says so."""

import asyncio
import json
import secrets
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.config import StorageSection, database_url
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet.address import checksum_address
from qnet.chain.anvil import Anvil, AnvilOptions, EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.sender import KeySigner
from qnet.crypto.keys import keccak256
from qnet.parameters import DEVNET_CHAIN_ID
from tests.ledger.service.committee import free_ports
from tests.support.anvil import BLOCK_TIME_S, COINS_WEI, Network, deploy_network
from tests.support.ledger import QNET, MemberProcess, save_key, write_member

pytestmark = [pytest.mark.e2e, pytest.mark.chain, pytest.mark.timeout(120)]

MEMBER = 0
RESTARTED = "Q0931"
UNREACHABLE = "Q0914"


@dataclass(frozen=True)
class Place:
    """An anvil that always comes back on the same port, and a network deployed to the first."""

    anvil: Anvil
    network: Network
    folder: Path

    def qnet(self, *words):
        """Run a command on this network: exit code, last line of stderr as JSON, all of stderr."""
        argv = [str(QNET), *map(str, words), "--json", "--no-input"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        last = done.stderr.strip().splitlines()[-1:]
        told = json.loads(last[0]) if last and last[0].startswith("{") else {}
        return done.returncode, told.get("error", {}).get("code"), done.stderr

    def reader(self):
        return ["--rpc", self.network.url, "--deployment", self.network.manifest]

    def restart(self):
        """Start a chain that knows nothing: its first block is younger and has another hash."""
        time.sleep(1)
        self.anvil.start()

    @asynccontextmanager
    async def chain(self):
        async with ChainClient.connect(self.network.url) as client:
            yield client


@pytest.fixture
def place(tmp_path):
    (port,) = free_ports(1)
    with Anvil(AnvilOptions(port=port, block_time_s=BLOCK_TIME_S)) as anvil:
        yield Place(anvil, asyncio.run(deploy_network(anvil.url, tmp_path)), tmp_path)


def sign_payment(owner, target):
    """Sign a payment of 7 wei with the nonce that `owner` has on a chain that knows nothing."""
    fields = {
        "type": 2,
        "chainId": DEVNET_CHAIN_ID,
        "nonce": 0,
        "gas": 21_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "value": 7,
        "data": "0x",
        "to": checksum_address(target),
    }
    return KeySigner(owner).sign_transaction(fields)


async def write_down(home, raw):
    """As if the member had signed it and died before it was sent."""
    url = database_url(home, StorageSection().url)
    async with (
        open_database(url) as engine,
        UnitOfWork(engine)() as rows,
    ):
        await rows.outbox.add(
            "report", 900, target=bytes(20), call=b"", label="pay 7 wei", not_before=0.0
        )
        row = await rows.outbox.get("report", 900)
        await rows.outbox.signed(row.row_id, raw, keccak256(raw))


def wait_for_line(path, words, *, seconds=15.0):
    deadline = time.monotonic() + seconds
    while words not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()[-2000:]
        time.sleep(0.1)


def test_a_member_waits_for_its_chain_and_refuses_another_one(place):
    """While the chain is away it waits; a new one gets nothing that was signed for the old one."""
    home = write_member(place.folder / "ledger", place.network, MEMBER, free_ports(4), beacon=True)
    owner = place.network.member_owners[MEMBER]
    target = secrets.token_bytes(20)

    async def endow():
        async with place.chain() as client:
            await EmbeddedChain(client).set_balance(owner.address, COINS_WEI)

    async def spent():
        async with place.chain() as client:
            return await client.transaction_count(owner.address), await client.balance(target)

    member = MemberProcess(home)
    try:
        place.anvil.stop()
        wait_for_line(home / "logs" / "ledger.log", "chain does not answer")
        asyncio.run(write_down(home, sign_payment(owner, target)))
        time.sleep(1)
        assert member.process.poll() is None
        place.restart()
        asyncio.run(endow())
        _, errors = member.process.communicate(timeout=20)
    finally:
        member.process.kill()
    assert member.process.returncode == 9
    assert RESTARTED in errors
    assert "Traceback" not in errors
    assert asyncio.run(spent()) == (0, 0)
    began = time.monotonic()
    assert place.qnet("ledger", "run", "--home", home)[:2] == (9, RESTARTED)
    assert time.monotonic() - began < 10


def test_commands_and_nodes_name_what_happened(place):
    words = place.reader()
    node = place.folder / "node"
    passphrase = place.folder / "passphrase"
    passphrase.write_text("correct horse")
    passphrase.chmod(0o600)
    save_key(place.folder / "voter.json", place.network.holders[0])
    account = ["--account", place.folder / "voter.json", "--passphrase-file", passphrase, "--yes"]
    (port,) = free_ports(1)
    options = ["--listen", f"127.0.0.1:{port}", "--sni", "x.test", *words, "--light-kdf"]
    options += ["--role", "relay", "--passphrase-file", passphrase, "--home", node]
    assert place.qnet("node", "init", *options)[0] == 0
    assert place.qnet("gov", "status", *words)[0] == 0
    for chain_is_back, expected in ((False, (8, UNREACHABLE)), (True, (9, RESTARTED))):
        if chain_is_back:
            place.restart()
        else:
            place.anvil.stop()
        assert place.qnet("gov", "status", *words)[:2] == expected
        assert place.qnet("gov", "delegate", "self", *words, *account)[:2] == expected
        assert place.qnet("stake", "claim", *words, *account)[:2] == expected
        code, _, errors = place.qnet("node", "run", "--home", node)
        assert code == expected[0]
        assert expected[1] in errors
        assert "Traceback" not in errors
