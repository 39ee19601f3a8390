"""Clients with messages as processes, killed with SIGKILL while messages are under way."""

import asyncio

import pytest
import pytest_asyncio

from node.client.mix.api import Messages
from node.client.mix.rows import State
from tests.support.client_process import client_process
from tests.support.network import eventually, held, inner_network

ROLES = ("entry", "mix", "mix", "mix", "relay", "exit")
CALENDAR = {"consensus_interval_s": 20, "key_phase_s": 10}
TRIES = 5

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.e2e,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    async with held(inner_network(folder, ROLES, overrides=CALENDAR)) as running:
        yield running


def client(network, home):
    return client_process(network.bundle(), home, words=("--messages",), timeout_s=60)


async def until(condition, timeout_s=120):
    await eventually(condition, timeout_s)


async def answered(asker, other, address):
    """Ask until an answer comes: reply blocks last for two consensuses, 40 s here."""
    asked = set()
    for _ in range(TRIES):
        asked.add(await asyncio.to_thread(asker.send, address, b"are you there?"))
        mail = (await asyncio.to_thread(other.wait_unread, 60))[-1]
        other.mark_read([mail.number])
        await asyncio.to_thread(other.reply, mail.number, b"and back")
        for answer in await asyncio.to_thread(asker.wait_unread, 20):
            assert answer.about in asked
            return answer
    raise AssertionError(other.answers())


async def test_sender_and_recipient_are_killed_while_a_message_is_under_way(network, tmp_path):
    text = b"".join(bytes([number]) * 1700 for number in range(4))
    homes = tmp_path / "alice", tmp_path / "bob"
    async with client(network, homes[0]) as alice, client(network, homes[1]) as bob:
        with Messages(homes[0]) as at_alice, Messages(homes[1]) as at_bob:
            await until(at_bob.addresses)
            address = at_bob.addresses()[0].text
            sent = await asyncio.to_thread(at_alice.send, address, text)
            await until(lambda: at_alice.sent()[0].body)
            alice.process.kill()
            bob.process.kill()
            await asyncio.gather(alice.process.wait(), bob.process.wait())
            assert at_alice.sent()[0].state is State.WAITING
    async with client(network, homes[0]) as alice, client(network, homes[1]) as bob:
        with Messages(homes[0]) as at_alice, Messages(homes[1]) as at_bob:
            (mail,) = await asyncio.to_thread(at_bob.wait_unread, 120)
            assert mail.text == text
            bob.process.kill()  # its acknowledgements may not have left
            await bob.process.wait()
            async with client(network, homes[1]):
                state = await asyncio.to_thread(at_alice.wait_delivered, sent, 120)
                assert state is State.DELIVERED
                assert len(at_bob.after(0)) == 1
                at_bob.mark_read([mail.number])
                answer = await answered(at_alice, at_bob, address)
                assert answer.text == b"and back"
            status = await alice.ask("status")
            assert status["mix"]["state"] == "up"
