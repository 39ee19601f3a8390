"""`qnet gov contracts`: what agrees, and each thing that can differ."""

import asyncio
import json

import pytest

from governance.verification import IMPLEMENTATION_SLOT, verify_contracts
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import CONTRACT_NAMES, Deployment
from qnet.crypto.keys import keccak256
from tests.support.anvil import send_as

pytestmark = pytest.mark.chain
OTHER = "0x" + "11" * 20


def request(world, method, *parameters):
    async def work():
        async with ChainClient.connect(world.url) as client:
            return await client.request(method, *parameters)

    return asyncio.run(work())


def address_of(world, name):
    return json.loads(world.manifest.read_text())["contracts"][name]["address"]


def impersonate(world, sender, call):
    """Send a call as a contract."""

    async def work():
        async with ChainClient.connect(world.url) as client:
            await send_as(client, bytes.fromhex(sender[2:]), call)

    asyncio.run(work())


def test_everything_agrees(world, type_in):
    code, (told,), _ = type_in("gov", "contracts", "verify", *world.reader(), "--json")
    assert code == 0
    data = told["data"]
    assert data["verified"]
    assert {row["contract"] for row in data["rows"]} == set(CONTRACT_NAMES)
    subjects = {row["subject"] for row in data["rows"]}
    assert subjects >= {"role proposer", "role admin", "hash of the values", "bounds of slot_s"}
    assert any(subject.startswith("compiled StakeHub at 0x") for subject in subjects)
    assert any(subject.startswith("compiled ReportJudge at 0x") for subject in subjects)
    code, (text,), _ = type_in("gov", "contracts", "verify", *world.reader())
    assert code == 0
    assert text.strip().endswith("all agree")


def test_the_list_names_what_stands_behind_proxies(world, type_in):
    code, (told,), _ = type_in("gov", "contracts", "list", *world.reader(), "--json")
    assert code == 0
    rows = {row["contract"]: row for row in told["data"]}
    assert set(rows) == set(CONTRACT_NAMES)
    assert rows["StakeHub"]["kind"] == "proxy"
    assert rows["StakeHub"]["implementation"].startswith("0x")
    assert (rows["QNetToken"]["kind"], rows["QNetToken"]["owner"]) == ("immutable", "nobody")


def differing(world, type_in):
    code, (told,), err = type_in("gov", "contracts", "verify", *world.reader(), "--json")
    assert code == 1
    assert json.loads(err.strip().splitlines()[-1])["error"]["code"] == "Q0141"
    return {(row["contract"], row["subject"]) for row in told["data"]["rows"] if row["ok"] == "NO"}


def test_changed_code_is_a_row(world, type_in):
    address = address_of(world, "Epochs")
    code = request(world, "eth_getCode", address, "latest")
    request(world, "anvil_setCode", address, code[:-2] + "ff")
    assert differing(world, type_in) == {
        ("Epochs", "code hash of the manifest"),
        ("Epochs", "compiled Epochs"),
    }


def test_other_code_behind_a_proxy_is_a_row(world, type_in):
    other = address_of(world, "RewardVault")
    request(
        world,
        "anvil_setStorageAt",
        address_of(world, "StakeHub"),
        hex(IMPLEMENTATION_SLOT),
        "0x" + bytes.fromhex(other[2:]).rjust(32, b"\0").hex(),
    )
    found = differing(world, type_in)
    assert ("StakeHub", f"compiled StakeHub at {other}") in found
    assert ("StakeHub", "owner = QNetTimelock") in found


def test_a_role_given_away_is_a_row(world, type_in):
    async def grant():
        async with ChainClient.connect(world.url) as client:
            timelock = Contracts.bind(client, Deployment.load(world.manifest)).timelock
            role = keccak256(b"PROPOSER_ROLE")
            return timelock._write("grantRole", role, bytes.fromhex(OTHER[2:]))

    impersonate(world, address_of(world, "QNetTimelock"), asyncio.run(grant()))
    assert differing(world, type_in) == {("QNetTimelock", "role proposer")}


def test_an_unknown_role_is_a_row(world, type_in):
    async def grant():
        async with ChainClient.connect(world.url) as client:
            timelock = Contracts.bind(client, Deployment.load(world.manifest)).timelock
            return timelock._write("grantRole", keccak256(b"BACKDOOR"), bytes.fromhex(OTHER[2:]))

    impersonate(world, address_of(world, "QNetTimelock"), asyncio.run(grant()))
    role = "0x" + keccak256(b"BACKDOOR").hex()
    assert differing(world, type_in) == {("QNetTimelock", f"role {role}")}


def test_another_slasher_of_the_registry_is_a_row(world, type_in):
    async def appoint():
        async with ChainClient.connect(world.url) as client:
            registry = Contracts.bind(client, Deployment.load(world.manifest)).registry
            return registry._write("setSlasher", bytes.fromhex(OTHER[2:]))

    impersonate(world, address_of(world, "QNetTimelock"), asyncio.run(appoint()))
    assert differing(world, type_in) == {("NodeRegistry", "slasher = Slasher")}


async def test_every_comparison_says_what_it_compares(contracts):
    findings = [finding async for finding in verify_contracts(contracts)]
    assert len(findings) > 150
    assert all(finding.ok and finding.expected and finding.subject for finding in findings)
