import contextlib
import json
import secrets
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.chain.anvil import Anvil, AnvilOptions, EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deploy import deploy, plan, planned_genesis_s
from qnet.chain.deployment import CONTRACT_NAMES, DeployedContract, Deployment
from qnet.chain.errors import ChainRestartedError, DeploymentMismatchError, WrongChainError
from qnet.chain.layout import (
    APPOINTED,
    LINKS,
    OWNED,
    DeploymentRequest,
    MemberSeat,
    create_address,
    creations,
)
from qnet.chain.sender import KeySigner, Sender
from qnet.chain.values import Call
from qnet.crypto.keys import ReceiptKey
from qnet.errors import ConfigError
from qnet.issuance import PaymentTerms
from qnet.parameters import NetworkParameters

pytestmark = pytest.mark.chain
HOLDERS = (b"\x01" * 20, b"\x02" * 20)
STEPS = 22


class KilledError(BaseException):
    """Stands for a kill -9: nothing in the product may catch it."""


class KilledClient:
    """A client whose process dies at a chosen broadcast, before or after it leaves."""

    def __init__(self, client, *, dies_at, after):
        self._client = client
        self._left = dies_at
        self._after = after

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def broadcast(self, raw):
        if self._left == 0 and not self._after:
            raise KilledError
        await self._client.broadcast(raw)
        if self._left == 0:
            raise KilledError
        self._left -= 1


def make_request(genesis_s=2_000_000_000):
    return DeploymentRequest(
        parameters=NetworkParameters.profile("devnet"),
        profile="devnet",
        terms=PaymentTerms.profile("devnet"),
        genesis_s=genesis_s,
        beacon_anchor=secrets.token_bytes(32),
        members=[
            MemberSeat(bytes([0x40 + place]) * 20, bytes([0x50 + place]) * 20, f"http://m{place}")
            for place in range(4)
        ],
        allocations=[(holder, 10**24) for holder in HOLDERS],
        vault_wei=10**26,
    )


@pytest.fixture
async def fresh():
    """An empty chain and a deployer with coins."""
    with Anvil(AnvilOptions(block_time_s=0)) as running:
        async with ChainClient.connect(running.url) as client:
            key = ReceiptKey.generate()
            await EmbeddedChain(client).set_balance(key.address, 10**20)
            yield client, KeySigner(key)


async def check_result(client, signer, request, deployment, path):
    """One deployment, whole, and not a transaction more than it needs."""
    assert await client.transaction_count(signer.address) == STEPS
    assert Deployment.load(path) == deployment
    contracts = await Contracts.open(client, deployment)
    assert await contracts.token.total_supply() == request.supply_wei
    assert await contracts.token.balance_of(contracts.vault.address) == request.vault_wei
    assert await contracts.token.balance_of(signer.address) == 0
    deployed_s = (await client.block()).timestamp
    await EmbeddedChain(client).warp(deployed_s + 1)
    assert await contracts.vault.reserve_at(deployed_s) == request.vault_wei
    circulating_wei = request.supply_wei - request.vault_wei
    assert await contracts.governor.quorum(deployed_s) == circulating_wei * 4 // 100
    for holder, amount in request.allocations:
        assert await contracts.token.balance_of(holder) == amount


