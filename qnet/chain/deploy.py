"""The deployer: one consistent deployment, however often it is interrupted.

Step i is the deployer's transaction with nonce base + i. Before a transaction leaves, its signed
bytes are in the manifest; a restart sends the same bytes again, which a chain carries out at most
once. The manifest is therefore both the result and the journal.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qnet.address import checksum_address
from qnet.chain.artifact import load_artifact
from qnet.chain.client import ChainClient
from qnet.chain.confirmations import wait_mined
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import (
    CONTRACT_NAMES,
    SCHEMA,
    DeployedContract,
    Deployment,
    load_document,
)
from qnet.chain.errors import (
    ChainRestartedError,
    DeploymentMismatchError,
    NonceSpentError,
    TransactionFailedError,
)
from qnet.chain.layout import DeploymentRequest, create_address, creations
from qnet.chain.reporting import RewardVault
from qnet.chain.sender import Sender, TransactionSigner
from qnet.chain.token import QNetToken
from qnet.chain.values import Call, TxReceipt
from qnet.crypto.keys import keccak256
from qnet.errors import ConfigError
from qnet.files import write_atomic

MANIFEST_MODE: Final = 0o644
STEP_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a deployment.

    Args:
        name: what it makes or pays.
        call: the transaction.
        creates: address of the contract it creates; None for a payment.
        artifact: the compiled contract it is made from; "" for a payment.
    """

    name: str
    call: Call
    creates: bytes | None = None
    artifact: str = ""


@dataclass(frozen=True, slots=True)
class StepDone:
    """Progress: a step is mined and written down."""

    number: int
    total: int
    name: str


class _Journal:
    """The manifest while the deployment runs."""

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self._path = path
        self._document = document

    @classmethod
    def open(cls, path: Path, opening: dict[str, Any]) -> "_Journal":
        """Start a journal or go on with the one that is there.

        Raises:
            ConfigError: the file belongs to another deployment or another chain.
        """
        journal = cls.read(path, opening)
        if not path.exists():
            journal.write()
        return journal

    @classmethod
    def read(cls, path: Path, opening: dict[str, Any]) -> "_Journal":
        """Read the journal that is there, or the one a deployment would begin with.

        Raises:
            ConfigError: the file belongs to another deployment or another chain.
        """
        if not path.exists():
            return cls(path, opening | {"steps": [], "pending": None})
        document = load_document(path)
        if document.get("schema") != SCHEMA or not opening.keys() <= document.keys():
            raise ConfigError(f"{path} is no deployment manifest", try_=("choose another path",))
        if document.get("chain_genesis_hash") != opening["chain_genesis_hash"]:
            raise ChainRestartedError(
                f"{path} describes contracts on a chain that no longer exists",
                why="the chain was restarted",
                try_=(f"remove {path} and deploy again",),
            )
        if document.get("request") != opening["request"]:
            raise ConfigError(
                f"{path} belongs to another deployment",
                why="its parameters, members, allocations or deployer differ",
                try_=("repeat the first command exactly", f"or remove {path} to start anew"),
            )
        return cls(path, document)

    @property
    def base_nonce(self) -> int:
        return int(self._document["base_nonce"])

    @property
    def steps_done(self) -> int:
        return len(self._document["steps"])

    @property
    def start_block(self) -> int:
        return int(self._document["start_block"])

    @property
    def pending(self) -> bytes | None:
        """Signed bytes of the step that may have been sent."""
        raw = self._document["pending"]
        return bytes.fromhex(raw.removeprefix("0x")) if raw else None

    def about_to_send(self, raw: bytes) -> None:
        self._document["pending"] = "0x" + raw.hex()
        self.write()

    def code_hash(self, name: str) -> bytes:
        """Hash of the code a step put on the chain, 32 bytes."""
        for entry in self._document["steps"]:
            if entry["name"] == name:
                return bytes.fromhex(entry["code_hash"].removeprefix("0x"))
        raise ConfigError(f"{self._path} does not list {name}")

    def step_done(self, step: Step, result: TxReceipt, code_hash: bytes | None) -> None:
        entry: dict[str, Any] = {"name": step.name, "tx": "0x" + result.tx_hash.hex()}
        if step.creates is not None and code_hash is not None:
            entry["address"] = checksum_address(step.creates)
            entry["code_hash"] = "0x" + code_hash.hex()
        self._document["steps"].append(entry)
        self._document["pending"] = None
        self.write()

    def finish(self, deployment: Deployment) -> None:
        self._document |= deployment.to_json()
        self.write()

    def write(self) -> None:
        data = json.dumps(self._document, indent=2).encode() + b"\n"
        write_atomic(self._path, data, mode=MANIFEST_MODE)


