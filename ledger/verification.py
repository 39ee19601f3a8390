"""`qnet ledger verify`: the report of an epoch from its data alone, against the chain."""

import asyncio
from pathlib import Path
from typing import Any

from ledger.client import get_bytes
from ledger.config import LedgerConfig
from ledger.domain.blob import EpochData
from ledger.domain.report import EpochResult, recompute
from ledger.domain.state import NetworkState
from ledger.errors import NoReportError, ReportMismatchError
from ledger.service.chain_reader import ChainReader
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.reporting import OracleReport, ReportStatus
from qnet.units import format_qnet


async def verify_epoch(
    home: Path, config: LedgerConfig, epoch: int, *, source: str | None
) -> dict[str, Any]:
    """Recompute a report and compare it with what the chain took.

    Args:
        home: of a member; only its `ledger.toml` is used, no key.
        config: its configuration.
        epoch: which report.
        source: URL of the member to fetch data from; our own by default.

    Returns:
        What was checked, as JSON.

    Raises:
        NoReportError: the chain has no report of the epoch.
        ReportMismatchError: something differs.
    """
    deployment = Deployment.load(home / config.chain.deployment)
    url = source or config.member.peers[config.member.index]
    async with ChainClient.connect(
        config.chain.rpc, expected_chain_id=deployment.chain_id
    ) as client:
        contracts = await Contracts.open(client, deployment)
        on_chain = await contracts.oracle.report(epoch)
        if on_chain.status in {ReportStatus.NONE, ReportStatus.DISABLED}:
            raise NoReportError(epoch)
        blob = await get_bytes(f"{url}/v1/epochs/{epoch}/data")
        result = await asyncio.to_thread(recompute, blob)
        _compare(result, on_chain)
        data = EpochData.decode(blob)
        checks = {
            "report": f"every field equals the chain's, hash 0x{on_chain.hash.hex()}",
            "snapshot": await _check_snapshot(contracts, data),
            "state before": await _check_before(contracts, data, url),
            "rewards": f"{len(result.leaves)} leaves, "
            f"{format_qnet(result.report.total_reward_wei)} QNET in all",
            "receipts": f"{len(data.receipts)} receipts, {len(result.matched)} pairs matched",
            "audits": f"{len(result.audits)} results counted",
        }
    return {
        "epoch": epoch,
        "status": on_chain.status.name.lower(),
        "hash": "0x" + result.digest.hex(),
        "total_reward_wei": str(result.report.total_reward_wei),
        "checks": checks,
    }


def _compare(result: EpochResult, on_chain: OracleReport) -> None:
    if result.report != on_chain.report or result.digest != on_chain.hash:
        raise ReportMismatchError(
            f"the report of epoch {on_chain.report.epoch} is not what its data gives",
            why="its signers stated something else than the facts they published",
        )


async def _check_snapshot(contracts: Contracts, data: EpochData) -> str:
    reader = ChainReader(contracts)
    facts = await reader.facts()
    claimed = data.snapshot
    block = await contracts.client.block(claimed.block_number)
    ours = await reader.snapshot(claimed.epoch, block, clock=facts.clock)
    if ours != claimed:
        raise ReportMismatchError(
            f"the snapshot of epoch {claimed.epoch} is not what the chain says",
            why=f"read at block {claimed.block_number}",
        )
    return f"equals registry and stakes at block {claimed.block_number}"


async def _check_before(contracts: Contracts, data: EpochData, url: str) -> str:
    """Compare the state before with what the report before leads to."""
    before = data.before
    if before.epoch < 0:
        if before != NetworkState():
            raise ReportMismatchError("the first report does not start from an empty state")
        return "empty: this is the first report"
    earlier = await contracts.oracle.report(before.epoch)
    result = await asyncio.to_thread(
        recompute, await get_bytes(f"{url}/v1/epochs/{before.epoch}/data")
    )
    if earlier.hash != before.report_hash or result.digest != earlier.hash:
        raise ReportMismatchError(f"the state before is not that of epoch {before.epoch}")
    if result.after != before:
        raise ReportMismatchError(
            f"the state before is not what the report of epoch {before.epoch} leads to"
        )
    return f"follows from the report of epoch {before.epoch}"
