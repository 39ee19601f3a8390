"""`qnet ledger evidence`: everything this member could bring before the court, as files."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ledger.client import get_bytes
from ledger.config import LedgerConfig, database_url
from ledger.domain.disputes import double_consensuses, double_receipts
from ledger.domain.report import recompute
from ledger.errors import BadDataError, NoReportError
from ledger.service.chain_reader import ChainReader
from ledger.service.foundation import Published
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.reporting import ReportStatus
from qnet.files import write_atomic
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.proofs import ConsensusesProof, Proof, ReceiptsProof
from qnet.messages.receipt import SignedReceipt


async def stored_proofs(home: Path, config: LedgerConfig) -> list[Proof]:
    """Double receipts and double consensuses in the member's database."""
    async with (
        open_database(database_url(home, config.storage.url)) as engine,
        UnitOfWork(engine)() as rows,
    ):
        receipts = [SignedReceipt.decode(wire) for wire in await rows.receipts.doubled(0)]
        evidence = [DoubleConsensus.decode(wire) for wire in await rows.evidence.newest()]
    found: list[Proof] = [*double_receipts(receipts)]
    for item in evidence:
        found += double_consensuses(item)
    return found


async def proofs_against(contracts: Contracts, epoch: int, url: str) -> list[Proof]:
    """What is wrong with the report of an epoch, by its own data and our chain.

    Args:
        contracts: of this network.
        epoch: which report.
        url: base URL of a member that serves its data.

    Raises:
        NoReportError: the chain has no report of the epoch.
        BadDataError: the data are not those of the report, so its leaves are unknown: demand them.
    """
    on_chain = await contracts.oracle.report(epoch)
    if on_chain.status is ReportStatus.NONE:
        raise NoReportError(epoch)
    published = await _published(contracts, url, epoch, on_chain.hash)
    before = await contracts.oracle.predecessor_of(epoch)
    previous = None
    if before:
        earlier = await contracts.oracle.report(before - 1)
        previous = await _published(contracts, url, before - 1, earlier.hash)
    return await published.wrong(previous)


async def _published(contracts: Contracts, url: str, epoch: int, report_hash: bytes) -> Published:
    blob = await get_bytes(f"{url}/v1/epochs/{epoch}/data")
    if (await asyncio.to_thread(recompute, blob)).digest != report_hash:
        raise BadDataError(
            f"the data of epoch {epoch} do not give the report on chain",
            why="its leaves are not what its signers published",
            try_=("demand leaves: whoever cannot show them loses the report",),
        )
    clock, block = await contracts.epochs.clock(), await contracts.client.block("latest")
    return await Published.of(blob, ChainReader(contracts), block, clock=clock)


async def write_evidence(
    home: Path, config: LedgerConfig, folder: Path, *, epoch: int | None, source: str | None
) -> list[Path]:
    """Write a file for every proof; the names tell what each is about.

    Args:
        home: of a member; no key of it is used.
        config: its configuration.
        folder: to write to; made if it is not there.
        epoch: whose report to judge, too.
        source: URL of the member to fetch that report's data from; our own by default.

    Raises:
        NoReportError: the chain has no report of the epoch.
        BadDataError: the data are not those of the report.
    """
    deployment = Deployment.load(home / config.chain.deployment)
    proofs = await stored_proofs(home, config)
    if epoch is not None:
        url = source or config.member.peers[config.member.index]
        async with ChainClient.connect(
            config.chain.rpc, expected_chain_id=deployment.chain_id
        ) as client:
            contracts = await Contracts.open(client, deployment)
            proofs += await proofs_against(contracts, epoch, url)
    court = deployment.address("DisputeCourt")
    files = [EvidenceFile(deployment.chain_id, court, proof) for proof in proofs]
    return await asyncio.to_thread(_write, folder, files)


def _write(folder: Path, files: Sequence[EvidenceFile]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, file in enumerate(files):
        path = folder / f"{file.kind}-{_about(file, number)}.json"
        write_atomic(path, file.encode())
        paths.append(path)
    return paths


def _about(file: EvidenceFile, number: int) -> str:
    """What a proof is about, unique among the proofs of one kind."""
    proof = file.evidence
    if isinstance(proof, ReceiptsProof):
        return "-".join(str(int(part)) for part in proof.a.receipt.key)
    if isinstance(proof, ConsensusesProof):
        return f"{proof.valid_after_s}-{proof.member}"
    return str(number)
