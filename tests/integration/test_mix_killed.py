"""Clients with messages as processes, killed with SIGKILL while messages are under way."""

import asyncio
import time

import pytest
import pytest_asyncio

from node.client.mix.api import Messages
from node.client.mix.rows import State
from tests.support.client_process import client_process
from tests.support.network import eventually, held, inner_network

ROLES = ("entry", "mix", "mix", "mix", "relay", "exit")
CALENDAR = {"consensus_interval_s": 20, "key_phase_s": 10}

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
    began = time.monotonic()
    async with client(network, homes[0]) as alice, client(network, homes[1]) as bob:
        with Messages(homes[0]) as at_alice, Messages(homes[1]) as at_bob:
            (mail,) = await asyncio.to_thread(at_bob.wait_unread, 120)
            assert mail.text == text
            bob.process.kill()  # its acknowledgements may not have left
            await bob.process.wait()
            async with client(network, homes[1]):
                state = await asyncio.to_thread(at_alice.wait_delivered, sent, 120)
                assert state is State.DELIVERED
                await asyncio.to_thread(at_bob.reply, mail.number, b"and back")
                (answer,) = await asyncio.to_thread(at_alice.wait_unread, 120)
                assert (answer.text, answer.about) == (b"and back", sent)
                assert len(at_bob.after(0)) == 1
            status = await alice.ask("status")
            assert status["mix"]["state"] == "up"
    assert time.monotonic() - began < 250
