"""What a client keeps between runs about the network: consensus, committee, evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from node.client.network.causes import Causes
from node.directory.trust import TrustState, check_age
from node.errors import Stage
from node.io.evidence import EvidenceStore
from node.view import Conflict, NetworkView
from qnet.errors import QnetError
from qnet.files import write_atomic
from qnet.messages.consensus import SignedConsensus

CONSENSUS_FILE: Final = "consensus.bin"
COMMITTEE_FILE: Final = "committee.bin"
EVIDENCE_FOLDER: Final = "evidence"

_log = structlog.get_logger(__name__)


class Keeping:
    """The state folder, as far as the directory is concerned.

    Args:
        folder: None keeps nothing.
        bundle: Hash of the set of signers in the bundle, 32 bytes.
        made_at: When the bundle's committee was read from the chain, unix seconds; 0 if unknown.
        checks_age: Whether an old committee is refused; development networks have no dates.
    """

    def __init__(
        self, folder: Path | None, bundle: bytes, *, made_at: int = 0, checks_age: bool = True
    ) -> None:
        self._bundle = bundle
        self._folder = folder
        self._checks_age = checks_age
        self._evidence = EvidenceStore(folder / EVIDENCE_FOLDER) if folder else None
        self.confirmed_at = made_at
        self.members: tuple[str, ...] = ()
        """Base URLs of the committee, where the chain told them."""

    def load(self, view: NetworkView, causes: Causes) -> bool:
        """Use committee and consensus of an earlier run, if they still hold."""
        view.on_conflict(self._conflicting)
        if self._folder is None:
            return False
        for stored in self._evidence.load() if self._evidence is not None else ():
            view.conflicts[stored.evidence.digest] = stored.evidence
        self._load_trust(view)
        path = self._folder / CONSENSUS_FILE
        if not path.exists():
            return False
        try:
            return view.offer(path.read_bytes())
        except QnetError as error:
            causes.failed(Stage.CACHE, "cache", error)
            return False

    def store(self, view: NetworkView, signed: SignedConsensus) -> None:
        """Write the consensus held, and that it confirms the committee."""
        self.confirmed_at = max(self.confirmed_at, signed.consensus.valid_after)
        if self._folder is not None:
            write_atomic(self._folder / CONSENSUS_FILE, signed.encode())
        self.store_trust(view)

    def store_trust(self, view: NetworkView) -> None:
        """Write which committee is trusted."""
        if self._folder is not None:
            state = TrustState(self._bundle, view.history, self.confirmed_at)
            write_atomic(self._folder / COMMITTEE_FILE, state.encode())

    def confirmed(self, view: NetworkView, at: int, *, members: tuple[str, ...]) -> None:
        """The chain confirmed the committee at a time (unix seconds)."""
        self.confirmed_at, self.members = max(self.confirmed_at, at), members
        self.store_trust(view)

    def check_age(self, now: float) -> None:
        """Refuse a committee that was confirmed too long ago.

        Raises:
            TrustAgeError: With its age and what helps.
        """
        if self._checks_age:
            check_age(self.confirmed_at, now)

    def _load_trust(self, view: NetworkView) -> None:
        assert self._folder is not None
        path = self._folder / COMMITTEE_FILE
        if not path.exists():
            return
        try:
            state = TrustState.decode(path.read_bytes())
        except QnetError as error:
            _log.info("kept committee is not used", cause=error.message)
            return
        if state.bundle == self._bundle and state.confirmed_at >= self.confirmed_at:
            view.trust(state.history)
            self.confirmed_at = state.confirmed_at

    def _conflicting(self, conflict: Conflict) -> None:
        if self._evidence is not None:
            path = self._evidence.keep(conflict)
            _log.warning("evidence kept", file=path.name if path is not None else "")
