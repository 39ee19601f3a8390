"""`qnet ledger` as a user calls it: a real process, killed and started again."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ledger.config import ChallengerSection, database_url, load_config
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet.cli.root import run
from qnet.eip712 import qnet_domain
from qnet.messages.consensus import consensus_digest
from qnet.messages.evidence import DoubleConsensus, Statement
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.receipt import LinkReceipt, Side
from qnet.messages.trust import join_signatures
from qnet.parameters import DEVNET_CHAIN_ID
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
    code, out, _ = told(capsys, "status", "--home", str(home))
    assert code == 0
    assert "closed, 0 units left, 0 buyers, 0 swaps" in out
    began = time.monotonic()
    assert members[1].end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 15
    token = home / "audit.token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert (home / "logs" / "ledger.log").read_text().count('"event": "ready"') == 2


def store_evidence(home: Path, network: Network) -> tuple[int, ...]:
    """Two receipts of one tuple and two consensuses of member 1, as a running member keeps them."""
    domain = qnet_domain(network.deployment.chain_id, network.deployment.address("ReportOracle"))
    bodies = [LinkReceipt(3, 1, 1, 2, Side.SENDER, cells, bytes(32)) for cells in (16, 32)]
    committee = network.deployment.address("Committee")
    said = []
    for hash_ in (b"\x01" * 32, b"\x02" * 32):
        digest = consensus_digest(network.deployment.chain_id, committee, 600, hash_)
        parts = {member: network.member_signers[member].sign(digest) for member in (1, 2)}
        said.append(Statement(hash_, *join_signatures(parts)))
    proof = DoubleConsensus(network.deployment.chain_id, committee, 600, *said)

    async def write() -> None:
        url = database_url(home, load_config(home).storage.url)
        async with open_database(url) as engine, UnitOfWork(engine)() as rows:
            for body in bodies:
                await rows.receipts.add(body.sign(network.deployer, domain), 1.0)
            await rows.evidence.add(proof, 1.0)
            await rows.challenges.add("receipts", 1, evidence=b"", salt=bytes(32), now=1.0)

    asyncio.run(write())
    return proof.culprits


def test_evidence_is_written_to_files_and_challenges_are_listed(
    home: Path, network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "evidence"
    code, out, _ = told(capsys, "evidence", str(folder), "--home", str(home))
    assert (code, out.strip()) == (0, "nothing can be proven")
    culprits = store_evidence(home, network)
    code, out, _ = told(capsys, "evidence", str(folder), "--home", str(home), "--json")
    assert code == 0
    names = [Path(path).name for path in json.loads(out)["data"]["files"]]
    assert names == [
        "receipts-3-1-1-2-0.json",
        *(f"consensuses-600-{member}.json" for member in culprits),
    ]
    for name in names:
        file = EvidenceFile.decode((folder / name).read_bytes())
        assert file.court == network.deployment.address("DisputeCourt")
    words = ("evidence", str(folder), "--epoch", "0", "--home", str(home))
    assert told(capsys, *words)[0] == 3
    code, out, _ = told(capsys, "challenges", "--home", str(home), "--json")
    assert code == 0
    assert json.loads(out)["data"] == [
        {"evidence": "receipts", "against": 1, "state": "noted", "challenge": None, "note": ""}
    ]


@pytest.mark.parametrize(
    ("enabled", "chain", "does"),
    [
        (None, DEVNET_CHAIN_ID, True),
        (None, 1, False),
        (True, 1, True),
        (False, DEVNET_CHAIN_ID, False),
    ],
)
def test_members_challenge_on_a_devnet_or_when_told(enabled, chain, does):
    assert ChallengerSection(enabled=enabled).on_chain(chain) is does


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
    for verb in ("run", "status", "report", "receipts", "audits", "verify", "evidence"):
        assert verb in out


def test_a_home_must_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, _, err = told(capsys, "status", "--home", str(tmp_path / "nowhere"))
    assert code == 2
    assert "--home" in err