async def deploy(
    client: ChainClient,
    signer: TransactionSigner,
    request: DeploymentRequest,
    path: Path,
    *,
    on_progress: Callable[[StepDone], None] = lambda _: None,
) -> Deployment:
    """Deploy all contracts and hand out the first tokens, or go on where an earlier run stopped.

    Args:
        client: the chain.
        signer: the deployer's account; it must not be used for anything else meanwhile.
        request: what to deploy.
        path: the manifest to write.
        on_progress: called after each step.

    Raises:
        ConfigError: the devnet profile on another chain, or the manifest is of another deployment.
        ChainRestartedError: the manifest is of a chain that no longer exists.
        DeploymentMismatchError: the deployer's account was used for something else meanwhile.
        ChainError: the chain refuses or does not answer.
    """
    request.parameters.check_chain(client.chain_id)
    journal = _Journal.open(path, await _opening(client, signer.address, request))
    addresses = _addresses(request, signer.address, client.chain_id, journal.base_nonce)
    steps = _steps(client, request, signer.address, addresses)
    sender = Sender(client, signer)
    for number in range(journal.steps_done, len(steps)):
        step = steps[number]
        nonce = journal.base_nonce + number
        result = await _carry_out(client, sender, journal, step, nonce)
        journal.step_done(step, result, await _created_code_hash(client, step))
        on_progress(StepDone(number + 1, len(steps), step.name))
    deployment = _collect(client, request, journal, addresses)
    await _check(client, request, deployment)
    journal.finish(deployment)
    return deployment


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do, or what an interrupted one has left to do.

    Args:
        addresses: contract → where it will stand (20 bytes), in order of creation.
        steps: name of every transaction.
        done: how many of them are mined.
    """

    addresses: Mapping[str, bytes]
    steps: Sequence[str]
    done: int


async def plan(
    client: ChainClient, deployer: bytes, request: DeploymentRequest, path: Path
) -> Plan:
    """Say what `deploy` would do; nothing is written or sent.

    Raises:
        ConfigError: as `deploy` would.
        ChainRestartedError: as `deploy` would.
    """
    request.parameters.check_chain(client.chain_id)
    journal = _Journal.read(path, await _opening(client, deployer, request))
    addresses = _addresses(request, deployer, client.chain_id, journal.base_nonce)
    steps = _steps(client, request, deployer, addresses)
    return Plan(addresses, [step.name for step in steps], journal.steps_done)


def planned_genesis_s(path: Path) -> int | None:
    """Start of epoch 0 in a manifest, complete or not; None if there is no manifest yet.

    A request made anew after an interruption must name the same moment.

    Raises:
        ConfigError: the file is no manifest.
    """
    if not path.exists():
        return None
    found = load_document(path).get("genesis_s")
    if isinstance(found, bool) or not isinstance(found, int):
        raise ConfigError(f"{path} is no deployment manifest")
    return found


async def _opening(
    client: ChainClient, deployer: bytes, request: DeploymentRequest
) -> dict[str, Any]:
    """What a fresh journal says; `request` ties it to deployer and request."""
    return {
        "schema": SCHEMA,
        "complete": False,
        "chain_id": client.chain_id,
        "chain_genesis_hash": "0x" + client.genesis_hash.hex(),
        "start_block": (await client.block()).number,
        "deployer": checksum_address(deployer),
        "base_nonce": await client.transaction_count(deployer, "pending"),
        "genesis_s": request.genesis_s,
        "request": "0x" + keccak256(request.hash() + deployer).hex(),
    }


def _addresses(
    request: DeploymentRequest, deployer: bytes, chain_id: int, base_nonce: int
) -> dict[str, bytes]:
    return {
        creation.name: create_address(deployer, base_nonce + place)
        for place, creation in enumerate(creations(request, deployer, chain_id))
    }


def _steps(
    client: ChainClient,
    request: DeploymentRequest,
    deployer: bytes,
    addresses: dict[str, bytes],
) -> list[Step]:
    """List all transactions: the contracts, payments of the first tokens, the vault's record."""
    steps = [
        Step(creation.name, creation.call(addresses), addresses[creation.name], creation.artifact)
        for creation in creations(request, deployer, client.chain_id)
    ]
    token = QNetToken(client, addresses["QNetToken"])
    payments = [(addresses["RewardVault"], request.vault_wei), *request.allocations]
    steps += [
        Step(f"pay {checksum_address(account)}", token.transfer(account, amount))
        for account, amount in payments
        if amount and account != deployer
    ]
    vault = RewardVault(client, addresses["RewardVault"])
    return [*steps, Step("record the reserve", vault.record_reserve())]


