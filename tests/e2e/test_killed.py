"""kill -9 in a running network: a committee member in mid-epoch, an operator who claims.

Runs after `test_devnet.py`, on its network: one of four probers is dead already.
"""

import asyncio
import json
import os
import signal
import subprocess
import time
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from ledger.domain.blob import EpochData
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.reporting import ReportStatus
from qnet.crypto.keys import keccak256
from tests.support.killing import duration_of, killed_at, killed_within, run
from tests.support.ledger import QNET
from tools.devnet import state as states
from tools.devnet.processes import Spec, spawn, wait_ready

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VICTIM = 3
DOWN_S = 3.0
NOT_DONE = 120.0


class Watched:
    """The network as a test looks at it: members over HTTP, contracts on the chain."""

    def __init__(self, net):
        self.net = net
        self.state = states.load(net.home)
        self.config = self.state.config

    def get(self, member, path):
        with urlopen(self.state.members[member].url + path, timeout=10) as answer:
            return answer.read()

    def status(self, member):
        return json.loads(self.get(member, "/v1/status"))

    def data(self, member, epoch):
        """What the report of an epoch rests on; None while the member has no report of it."""
        try:
            return self.get(member, f"/v1/epochs/{epoch}/data")
        except HTTPError as error:
            with error:
                if error.code != HTTPStatus.NOT_FOUND:
                    raise
            return None

    def receipts(self, member, epoch):
        """What a member's database holds, read beside the running member."""
        home = self.state.members[member].home
        done = run("ledger", "receipts", epoch, "--home", home, "--json")
        assert done.code == 0, done.errors
        return [
            tuple(row[name] for name in ("epoch", "slot", "from", "to", "signed_by", "cells"))
            for row in done.data[0]
        ]

    def fetch(self):
        """Make traffic, so that there are receipts."""
        url = f"http://web.devnet:{self.config.web_port}/file"
        argv = ["curl", "-sS", "--fail", "--max-time", "20", "-o", "/dev/null"]
        subprocess.run([*argv, "--socks5-hostname", self.net.socks, url], check=True, timeout=30)

    def kill(self, name):
        os.kill(self.state.process(name).pid, signal.SIGKILL)

    def start(self, member):
        """Start a member again; `qnet devnet down` will know of it."""
        record = self.state.members[member]
        argv = (str(QNET), "ledger", "run", "--home", record.home)
        logs = self.config.home / "again"
        spec = Spec(record.name, argv, logs, {})
        process = spawn(spec)
        states.save(states.load(self.net.home).with_process(process))
        wait_ready(spec, process)

    def words(self, account):
        found = self.state.account(account)
        return [
            *("--rpc", self.config.rpc, "--deployment", self.config.deployment),
            *("--account", found.keystore, "--passphrase-file", self.config.passphrase_file),
            *("--yes", "--json", "--no-input"),
        ]

    @asynccontextmanager
    async def contracts(self):
        async with ChainClient.connect(self.config.rpc) as client:
            yield await Contracts.open(client, Deployment.load(self.config.deployment))

    def read(self, action):
        """Ask the contracts something."""

        async def work():
            async with self.contracts() as contracts:
                return await action(contracts)

        return asyncio.run(work())


@pytest.fixture(scope="module")
def watched(net):
    (net.home / "site" / "file").write_bytes(bytes(2**20))
    return Watched(net)


def until(check, *, seconds=NOT_DONE):
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.3)
    return found


def middle_of_an_epoch(watched):
    """Number of an epoch that is neither new nor nearly over, with receipts in it."""

    def look():
        told = watched.status(VICTIM)
        good = 1 <= told["slot"] <= 3 and told["receipts_this_epoch"] > 0
        return (told["epoch"] + 1) if good else 0

    return until(look) - 1


def reported(watched, epoch, status):
    async def look(contracts):
        found = await contracts.oracle.report(epoch)
        return found if found.status >= status else None

    return until(lambda: watched.read(look))


@pytest.fixture(scope="module")
def epoch(watched):
    """An epoch in whose middle a member was killed, with what it held then, up again."""
    watched.fetch()
    number = middle_of_an_epoch(watched)
    held = watched.receipts(VICTIM, number)
    watched.kill(watched.state.members[VICTIM].name)
    watched.fetch()
    time.sleep(DOWN_S)
    watched.start(VICTIM)
    return number, held


def test_a_member_killed_in_mid_epoch_loses_no_receipt(watched, epoch):
    number, held = epoch
    on_chain = reported(watched, number, ReportStatus.SUBMITTED)
    blob = until(lambda: watched.data(VICTIM, number), seconds=20)
    assert blob == until(lambda: watched.data(0, number), seconds=20)
    assert keccak256(blob) == on_chain.report.data_hash
    bodies = [signed.receipt for signed in EpochData.decode(blob).receipts]
    in_report = [(b.epoch, b.slot, b.node_from, b.node_to, b.signer, b.packets) for b in bodies]
    assert len({body.key for body in bodies}) == len(bodies)
    assert held
    assert set(held) <= set(in_report)
    # each member holds what was delivered to it; who proposes collects from all of them
    told = [watched.receipts(member.index, number) for member in watched.state.members]
    assert all(len(rows) == len(set(rows)) for rows in told)
    assert set().union(*told) == set(in_report)
    assert set(held) <= set(told[VICTIM])


async def paid_and_settled(contracts, node, owner):
    """Tokens of the payout account, all ever settled, what is owed: wei."""
    balance = await contracts.token.balance_of(owner)
    settled, _ = await contracts.hub.settled_cumulative(node)
    return balance, settled, await contracts.hub.owed(node)


@pytest.mark.parametrize("number", [1, 2], ids=["at each step", "at random moments"])
def test_a_claim_killed_and_repeated_pays_once(watched, epoch, number):
    reported(watched, epoch[0], ReportStatus.FINAL)
    node = watched.state.nodes[number - 1]
    owner = bytes.fromhex(watched.state.account(node.operator).address[2:])
    command = ("stake", "claim", "--node", node.index, *watched.words(node.operator))

    def look():
        return watched.read(lambda contracts: paid_and_settled(contracts, node.index, owner))

    before, _, _ = look()
    if number == 1:
        killed_at(("before", "broadcast", 1), *command)
        assert look() == (before, 0, 0)
        killed_at(("after", "broadcast", 1), *command)
        until(lambda: look()[2] > 0, seconds=10)  # settled, not claimed
        killed_at(("after", "broadcast", 1), *command)
    else:
        usual = duration_of(*command)
        for _ in range(3):
            killed_within((usual * 0.6, usual * 1.6), *command)
    until(lambda: run(*command).code == 0, seconds=30)
    after, settled, owed = look()
    assert owed == 0
    assert after - before == settled > 0
    through = watched.read(lambda contracts: contracts.hub.settled_through(node.index))
    served = json.loads(watched.get(0, f"/v1/epochs/{through - 1}/leaf/{node.index}"))
    assert int(served["leaf"]["cum_operator_wei"]) == settled
