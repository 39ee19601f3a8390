"""Step: two epochs close, are reported, recomputed, settled and claimed."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from qnet.chain.contracts import Contracts
from qnet.chain.reporting import ReportStatus
from qnet.units import format_qnet
from tools.devnet.demo.context import Demo
from tools.devnet.demo.evidence import (
    MAX_BLOB_BYTES,
    Verifier,
    check_against_chain,
    read_evidence,
    report_signers,
)
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.payouts import paid_to_relays
from tools.devnet.demo.recompute import Memory, Outcome, recompute
from tools.devnet.processes import check_alive
from tools.devnet.state import NodeRecord

EPOCHS = 2
PATIENCE_S = 180
POLL_S = 1.0
CLAIMS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Paid:
    """What a node's operator and its delegators got, in wei."""

    operator: int
    pool: int


@dataclass(slots=True)
class Ledger:
    """What the recomputation says so far.

    Attributes:
        memory: carried from epoch to epoch.
        earned: outcomes per registry index, by epoch.
        catching_up: held while epochs that became final meanwhile are added.
    """

    memory: Memory = field(default_factory=Memory)
    earned: dict[int, dict[int, Outcome]] = field(default_factory=dict)
    catching_up: asyncio.Lock = field(default_factory=asyncio.Lock)

    def total(self, index: int, epoch: int) -> tuple[int, int]:
        """Wei that operator and delegators of a node have earned up to and including an epoch."""
        found = [told[index] for e, told in self.earned.items() if e <= epoch and index in told]
        return sum(one.operator for one in found), sum(one.pool for one in found)


async def show_earnings(demo: Demo) -> None:
    """Check two epochs from receipts to claimed tokens."""
    journal = demo.journal
    async with demo.contracts() as contracts:
        with journal.step("epochs"):
            clock = await contracts.epochs.clock()
            first = max(0, clock.epoch_at(demo.first_traffic_s))
            shown = range(first, first + EPOCHS)
            final = await _await_final(demo, contracts, shown[-1])
            journal.verified(
                f"{EPOCHS} epochs with traffic closed, were reported and are final",
                f"epochs {shown[0]} and {shown[-1]} of {clock.epoch_s} s",
            )
        ledger = Ledger()
        with journal.step("evidence"):
            for epoch in final:
                await _check_epoch(demo, contracts, ledger, epoch, tell=epoch in shown)
        with journal.step("claims"):
            await _claim_everything(demo, contracts, ledger)


async def _await_final(demo: Demo, contracts: Contracts, last: int) -> list[int]:
    """Wait until epoch `last` is final; returns all final epochs.

    Raises:
        CheckFailedError: it is not within three minutes, or was skipped.
        ProcessDiedError: a program died meanwhile.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        check_alive(demo.state.processes)
        final = await _final_epochs(contracts)
        if last in final:
            return [epoch for epoch in final if epoch <= last]
        await asyncio.sleep(POLL_S)
    epoch = await contracts.oracle.next_epoch()
    status = (await contracts.oracle.report(last)).status.name.lower()
    raise CheckFailedError(
        f"epoch {last} is not final after {PATIENCE_S} s",
        why=f"its report: {status}, the next epoch to report is {epoch}; "
        "see qnet devnet logs ledger-0",
    )


async def _final_epochs(contracts: Contracts) -> list[int]:
    """Final epochs from the first on; skipped ones are left out."""
    reported = await contracts.oracle.next_epoch()
    found = [(e, (await contracts.oracle.report(e)).status) for e in range(reported)]
    return [epoch for epoch, status in found if status is ReportStatus.FINAL]


async def _check_epoch(
    demo: Demo, contracts: Contracts, ledger: Ledger, epoch: int, *, tell: bool
) -> None:
    """Verify an epoch's evidence and recompute its rewards."""
    url = demo.state.members[epoch % len(demo.state.members)].url
    blob = await _get(f"{url}/v1/epochs/{epoch}/data")
    evidence, value = await asyncio.to_thread(read_evidence, blob, contracts)
    await check_against_chain(epoch, blob, evidence, value, contracts)
    outcomes = recompute(evidence.facts, ledger.memory)
    ledger.earned[epoch] = outcomes
    total = sum(outcome.reward for outcome in outcomes.values())
    oracle = (await contracts.oracle.report(epoch)).report
    if total != oracle.total_reward_wei:
        raise CheckFailedError(
            f"epoch {epoch}: recomputed total differs from the report",
            why=f"recomputed {total}, reported {oracle.total_reward_wei}",
        )
    if tell:
        await _tell_epoch(demo, contracts, epoch, url)
        if evidence.sample:
            demo.journal.console.print(f"          {evidence.sample}", highlight=False)
        demo.journal.require(
            evidence.both > 0,
            f"epoch {epoch}: receipts signed by both neighbours",
            f"{evidence.receipts} receipts, {evidence.both} links, {evidence.probes} probes",
        )
        demo.journal.verified(
            f"epoch {epoch}: rewards recomputed from the published data",
            f"{format_qnet(total)} QNET",
        )


