"""`qnet pay` without a client: making a wallet, its settings, depositing, closing."""

import json
import threading

import pytest

from node.payments.user.seed_file import backup_of, load_seed
from qnet.cli.root import run
from qnet.wallet.keystore import LIGHT, KeyKind, encrypt, save
from tests.support.network import LocalCommittee

pytestmark = pytest.mark.chain
WEI = 10**18


class Home:
    """A client's home on a chain, and what its commands print."""

    def __init__(self, folder, network, capsys):
        self.folder, self.network, self.capsys = folder, network, capsys
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("sesame\n")
        self.passphrase.chmod(0o600)
        self.keystore = folder / "user.json"
        secret = network.holders[0].secret
        locked = encrypt(
            secret, "sesame", kind=KeyKind.SECP256K1, random=lambda n: b"\1" * n, cost=LIGHT
        )
        save(self.keystore, locked)
        bundle = LocalCommittee({}).bundle([])
        (folder / "network.json").write_text(json.dumps(bundle.to_json()))
        (folder / "client.toml").write_text('[network]\nbundle = "network.json"\n')
        text = (folder / "client.toml").read_text()
        path = json.dumps(str(folder / "network.json"))
        (folder / "client.toml").write_text(text.replace('"network.json"', path))

    def run(self, *words):
        """Exit code, data of the result, and what went to stderr."""
        self.capsys.readouterr()
        found = []
        argv = ["--home", str(self.folder), "--json", "--yes", "pay", *map(str, words)]
        # commands run an event loop of their own, and the test has one already
        worker = threading.Thread(target=lambda: found.append(run(argv)))
        worker.start()
        worker.join()
        shown = self.capsys.readouterr()
        data = json.loads(shown.out)["data"] if shown.out.strip() else None
        assert found[0] != 70, shown.err
        return found[0], data, shown.err

    def init(self, *words):
        return self.run(
            *("init", "--light", "--member", "http://127.0.0.1:9"),
            *("--deployment", self.network.manifest, "--rpc", self.network.url),
            *("--passphrase-file", self.passphrase, *words),
        )

    def topup(self, amount):
        words = ("--keystore", self.keystore, "--passphrase-file", self.passphrase)
        return self.run("topup", amount, *words)


@pytest.fixture
def home(tmp_path, chain, capsys):
    return Home(tmp_path, chain.network, capsys)


def test_a_wallet_is_made_once_and_its_backup_shown_once(home):
    code, made, _ = home.init()
    assert code == 0
    seed = load_seed(home.folder / "payments", "sesame")
    assert made["account"].lower() == "0x" + seed.channel.address.hex()
    assert len(made["backup"].split()) == 9
    code, _, errors = home.init()
    assert (code, json.loads(errors)["error"]["code"]) == (9, "Q0907")
    assert (home.folder / "client.toml").read_text().count("[payments]") == 1
    assert (home.folder / "payments" / "seed.json").stat().st_mode & 0o077 == 0
    assert made["backup"].split()[0] not in (home.folder / "payments" / "seed.json").read_text()


def test_a_wallet_is_restored_from_its_backup(home):
    secret = bytes(range(32))
    paper = home.folder / "paper"
    paper.write_text(backup_of(secret) + "\n")
    paper.chmod(0o600)
    code, made, errors = home.init("--restore", paper)
    assert code == 0
    assert made["backup"] == ""
    assert "qnet pay recover" in errors
    assert (
        load_seed(home.folder / "payments", "sesame").channel.address.hex()
        == made["account"][2:].lower()
    )


def test_a_backup_with_a_slip_is_refused(home):
    paper = home.folder / "paper"
    paper.write_text(backup_of(bytes(range(32))).replace("00010203", "00010204"))
    paper.chmod(0o600)
    code, _, errors = home.init("--restore", paper)
    assert code == 2
    assert "not the backup" in errors
    assert not (home.folder / "payments").exists()


