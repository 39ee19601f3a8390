"""The outbox: kill -9 at any step loses and doubles nothing."""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.service.chain_reader import ChainReader
from ledger.service.member import Member
from ledger.service.peers import Peers
from ledger.service.quorum import Quorum
from ledger.service.settlement import Settlement
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from tests.ledger.service.outbox_child import STEPS
from tests.support.anvil import ChainFixture, Network, network_of_its_own

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network_of_its_own(tmp_path_factory.mktemp("network")) as own:
        yield own


ROOT = Path(__file__).parents[3]


def url_of(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'ledger.db'}"


def send_outbox(chain: ChainFixture, folder: Path, step: str) -> int:
    """Run the child; return its exit code, negative for a signal."""
    network = chain.network
    words = (
        url_of(folder),
        network.url,
        str(network.manifest),
        network.member_signers[0].secret.hex(),
        network.member_owners[0].secret.hex(),
        step,
    )
    child = [sys.executable, "-m", "tests.ledger.service.outbox_child", *words]
    return subprocess.run(child, cwd=ROOT, check=False, timeout=60).returncode


async def note_payments(chain: ChainFixture, folder: Path, targets: list[bytes]) -> None:
    """Token transfers: unlike everything else in an outbox, sending one twice would show.

    The rows say "report" of an epoch that never gets one, so nobody finds them done already.
    """
    async with open_database(url_of(folder)) as engine, UnitOfWork(engine)() as rows:
        for place, target in enumerate(targets):
            call = chain.contracts.token.transfer(target, 7)
            assert call.to is not None
            await rows.outbox.add(
                "report",
                900 + place,
                target=call.to,
                call=call.data,
                label="pay 7 wei",
                not_before=0.0,
            )


@pytest.mark.parametrize("step", range(2 * len(STEPS)))
async def test_kill_9_at_any_step_loses_and_doubles_nothing(
    chain: ChainFixture, tmp_path: Path, step: int
):
    owner = chain.network.member_owners[0]
    await chain.send(chain.network.deployer, chain.contracts.token.transfer(owner.address, 100))
    targets = [secrets.token_bytes(20), secrets.token_bytes(20)]
    await note_payments(chain, tmp_path, targets)
    assert send_outbox(chain, tmp_path, str(step)) == -signal.SIGKILL
    assert send_outbox(chain, tmp_path, "none") == 0
    assert [await chain.contracts.token.balance_of(target) for target in targets] == [7, 7]
    assert await chain.contracts.token.balance_of(owner.address) == 86
    async with open_database(url_of(tmp_path)) as engine, UnitOfWork(engine)() as rows:
        for place in range(2):
            row = await rows.outbox.get("report", 900 + place)
            assert row is not None
            assert row.state == "done"


async def settlement_for(chain: ChainFixture, engine, place: int) -> Settlement:
    reader = ChainReader(chain.contracts)
    member = Member(
        index=place,
        key=chain.network.member_signers[place],
        facts=await reader.facts(),
        reader=reader,
        work=UnitOfWork(engine),
        parameters=await reader.parameters(),
        now=time.time,
        random=secrets.token_bytes,
    )
    quorum = Quorum(member, Peers(member, []), {})
    return Settlement(member, chain.sender(chain.network.member_owners[place]), quorum)


async def empty(settlement: Settlement, work: UnitOfWork) -> None:
    for _ in range(400):
        await settlement.step()
        async with work() as rows:
            if not await rows.outbox.open_rows():
                return
    raise AssertionError("the outbox does not empty")


async def test_what_another_member_did_is_done(chain: ChainFixture, tmp_path: Path):
    digest = b"\x05" * 32
    committee = chain.contracts.committee
    from qnet.messages.consensus import consensus_digest

    message = consensus_digest(chain.client.chain_id, committee.address, 600, digest)
    call = committee.anchor(600, digest, 0b111, chain.quorum_signatures(message))
    assert call.to is not None
    for place in range(2):
        folder = tmp_path / str(place)
        folder.mkdir()
        async with open_database(url_of(folder)) as engine:
            work = UnitOfWork(engine)
            settlement = await settlement_for(chain, engine, place)
            async with work() as rows:
                await rows.outbox.add(
                    "anchor",
                    600,
                    target=call.to,
                    call=call.data,
                    label="anchor",
                    not_before=0.0,
                )
            await empty(settlement, work)
            async with work() as rows:
                row = await rows.outbox.get("anchor", 600)
            assert row is not None
            assert row.state == "done"
            assert (row.note == "seen on chain") == (place == 1)
    assert await committee.anchor_of(600) == digest


async def test_what_the_contract_will_never_take_is_given_up(chain: ChainFixture, tmp_path: Path):
    committee = chain.contracts.committee
    call = committee.anchor(600, bytes(32), 0b111, bytes(195))
    assert call.to is not None
    async with open_database(url_of(tmp_path)) as engine:
        work = UnitOfWork(engine)
        settlement = await settlement_for(chain, engine, 0)
        async with work() as rows:
            await rows.outbox.add(
                "anchor", 600, target=call.to, call=call.data, label="a", not_before=0.0
            )
        await settlement.step()
        async with work() as rows:
            row = await rows.outbox.get("anchor", 600)
        assert row is not None
        assert row.state == "failed"
        assert "EmptyHash" in row.note
