"""Fixtures for tests that need a chain: one anvil and deployment a session, a fresh state a test.

`tests/conftest.py` loads this module as a plugin; nothing of the product is imported before a
test asks for a fixture. Mark such tests with ``@pytest.mark.chain`` (or ``pytestmark``).

- ``network`` (session): the deployment. Its fields: ``url``, ``manifest`` (path of
  deployment.json), ``deployment``, ``parameters``, ``request``, ``beacon`` (reveals), and keys
  (`ReceiptKey`) with native coin: ``deployer``, ``holders`` (6, each 1 % of the supply, not yet
  delegated), ``member_owners`` and ``member_signers`` (4 of each, bonds deposited).
- ``chain`` (each test): `ChainFixture` over it. ``chain.client``, ``chain.contracts``,
  ``chain.control`` (mine, warp, snapshot, reorganise), ``chain.sender(key)``,
  ``await chain.send(key, call)``, ``await chain.register_node(owner)``. Whatever a test does is
  undone afterwards.
- ``anvil`` (session): the process under ``network``; tests that stop or restart a chain start
  their own `Anvil`.

Blocks come every 0.2 s and with each transaction, so ``wait="final"`` takes half a second. The
chain's clock starts at the same moment in every test and is not the wall clock: ask
``await chain.control.now()``, move it with ``await chain.control.warp(t)``. Epoch 0 starts
GENESIS_DELAY_S after the deployment.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from qnet.beacon import HashChain
    from qnet.chain.anvil import Anvil, EmbeddedChain
    from qnet.chain.client import ChainClient
    from qnet.chain.contracts import Contracts
    from qnet.chain.deployment import Deployment
    from qnet.chain.layout import DeploymentRequest
    from qnet.chain.sender import Sender
    from qnet.chain.staking import Role
    from qnet.chain.values import Call, TxReceipt
    from qnet.crypto.keys import ReceiptKey
    from qnet.issuance import PaymentTerms
    from qnet.parameters import NetworkParameters

WEI = 10**18
SUPPLY_WEI = 100_000_000 * WEI
HOLDERS = 6
HOLDER_WEI = SUPPLY_WEI // 100
MEMBERS = 4
COINS_WEI = 1000 * WEI
GENESIS_DELAY_S = 900
BEACON_SLOTS = 600
BLOCK_TIME_S = 0.2
FINAL_BLOCKS = 3
"""Behind the newest block, one is final."""


async def send_as(client: "ChainClient", sender: bytes, call: "Call") -> "TxReceipt":
    """Send a call as a contract, which has no key: what a vote or the court would make it do.

    Args:
        client: of an anvil.
        sender: 20 bytes.
        call: that succeeds.
    """
    from qnet.chain.anvil import EmbeddedChain

    chain = EmbeddedChain(client)
    await chain.set_balance(sender, WEI)
    await client.request("anvil_impersonateAccount", "0x" + sender.hex())
    assert call.to is not None
    fields = {
        "from": "0x" + sender.hex(),
        "to": "0x" + call.to.hex(),
        "data": "0x" + call.data.hex(),
    }
    # twice the estimate: a checkpoint costs more once the second has changed
    fields["gas"] = hex(2 * int(str(await client.request("eth_estimateGas", fields)), 16))
    tx_hash = bytes.fromhex(str(await client.request("eth_sendTransaction", fields))[2:])
    receipt = await client.tx_receipt(tx_hash)
    while receipt is None:
        await chain.mine()
        receipt = await client.tx_receipt(tx_hash)
    assert receipt.succeeded
    return receipt


@dataclass(frozen=True)
class Network:
    """One deployment on the session's chain; see the module's first lines."""

    url: str
    manifest: Path
    deployment: "Deployment"
    request: "DeploymentRequest"
    beacon: "HashChain"
    deployer: "ReceiptKey"
    holders: tuple["ReceiptKey", ...]
    member_owners: tuple["ReceiptKey", ...]
    member_signers: tuple["ReceiptKey", ...]

    @property
    def parameters(self) -> "NetworkParameters":
        return self.request.parameters


@dataclass(frozen=True)
class RegisteredNodeKeys:
    """A node that a test has registered."""

    index: int
    owner: "ReceiptKey"
    receipt_key: "ReceiptKey"
    node_id: bytes


@dataclass
class ChainFixture:
    """A connected client and the contracts of the session's deployment."""

    network: Network
    client: "ChainClient"
    contracts: "Contracts"
    control: "EmbeddedChain"
    _senders: dict[bytes, "Sender"] = field(default_factory=dict)

    def sender(self, key: "ReceiptKey") -> "Sender":
        from qnet.chain.sender import KeySigner, Sender

        if key.address not in self._senders:
            self._senders[key.address] = Sender(self.client, KeySigner(key))
        return self._senders[key.address]

    async def send(self, key: "ReceiptKey", call: "Call", **options: Any) -> "TxReceipt":
        return await self.sender(key).send(call, **options)

    async def new_account(self, tokens_wei: int = 0) -> "ReceiptKey":
        """Make an account with native coin and tokens."""
        from qnet.crypto.keys import ReceiptKey

        key = ReceiptKey.generate()
        await self.control.set_balance(key.address, COINS_WEI)
        if tokens_wei:
            transfer = self.contracts.token.transfer(key.address, tokens_wei)
            await self.send(self.network.deployer, transfer)
        return key

    async def register_node(
        self,
        owner: "ReceiptKey",
        *,
        role: "Role | None" = None,
        identity_key: bytes | None = None,
        receipt_key: "ReceiptKey | None" = None,
        bond_wei: int = 0,
    ) -> RegisteredNodeKeys:
        """Register a node of `owner` (payout to the owner) and bond `bond_wei` to it.

        The deployer gives the fee, which is burned: the owner has what it had, less the bond.
        """
        from qnet.chain.staking import Role
        from qnet.crypto.kdf import node_id_of
        from qnet.crypto.keys import ReceiptKey

        token, registry, hub = self.contracts.token, self.contracts.registry, self.contracts.hub
        fee_wei = self.network.parameters.register_fee_wei
        await self.send(self.network.deployer, token.transfer(owner.address, fee_wei))
        await self.send(owner, token.approve(registry.address, fee_wei))
        signer = receipt_key or ReceiptKey.generate()
        identity = identity_key or secrets.token_bytes(32)
        node_id = node_id_of(identity)
        deadline = await self.control.now() + 3600
        proof = signer.sign(
            registry.key_proof_digest(owner.address, node_id, signer.address, deadline)
        )
        result = await self.send(
            owner,
            registry.register(
                role or Role.RELAY,
                node_id=node_id,
                identity_key=identity,
                receipt_key=signer.address,
                payout=owner.address,
                deadline_s=deadline,
                proof=proof,
            ),
        )
        index = registry.only_event(result, "NodeRegistered").arguments["index"]
        if bond_wei:
            await self.send(owner, token.approve(hub.address, bond_wei))
            await self.send(owner, hub.bond(index, bond_wei))
        return RegisteredNodeKeys(index, owner, signer, node_id)

    def quorum_signatures(self, digest: bytes, members: tuple[int, ...] = (0, 1, 2)) -> bytes:
        """Sign a digest as these members, in order; the bitmap has their bits."""
        return b"".join(self.network.member_signers[member].sign(digest) for member in members)


