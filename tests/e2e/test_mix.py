"""The mixnet with real processes: messages, streams, and what clients and mixes say of them."""

import hashlib
import secrets
import subprocess

import pytest

from node.client.mix.api import Messages
from node.client.mix.rows import State
from tests.e2e.conftest import Net, free_run, pick_ports, up_words
from tests.e2e.user import PATIENCE_S, User, eventually
from tools.devnet import state as states
from tools.devnet.demo.mixnet import counts_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FILE_BYTES = 300_000
DELAYS_MS = 6 * 30
"""What mixes hold a packet and its answer for, in the mean."""
MESSAGES = 8


def reach(user):
    """Wait until the mixnet is reached; the user's own address."""
    eventually(lambda: user.data("client", "status")["mix"]["state"] == "up")
    return user.data("msg", "address")[0]


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A network of eleven nodes with a mix in each layer; its users are the tests' own."""
    network = Net(tmp_path_factory.mktemp("mix") / "net", pick_ports())
    network.qnet(
        "devnet", "up", "--nodes", 11, "--until", "nodes", *up_words(network.ports), timeout=200
    )
    yield network
    network.qnet("devnet", "down")


@pytest.fixture(scope="module")
def alice(net, tmp_path_factory):
    """Carries messages, and streams over the mixnet."""
    port = free_run(1)
    user = User(tmp_path_factory.mktemp("alice"), f"127.0.0.1:{port}")
    bundle = ("--bundle", net.home / "network.json", "--listen", user.socks)
    user.up(*bundle, "--messages", "--tier", "mix")
    yield user
    user.down()


@pytest.fixture(scope="module")
def bob(net, tmp_path_factory):
    """Carries messages; was up once, and is off."""
    user = User(tmp_path_factory.mktemp("bob"))
    bundle = ("--bundle", net.home / "network.json", "--listen", "127.0.0.1:0")
    user.up(*bundle, "--messages")
    return user


def scraped(net, node):
    """The metrics page of a node."""
    port = states.load(net.home).config.metrics_port
    url = f"http://{node.host}:{port}/metrics"
    return subprocess.run(
        ["curl", "-sS", "--fail", "--max-time", "10", url],
        capture_output=True, text=True, timeout=20, check=True,
    ).stdout  # fmt: skip


def stored(net, index):
    """Deliveries that wait at a node for those who are off."""
    (node,) = (node for node in states.load(net.home).nodes if node.index == index)
    name = "qnet_mix_stored_deliveries "
    (line,) = (line for line in scraped(net, node).splitlines() if line.startswith(name))
    return float(line.removeprefix(name))


def write_until_measured(user, address):
    """Write to who is on, until one message needed no repetition: only such a one is timed."""
    for _ in range(MESSAGES):
        sent = user.data("msg", "send", address, "good", "--wait", PATIENCE_S)
        assert sent["state"] == "delivered"
        if user.data("client", "status")["mix"]["latency"]["acknowledged_ms"] is not None:
            return


def check_answer(asker, other, address):
    """Ask and be answered: reply blocks last for two consensuses, less than a minute here."""
    asked = set()
    for _ in range(MESSAGES):
        asked.add(asker.data("msg", "send", address, "are you there?")["id"])
        mail = other.data("msg", "recv", "--wait", PATIENCE_S)[-1]
        other.run("msg", "reply", mail["number"], "back again")
        answers = asker.data("msg", "recv", "--wait", PATIENCE_S / 4)
        if answers:
            assert answers[0]["text"] == "back again"
            assert answers[0]["answers"] in asked
            return
    raise AssertionError(other.data("msg", "status"))


def test_a_message_waits_for_who_is_off_and_is_answered(net, alice, bob):
    mailbox = reach(bob)
    bob.down()
    reach(alice)
    before = stored(net, mailbox["node"])
    sent = alice.data("msg", "send", mailbox["address"], "while you were out")
    assert sent["state"] == "waiting"
    eventually(lambda: stored(net, mailbox["node"]) > before)
    bob.up()
    try:
        (mail,) = bob.data("msg", "recv", "--wait", PATIENCE_S)
        assert mail["text"] == "while you were out"
        assert mail["to"] == mailbox["address"]
        with Messages(alice.home) as messages:
            state = messages.wait_delivered(bytes.fromhex(sent["id"]), PATIENCE_S)
        assert state is State.DELIVERED
        check_answer(alice, bob, mailbox["address"])
        write_until_measured(alice, mailbox["address"])
    finally:
        bob.down()


def test_a_file_arrives_unchanged_over_the_mixnet(net, alice, tmp_path):
    body = secrets.token_bytes(FILE_BYTES)
    (net.home / "site" / "file.bin").write_bytes(body)
    url = f"http://web.devnet:{net.ports['web']}/file.bin"
    argv = ["curl", "-sS", "--fail", "--max-time", "60", "--socks5-hostname", alice.socks]
    subprocess.run([*argv, "-o", str(tmp_path / "got"), url], check=True, timeout=70)
    got = (tmp_path / "got").read_bytes()
    assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest()


def test_status_tells_what_was_measured(alice):
    told = alice.data("client", "status")
    streams, latency, loops = (
        told["mix_streams"], told["mix"]["latency"], told["mix"]["loops"]
    )  # fmt: skip
    assert streams["tunnels"]["opened"] >= 1
    assert sum(path["bytes_received"] for path in streams["paths"]) >= FILE_BYTES
    assert DELAYS_MS / 3 < streams["round_trip_ms"] < 5_000
    assert DELAYS_MS / 3 < streams["connect_ms"] < 10_000
    assert DELAYS_MS < streams["round_trip_ms_expected"] < 2 * DELAYS_MS
    assert DELAYS_MS / 6 < latency["one_way_median_ms"] <= latency["one_way_p95_ms"] < 5_000
    assert latency["loops"] > 0
    assert latency["acknowledged_ms"] > 0
    assert not loops["alarm"]
    text = alice.run("client", "status")
    assert f"{streams['round_trip_ms_expected']} ms of it" in text
    assert "ms one way in the median, 95 % within" in text
    assert "crowd at most" in text


def test_each_mix_tells_of_packets_and_of_no_replay(net, alice):
    mixes = [node for node in states.load(net.home).nodes if node.role == "mix"]
    told = [counts_in(scraped(net, node)) for node in mixes]
    assert len(told) == 3
    for counts in told:
        assert counts["packets"]["received"] > FILE_BYTES / 2_308
        assert counts["packets"]["forwarded"] + counts["packets"]["delivered"] > 0
        assert counts["drops"]["replayed"] == 0
        assert counts["drops"]["bad_tag"] == 0
        assert counts["drops"]["malformed"] == 0