async def test_deploys_everything_and_tells_each_step(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    progress = []
    deployment = await deploy(client, signer, request, path, on_progress=progress.append)
    await check_result(client, signer, request, deployment, path)
    assert [done.number for done in progress] == list(range(1, STEPS + 1))
    assert {done.total for done in progress} == {STEPS}
    document = json.loads(path.read_text())
    assert document["schema"] == "qnet.deployment/1"
    assert set(document["contracts"]) == set(CONTRACT_NAMES)
    contracts = Contracts.bind(client, deployment)
    assert await contracts.parameters.all() == request.parameters
    assert await contracts.parameters.bounds("slot_s") == (5, 5)
    assert await contracts.committee.quorum() == 3
    assert (await contracts.epochs.clock()).genesis_s == request.genesis_s
    again = await deploy(client, signer, request, path)
    assert again == deployment
    assert await client.transaction_count(signer.address) == STEPS


@pytest.mark.parametrize("after", [False, True], ids=["before it leaves", "after it left"])
async def test_killed_at_every_broadcast_it_goes_on_to_one_deployment(fresh, tmp_path, after):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    for _ in range(STEPS):
        dying = KilledClient(client, dies_at=0 if after else 1, after=after)
        try:
            deployment = await deploy(dying, signer, request, path)
        except KilledError:
            with pytest.raises(ConfigError, match="not complete"):
                Deployment.load(path)
        else:
            break
    else:
        deployment = await deploy(client, signer, request, path)
    await check_result(client, signer, request, deployment, path)


async def test_killed_after_every_step_it_goes_on_to_one_deployment(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"

    def die(_done):
        raise KilledError

    for step in range(STEPS):
        with pytest.raises(KilledError):
            await deploy(client, signer, request, path, on_progress=die)
        assert len(json.loads(path.read_text())["steps"]) == step + 1
    deployment = await deploy(client, signer, request, path, on_progress=die)
    await check_result(client, signer, request, deployment, path)


async def test_addresses_are_those_of_the_documented_order(fresh, tmp_path):
    client, signer = fresh
    deployment = await deploy(client, signer, make_request(), tmp_path / "d.json")
    expected = {
        "QNetToken": 0,
        "Parameters": 1,
        "QNetTimelock": 2,
        "Epochs": 3,
        "Committee": 4,
        "NodeRegistry": 6,
        "StakeHub": 8,
        "ReportOracle": 10,
        "RewardVault": 11,
        "QNetGovernor": 12,
        "VersionRegistry": 13,
        "Slasher": 14,
        "DisputeCourt": 16,
    }
    for name, nonce in expected.items():
        assert deployment.address(name) == create_address(signer.address, nonce)


async def test_the_planned_genesis_survives_an_interruption(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    assert planned_genesis_s(path) is None
    with pytest.raises(KilledError):
        await deploy(KilledClient(client, dies_at=3, after=True), signer, request, path)
    assert planned_genesis_s(path) == request.genesis_s
    await deploy(client, signer, request, path)
    assert planned_genesis_s(path) == request.genesis_s
    path.write_text("{}")
    with pytest.raises(ConfigError, match="no deployment manifest"):
        planned_genesis_s(path)


async def test_a_plan_says_what_is_left_and_sends_nothing(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    before = await plan(client, signer.address, request, path)
    assert (before.done, len(before.steps)) == (0, STEPS)
    assert not path.exists()
    with pytest.raises(KilledError):
        await deploy(KilledClient(client, dies_at=3, after=True), signer, request, path)
    assert (await plan(client, signer.address, request, path)).done == 3
    deployment = await deploy(client, signer, request, path)
    after = await plan(client, signer.address, request, path)
    assert after.done == STEPS
    assert after.addresses == before.addresses
    assert {name: before.addresses[name] for name in CONTRACT_NAMES} == {
        name: deployment.address(name) for name in CONTRACT_NAMES
    }


async def test_every_link_leads_where_the_layout_says(fresh, tmp_path):
    client, signer = fresh
    deployment = await deploy(client, signer, make_request(), tmp_path / "d.json")
    contracts = {contract.NAME: contract for contract in Contracts.bind(client, deployment).all()}
    for links in (LINKS, APPOINTED, {name: {"owner": "QNetTimelock"} for name in OWNED}):
        for name, getters in links.items():
            for getter, target in getters.items():
                found = await contracts[name].address_from(getter)
                assert found == deployment.address(target), (name, getter)


async def test_another_request_does_not_continue_a_deployment(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    await deploy(client, signer, request, path)
    with pytest.raises(ConfigError, match="another deployment"):
        await deploy(client, signer, replace(request, vault_wei=1), path)


async def test_a_foreign_file_is_not_overwritten(fresh, tmp_path):
    client, signer = fresh
    path = tmp_path / "package.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="no deployment manifest"):
        await deploy(client, signer, make_request(), path)
    assert path.read_text() == "{}"


async def test_a_deployer_used_meanwhile_is_told(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    with pytest.raises(KilledError):
        await deploy(KilledClient(client, dies_at=3, after=True), signer, request, path)
    await Sender(client, signer).send(Call(HOLDERS[0], value_wei=1))
    with pytest.raises(DeploymentMismatchError, match="was used for something else"):
        await deploy(client, signer, request, path)


async def test_a_pending_step_whose_nonce_another_took_is_told(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    with pytest.raises(KilledError):
        await deploy(KilledClient(client, dies_at=3, after=False), signer, request, path)
    await Sender(client, signer).send(Call(HOLDERS[0], value_wei=1))
    with pytest.raises(DeploymentMismatchError, match="was used for something else"):
        await deploy(client, signer, request, path)


async def test_a_manifest_of_a_restarted_chain_is_refused(fresh, tmp_path):
    client, signer = fresh
    request, path = make_request(), tmp_path / "deployment.json"
    deployment = await deploy(client, signer, request, path)
    with Anvil(AnvilOptions(block_time_s=0, timestamp_s=1_000_000_000)) as other:
        async with ChainClient.connect(other.url) as restarted:
            with pytest.raises(ChainRestartedError, match="no longer exists"):
                await deploy(restarted, signer, request, path)
            with pytest.raises(ChainRestartedError, match="restarted after"):
                await Contracts.open(restarted, deployment)


async def test_changed_code_and_other_chains_are_refused(fresh, tmp_path):
    client, signer = fresh
    deployment = await deploy(client, signer, make_request(), tmp_path / "d.json")
    with pytest.raises(WrongChainError):
        await replace(deployment, chain_id=1).check(client)
    await client.request("anvil_setCode", "0x" + deployment.address("Epochs").hex(), "0x00")
    with pytest.raises(DeploymentMismatchError, match="Epochs"):
        await deployment.check(client)


async def test_the_devnet_profile_is_refused_elsewhere(fresh, tmp_path):
    client, signer = fresh
    await client.request("anvil_setChainId", 5)
    async with ChainClient.connect(client.url) as elsewhere:
        with pytest.raises(ConfigError, match="refused on chain 5"):
            await deploy(elsewhere, signer, make_request(), tmp_path / "d.json")
    assert not (tmp_path / "d.json").exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"schema": "other"}', '{"schema": "qnet.deployment/1"}', "x" * 2**21],
)
def test_damaged_manifests_are_config_errors(tmp_path, content):
    path = tmp_path / "deployment.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"deployment\.json"):
        Deployment.load(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.data())
def test_any_field_of_a_manifest_may_hold_anything(data):
    whole = DeployedContract(bytes(20), bytes(32))
    contracts = dict.fromkeys(CONTRACT_NAMES, whole)
    document = Deployment(1, bytes(32), 0, 0, "main", contracts).to_json()
    place = document
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[name], dict) and data.draw(st.booleans()):
            place = place[name]
            continue
        place[name] = data.draw(json_values)
        break
    with contextlib.suppress(ConfigError):
        Deployment.from_json(document)


def test_a_cut_manifest_is_a_config_error(tmp_path):
    path = tmp_path / "deployment.json"
    with pytest.raises(ConfigError, match="cannot read"):
        Deployment.load(path)


def test_every_contract_of_the_manifest_is_created_once():
    names = [creation.name for creation in creations(make_request(), bytes(20), 31337)]
    assert len(names) == len(set(names))
    assert set(CONTRACT_NAMES) <= set(names)


@pytest.mark.parametrize(
    ("nonce", "address"),
    [
        (0, "333c3310824b7c685133f2bedb2ca4b8b4df633d"),
        (1, "8bda78331c916a08481428e4b07c96d3e916d165"),
        (2, "c9ddedf451bc62ce88bf9292afb13df35b670699"),
    ],
)
def test_addresses_of_created_contracts(nonce, address):
    """Source: go-ethereum crypto_test.go, TestNewContractAddress."""
    creator = bytes.fromhex("970e8128ab834e8eac17ab8e3812f010678cf791")
    assert create_address(creator, nonce).hex() == address


@pytest.mark.parametrize("nonce", [127, 128, 255, 256, 65_536])
async def test_addresses_with_larger_nonces_are_those_of_the_chain(fresh, nonce):
    client, signer = fresh
    await client.request("anvil_setNonce", "0x" + signer.address.hex(), hex(nonce))
    result = await Sender(client, signer).send(Call(None, bytes.fromhex("60006000f3")))
    assert result.contract_address == create_address(signer.address, nonce)
