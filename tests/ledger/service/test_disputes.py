"""What the committee does when something is wrong: it slashes, shows, and reports anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.domain.report import recompute
from ledger.service.effects import find_challenge
from ledger.storage.challenges import ChallengeRow
from ledger.verification import verify_epoch
from qnet.chain.disputes import ChallengeState, SlashState
from qnet.chain.reporting import ReportStatus
from qnet.chain.staking import NodeState
from tests.ledger.service.committee import BOND_WEI, Committee, open_committee, own_chain
from tests.ledger.service.test_committee import PATIENCE, wait_for
from tests.ledger.service.test_evidence import disable
from tests.support.anvil import WEI, Network

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

LIAR = 4
DEMANDED = 2
CELLS = {(1, 2): 900, (2, 1): 300, (2, 3): 880}


@pytest.fixture(scope="module")
def patient_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain with time to demand a leaf and to disable a report."""
    folder = tmp_path_factory.mktemp("chain")
    with own_chain(folder, challenge_window_s=30, demand_answer_s=12, **PATIENCE) as network:
        yield network


async def test_the_committee_slashes_shows_and_reports_anew(tmp_path: Path, patient_chain: Network):
    async with open_committee(tmp_path, patient_chain) as committee:
        chain = committee.chain
        for owner in committee.network.member_owners:
            transfer = chain.contracts.token.transfer(owner.address, 1000 * WEI)
            await chain.send(committee.network.deployer, transfer)
        async with committee.member(0), committee.member(1), committee.member(3):
            await committee.until(committee.clock.slot_bounds(0, 0)[1] + 0.3)
            one, other = (committee.receipts(0, 0, {(LIAR, 2): n})[:1] for n in (500, 900))
            answers = await committee.send_receipts(
                [*committee.receipts(0, 0, CELLS), *one, *other]
            )
            assert all(codes[-1] == 5 for codes in answers.values())
            await check_slash(committee)
            await check_demand(committee)
            await check_next_attempt(committee)


async def rows_of(committee: Committee, member: int) -> list[ChallengeRow]:
    async with committee.apps[member].member.work() as rows:
        return await rows.challenges.all()


async def check_slash(committee: Committee) -> None:
    """One member proves the double receipt, the others see that it is done."""
    contracts, owner = committee.chain.contracts, committee.network.member_owners[1]

    async def executed():
        found = await contracts.slasher.slash(1)
        return found if found.state is SlashState.EXECUTED else None

    slash = await wait_for(executed)
    assert (slash.is_member, slash.subject, slash.epoch) == (False, LIAR, 0)
    assert slash.challenger == owner.address
    taken = BOND_WEI * committee.network.parameters.slash_receipts_ppm // 10**6
    assert await contracts.hub.bond_of(LIAR) == BOND_WEI - taken
    assert (await contracts.registry.node(LIAR)).state is NodeState.TOMBSTONED
    share = taken * committee.network.parameters.challenger_ppm // 10**6
    assert await contracts.token.balance_of(owner.address) == 1000 * WEI + share

    async def closed():
        found = [await rows_of(committee, member) for member in (0, 1, 3)]
        return found if all(row.state in {"proven", "dropped"} for [row] in found) else None

    found = await wait_for(closed)
    assert [row.state for [row] in found] == ["dropped", "proven", "dropped"]
    assert (found[0][0].note, found[1][0].note) == ("already caught", "executed")
    assert await contracts.court.count() == 1
    challenge = await contracts.court.challenge(1)
    assert challenge.state is ChallengeState.PROVEN
    assert await find_challenge(contracts, challenge.commitment) == 1
    assert await find_challenge(contracts, bytes(32)) is None


async def check_demand(committee: Committee) -> None:
    """Whoever demands a leaf is shown it, against the bond."""
    contracts, network = committee.chain.contracts, committee.network

    async def submitted():
        found = await contracts.oracle.report(0)
        return found if found.status is ReportStatus.SUBMITTED else None

    await wait_for(submitted)
    asker, bond = network.holders[0], network.parameters.challenge_bond_wei
    before = await contracts.token.balance_of(asker.address)
    approve = contracts.token.approve(contracts.oracle.address, bond)
    await committee.chain.send(asker, approve)
    await committee.chain.send(asker, contracts.oracle.demand_leaf(0, DEMANDED))

    async def answered():
        demand = await contracts.oracle.demand_of(0, DEMANDED)
        return True if demand.deadline_s == 0 else None

    assert await wait_for(answered, seconds=30)
    assert await contracts.token.balance_of(asker.address) == before - bond
    assert (await contracts.oracle.report(0)).status is ReportStatus.SUBMITTED


async def check_next_attempt(committee: Committee) -> None:
    """A disabled report is agreed on anew, and becomes final."""
    contracts = committee.chain.contracts
    first = await contracts.oracle.report(0)
    await disable(committee.chain, 0)

    async def final():
        found = await contracts.oracle.report(0)
        return found if found.status is ReportStatus.FINAL else None

    second = await wait_for(final, seconds=240)
    assert (first.report.attempt, second.report.attempt) == (0, 1)
    assert second.hash != first.hash
    for member in (0, 1, 3):
        async with committee.apps[member].member.work() as rows:
            stored = await rows.reports.of_epoch(0)
        assert [(row.attempt, row.digest) for row in stored] == [(1, second.hash), (0, first.hash)]
        blob = await committee.get(member, "/v1/epochs/0/data")
        assert blob is not None
        assert recompute(blob).digest == second.hash
    checked = await verify_epoch(committee.home(0), committee.config(0), 0, source=None)
    assert checked["status"] == "final"
