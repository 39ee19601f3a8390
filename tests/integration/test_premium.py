"""Paying circuits: a real client pays real relays with tokens of real threshold keys."""

import asyncio
from types import SimpleNamespace

import pytest

from node.circuit.payment import PaymentStatus, Refusal
from node.payments.relay.tollgate import PRICED_BYTES
from node.status import node_metrics, node_status
from tests.support.network import client, eventually, file_server, inner_network, through
from tools.bench.issuer import LocalIssuer, LocalPurse

ROLES = ("entry", "relay", "exit")
SIZE = 4 << 20

pytestmark = [pytest.mark.asyncio, pytest.mark.e2e]


async def fetch(session, files):
    async with through(session, "127.0.0.1", files.port, timeout_s=30) as (reader, writer):
        writer.write(b"GET ")
        assert await reader.read(-1) == files.body


def stored(network):
    """Units that each relay keeps."""
    return [
        sum(token.unit.k for token in node.tolls.claiming.store.spent(0)) for node in network.nodes
    ]


async def test_a_transfer_pays_all_three_hops(tmp_path):
    async with inner_network(tmp_path, ROLES, price=1) as network, file_server(SIZE) as files:
        await eventually(lambda: all(node.tolls.booth.gate.issued for node in network.nodes))
        purse = LocalPurse(network.committee.issuer)
        async with client(network.bundle()) as session:
            session.purse = purse
            await fetch(session, files)
            (made,) = [made for made in session.circuits.open if made.key is not None]
            rows = made.row(0.0)["payments"]
            assert [row["premium"] for row in rows] == [True] * 3
            assert all(row["units"] >= SIZE // PRICED_BYTES for row in rows)
            for node in network.nodes:
                told = node_status(node)["payments"]
                assert (told["price"], told["tokens"], told["refused"]) == (1, 1, {})
                counters = node_metrics(node).counters
                assert counters["qnet_pay_tokens"][1]["taken"] == 1
                assert counters["qnet_pay_units"][1][""] == told["units"] > 0
            used = [node.tolls.booth.stats.used_bytes for node in network.nodes]
            for row, size in zip(rows, used, strict=True):
                # the first cells went before the first unit was stored
                assert SIZE // 2 <= size <= row["units"] * PRICED_BYTES
            made.circuit.destroy()
            await eventually(lambda: made.circuit.closed)
            assert all(token.k == token.last for token in purse.taken if token.k)
            paid = [
                sum(token.k for token in purse.taken if token.relay == relay) for relay in (1, 2, 3)
            ]
            await eventually(lambda: stored(network) == paid)
        assert purse.refusals == []
        assert [node.tolls.booth.stats.units for node in network.nodes] == paid


async def test_a_client_that_stops_pays_up(tmp_path):
    async with inner_network(tmp_path, ROLES, price=1) as network, file_server(1000) as files:
        await eventually(lambda: all(node.tolls.booth.gate.issued for node in network.nodes))
        purse = LocalPurse(network.committee.issuer)
        async with client(network.bundle()) as session:
            session.purse = purse
            await fetch(session, files)
        assert purse.taken
        assert {token.k == token.last for token in purse.taken} == {True}
        await eventually(lambda: sum(stored(network)) == sum(token.k for token in purse.taken))


async def test_a_free_network_refuses_payment_and_serves(tmp_path):
    """What a client shows that believes in a price is answered, and costs nobody anything."""
    async with inner_network(tmp_path, ROLES) as network, file_server(1000) as files:
        purse = LocalPurse(LocalIssuer.draw())
        async with client(network.bundle()) as session:
            session.purse = purse
            await fetch(session, files)
            (made,) = [made for made in session.circuits.open if made.key is not None]
            assert made.circuit.payments is None
            made.circuit.origin.pay(1, purse.issuer.token(2).opening)
            heard = []
            made.circuit.payments = SimpleNamespace(
                told=lambda hop, status: heard.append((hop, status)), lost=lambda: None
            )
            made.circuit.entry.wake()
            await eventually(lambda: heard)
            assert heard == [(1, PaymentStatus.refused(Refusal.FREE))]
            made.circuit.payments = None
        assert [node.tolls for node in network.nodes] == [None] * 3


async def test_a_token_for_another_relay_buys_nothing(tmp_path):
    async with inner_network(tmp_path, ROLES, price=1) as network, file_server(SIZE) as files:
        await eventually(lambda: all(node.tolls.booth.gate.issued for node in network.nodes))

        class Wrong(LocalPurse):
            async def take(self, relay):
                found = self.issuer.token(relay + 1)
                self.taken.append(found)
                return found

        purse = Wrong(network.committee.issuer)
        async with client(network.bundle()) as session:
            session.purse = purse
            await fetch(session, files)
        assert set(purse.refusals) == {Refusal.SIGNATURE.words}
        assert stored(network) == [0, 0, 0]


async def test_premium_gets_its_share_of_a_full_relay(tmp_path):
    """The middle relay sends 8 Mbit/s; one circuit of two pays for it."""
    async with (
        inner_network(tmp_path, ROLES, price=1, limits_kbps={2: 8_000}) as network,
        file_server(8 << 20) as files,
        client(network.bundle()) as free,
        client(network.bundle()) as paid,
    ):
        await eventually(lambda: all(node.tolls.booth.gate.issued for node in network.nodes))
        paid.purse = LocalPurse(network.committee.issuer)
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(fetch(free, files))
            await group.create_task(fetch(paid, files))
            (carried,) = [m.circuit for m in free.circuits.open if m.key is not None]
            share = (8 << 20) / carried.bytes_received
            slow.cancel()
        assert 2.5 <= share <= 6