async def _carry_out(
    client: ChainClient, sender: Sender, journal: _Journal, step: Step, nonce: int
) -> TxReceipt:
    """Send a step, or the bytes an earlier run signed for it, and wait until it is mined."""
    raw = journal.pending
    if raw is None:
        prepared = await sender.prepare(step.call)
        if prepared.nonce != nonce:
            raise _account_used(sender.address, nonce, prepared.nonce)
        raw = prepared.raw
        journal.about_to_send(raw)
    try:
        await client.broadcast(raw)
    except NonceSpentError:
        if await client.tx_receipt(keccak256(raw)) is None:
            found = await client.transaction_count(sender.address, "latest")
            raise _account_used(sender.address, nonce, found) from None
    result = await wait_mined(client, keccak256(raw), timeout_s=STEP_TIMEOUT_S)
    if not result.succeeded:
        raise TransactionFailedError(result.tx_hash, None)
    return result


async def _created_code_hash(client: ChainClient, step: Step) -> bytes | None:
    """Hash the code that a step has put on the chain, after comparing it with its artifact."""
    if step.creates is None:
        return None
    code = await client.code(step.creates)
    if not load_artifact(step.artifact).is_code(code):
        raise DeploymentMismatchError(
            f"the code of {step.name} is not the compiled contract's",
            why="the node changed the transaction or ran it differently",
        )
    return keccak256(code)


def _account_used(account: bytes, expected: int, found: int) -> DeploymentMismatchError:
    return DeploymentMismatchError(
        f"the deployer's account {checksum_address(account)} was used for something else",
        why=f"its next nonce is {found}, the deployment needs {expected}",
        try_=("deploy again with a fresh account and a new manifest",),
    )


def _collect(
    client: ChainClient,
    request: DeploymentRequest,
    journal: _Journal,
    addresses: dict[str, bytes],
) -> Deployment:
    contracts = {
        name: DeployedContract(addresses[name], journal.code_hash(name)) for name in CONTRACT_NAMES
    }
    return Deployment(
        chain_id=client.chain_id,
        chain_genesis_hash=client.genesis_hash,
        start_block=journal.start_block,
        genesis_s=request.genesis_s,
        profile=request.profile,
        contracts=contracts,
    )


async def _check(client: ChainClient, request: DeploymentRequest, deployment: Deployment) -> None:
    """Ask the contracts themselves whether they are what was asked for.

    Raises:
        DeploymentMismatchError: one of them is not.
    """
    contracts = await Contracts.open(client, deployment)
    clock = await contracts.epochs.clock()
    found = {
        "parameters": await contracts.parameters.hash(),
        "beacon anchor": await contracts.epochs.beacon_anchor(),
        "genesis": clock.genesis_s,
        "slot length": clock.slot_s,
        "slots of an epoch": clock.slots_per_epoch,
        "token supply": await contracts.token.total_supply(),
        "terms of premium payments": await contracts.channels.terms(),
        "committee": [
            (member.owner, member.signer, member.url)
            for member in await contracts.committee.members()
        ],
    }
    expected = {
        "parameters": request.parameters.hash(),
        "beacon anchor": request.beacon_anchor,
        "genesis": request.genesis_s,
        "slot length": request.parameters.slot_s,
        "slots of an epoch": request.parameters.slots_per_epoch,
        "token supply": request.supply_wei,
        "terms of premium payments": request.terms,
        "committee": [(seat.owner, seat.signer, seat.url) for seat in request.members],
    }
    for name, value in expected.items():
        if found[name] != value:
            raise DeploymentMismatchError(f"the contracts' {name} is not what was asked for")