async def _tell_epoch(demo: Demo, contracts: Contracts, epoch: int, url: str) -> None:
    """Check the quorum's signatures over the report."""
    document: Any = await _get_json(f"{url}/v1/epochs/{epoch}/report")
    members = [member.signer for member in await contracts.committee.members()]
    verifier = Verifier(contracts.client.chain_id, contracts.oracle.address)
    signers = await asyncio.to_thread(report_signers, document, members, verifier)
    quorum = await contracts.committee.quorum()
    demo.journal.require(
        len(signers) >= quorum,
        f"epoch {epoch}: report signed by a quorum",
        f"members {sorted(signers)}, {quorum} needed",
    )


async def _claim_everything(demo: Demo, contracts: Contracts, ledger: Ledger) -> None:
    """Let every operator settle and claim; compare each amount with the recomputation."""
    gate = asyncio.Semaphore(CLAIMS_AT_ONCE)

    async def claim(node: NodeRecord) -> Paid:
        async with gate:
            return await _claim(demo, contracts, ledger, node)

    nodes = demo.state.nodes
    paid = await asyncio.gather(*(claim(node) for node in nodes))
    claimed = sum(one.operator for one in paid)
    shared = sum(one.pool for one in paid)
    demo.journal.require(
        all(one.operator > 0 for one in paid),
        "every operator was paid",
        f"{len(paid)} operators, {format_qnet(claimed)} QNET",
    )
    demo.journal.verified(
        "each amount equals the recomputation to the last wei", f"{claimed + shared} wei"
    )
    vault = await contracts.vault.total_paid()
    demo.journal.require(
        vault == claimed + shared, "the vault paid out exactly what was settled", f"{vault} wei"
    )


async def _claim(demo: Demo, contracts: Contracts, ledger: Ledger, node: NodeRecord) -> Paid:
    """One operator's `qnet stake claim`, checked by its token balance and its pool's sum."""
    owner = bytes.fromhex(demo.state.account(node.operator).address[2:])
    first = (await contracts.client.block("latest")).number
    before = await contracts.token.balance_of(owner, first)
    words = ("stake", "claim", "--node", node.index, *demo.signed_by(node.operator))
    told = await asyncio.to_thread(demo.qnet, *words)
    last = (await contracts.client.block("latest")).number
    premium = await paid_to_relays(contracts, first + 1, last)
    balance = await contracts.token.balance_of(owner, last) - before
    balance -= premium.get(node.index, (0, 0))[1]
    _, pool = await contracts.hub.settled_cumulative(node.index)
    paid = Paid(balance, pool)
    epoch = int(told[-1]["epoch"])
    await _catch_up(demo, contracts, ledger, epoch)
    due = Paid(*ledger.total(node.index, epoch))
    if paid != due or balance != int(told[-1].get("wei", 0)):
        raise CheckFailedError(
            f"{node.operator} was paid another amount than recomputed",
            why=f"paid {paid}, recomputed {due} up to epoch {epoch}",
        )
    shared = f", {format_qnet(pool)} QNET to delegators" if pool else ""
    demo.journal.console.print(
        f"          {node.name} ({node.role}) {format_qnet(balance)} QNET{shared}",
        highlight=False,
    )
    for sent in told:
        verb = "claim " if "wei" in sent else "settle"
        demo.journal.console.print(f"            {verb} {sent['tx']}", highlight=False)
    return paid


async def _catch_up(demo: Demo, contracts: Contracts, ledger: Ledger, epoch: int) -> None:
    """Recompute epochs that became final while others claimed."""
    async with ledger.catching_up:
        for missing in range(max(ledger.earned) + 1, epoch + 1):
            if (await contracts.oracle.report(missing)).status is ReportStatus.FINAL:
                await _check_epoch(demo, contracts, ledger, missing, tell=False)


async def _get(url: str) -> bytes:
    """Fetch what a member publishes.

    Raises:
        CheckFailedError: it does not answer, or not with that.
    """
    timeout = aiohttp.ClientTimeout(total=20)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CheckFailedError(f"{url} does not answer", why=str(error)) from error
    if response.status != 200 or len(body) > MAX_BLOB_BYTES:
        raise CheckFailedError(f"{url} answered {response.status}")
    return body


async def _get_json(url: str) -> Any:
    return json.loads(await _get(url))
