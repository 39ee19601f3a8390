"""What a node or client believes about the network: the newest consensus it verified.

One object per process. It holds the trust anchor, verifies what is offered, keeps the documents it
can serve to others, and tells its listeners when something newer holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise

import structlog

from node.directory.cache import DirectoryCache
from node.directory.clock import ClockWitnesses
from node.directory.consensus import accept_consensus
from node.errors import Stage, StageError, UnknownNodeError
from node.htx.address import HtxAddress
from qnet.errors import DecodeError
from qnet.messages.consensus import (
    CommitteeTrust,
    Consensus,
    ConsensusNode,
    SignedConsensus,
)
from qnet.messages.errors import ConsensusConflictError
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.freshness import Freshness
from qnet.messages.succession import CommitteeHistory, SignedChange
from qnet.parameters import NetworkParameters

MAX_CONFLICTS = 16
"""Double consensuses remembered."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two consensuses of one period, both signed by a quorum.

    Attributes:
        evidence: The proof.
        kept: The one that was held first and stays in use.
        refused: The other one.
    """

    evidence: DoubleConsensus
    kept: SignedConsensus
    refused: SignedConsensus


class NetworkView:
    """The consensus in force and what follows from it.

    Args:
        trust: Whose signatures make a consensus.
        parameters: In force until the first consensus is known.
        now: Clock in unix seconds.
        software: Own protocol version.
    """

    def __init__(
        self,
        trust: CommitteeTrust,
        parameters: NetworkParameters,
        *,
        now: Callable[[], float],
        software: str = "",
    ) -> None:
        self.history = CommitteeHistory(trust)
        self.witnesses = ClockWitnesses()
        self.conflicts: dict[bytes, DoubleConsensus] = {}
        self.parameters = parameters
        self.cache = DirectoryCache()
        self.software = software or version("qnet")
        self.held: SignedConsensus | None = None
        self._previous: SignedConsensus | None = None
        self._now = now
        self._listeners: list[Callable[[Consensus], None]] = []
        self._conflict_listeners: list[Callable[[Conflict], None]] = []

    def on_change(self, listener: Callable[[Consensus], None]) -> None:
        """Call `listener` with every newer consensus."""
        self._listeners.append(listener)

    def on_conflict(self, listener: Callable[[Conflict], None]) -> None:
        """Call `listener` with every double consensus that was not known."""
        self._conflict_listeners.append(listener)

    @property
    def valid_after(self) -> int:
        """Period of the consensus held, 0 if there is none."""
        return self.held.consensus.valid_after if self.held is not None else 0

    @property
    def hash(self) -> bytes:
        """Hash of the consensus held, b"" if there is none."""
        return self.held.hash if self.held is not None else b""

    def offer(self, data: bytes, source: str = "") -> bool:
        """Verify a signed consensus and hold it if it is newer.

        Args:
            data: Its wire form.
            source: Who gave it; tells apart witnesses of the time.

        Returns:
            Whether it is held now and was not before.

        Raises:
            DecodeError: Malformed, or of another network.
            CryptoError: Not signed by a quorum.
            ConsensusTimeError: Outside its time bounds.
            ConsensusConflictError: Contradicts one that is known.
            RejectedError: It demands newer software.
        """
        return self.take(self.read(data), source)

    def read(self, data: bytes) -> SignedConsensus:
        """Verify a signed consensus without holding it; may run in another thread.

        Raises:
            DecodeError: Malformed, or of another network.
            CryptoError: Not signed by a quorum.
        """
        return SignedConsensus.decode(data, trust=self.history)

    def take(self, offered: SignedConsensus, source: str = "") -> bool:
        """Hold a verified consensus if it is newer; see `offer`."""
        if source:
            self.witnesses.heard(source, offered.consensus)
        self._compare(offered)
        accepted = accept_consensus(self.held, offered, now=self._now(), software=self.software)
        if accepted is self.held:
            return False
        self._previous = self.held
        self.held = accepted
        self.parameters = accepted.consensus.parameters
        self.cache.store(accepted)
        self.cache.descriptors.keep_listed(accepted.consensus)
        _log.info("consensus", valid_after=self.valid_after, nodes=len(accepted.consensus.nodes))
        for listener in self._listeners:
            listener(accepted.consensus)
        return True

    def trust(self, history: CommitteeHistory) -> None:
        """Trust other sets of signers, which the chain or an earlier run confirmed."""
        self.history = history
        if len(history.changes) > len(self.cache.changes):
            self.cache.changes = history.changes

    def follow(self, changes: Iterable[SignedChange]) -> bool:
        """Follow certified changes of the committee; True if the set is another one now.

        Raises:
            CommitteeForkError: Two changes are certified to follow one set.
            DecodeError: One does not follow.
            CryptoError: One is not certified by the set before it.
        """
        followed = self.history.follow(changes)
        if followed.valid_from == self.history.valid_from:
            return False
        self.trust(followed)
        _log.info("committee changed", valid_from=self.history.valid_from)
        return True

    def serve_changes(self, changes: tuple[SignedChange, ...]) -> None:
        """Serve a longer chain of changes: it must lead to the committee that is trusted here.

        The sets before the one this view started from are not known, so their signatures are left
        for those who ask to check.

        Raises:
            DecodeError: It has gaps, or leads elsewhere.
        """
        for before, after in pairwise(changes):
            if after.change.previous != before.change.trust.hash:
                raise DecodeError("committee changes: not a chain")
        if changes and changes[-1].change.trust.hash != self.history.newest.hash:
            raise DecodeError("committee changes: they lead to another set")
        self.cache.changes = changes

    def _compare(self, offered: SignedConsensus) -> None:
        """Note a contradiction to a consensus that is held or was.

        Raises:
            ConsensusConflictError: There is one; the one known first stays in use.
        """
        for known in (self.held, self._previous):
            if known is None or known.consensus.valid_after != offered.consensus.valid_after:
                continue
            if known.hash == offered.hash:
                return
            evidence = DoubleConsensus.of(known, offered)
            if evidence.digest not in self.conflicts and len(self.conflicts) < MAX_CONFLICTS:
                self.conflicts[evidence.digest] = evidence
                conflict = Conflict(evidence, kept=known, refused=offered)
                _log.warning("double consensus", period=evidence.period, by=evidence.culprits)
                for listener in self._conflict_listeners:
                    listener(conflict)
            raise ConsensusConflictError(evidence.period, known=known.hash, other=offered.hash)

    def for_circuits(self) -> Consensus:
        """The consensus, if circuits may be built with it now.

        Raises:
            StageError: None is known.
            ConsensusTimeError: It is too old; names the bound.
        """
        if self.held is None:
            raise StageError(
                Stage.CONSENSUS,
                "no consensus is known",
                why="none was received that a quorum of the committee signed",
            )
        Freshness.of(self.held.consensus).check_circuits(self._now())
        return self.held.consensus

    def node(self, node_id: bytes, index: int | None = None) -> ConsensusNode:
        """A node of the consensus held, or of the one before it.

        Args:
            node_id: 32 bytes.
            index: Registry index it must have.

        Raises:
            UnknownNodeError: Neither lists it.
        """
        for signed in (self.held, self._previous):
            found = signed.consensus.by_node_id.get(node_id) if signed is not None else None
            if found is not None and index in {None, found.index}:
                return found
        raise UnknownNodeError("node is not in the consensus", why=f"node id {node_id.hex()[:16]}…")

    def link_keys_of(self, node_id: bytes) -> tuple[bytes, ...]:
        """Link keys by which a dialling node may prove that id; empty for strangers."""
        keys = []
        for signed in (self.held, self._previous):
            found = signed.consensus.by_node_id.get(node_id) if signed is not None else None
            if found is not None and found.link_key not in keys:
                keys.append(found.link_key)
        return tuple(keys)


def address_of(node: ConsensusNode) -> HtxAddress:
    """Where and how to dial a node of a consensus."""
    return HtxAddress(
        host=node.host,
        port=node.port,
        sni=node.sni,
        identity=node.identity,
        spki=node.spki_hash,
        link_key=node.link_key,
        ticket_key=node.ticket_key,
        ticket_id=node.ticket_id,
    )
