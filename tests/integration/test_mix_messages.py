"""Messages between running clients over real nodes: sent, answered, kept while one is off."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from node.client.mix import service as module
from node.client.mix.api import Messages
from node.client.mix.commands import MessageCommands
from node.client.mix.rows import State
from node.client.mix.service import mix_service
from node.client.session import Session
from node.config import ClientConfig, MixSection, NetworkSection
from node.errors import MixOffError, NodeOffError
from node.io.control import ControlServer, RemoteControlError, call
from node.mix.address import MailAddress
from node.mix.schedule import Rates
from qnet.cli.root import run
from qnet.errors import ConfigError, NotFoundError, UsageError
from tests.support.network import eventually, held, inner_network

ROLES = ("entry", "mix", "mix", "mix", "relay", "exit", "entry")
CALENDAR = {"consensus_interval_s": 20, "key_phase_s": 10}
KNOWN = MailAddress(1, bytes(range(32)))
RATES = Rates(payload_hz=10.0, loop_hz=2.0, drop_hz=2.0)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    async with held(inner_network(folder, ROLES, overrides=CALENDAR)) as running:
        await eventually(lambda: all(node.view.valid_after for node in running.nodes))
        yield running


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """More packets than people have, so that tests are shorter."""
    monkeypatch.setattr(module, "MESSAGES", RATES)


@asynccontextmanager
async def user(network, home, *, messages=True):
    """A client of a home with messages; gives its mixnet and the API on its home."""
    (home / "state").mkdir(parents=True, exist_ok=True)
    (home / "client.toml").touch()
    config = ClientConfig(network=NetworkSection(bundle=home), mix=MixSection(messages=messages))
    session = Session(network.bundle(), home / "state", ready=0)
    async with (
        mix_service(session, home, config) as mix,
        asyncio.TaskGroup() as group,
        ControlServer(MessageCommands(mix).handlers()).serve(home / "control.sock"),
    ):
        await session.start(group, timeout_s=20)
        if mix is not None:
            session.spawn(mix.run())
        try:
            with Messages(home) as api:
                yield mix, api
        finally:
            await session.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def alice(network, tmp_path):
    async with user(network, tmp_path / "alice") as found:
        await eventually(lambda: found[0].status()["state"] == "up", 30)
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def bob(network, tmp_path):
    async with user(network, tmp_path / "bob") as found:
        await eventually(lambda: found[0].status()["state"] == "up", 30)
        yield found


async def in_thread(work, *arguments):
    return await asyncio.to_thread(work, *arguments)


async def test_a_message_and_its_answer_with_figures(alice, bob):
    (_, at_alice), (_, at_bob) = alice, bob
    (address,) = at_bob.addresses()
    text = bytes(range(256)) * 20
    sent = await in_thread(at_alice.send, address.text, text)
    (mail,) = await in_thread(at_bob.wait_unread, 30)
    assert (mail.text, mail.address) == (text, address.text)
    assert await in_thread(at_alice.wait_delivered, sent, 30) is State.DELIVERED
    await in_thread(at_bob.reply, mail.number, b"thank you")
    (answer,) = await in_thread(at_alice.wait_unread, 30)
    assert (answer.text, answer.about) == (b"thank you", sent)
    at_bob.mark_read([mail.number])
    assert at_bob.unread() == []
    status = await in_thread(at_alice.status)
    assert (status["state"], status["problem"]) == ("up", "")
    assert 50 < status["latency"]["one_way_median_ms"] < 2000
    assert status["latency"]["acknowledged_ms"] > 0
    assert status["loops"]["lost"] == 0
    assert not status["dropped"]


async def test_who_was_off_gets_it_later_and_a_lost_link_loses_nothing(network, tmp_path, alice):
    _, at_alice = alice
    async with user(network, tmp_path / "carol") as (_, at_carol):
        await eventually(at_carol.addresses)
        await eventually(lambda: mailbox_of(network, at_carol), 30)
        address = at_carol.addresses()[0].text
    sent = await in_thread(at_alice.send, address, b"while you were out")
    await eventually(lambda: any(node.mixing.boxes.stored for node in network.nodes), 30)
    async with user(network, tmp_path / "carol") as (mix, at_carol):
        assert [m.text for m in await in_thread(at_carol.wait_unread, 30)] == [
            b"while you were out"
        ]
        assert await in_thread(at_alice.wait_delivered, sent, 30) is State.DELIVERED
        (mail,) = at_carol.unread()
        at_carol.mark_read([mail.number])
        for link in list(mix._session.entries.links.values()):
            link.abandon("cut by the test")
        again = await in_thread(at_alice.send, address, b"again")
        assert [m.text for m in await in_thread(at_carol.wait_unread, 30)] == [b"again"]
        assert await in_thread(at_alice.wait_delivered, again, 30) is State.DELIVERED


def mailbox_of(network, messages):
    """Whether the node knows the address."""
    mailbox = messages.addresses()[0].mailbox
    return mailbox.key.public in network.nodes[mailbox.node_index - 1].mixing.boxes._addresses


async def test_further_addresses_and_one_that_is_given_up(alice, bob):
    (_, at_alice), (_, at_bob) = alice, bob
    second = await in_thread(at_bob.new_address)
    assert len(at_bob.addresses()) == 2
    await in_thread(at_alice.send, second.text, b"to the second")
    (mail,) = await in_thread(at_bob.wait_unread, 30)
    assert mail.address == second.text
    await in_thread(at_bob.drop_address, second.number)
    assert [row.mailbox is None for row in at_bob.addresses()] == [False, True]
    with pytest.raises(NotFoundError):
        at_bob.drop_address(second.number)
    for _ in range(6):
        await in_thread(at_bob.new_address)
    with pytest.raises(RemoteControlError, match="no further address"):
        await in_thread(at_bob.new_address)


async def test_an_address_at_another_guard_is_still_read(network, alice, bob):
    """The guard changes: what was written to the old address comes from its node all the same."""
    (_, at_alice), (mix, at_bob) = alice, bob
    here = mix.account().mailbox_node
    (elsewhere,) = {1, 7} - {here}
    old = mix.store.addresses.add(b"o" * 32, elsewhere, 0.0)
    mix.wake()
    await in_thread(at_alice.send, old.text, b"to the old one")
    (mail,) = await in_thread(at_bob.wait_unread, 60)
    assert (mail.text, mail.address) == (b"to the old one", old.text)


async def test_an_answer_finds_an_asker_that_has_another_guard_by_now(
    network, alice, bob, monkeypatch
):
    (mix, at_alice), (_, at_bob) = alice, bob
    sent = await in_thread(at_alice.send, at_bob.addresses()[0].text, b"where are you?")
    assert await in_thread(at_alice.wait_delivered, sent, 30) is State.DELIVERED
    before = mix.account().mailbox_node
    (other,) = {1, 7} - {before}
    monkeypatch.setattr(mix, "_guard", lambda: mix.live.node(other))
    for link in list(mix._session.entries.links.values()):
        link.abandon("cut by the test")
    await eventually(lambda: mix.account().mailbox_node == other, 30)
    (mail,) = at_bob.unread()
    await in_thread(at_bob.reply, mail.number, b"here")
    (answer,) = await in_thread(at_alice.wait_unread, 60)
    assert (answer.text, answer.about) == (b"here", sent)


async def test_a_client_without_messages_says_so(network, tmp_path):
    async with user(network, tmp_path / "dave", messages=False) as (mix, api):
        assert mix is None
        with pytest.raises(RemoteControlError, match="carries no messages") as refused:
            await in_thread(api.status)
        assert refused.value.code == MixOffError.code
        sent = await in_thread(api.send, str(KNOWN), b"later")
        assert [row.message_id for row in api.sent()] == [sent]


async def test_a_full_disk_stops_messages_and_nothing_else(alice, monkeypatch):
    mix, at_alice = alice
    await eventually(lambda: mix.status()["state"] == "up")

    def full(*_arguments):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(module.Post, "feed", full)
        mix.wake()
        await eventually(lambda: "disk is full" in mix.problem)
    await eventually(lambda: mix.status()["state"] == "up" and not mix.problem, 20)
    assert (await in_thread(at_alice.status))["state"] == "up"


async def test_what_cannot_be_asked(tmp_path, alice):
    with pytest.raises(ConfigError):
        Messages(tmp_path / "nowhere")
    (tmp_path / "client.toml").touch()
    with Messages(tmp_path) as off:
        assert await in_thread(off.status) is None
        with pytest.raises(NodeOffError):
            await in_thread(off.new_address)
        for wrong in ("nobody", str(KNOWN)[:-1]):
            with pytest.raises(UsageError):
                off.send(wrong, b"text")
        with pytest.raises(UsageError):
            off.send(str(KNOWN), b"x" * 438_528)
        with pytest.raises(UsageError):
            off.send(str(KNOWN), b"x", replies=13)
        with pytest.raises(UsageError):
            off.reply(1, b"x" * 30_000)
        with pytest.raises(NotFoundError):
            await in_thread(off.wait_delivered, b"x" * 16, 1)
        with pytest.raises(NotFoundError):
            off.delete(1)
    _, api = alice
    with pytest.raises(RemoteControlError, match="are numbers"):
        await call(api._socket, "msg.wait", seen="x")


async def test_the_commands(network, alice, bob, tmp_path, capsys):
    (_, at_alice), (_, at_bob) = alice, bob
    homes = [messages._socket.parent for messages in (at_alice, at_bob)]

    async def qnet_msg(who, *words):
        code = await in_thread(run, ["msg", "--home", str(homes[who]), "--json", *words])
        out = capsys.readouterr().out  # clients of this process log there, too
        found, _ = json.JSONDecoder().raw_decode(out, out.index('{\n  "schema"'))
        return code, found["data"]

    _, (shown,) = await qnet_msg(1, "address")
    sending = qnet_msg(0, "send", shown["address"], "hello", "--wait", "30")
    assert (await sending)[1]["state"] == "delivered"
    code, (mail,) = await qnet_msg(1, "recv", "--wait", "30")
    assert (code, mail["text"], mail["replies"]) == (0, "hello", 5)
    await qnet_msg(1, "reply", str(mail["number"]), "yes")
    _, (answer,) = await qnet_msg(0, "recv", "--wait", "30")
    assert answer["text"] == "yes"
    code, status = await qnet_msg(0, "status")
    assert (code, status["mix"]["state"], status["unread"]) == (0, "up", 0)
    assert status["sent"][0]["state"] == "delivered"
    code, rows = await qnet_msg(1, "address", "--new")
    assert (code, [row["number"] for row in rows]) == (0, [2, 1])


async def test_a_network_without_mixes_is_told(tmp_path):
    (tmp_path / "nodes").mkdir()
    roles = ("entry", "relay", "exit")
    async with (
        inner_network(tmp_path / "nodes", roles, overrides=CALENDAR) as bare,
        user(bare, tmp_path / "erin") as (mix, api),
    ):
        await eventually(lambda: "mixes" in mix.problem, 20)
        sent = await in_thread(api.send, str(KNOWN), b"text")
        assert [row.message_id for row in api.sent()] == [sent]
        assert (await in_thread(api.status))["problem"] == mix.problem
