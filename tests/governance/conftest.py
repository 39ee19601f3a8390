"""One chain for all governance tests; each starts from the same snapshot."""

import asyncio
import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from qnet.chain.anvil import Anvil, EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deploy import deploy
from qnet.chain.deployment import Deployment
from qnet.chain.layout import DeploymentRequest, MemberSeat
from qnet.chain.sender import KeySigner
from qnet.cli.root import run
from qnet.crypto.keys import ReceiptKey
from qnet.issuance import PaymentTerms
from qnet.parameters import NetworkParameters
from qnet.wallet.keystore import LIGHT, KeyKind, encrypt, save

NAMES = ("alice", "bob", "carol", "operator")
QNET = 10**18


@dataclass(frozen=True)
class World:
    """A deployed chain with named accounts.

    Alice holds 2,000,000 QNET, bob and the operator 100,000 each, carol 10, all undelegated.
    """

    url: str
    manifest: Path
    keys: dict[str, ReceiptKey]
    signers: tuple[ReceiptKey, ...]
    keystores: dict[str, Path]
    passphrase_file: Path

    def words(self, name):
        """Command-line words that name an account and the chain."""
        return [
            *("--account", str(self.keystores[name])),
            *("--passphrase-file", str(self.passphrase_file)),
            *self.reader(),
            *("--yes", "--json"),
        ]

    def reader(self):
        return ["--rpc", self.url, "--deployment", str(self.manifest)]


async def _deploy(url, manifest, keys, signers, parameters):
    async with ChainClient.connect(url) as client:
        for key in keys.values():
            await EmbeddedChain(client).set_balance(key.address, 10**21)
        seats = [
            MemberSeat(ReceiptKey.generate().address, signer.address, "http://x")
            for signer in signers
        ]
        amounts = {"alice": 2_000_000, "bob": 100_000, "carol": 10, "operator": 100_000}
        request = DeploymentRequest(
            parameters=parameters,
            profile="devnet",
            terms=PaymentTerms.profile("devnet"),
            genesis_s=(await client.block()).timestamp + 5,
            beacon_anchor=secrets.token_bytes(32),
            members=seats,
            allocations=[(keys[name].address, amount * QNET) for name, amount in amounts.items()],
            vault_wei=1_000_000 * QNET,
        )
        await deploy(client, KeySigner(keys["deployer"]), request, manifest)


@contextmanager
def open_world(folder, parameters):
    """A chain of its own with everything deployed."""
    keys = {name: ReceiptKey.generate() for name in (*NAMES, "deployer")}
    signers = tuple(ReceiptKey.generate() for _ in range(4))
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    stores = {}
    for name in NAMES:
        stores[name] = folder / f"{name}.json"
        stored = encrypt(
            keys[name].secret,
            "correct horse",
            kind=KeyKind.SECP256K1,
            random=secrets.token_bytes,
            cost=LIGHT,
        )
        save(stores[name], stored)
    with Anvil(log=folder / "anvil.log") as anvil:
        manifest = folder / "deployment.json"
        asyncio.run(_deploy(anvil.url, manifest, keys, signers, parameters))
        yield World(anvil.url, manifest, keys, signers, stores, passphrase)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("governance")
    with open_world(folder, NetworkParameters.profile("devnet")) as world:
        yield world


@pytest.fixture
def world(deployed):
    """The deployed chain; what the test does to it is undone."""

    async def embedded(action):
        async with ChainClient.connect(deployed.url) as client:
            return await action(EmbeddedChain(client))

    snapshot = asyncio.run(embedded(lambda chain: chain.snapshot()))
    yield deployed
    asyncio.run(embedded(lambda chain: chain.revert(snapshot)))


@pytest.fixture
async def contracts(world):
    async with ChainClient.connect(world.url) as client:
        yield await Contracts.open(client, Deployment.load(world.manifest))


@pytest.fixture
def type_in(world, capsys):
    """Run a command; return its exit code, JSON documents on stdout, and stderr."""

    def typed(*words):
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        decoder, rest, documents = json.JSONDecoder(), captured.out.strip(), []
        while rest.startswith("{"):
            document, end = decoder.raw_decode(rest)
            documents.append(document)
            rest = rest[end:].strip()
        return code, documents or [rest], captured.err

    return typed
