"""Whole members over HTTP and a real chain: keys are made, registered once, and used."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.app import LedgerApp
from qnet.messages.instruments import KEYS
from tests.ledger.domain.keygen_network import signs
from tests.ledger.service.committee import open_committee, own_chain
from tests.support.anvil import Network

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

LATE = 2
EPOCHS = range(1, 7)
"""Keys can be made from the first one on; a loaded machine may miss one."""


@pytest.fixture(scope="module")
def keys_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with own_chain(tmp_path_factory.mktemp("chain")) as network:
        yield network


async def keys_of(app: LedgerApp, epochs=EPOCHS):
    """Wait until a member may use the keys of one of these epochs."""
    async with asyncio.timeout(240):
        while True:
            for epoch in epochs:
                found = await app.services.issuance_keys.public(epoch)
                if found is not None:
                    return found
            await asyncio.sleep(0.2)


async def sent(app: LedgerApp, epoch: int):
    """Wait until a member is done with the registration; return its row."""
    async with asyncio.timeout(60):
        while True:
            async with app.member.work() as rows:
                row = await rows.outbox.get("keys", epoch)
            assert row is not None
            if row.state in {"done", "failed"}:
                return row
            await asyncio.sleep(0.2)


async def test_three_members_register_keys_once_and_the_fourth_learns_them(
    tmp_path: Path, keys_chain: Network
):
    async with open_committee(tmp_path, keys_chain) as committee:
        channels = committee.chain.contracts.channels
        async with committee.member(0) as a, committee.member(1) as b, committee.member(3) as d:
            members = [a, b, d]
            epoch = (await keys_of(a)).epoch
            found = await asyncio.gather(*(keys_of(app, [epoch]) for app in members))
            state = await channels.issuance_of(epoch, "finalized")
            assert state is not None
            assert {keys.hash(channels.place) for keys in found} == {state.keys_hash}
            rows = await asyncio.gather(*(sent(app, epoch) for app in members))
            assert [row.state for row in rows] == ["done"] * 3
            assert sum(row.note.startswith("block") for row in rows) == 1
            shares = {}
            for app in members:
                held = await app.services.issuance_keys.shares(epoch)
                assert held is not None
                shares[app.member.index + 1] = held
            for class_ in range(KEYS):
                assert signs(found[0], class_, {place: shares[place][class_] for place in shares})
            async with committee.member(LATE) as late:
                assert await keys_of(late, [epoch]) == found[0]
                assert await late.services.issuance_keys.shares(epoch) is None
