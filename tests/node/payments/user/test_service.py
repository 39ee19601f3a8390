"""The wallet of a running client: opened with it, asked over its control socket, brought back."""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.client.command.payments import PaymentCommands
from node.config import ClientConfig, PaymentsSection
from node.errors import NodeConfigError, WalletMissingError
from node.io.control import ControlServer, RemoteControlError, call
from node.payments.user.derivation import Seed
from node.payments.user.opening import Premises
from node.payments.user.routes import DirectRoute
from node.payments.user.seed_file import load_seed, payments_folder, save_seed
from node.payments.user.service import Premium
from node.payments.user.states import State
from node.payments.user.surroundings import Surroundings
from node.payments.user.wallet_file import create_file
from qnet.wallet.keystore import LIGHT
from tests.support.issuing import PLACE, REWARDS, Chain, Office, Time

SECRET = bytes(range(32))


@dataclass
class Node:
    index: int
    weight: int
    price: int


@dataclass
class Consensus:
    nodes: tuple[Node, ...]


class View:
    """What a session's view shows of the network."""

    def __init__(self):
        nodes = (Node(3, 10, 1), Node(4, 10, 0), Node(5, 0, 2), Node(6, 7, 2))
        self.held = type("Held", (), {"consensus": Consensus(nodes)})()


@dataclass
class Made:
    """A circuit that stands over some nodes."""

    path: Any
    retired: str = ""


class Client:
    """The part of a session that the wallet sees."""

    def __init__(self):
        self.view, self.purse = View(), None
        self.circuits = type("Circuits", (), {"open": []})()

    def stand(self, *nodes, retired=""):
        self.circuits.open.append(Made(type("Path", (), {"nodes": nodes})(), retired))

    def wall(self):
        return 1_700_000_000.0


class Here(Premises):
    """A home whose committee and chain are those of the test."""

    around: Any = None

    def surroundings(self, direct, session):
        return Here.around(direct)


@dataclass
class Stage:
    premium: Premium
    office: Office
    home: Path
    client: Client

    async def ask(self, command, **arguments):
        return await call(self.home / "control.sock", f"pay.{command}", **arguments)


def config(home, *, with_payments=True):
    section = PaymentsSection(
        members=("http://127.0.0.1:9",),
        deployment=home / "deployment.json",
        passphrase_file=home / "passphrase",
        tokens=2,
        credits_low=2,
        credits_buy=4,
    )
    return ClientConfig(
        network={"bundle": home / "network.json"}, payments=section if with_payments else None
    )


@pytest.fixture
async def stage(tmp_path):
    time, chain = Time(), Chain()
    office, seed = Office(time, chain), Seed(SECRET)
    office.prepare(0)
    chain.deposit(seed.channel.address, 1000)
    (tmp_path / "passphrase").write_text("sesame")
    (tmp_path / "passphrase").chmod(0o600)
    folder = payments_folder(tmp_path)
    folder.mkdir()
    save_seed(folder, SECRET, "sesame", random=secrets.token_bytes, cost=LIGHT)
    create_file(folder, seed.channel.address)
    client = Client()
    async with office.open(), DirectRoute() as direct:
        Here.around = lambda route: Surroundings(
            PLACE, REWARDS, chain, office.urls, route, lambda: route, time, secrets.token_bytes
        )
        premium = Premium(client, Here(tmp_path, config(tmp_path)), direct)
        control = ControlServer(PaymentCommands(premium).handlers())
        async with control.serve(tmp_path / "control.sock"):
            yield Stage(premium, office, tmp_path, client)
        premium.close()


async def test_the_clients_circuits_are_paid_out_of_the_open_wallet(stage):
    stage.premium.open()
    assert stage.client.purse is stage.premium.wallet
    assert stage.premium.relays() == {3: 10, 6: 7}
    nodes = stage.client.view.held.consensus.nodes
    stage.client.stand(nodes[1], nodes[3])
    stage.client.stand(nodes[0], retired="slow")
    wanted = stage.premium.relays()
    assert wanted[3] == 10
    assert wanted[6] > 10**6 * wanted[3]
    assert set(wanted) == {3, 6}
    stage.premium.close()
    assert stage.client.purse is None


async def test_it_is_kept_stocked_while_the_client_runs(stage):
    stage.premium.open()
    await stage.ask("limit", wei=str(100 * 10**18))
    assert (await stage.ask("auto", on=True))["auto"] is True
    running = asyncio.create_task(stage.premium.run())
    try:
        async with asyncio.timeout(30):
            while (await stage.ask("status"))["tokens"] < 2:
                stage.office.time.now += 2
                await asyncio.sleep(0.2)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    found = await stage.ask("status")
    assert found["client"] == "running"
    assert found["problem"] == ""
    assert found["crowd"]["buyers"] == 1
    assert "small" in found["warning"]
    kinds = {row["kind"] for row in await stage.ask("tokens")}
    assert kinds == {"credit", "token"}


async def test_bought_over_the_control_socket(stage):
    stage.premium.open()
    found = await stage.ask("buy", credits=3)
    assert found["done"] is True
    rows = await stage.ask("receipts", delete=True)
    assert [row["credits"] for row in rows] == [3]
    assert await stage.ask("receipts") == []


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("buy", {"credits": 0}),
        ("buy", {"credits": 65}),
        ("buy", {"credits": True}),
        ("buy", {}),
        ("limit", {"wei": 5}),
        ("limit", {"wei": "-1"}),
        ("auto", {"on": 1}),
        ("exit", {"to": 5}),
        ("exit", {"to": "0x12"}),
    ],
)
async def test_bad_arguments_are_refused(stage, command, arguments):
    stage.premium.open()
    with pytest.raises(RemoteControlError):
        await stage.ask(command, **arguments)
    assert stage.premium.wallet.store.requests() == []


async def test_a_purchase_that_members_do_not_answer_is_told_and_kept(stage):
    stage.premium.open()
    await stage.ask("buy", credits=1)
    for member in stage.office.members[1:]:
        member.mode = "silent"
    found = await stage.ask("buy", credits=1)
    assert found["done"] is False
    assert (await stage.ask("status"))["under_way"] == 1


async def test_a_damaged_file_is_put_aside_and_the_wallet_comes_back(stage):
    stage.premium.open()
    await stage.ask("buy", credits=3)
    stage.premium.close()
    path = stage.home / "payments" / "wallet.db"
    path.write_bytes(path.read_bytes()[:4096])
    stage.premium.open()
    assert stage.client.purse is None
    with pytest.raises(RemoteControlError, match="damaged"):
        await stage.ask("status")
    found = await stage.ask("recover")
    assert found["purchases"] == 1
    assert found["found"] == [
        {"epoch": 0, "kind": "credit of 64", "state": "held", "count": 3, "units": 192}
    ]
    assert found["put_aside"].startswith(str(path))
    assert len(stage.client.purse.store.instruments(State.HELD)) == 3


async def test_a_recovery_of_a_whole_wallet_changes_nothing(stage):
    stage.premium.open()
    await stage.ask("buy", credits=3)
    before = stage.premium.wallet.store.instruments()
    found = await stage.ask("recover")
    assert found["put_aside"] is None
    assert stage.premium.wallet.store.instruments() == before


async def test_a_client_without_payments_says_so(stage, tmp_path):
    premium = Premium(
        stage.client, Here(tmp_path, config(tmp_path, with_payments=False)), DirectRoute()
    )
    with pytest.raises(NodeConfigError):
        _ = premium.wallet
    premium.close()


def test_a_seed_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WalletMissingError):
        load_seed(tmp_path, "sesame")
