"""`qnet ledger` as a user calls it: a real process, killed and started again."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from qnet.cli.root import run
from tests.ledger.service.committee import free_ports
from tests.support.anvil import Network
from tests.support.ledger import MemberProcess, save_key, write_member

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Path:
    """A member's home, as the devnet writes it."""
    return write_member(tmp_path / "ledger-1", network, 1, free_ports(4))


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """`qnet ledger run` in this process leaves its log file configured."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def members() -> Iterator[list[MemberProcess]]:
    started: list[MemberProcess] = []
    yield started
    for member in started:
        if member.process.poll() is None:
            member.end(signal.SIGKILL)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(["ledger", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_member_runs_answers_dies_and_comes_back(
    home: Path, members: list[MemberProcess], capsys: pytest.CaptureFixture[str]
):
    members.append(MemberProcess(home))
    assert members[0].ready["member"] == 1
    code, out, _ = told(capsys, "status", "--home", str(home), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["schema"] == "qnet.ledger.status/1"
    assert found["data"]["quorum"] == 3
    code, _, err = told(capsys, "report", "0", "--home", str(home))
    assert code == 3
    assert "no report of epoch 0" in err
    assert told(capsys, "verify", "0", "--home", str(home))[0] == 3
    assert told(capsys, "receipts", "0", "--home", str(home), "--json")[0] == 0
    assert told(capsys, "audits", "0", "--home", str(home), "--json")[0] == 0
    members[0].end(signal.SIGKILL)
    code, _, err = told(capsys, "status", "--home", str(home))
    assert code == 5
    assert "no committee member answers" in err
    members.append(MemberProcess(home))
    assert told(capsys, "status", "--home", str(home))[0] == 0
    began = time.monotonic()
    assert members[1].end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 15
    token = home / "audit.token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert (home / "logs" / "ledger.log").read_text().count('"event": "ready"') == 2


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("index = 1", "index = 2", 4, "not that of committee member 2"),
        ("index = 1", "index = 9", 4, "has no URL"),
        ("[chain]", "[chain]\nspeed = 9", 4, "Extra inputs are not permitted"),
        ('listen = "127.0.0.1:', 'listen = "127.0.0.1', 4, "not host:port"),
        ("deployment.json", "nothing.json", 4, "nothing.json"),
        ('rpc = "http://127.0.0.1:', 'rpc = "http://127.0.0.1:1', 8, ""),
    ],
)
def test_a_wrong_configuration_says_what_and_where(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    code: int,
    message: str,
):
    path = home / "ledger.toml"
    path.write_text(path.read_text().replace(old, new))
    got, _, err = told(capsys, "run", "--home", str(home))
    assert message in err
    assert got == code


def test_a_database_of_another_network_is_refused(
    home: Path, members: list[MemberProcess], capsys: pytest.CaptureFixture[str], network: Network
):
    members.append(MemberProcess(home))
    members[0].end(signal.SIGTERM)
    path = home / "ledger.toml"
    path.write_text(path.read_text().replace("index = 1", "index = 2"))
    save_key(home / "keys" / "signer.json", network.member_signers[2])
    save_key(home / "keys" / "owner.json", network.member_owners[2])
    code, _, err = told(capsys, "run", "--home", str(home))
    assert code == 4
    assert "belongs to another network or member" in err


def test_help_names_the_verbs(capsys: pytest.CaptureFixture[str]):
    code, out, _ = told(capsys, "--help")
    assert code == 0
    for verb in ("run", "status", "report", "receipts", "audits", "verify"):
        assert verb in out


def test_a_home_must_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, _, err = told(capsys, "status", "--home", str(tmp_path / "nowhere"))
    assert code == 2
    assert "--home" in err
