import json
import subprocess
import sys

import pytest

from qnet.address import checksum_address
from qnet.cli.root import run
from qnet.crypto.keys import ReceiptKey
from qnet.wallet.accounts import Wallet
from qnet.wallet.keystore import LIGHT

PASSPHRASE = "open sesame"


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "wallet"


@pytest.fixture
def qnet(home, secret_file, capsys):
    """Runs `qnet wallet …`; returns exit code, standard output and standard error."""

    def call(*words, passphrase=True):
        options = ["--passphrase-file", secret_file] if passphrase else []
        code = run(["wallet", *words, *options, "--home", str(home), "--no-input"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def data_of(output):
    return json.loads(output)["data"]


def test_create_list_show(qnet, home):
    code, out, err = qnet("create", "alice", "--light", "--json")
    assert code == 0
    assert "back up" in err
    created = data_of(out)
    assert created["name"] == "alice"
    assert (home / "alice.json").stat().st_mode & 0o777 == 0o600
    code, out, _ = qnet("list", "--json", passphrase=False)
    assert data_of(out) == [created]
    code, out, _ = qnet("show", "alice", passphrase=False)
    assert created["address"] in out
    assert json.loads(qnet("show", "alice", "--json", passphrase=False)[1])["schema"] == (
        "qnet.wallet.account/1"
    )


def test_a_name_is_never_taken_twice(qnet, home):
    qnet("create", "alice", "--light")
    before = (home / "alice.json").read_bytes()
    code, _, err = qnet("create", "alice", "--light")
    assert code == 9
    assert "error[Q0907]" in err
    assert (home / "alice.json").read_bytes() == before


@pytest.mark.parametrize("name", ["../alice", "Alice", "", ".hidden", "a" * 64])
def test_odd_names_are_refused(qnet, name):
    code, _, err = qnet("create", name, "--light")
    assert code == 2
    assert "is no name" in err


def test_nobody_is_asked_with_no_input(qnet):
    code, _, err = qnet("create", "alice", passphrase=False)
    assert code == 2
    assert "--passphrase-file" in err


def test_errors_as_json(qnet):
    code, _, err = qnet("show", "nobody", "--json", passphrase=False)
    assert code == 3
    assert json.loads(err)["error"]["exit"] == 3


def test_import_of_a_bare_key(qnet, tmp_path):
    key = ReceiptKey.generate()
    source = tmp_path / "key.hex"
    source.write_text("0x" + key.secret.hex() + "\n")
    code, out, _ = qnet("import", "alice", str(source), "--light", "--json")
    assert code == 0
    assert data_of(out)["address"] == checksum_address(key.address)


def test_import_of_a_keystore(qnet, home, tmp_path):
    other = Wallet(tmp_path / "other")
    key = ReceiptKey.generate()
    other.add("theirs", key.secret, PASSPHRASE, cost=LIGHT)
    source = str(tmp_path / "other/theirs.json")
    code, out, _ = qnet("import", "alice", source, "--light", "--json")
    assert code == 0
    assert data_of(out)["address"] == checksum_address(key.address)


@pytest.mark.parametrize("content", ["", "hello", "zz" * 32, "11" * 31, "{}", '{"version": 3}'])
def test_import_of_nonsense(qnet, home, tmp_path, content):
    source = tmp_path / "source"
    source.write_text(content)
    code, _, err = qnet("import", "alice", str(source))
    assert code in {2, 6}
    assert "error[" in err
    assert not (home / "alice.json").exists()


def test_verify(qnet, home):
    qnet("create", "alice", "--light")
    code, out, _ = qnet("verify", "alice")
    assert code == 0
    assert "opens the key of 0x" in out
    code, _, err = qnet("verify", "alice", "--passphrase-cmd", "echo no", passphrase=False)
    assert code == 6
    assert "error[Q0603]" in err


def test_a_keystore_cut_in_half_is_told(qnet, home):
    qnet("create", "alice", "--light")
    path = home / "alice.json"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, _, err = qnet("verify", "alice")
    assert code == 6
    assert "error[Q0602]" in err
    assert "alice.json" in err
    assert "backup" in err


def test_export_and_its_preview(qnet, home, tmp_path):
    qnet("create", "alice", "--light")
    copy, bare = tmp_path / "copy.json", tmp_path / "bare"
    code, _, err = qnet("export", "alice", str(copy), "--dry-run")
    assert code == 0
    assert "its keystore" in err
    assert not copy.exists()
    assert qnet("export", "alice", str(copy))[0] == 2
    assert qnet("export", "alice", str(copy), "--yes")[0] == 0
    assert copy.read_bytes() == (home / "alice.json").read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert qnet("export", "alice", str(copy), "--yes")[0] == 9
    code, out, err = qnet("export", "alice", str(bare), "--plain", "--yes")
    assert code == 0
    secret = bare.read_text().strip()
    assert secret not in out + err
    assert bare.stat().st_mode & 0o777 == 0o600
    address = Wallet(home).find("alice").address
    assert ReceiptKey(bytes.fromhex(secret)).address == address


def test_passwd(qnet, home, tmp_path):
    qnet("create", "alice", "--light")
    new = ["--new-passphrase-cmd", "echo brand new", "--light", "--yes"]
    assert qnet("passwd", "alice", *new)[0] == 0
    assert qnet("verify", "alice")[0] == 6
    code, _, _ = qnet("verify", "alice", "--passphrase-cmd", "echo brand new", passphrase=False)
    assert code == 0
    before = (home / "alice.json").read_bytes()
    assert qnet("passwd", "alice", *new)[0] == 6
    assert (home / "alice.json").read_bytes() == before


@pytest.mark.chain
class TestWithChain:
    """A wallet that holds a funded account, and the session's deployment."""

    @pytest.fixture
    def chain_words(self, network):
        return ["--rpc", network.url, "--deployment", str(network.manifest)]

    @pytest.fixture
    def funded(self, home, network):
        Wallet(home).add("alice", network.holders[0].secret, PASSPHRASE, cost=LIGHT)
        return network.holders[0]

    def test_balance(self, qnet, chain, chain_words, funded):
        code, out, _ = qnet("balance", "alice", *chain_words, "--json", passphrase=False)
        assert code == 0
        data = data_of(out)
        assert data["address"] == checksum_address(funded.address)
        assert data["tokens"] == {"amount": "1000000", "unit": "QNET"}
        assert data["coins"] == {"amount": "1000", "unit": "coin"}
        assert data["delegate"] is None
        code, out, _ = qnet("balance", data["address"], *chain_words, passphrase=False)
        assert code == 0
        assert "1000000 QNET" in out

    def test_dry_run_shows_everything_and_sends_nothing(self, qnet, chain, chain_words, funded):
        to = checksum_address(b"\x77" * 20)
        words = ["send", to, "1.5", "--account", "alice", *chain_words, "--dry-run"]
        code, out, err = qnet(*words)
        assert code == 0
        assert out == ""
        for part in ("1.5 QNET", to, "(UNKNOWN)", "(alice)", "fee", "total", "impossible"):
            assert part in err
        assert "nothing was sent" in err

    async def test_send_pays(self, qnet, chain, chain_words, funded):
        import asyncio

        to = checksum_address(b"\x77" * 20)
        words = ["send", to, "1.5", "--account", "alice", *chain_words, "--yes", "--json"]
        code, out, err = await asyncio.to_thread(qnet, *words, "--final")
        assert code == 0, err
        data = data_of(out)
        assert data["state"] == "final"
        assert data["value"] == {"amount": "1.5", "unit": "QNET"}
        assert data["to_name"] == "UNKNOWN"
        assert f"sent {data['tx']}" in err
        assert await chain.contracts.token.balance_of(b"\x77" * 20) == 15 * 10**17
        found = await chain.client.tx_receipt(bytes.fromhex(data["tx"][2:]))
        assert found is not None
        assert found.block_number == data["block"]

    async def test_send_of_coins_to_a_name(self, qnet, chain, chain_words, funded, home):
        import asyncio

        bob = Wallet(home).add("bob", ReceiptKey.generate().secret, PASSPHRASE, cost=LIGHT)
        words = ["send", "bob", "2", "--coin", "--account", "alice", *chain_words, "--yes"]
        code, _, err = await asyncio.to_thread(qnet, *words)
        assert code == 0
        assert "(bob)" in err
        assert await chain.client.balance(bob.address) == 2 * 10**18

    def test_no_wait_prints_the_transaction(self, qnet, chain, chain_words, funded):
        to = checksum_address(b"\x77" * 20)
        words = ["send", to, "1", "--account", "alice", *chain_words, "--yes", "--no-wait"]
        code, out, _ = qnet(*words)
        assert code == 0
        assert out.startswith("0x")
        assert len(out.strip()) == 66

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (["0x" + "77" * 20, "1000000.1"], 7),
            (["0x" + "77" * 20, "99999999", "--coin"], 7),
            (["0x" + "77" * 20, "-1"], 2),
            (["0x" + "77" * 20, "lots"], 2),
            (["0x77", "1"], 2),
            (["nobody", "1"], 3),
            (["0x" + "77" * 20, "1", "--final", "--no-wait"], 2),
        ],
    )
    def test_what_cannot_be_sent(self, qnet, chain, chain_words, funded, words, code):
        found, _, err = qnet("send", *words, "--account", "alice", *chain_words, "--yes")
        assert found == code, err
        assert "rror" in err

    def test_an_answer_is_needed(self, qnet, chain, chain_words, funded):
        words = ["send", "0x" + "77" * 20, "1", "--account", "alice", *chain_words]
        assert qnet(*words)[0] == 2

    def test_a_chain_that_is_off(self, qnet, network, funded):
        words = ["--rpc", "http://127.0.0.1:1", "--deployment", str(network.manifest)]
        code, _, err = qnet("balance", "alice", *words, passphrase=False)
        assert code == 8
        assert "does not answer" in err


def test_help_of_the_group_loads_no_web3():
    script = (
        "import sys; from qnet.cli.root import run; run(['wallet', '--help']);"
        "sys.exit('web3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == 0
