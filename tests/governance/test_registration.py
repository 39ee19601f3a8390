"""`qnet chain register-node`: what it costs, who burns it, and who cannot pay."""

import time
from dataclasses import dataclass

import pytest

from node.keys import create_keys
from qnet.chain.sender import KeySigner, Sender
from qnet.parameters import NetworkParameters
from qnet.wallet.keystore import LIGHT
from tests.governance.test_stake import code_of, on_chain

pytestmark = pytest.mark.chain
FEE_WEI = NetworkParameters.profile("devnet").register_fee_wei


@dataclass(frozen=True)
class Account:
    """What the chain knows of an account and of the registry, in wei."""

    held: int
    allowed: int
    supply: int
    nodes: int


def look(world, name):
    async def work(contracts):
        address = world.keys[name].address
        return Account(
            await contracts.token.balance_of(address),
            await contracts.token.allowance(address, contracts.registry.address),
            await contracts.token.total_supply(),
            await contracts.registry.count(),
        )

    return on_chain(world, work)


def send(world, name, call_of):
    """Send a call of a named account, as `call_of(contracts)` builds it."""

    async def work(contracts):
        await Sender(contracts.client, KeySigner(world.keys[name])).send(call_of(contracts))

    on_chain(world, work)


@pytest.fixture
def node(world, tmp_path):
    """Words that name a node whose keys exist."""
    home = tmp_path / "node"
    create_keys(home, "correct horse", sni="x.test", now=int(time.time()), cost=LIGHT)
    return [home, "--role", "relay", "--node-passphrase-file", world.passphrase_file]


def test_a_registration_burns_the_fee_and_no_more(world, type_in, node):
    before = look(world, "operator")
    words = world.words("operator")
    code, (allowed, told), err = type_in("chain", "register-node", *node, *words)
    assert code == 0
    assert allowed["schema"] == "qnet.stake.approve/1"
    assert told["data"]["burned"] == {"amount": "10", "unit": "QNET"}
    assert "let the registry take 10 QNET" in err
    assert err.count("a registration costs 10 QNET, burned: they do not come back") == 2
    after = look(world, "operator")
    assert after == Account(before.held - FEE_WEI, 0, before.supply - FEE_WEI, before.nodes + 1)


def test_an_allowance_that_is_there_is_used(world, type_in, node):
    send(world, "operator", lambda c: c.token.approve(c.registry.address, FEE_WEI))
    code, documents, _ = type_in("chain", "register-node", *node, *world.words("operator"))
    assert code == 0
    assert [item["schema"] for item in documents] == ["qnet.chain.register-node/1"]


def test_whoever_cannot_pay_is_told_the_fee(world, type_in, node):
    send(world, "carol", lambda c: c.token.transfer(world.keys["bob"].address, 1))
    before = look(world, "carol")
    code, _, err = type_in("chain", "register-node", *node, *world.words("carol"))
    assert (code, code_of(err)) == (7, "Q0741")
    assert "10 QNET wanted, 9.999999999999999999 there" in err
    assert "a registration costs 10 QNET" in err
    assert look(world, "carol") == before, "nothing was sent"


def test_a_dry_run_tells_the_fee_and_sends_nothing(world, type_in, node):
    before = look(world, "operator")
    words = [word for word in world.words("operator") if word != "--yes"]
    code, _, err = type_in("chain", "register-node", *node, *words, "--dry-run")
    assert code == 0
    assert "a registration costs 10 QNET" in err
    assert look(world, "operator") == before
