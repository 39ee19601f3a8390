"""Requests reach members directly or over circuits of their own, and bad answers end in silence."""

import asyncio
import contextlib
import secrets

import pytest

from node.payments.user.derivation import Seed
from node.payments.user.routes import (
    MAX_ANSWER_BYTES,
    SILENCE,
    Answer,
    CircuitRoute,
    DirectRoute,
    OwnCircuit,
)
from node.payments.user.states import State
from node.payments.user.stock import for_token
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from node.payments.user.wallet import Wallet
from node.payments.user.wallet_file import create_file
from tests.support.issuing import PLACE, REWARDS, Chain, Office, Time
from tests.support.network import client, eventually, inner_network

ROLES = ("entry", "relay", "exit")
BAD = {
    "no HTTP": b"hello",
    "no end": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\nok",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    "too long": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_ANSWER_BYTES + 1),
    "negative": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 10_000,
    "no status": b"HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n",
}


@contextlib.asynccontextmanager
async def saying(answer):
    """A server that says the same to everybody and closes."""

    async def talk(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.fixture
async def session(tmp_path):
    async with (
        inner_network(tmp_path, ROLES) as network,
        client(network.bundle(), ready=0) as session,
    ):
        yield session


async def test_a_wallet_lives_over_circuits(tmp_path, session):
    time, chain = Time(), Chain()
    office = Office(time, chain)
    office.prepare(0)
    folder, seed = tmp_path / "payments", Seed(bytes(range(32)))
    create_file(folder, seed.channel.address)
    chain.deposit(seed.channel.address, 100)
    paths = []

    def fresh():
        route = CircuitRoute(OwnCircuit(session))
        paths.append(route)
        return route

    async with office.open(), DirectRoute() as direct:
        around = Surroundings(
            PLACE, REWARDS, chain, office.urls, direct, fresh, time, secrets.token_bytes
        )
        wallet = Wallet(seed, Store(folder, seed.channel.address), around)
        await wallet.send(await wallet.order_credits(2))
        before = session.circuits.built
        for held in wallet.store.instruments(State.HELD):
            await wallet.send(await wallet.order_swap(for_token([held], 3)))
        assert session.circuits.built == before + 2
        assert len(wallet.store.instruments(State.HELD)) == 2
        wallet.store.close()


async def test_a_circuit_of_ones_own_is_used_by_nobody_else_and_closes_at_once(session):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with saying(answer) as url:
        first, second = (CircuitRoute(OwnCircuit(session)) for _ in range(2))
        answers = await asyncio.gather(
            *(first.ask(url, "GET", "/a") for _ in range(3)), second.ask(url, "POST", "/b", b"x")
        )
        assert answers == [Answer(200, b"ok")] * 4
        assert session.circuits.built == 2
        await eventually(lambda: not any(made.circuit.streams for made in session.circuits.open))
        assert all(made.retired for made in session.circuits.open)


async def test_what_is_no_answer_is_silence_over_a_circuit(session):
    for name, answer in BAD.items():
        async with saying(answer) as url:
            found = await CircuitRoute(OwnCircuit(session)).ask(url, "GET", "/")
        assert found == SILENCE, name
    assert await CircuitRoute(OwnCircuit(session)).ask(url, "GET", "/") == SILENCE


@pytest.mark.parametrize("name", ["no HTTP", "cut", "too long", "endless head"])
async def test_what_is_no_answer_is_silence_directly(name):
    async with saying(BAD[name]) as url, DirectRoute() as route:
        assert await route.ask(url, "GET", "/") == SILENCE


async def test_nobody_there_is_silence():
    async with saying(b"") as url:
        pass
    async with DirectRoute() as route:
        assert await route.ask(url, "GET", "/") == SILENCE
    assert await route.ask(url, "GET", "/") == SILENCE
