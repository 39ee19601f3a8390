"""Gathers what is known about a network for `qnet net`: consensus, committee, statistics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.client.network.keeping import COMMITTEE_FILE, CONSENSUS_FILE
from node.config import ClientConfig
from node.directory.trust import TrustState
from node.io.evidence import EvidenceStore
from node.io.ledger_client import LedgerClient
from node.manifests import Bundle, load_bundle
from qnet.config import load_toml
from qnet.errors import CryptoError, NetworkError, NotFoundError, QnetError, UsageError
from qnet.messages.consensus import SignedConsensus
from qnet.messages.succession import CommitteeHistory, decode_changes
from qnet.messages.trust import CommitteeTrust


@dataclass(slots=True)
class Survey:
    """What one command looks at.

    Attributes:
        history: Whose signatures count.
        signed: The newest consensus, verified; its age is not judged.
        source: Where it came from.
        evidence: Double consensuses that this client has proof of.
        statistics: Rows of the committee by registry index; empty without a member's URL.
        statistics_epoch: The epoch they are of.
    """

    history: CommitteeHistory
    signed: SignedConsensus
    source: str
    evidence: int = 0
    statistics: dict[int, dict[str, Any]] = field(default_factory=dict)
    statistics_epoch: int | None = None


async def survey(home: Path, bundle: Path | None, urls: Sequence[str]) -> Survey:
    """Read the client's state, or ask committee members where URLs are given.

    Args:
        home: Folder of a client.
        bundle: network.json; that of the client by default.
        urls: Base URLs of committee members.

    Raises:
        UsageError: Neither a client's consensus nor a member is there.
        QnetError: What is there cannot be verified.
    """
    known = load_bundle(bundle or _bundle_of(home))
    history = _history(home, known)
    if not urls:
        path = home / "state" / CONSENSUS_FILE
        if not path.exists():
            raise UsageError(
                f"no consensus in {home}",
                why="no client has come up with this home",
                try_=("qnet client up", "name a committee member: --ledger URL"),
            )
        signed = SignedConsensus.decode(path.read_bytes(), trust=history)
        return Survey(history, signed, str(path), _evidence(home))
    async with LedgerClient(tuple(urls)) as ledger:
        data = await ledger.consensus()
        if data is None:
            raise NotFoundError("the committee has no consensus yet")
        history, signed = await _verify(data, history, ledger)
        found = Survey(history, signed, "committee", _evidence(home))
        await _add_statistics(found, ledger)
    return found


async def history_of(found: Survey, urls: Sequence[str], periods: int) -> list[SignedConsensus]:
    """The newest consensuses that members still hold, oldest first, each verified.

    Args:
        found: Where to begin.
        urls: Base URLs of committee members.
        periods: How many at most.
    """
    if not urls:
        return [found.signed]
    documents = [found.signed]
    interval = found.signed.consensus.interval_s
    newest = found.signed.consensus.valid_after
    async with LedgerClient(tuple(urls)) as ledger:
        for period in range(newest - interval, newest - periods * interval, -interval):
            data = await ledger.consensus(period)
            if data is not None:
                documents.append(SignedConsensus.decode(data, trust=found.history))
    return documents[::-1]


async def _verify(
    data: bytes, history: CommitteeHistory, ledger: LedgerClient
) -> tuple[CommitteeHistory, SignedConsensus]:
    try:
        return history, await asyncio.to_thread(SignedConsensus.decode, data, trust=history)
    except CryptoError:
        changes = await ledger.committee_changes()
        if changes is None:
            raise
        history = history.follow(decode_changes(changes))
        return history, await asyncio.to_thread(SignedConsensus.decode, data, trust=history)


async def _add_statistics(found: Survey, ledger: LedgerClient) -> None:
    """Statistics are not signed: they are shown beside the consensus, never used for it."""
    body = await ledger.statistics()
    if body is None:
        return
    try:
        content = json.loads(body)
        found.statistics_epoch = int(content["epoch"])
        found.statistics = {int(row["index"]): dict(row) for row in content["nodes"]}
    except (ValueError, KeyError, TypeError) as error:
        raise NetworkError("a member's statistics are malformed", why=str(error)) from error


def _bundle_of(home: Path) -> Path:
    if not (home / "client.toml").exists():
        raise UsageError(
            f"no client.toml in {home}", try_=("name the network: --bundle network.json",)
        )
    return load_toml(home / "client.toml", ClientConfig).network.bundle


def _history(home: Path, bundle: Bundle) -> CommitteeHistory:
    start = CommitteeTrust(bundle.chain_id, bundle.committee, bundle.signers, bundle.quorum)
    path = home / "state" / COMMITTEE_FILE
    if path.exists():
        try:
            state = TrustState.decode(path.read_bytes())
        except QnetError:
            return CommitteeHistory(start)
        if state.bundle == start.hash:
            return state.history
    return CommitteeHistory(start)


def _evidence(home: Path) -> int:
    return len(EvidenceStore(home / "state" / "evidence").load())
