"""A client pays real relays out of its wallet, and the wallet's file knows what it paid."""

import json
import secrets
import time
from dataclasses import astuple

import pytest

from node.payments.user.derivation import Seed, Slot
from node.payments.user.opening import NoRoute
from node.payments.user.states import Instrument, State
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from node.payments.user.wallet import Wallet
from node.payments.user.wallet_file import create_file
from qnet.crypto.bls import hash_to_g1
from qnet.epochs import EpochClock
from qnet.issuance import PaymentTerms
from qnet.messages.instruments import TOKEN_CLASS
from tests.support.network import client, eventually, file_server, inner_network, through
from tools.bench.issuer import LocalChain

pytestmark = pytest.mark.e2e
ROLES = ("entry", "relay", "exit")
SIZE = 3 << 20


def wallet_of(folder, issuer):
    """A wallet with two tokens for each of three relays."""
    seed = Seed(secrets.token_bytes(32))
    create_file(folder, seed.channel.address)
    store = Store(folder, seed.channel.address)
    store.note("terms", json.dumps(astuple(PaymentTerms.profile("main"))).encode())
    for counter in range(6):
        slot, relay = Slot(0, TOKEN_CLASS, counter), counter % 3 + 1
        message = seed.message(slot, issuer.place, relay=relay)
        signature = hash_to_g1(message) * issuer.polynomials[TOKEN_CLASS].secret
        store.add([Instrument(slot, State.HELD, relay, signature.encode())])
    around = Surroundings(
        place=issuer.place,
        rewards=EpochClock(int(time.time()) - 10, 3600, 24),
        chain=LocalChain(issuer),
        members=("http://127.0.0.1:9",) * 4,
        direct=NoRoute(),
        fresh=NoRoute,
        wall=time.time,
        random=secrets.token_bytes,
    )
    return Wallet(seed, store, around)


def shown(network):
    """Units that each relay keeps."""
    return {
        index: sum(token.unit.k for token in node.tolls.claiming.store.spent(0))
        for index, node in enumerate(network.nodes, 1)
    }


async def test_what_relays_hold_is_what_the_file_says(tmp_path):
    async with inner_network(tmp_path, ROLES, price=1) as network, file_server(SIZE) as files:
        await eventually(lambda: all(node.tolls.booth.gate.issued for node in network.nodes))
        wallet = wallet_of(tmp_path / "payments", network.committee.issuer)
        async with client(network.bundle()) as session:
            session.purse = wallet
            async with through(session, "127.0.0.1", files.port, timeout_s=30) as (reader, writer):
                writer.write(b"GET ")
                assert await reader.read(-1) == files.body
            assert wallet.store.instruments(State.SPENDING)
        tokens = wallet.store.instruments(State.SPENT)
        assert {entry.relay for entry in tokens} == {1, 2, 3}
        assert all(entry.k in {entry.last, 0} and 48 <= entry.last <= 64 for entry in tokens)
        paid = {
            index: sum(entry.k for entry in tokens if entry.relay == index) for index in (1, 2, 3)
        }
        await eventually(lambda: shown(network) == paid)
        assert not wallet.store.instruments(State.SPENDING)
        wallet.store.close()
