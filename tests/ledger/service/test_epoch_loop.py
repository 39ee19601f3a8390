"""The calendar's duties: epochs are started in order, and given up when their report is overdue."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.domain.votes import Kind, Topic
from ledger.errors import NotReadyError
from ledger.service.beacon_source import BeaconSource, load_seed
from ledger.service.chain_reader import ChainReader
from ledger.service.epoch_loop import EpochLoop
from ledger.service.member import Member
from ledger.service.peers import Peers
from ledger.service.quorum import Quorum
from ledger.service.settlement import Settlement
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet.errors import ConfigError
from tests.support.anvil import ChainFixture, Network, network_of_its_own

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network_of_its_own(tmp_path_factory.mktemp("network")) as own:
        yield own


async def make_member(chain: ChainFixture, engine, now: list[float]) -> Member:
    reader = ChainReader(chain.contracts)
    return Member(
        index=0,
        key=chain.network.member_signers[0],
        facts=await reader.facts(),
        reader=reader,
        work=UnitOfWork(engine),
        parameters=await reader.parameters(),
        now=lambda: now[0],
        random=secrets.token_bytes,
    )


async def settle(member: Member, settlement: Settlement) -> None:
    for _ in range(400):
        await settlement.step()
        async with member.work() as rows:
            due = [r for r in await rows.outbox.open_rows() if r.not_before <= member.now()]
        if not due:
            return
    raise AssertionError("the outbox does not empty")


async def test_an_overdue_epoch_is_skipped_and_the_next_one_goes_on(
    chain: ChainFixture, tmp_path: Path
):
    network, contracts = chain.network, chain.contracts
    genesis, parameters = network.deployment.genesis_s, network.parameters
    epoch_s = parameters.slot_s * parameters.slots_per_epoch
    now = [float(genesis + epoch_s + 1)]
    async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'l.db'}") as engine:
        member = await make_member(chain, engine, now)
        quorum = Quorum(member, Peers(member, ["http://127.0.0.1:1"] * 4), {})
        anchor = await contracts.epochs.beacon_anchor()
        loop = EpochLoop(member, quorum, BeaconSource(anchor, member.clock, chain=network.beacon))
        settlement = Settlement(member, chain.sender(network.member_owners[0]), quorum)

        await chain.control.warp(int(now[0]))
        await loop._start_epochs()
        await settle(member, settlement)
        assert (await contracts.epochs.info(0)).started_at_s > 0
        now[0] = float(member.closes_at(0))
        await loop._report()
        assert quorum.topics == [Topic(Kind.REPORT, 0)]

        now[0] = float(genesis + epoch_s + parameters.report_deadline_s + 5)
        await chain.control.warp(int(now[0]))
        await loop._report()
        assert quorum.topics == []
        await settle(member, settlement)
        assert (await contracts.epochs.info(0)).skipped

        await loop._start_epochs()
        await settle(member, settlement)
        assert await contracts.epochs.next_epoch() == member.clock.epoch_at(now[0])
        now[0] = float(max(now[0], member.closes_at(1)))
        await loop._report()
        assert quorum.topics == [Topic(Kind.REPORT, 1)]


async def test_the_beacon_tells_no_slot_before_it_begins(chain: ChainFixture, tmp_path: Path):
    network = chain.network
    anchor = network.beacon.anchor
    clock = await chain.contracts.epochs.clock()
    path = tmp_path / "seed"
    path.write_text(network.beacon.value(network.beacon.length - 1).hex())
    source = BeaconSource(anchor, clock, chain=load_seed(path, anchor))
    begins = clock.slot_bounds(0, 3)[0]
    with pytest.raises(NotReadyError):
        await source.value(3, begins - 0.1)
    assert await source.value(3, begins) == network.beacon.value(3)
    assert await source.of_epoch(0, begins + 600) == tuple(map(network.beacon.value, range(6)))
    with pytest.raises(NotReadyError):
        await source.value(-1, begins)
    with pytest.raises(NotReadyError):
        await source.value(10_000, begins + 10**6)
    unheard = BeaconSource(anchor, clock, urls=["http://127.0.0.1:1"])
    with pytest.raises(NotReadyError):
        await unheard.value(0, begins)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "é"])
def test_a_broken_seed_file_is_named(tmp_path: Path, text: str):
    path = tmp_path / "seed"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_seed(path, bytes(32))
    assert str(path) in caught.value.message


def test_a_missing_seed_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError):
        load_seed(tmp_path / "nothing", bytes(32))