@pytest.mark.parametrize(
    "words", [("status",), ("tokens",), ("buy", 1), ("refund",), ("auto", "on")]
)
def test_without_a_wallet_every_command_says_how_to_make_one(home, words):
    code, _, errors = home.run(*words)
    assert code in {3, 4}
    home.init()
    (home.folder / "payments" / "seed.json").unlink()
    code, _, errors = home.run(*words)
    assert (code, "qnet pay init" in errors) == (3, True)


def test_deposits_add_up_and_can_be_looked_at(home):
    home.init()
    code, found, _ = home.topup("5")
    assert (code, found["deposit"]["amount"]) == (0, "5")
    _, found, _ = home.topup("2.5")
    assert found["left"]["amount"] == "7.5"
    _, status, _ = home.run("status")
    assert status["channel"]["deposit"] == {"amount": "7.5", "unit": "QNET"}
    assert (status["client"], status["tokens"]) == ("off", 0)
    assert "no committee member" in status["warning"]


def test_a_dry_run_deposits_nothing(home):
    home.init()
    before = home.run("status")[1]["channel"]
    words = ("--keystore", home.keystore, "--passphrase-file", home.passphrase, "--dry-run")
    home.run("topup", "5", *words)
    assert home.run("status")[1]["channel"] == before


def test_nothing_is_bought_by_itself_without_a_limit(home):
    home.init()
    code, _, errors = home.run("auto", "on")
    assert (code, json.loads(errors)["error"]["code"]) == (7, "Q0750")
    _, found, _ = home.run("limit", "1.5")
    assert found["limit"]["amount"] == "1.5"
    assert home.run("auto", "on")[1]["auto"] is True
    assert home.run("status")[1]["auto"] is True
    assert home.run("auto", "off")[1]["auto"] is False
    assert home.run("limit")[1]["limit"]["amount"] == "1.5"


def test_buying_without_a_deposit_is_refused(home):
    home.init()
    code, _, errors = home.run("buy", 1)
    assert code == 7
    assert "qnet pay topup" in errors


def test_receipts_and_tokens_of_a_new_wallet_are_empty(home):
    home.init()
    assert home.run("receipts")[1] == []
    assert home.run("receipts", "--delete")[1] == []
    assert home.run("tokens")[1] == []


def test_a_recovery_needs_a_client(home):
    home.init()
    code, _, errors = home.run("recover")
    assert (code, "qnet client up" in errors) == (5, True)


def test_a_damaged_wallet_is_told_and_kept(home):
    home.init()
    path = home.folder / "payments" / "wallet.db"
    path.write_bytes(path.read_bytes()[:5000])
    code, _, errors = home.run("status")
    assert (code, json.loads(errors)["error"]["code"]) == (4, "Q0440")
    assert "qnet pay recover" in errors
    assert len(path.read_bytes()) == 5000


async def test_a_channel_is_closed_and_paid_to_whom_one_names(home, chain):
    home.init()
    home.topup("5")
    payee = "0x" + "77" * 20
    code, rows, _ = home.run("refund", "--exit", "--to", payee)
    assert code == 0
    assert [row["state"] for row in rows] == ["waits"]
    await chain.control.warp(rows[0]["until"])
    _, rows, _ = home.run("refund", "--to", payee)
    assert [row["state"] for row in rows] == ["paid"]
    assert await chain.contracts.token.balance_of(bytes.fromhex(payee[2:])) == 5 * WEI


def test_what_is_shown_to_people_has_no_braces(home, capsys):
    home.init()
    for words in (("status",), ("quote",), ("tokens",), ("limit",)):
        found = []
        argv = ["--home", str(home.folder), "--yes", "pay", *words]
        worker = threading.Thread(target=lambda argv=argv, found=found: found.append(run(argv)))
        worker.start()
        worker.join()
        assert found == [0]
        assert "{" not in capsys.readouterr().out
