"""Keeps proofs of double consensuses, each with both documents, in one file written at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from node.directory.packing import compress, decompress
from node.view import Conflict
from qnet import cbor
from qnet.errors import DecodeError, RemoteProtocolError
from qnet.files import write_atomic
from qnet.messages.consensus import MAX_CONSENSUS_BYTES
from qnet.messages.evidence import MAX_EVIDENCE_BYTES, DoubleConsensus
from qnet.messages.fields import Fields

MAX_EVIDENCE_FILES: Final = 16
"""Proofs kept; one would do, so further ones are only counted."""
_KEYS: Final = frozenset({"v", "evidence", "kept", "refused"})
_FILE_VERSION: Final = 1
_MAX_FILE_BYTES: Final = 2 * MAX_CONSENSUS_BYTES + MAX_EVIDENCE_BYTES + 256

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """One file.

    Attributes:
        evidence: The proof.
        kept: Wire form of the consensus that was held first.
        refused: Wire form of the other one.
    """

    evidence: DoubleConsensus
    kept: bytes
    refused: bytes


class EvidenceStore:
    """The folder `state/evidence`.

    Args:
        folder: Made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, conflict: Conflict) -> Path | None:
        """Write a proof with both documents; None if it is there already, or too many are."""
        evidence = conflict.evidence
        path = self._folder / f"{evidence.period}-{evidence.digest.hex()[:16]}.cbor"
        if path.exists() or len(self._files()) >= MAX_EVIDENCE_FILES:
            return None
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {
            "v": _FILE_VERSION,
            "evidence": evidence.encode(),
            "kept": compress(conflict.kept.encode()),
            "refused": compress(conflict.refused.encode()),
        }
        write_atomic(path, cbor.dumps(content))
        return path

    def load(self) -> list[StoredEvidence]:
        """Everything kept; damaged files are left out."""
        found = []
        for path in self._files():
            try:
                found.append(_parse(path.read_bytes()))
            except RemoteProtocolError as error:
                _log.warning("damaged evidence", file=path.name, cause=error.message)
        return found

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.cbor"))


def _parse(data: bytes) -> StoredEvidence:
    fields = Fields(
        cbor.loads(data, max_bytes=_MAX_FILE_BYTES, max_depth=1), _KEYS, "stored evidence"
    )
    fields.uint("v", _FILE_VERSION, minimum=_FILE_VERSION)
    documents = [
        decompress(fields.blob(name, multiple=1, maximum=MAX_CONSENSUS_BYTES), MAX_CONSENSUS_BYTES)
        for name in ("kept", "refused")
    ]
    evidence = DoubleConsensus.decode(
        fields.blob("evidence", multiple=1, maximum=MAX_EVIDENCE_BYTES)
    )
    if not all(documents):
        raise DecodeError("stored evidence: a document is missing")
    return StoredEvidence(evidence, *documents)
