"""`qnet devnet` with real processes: up, used, looked at, hurt, down."""

import hashlib
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Net, pick_ports, up_words

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def curl(net, url, target):
    argv = ["curl", "-sS", "--fail", "--max-time", "60", "--socks5-hostname", net.socks]
    subprocess.run([*argv, "-o", str(target), url], check=True, timeout=90)


def processes_of(home):
    """Pids whose command line names a home."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(home).encode() in words:
                found.append(int(entry.name))
    return found


def test_a_file_arrives_unchanged(net, tmp_path):
    body = secrets.token_bytes(8 * 2**20)
    (net.home / "site" / "file.bin").write_bytes(body)
    curl(net, f"http://web.devnet:{net.ports['web']}/file.bin", tmp_path / "got")
    got = (tmp_path / "got").read_bytes()
    assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest()


def test_status_shows_every_program(net):
    told = net.data("devnet", "status")
    names = {row["name"] for row in told["programs"]}
    assert told["healthy"]
    assert names >= {"chain", "dns", "web", "client", "node-6", "ledger-3", "auditor-3"}
    assert all(row["state"] == "up" for row in told["programs"])


def test_env_points_applications_at_it(net):
    text = net.qnet("devnet", "env").stdout
    assert f"export ALL_PROXY='socks5h://{net.socks}'" in text
    assert str(net.home / "deployment.json") in text


def test_faucet_pays_by_name_and_address(net):
    told = net.data("devnet", "faucet", "bob", "--tokens", "12.5")
    assert told["tokens"] == {"amount": "12.5", "unit": "QNET"}
    again = net.data("devnet", "faucet", told["to"])
    assert again["to"] == told["to"]


def test_logs_of_one_program(net):
    assert "READY" in net.qnet("devnet", "logs", "node-1").stdout
    done = net.qnet("devnet", "logs", "nobody", check=False)
    assert done.returncode == 3
    assert "node-1" in done.stderr


def test_a_second_network_on_the_same_ports_is_refused(net, tmp_path):
    words = ("devnet", "up", "--nodes", 6, *up_words(net.ports))
    done = Net(tmp_path / "other", net.ports).qnet(*words, check=False)
    assert done.returncode == 8
    assert "is taken" in done.stderr
    assert not (tmp_path / "other").exists()


def test_a_used_home_is_refused(net):
    words = ("devnet", "up", "--nodes", 6, *up_words(pick_ports()))
    done = net.qnet(*words, check=False)
    assert done.returncode == 4
    assert "is not empty" in done.stderr


def test_a_node_that_died_is_shown_with_its_last_words(net):
    told = {row["name"]: row for row in net.data("devnet", "status")["programs"]}
    victim = told["auditor-0"]
    os.kill(victim["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    done = net.qnet("devnet", "status", check=False)
    while done.returncode == 0 and time.monotonic() < deadline:
        done = net.qnet("devnet", "status", check=False)
    assert done.returncode == 1
    assert "DEAD" in done.stdout


def test_down_leaves_no_process(tmp_path):
    net = Net(tmp_path / "net", pick_ports())
    words = ("devnet", "up", "--nodes", 6, "--until", "committee", *up_words(net.ports))
    net.qnet(*words, timeout=120)
    assert len(processes_of(net.home)) >= 4
    assert net.data("devnet", "down")["killed"] == []
    assert processes_of(net.home) == []
    assert net.qnet("devnet", "status", check=False).returncode == 1


def test_a_program_that_cannot_start_takes_all_down(tmp_path):
    net = Net(tmp_path / "net", pick_ports())
    argv = [str(word) for word in ("devnet", "up", "--nodes", 6, *up_words(net.ports))]
    broken = os.environ | {"QNET_ANVIL": "/bin/false"}
    done = subprocess.run(
        [*_qnet(), *argv, "--home", str(net.home)],
        capture_output=True, text=True, timeout=60, check=False, env=broken,
    )  # fmt: skip
    assert done.returncode == 1
    assert "chain died with status 1" in done.stderr
    assert processes_of(net.home) == []


def test_missing_anvil_names_the_remedy(tmp_path):
    net = Net(tmp_path / "net", pick_ports())
    argv = [str(word) for word in ("devnet", "up", "--nodes", 6, *up_words(net.ports))]
    missing = os.environ | {"QNET_ANVIL": "/nonexistent/anvil"}
    done = subprocess.run(
        [*_qnet(), *argv, "--home", str(net.home)],
        capture_output=True, text=True, timeout=60, check=False, env=missing,
    )  # fmt: skip
    assert done.returncode == 4
    assert "anvil" in done.stderr


def _qnet():
    from tests.e2e.conftest import QNET

    return [str(QNET)]