async def deploy_network(
    url: str, folder: Path, *, terms: "PaymentTerms | None" = None, **changes: int
) -> Network:
    """Deploy everything to a running chain and bond the committee; `changes` of parameters."""
    from qnet.beacon import HashChain
    from qnet.chain.anvil import EmbeddedChain
    from qnet.chain.client import ChainClient
    from qnet.chain.contracts import Contracts
    from qnet.chain.deploy import deploy
    from qnet.chain.layout import DeploymentRequest, MemberSeat
    from qnet.chain.sender import KeySigner, Sender
    from qnet.crypto.keys import ReceiptKey
    from qnet.issuance import PaymentTerms
    from qnet.parameters import NetworkParameters

    deployer = ReceiptKey.generate()
    holders = tuple(ReceiptKey.generate() for _ in range(HOLDERS))
    owners = tuple(ReceiptKey.generate() for _ in range(MEMBERS))
    signers = tuple(ReceiptKey.generate() for _ in range(MEMBERS))
    parameters = replace(NetworkParameters.profile("devnet"), **changes)
    beacon = HashChain(secrets.token_bytes(32), BEACON_SLOTS)
    manifest = folder / "deployment.json"
    async with ChainClient.connect(url) as client:
        control = EmbeddedChain(client)
        for key in (deployer, *holders, *owners, *signers):
            await control.set_balance(key.address, COINS_WEI)
        bond = parameters.committee_bond_wei
        request = DeploymentRequest(
            parameters=parameters,
            profile="devnet",
            terms=terms or PaymentTerms.profile("devnet"),
            genesis_s=await control.now() + GENESIS_DELAY_S,
            beacon_anchor=beacon.anchor,
            members=[
                MemberSeat(owner.address, signer.address, f"http://127.0.0.1:{18701 + place}")
                for place, (owner, signer) in enumerate(zip(owners, signers, strict=True))
            ],
            allocations=[
                *((key.address, HOLDER_WEI) for key in holders),
                *((key.address, bond) for key in owners),
                (deployer.address, SUPPLY_WEI // 2 - HOLDERS * HOLDER_WEI - MEMBERS * bond),
            ],
            vault_wei=SUPPLY_WEI // 2,
        )
        deployment = await deploy(client, KeySigner(deployer), request, manifest)
        contracts = Contracts.bind(client, deployment)
        for key in owners:
            sender = Sender(client, KeySigner(key))
            await sender.send(contracts.token.approve(contracts.committee.address, bond))
            await sender.send(contracts.committee.deposit_bond())
    return Network(url, manifest, deployment, request, beacon, deployer, holders, owners, signers)


@pytest.fixture(scope="session")
def anvil() -> "Iterator[Anvil]":
    from qnet.chain.anvil import Anvil, AnvilOptions

    with Anvil(AnvilOptions(block_time_s=BLOCK_TIME_S)) as running:
        yield running


@pytest.fixture(scope="session")
def network(anvil: "Anvil", tmp_path_factory: pytest.TempPathFactory) -> Network:
    return asyncio.run(deploy_network(anvil.url, tmp_path_factory.mktemp("network")))


@contextmanager
def network_of_its_own(folder: Path) -> Iterator[Network]:
    """A chain and contracts that no other module uses.

    For tests that send as a member: anvil now and then takes such a transaction and never mines
    it, on a chain that was taken back while it counted others of the account.
    """
    from qnet.chain.anvil import Anvil, AnvilOptions

    with Anvil(AnvilOptions(block_time_s=BLOCK_TIME_S)) as running:
        yield asyncio.run(deploy_network(running.url, folder))


async def latest(client: "ChainClient") -> Any:
    """The newest block, as the node shows it, with the hashes of its transactions."""
    whole = False
    return await client.request("eth_getBlockByNumber", "latest", whole)


async def take_back(
    client: "ChainClient", control: "EmbeddedChain", snapshots: list[str], root: str
) -> None:
    """Return to the newest snapshot that gives the state with a root, right after a block.

    A block that anvil mines at the same moment stands on top of the snapshot with all that the
    test did, its clock included; then the older snapshot is tried.
    """
    while snapshots:
        number = (await latest(client))["number"]
        for _ in range(40):
            if (await latest(client))["number"] != number:
                break
            await asyncio.sleep(BLOCK_TIME_S / 20)
        await control.revert(snapshots.pop())
        await asyncio.sleep(BLOCK_TIME_S / 2)  # what was being mined is there by now
        if (await latest(client))["stateRoot"] == root:
            return


async def mend(client: "ChainClient", control: "EmbeddedChain") -> None:
    """Mine past a block that anvil lost: it may, when it is taken back while it mines one."""
    from qnet.chain.errors import ChainRestartedError

    latest = (await client.block()).number
    for number in range(max(0, latest - FINAL_BLOCKS), latest + 1):
        try:
            await client.block(number)
        except ChainRestartedError:
            await control.mine(FINAL_BLOCKS + 1 - (latest - number))


@pytest.fixture
async def chain(network: Network) -> AsyncIterator[ChainFixture]:
    from qnet.chain.anvil import EmbeddedChain
    from qnet.chain.client import ChainClient
    from qnet.chain.contracts import Contracts

    async with ChainClient.connect(network.url) as client:
        control = EmbeddedChain(client)
        snapshots = [await control.snapshot(), await control.snapshot()]
        before = await latest(client)
        contracts = Contracts.bind(client, network.deployment)
        try:
            yield ChainFixture(network, client, contracts, control)
        finally:
            await take_back(client, control, snapshots, before["stateRoot"])
            await mend(client, control)
