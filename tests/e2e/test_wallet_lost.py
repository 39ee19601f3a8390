"""A premium wallet with real processes: its file cut in half, then its whole machine lost."""

import json
import shutil

import pytest

from tests.e2e.conftest import Net, free_run, pick_ports, up_words
from tests.e2e.user import User, eventually
from tools.devnet import state as states

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

BOUGHT = 6
UNITS = 64
DEPOSIT_QNET = 20
IN_USE = {"spending", "spent"}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    network = Net(tmp_path_factory.mktemp("wallets") / "net", pick_ports())
    network.qnet("devnet", "up", "--nodes", 6, *up_words(network.ports), timeout=200)
    yield network
    network.qnet("devnet", "down")


def begin(net, home):
    """A client of its own; returns it and the words of `qnet pay init` for it."""
    port = free_run(1)
    user = User(home, f"127.0.0.1:{port}")
    user.up("--bundle", net.home / "network.json", "--listen", user.socks)
    state = states.load(net.home)
    members = [word for member in state.members for word in ("--member", member.url)]
    chain = ("--deployment", net.home / "deployment.json", "--rpc", state.config.rpc)
    return user, (*members, *chain, "--passphrase-file", state.config.passphrase_file, "--light")


def restart(user):
    user.down()
    user.up()


def rows(user):
    return user.data("pay", "tokens")


def bought_and_swapped(net, user):
    """Deposit, buy, and wait until some of it is tokens; what is held, by the wallet itself."""
    state = states.load(net.home)
    payer = ("--keystore", state.account("alice").keystore)
    secret = ("--passphrase-file", state.config.passphrase_file, "--yes")
    user.run("pay", "topup", DEPOSIT_QNET, *payer, *secret)
    eventually(lambda: buys(user), 120)
    eventually(lambda: any(row["relay"] for row in rows(user)), 120)
    return rows(user)


def buys(user):
    """Whether a purchase is done; before the first epoch's keys are on chain there is none."""
    done = user.try_("pay", "buy", BOUGHT, "--yes", "--json")
    return done.returncode == 0 and json.loads(done.stdout)["data"]["done"]


def worth(found):
    return sum(row["units"] for row in found)


def check_found(user, before):
    """What came back is what was bought, but for rests of tokens that were in use."""
    found = user.data("pay", "recover", "--yes")
    used = sum(row["state"] in IN_USE for row in before)
    assert found["purchases"] >= 1
    assert found["swaps"] >= 1
    assert found["strangers"] == 0
    assert BOUGHT * UNITS - used * UNITS <= worth(found["found"]) <= BOUGHT * UNITS
    return found


def test_a_wallet_comes_back_from_its_seed(net, tmp_path):
    user, words = begin(net, tmp_path / "carol")
    made = user.data("pay", "init", *words, "--yes")
    restart(user)
    before = bought_and_swapped(net, user)
    user.down()

    cut_in_half(user.home / "payments" / "wallet.db")
    user.up()
    refused = user.try_("pay", "status", "--json")
    assert refused.returncode == 4
    assert "Q0440" in refused.stderr
    assert "qnet pay recover" in refused.stderr
    found = check_found(user, before)
    assert found["put_aside"]
    assert user.data("pay", "buy", 1, "--yes")["done"]
    user.down()

    # the machine is gone: all that is left is the paper
    shutil.rmtree(user.home)
    paper = tmp_path / "paper.txt"
    paper.touch(0o600)
    paper.write_text(made["backup"] + "\n")
    again, words = begin(net, tmp_path / "carol-2")
    restored = again.data("pay", "init", "--restore", paper, *words, "--yes")
    assert restored == {"account": made["account"], "backup": ""}
    restart(again)
    found = again.data("pay", "recover", "--yes")
    assert found["purchases"] >= 2
    assert found["strangers"] == 0
    assert found["put_aside"] is None
    assert worth(found["found"]) <= (BOUGHT + 1) * UNITS
    bought = again.data("pay", "buy", 1, "--yes")
    assert bought["done"]
    again.down()


def cut_in_half(path):
    for part in ("-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
