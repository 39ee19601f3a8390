"""What a node or client believes about the network: the newest consensus it verified.

One object per process. It holds the trust anchor, verifies what is offered, keeps the documents it
can serve to others, and tells its listeners when something newer holds.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import structlog

from node.directory.cache import DirectoryCache
from node.directory.consensus import accept_consensus
from node.errors import Stage, StageError, UnknownNodeError
from node.htx.address import HtxAddress
from qnet.messages.consensus import (
    CommitteeTrust,
    Consensus,
    ConsensusNode,
    SignedConsensus,
)
from qnet.messages.freshness import Freshness
from qnet.parameters import NetworkParameters

_log = structlog.get_logger(__name__)


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
        self.trust = trust
        self.parameters = parameters
        self.cache = DirectoryCache()
        self.software = software or version("qnet")
        self.held: SignedConsensus | None = None
        self._previous: Consensus | None = None
        self._now = now
        self._listeners: list[Callable[[Consensus], None]] = []

    def on_change(self, listener: Callable[[Consensus], None]) -> None:
        """Call `listener` with every newer consensus."""
        self._listeners.append(listener)

    @property
    def valid_after(self) -> int:
        """Period of the consensus held, 0 if there is none."""
        return self.held.consensus.valid_after if self.held is not None else 0

    def offer(self, data: bytes) -> bool:
        """Verify a signed consensus and hold it if it is newer.

        Returns:
            Whether it is held now and was not before.

        Raises:
            DecodeError: Malformed, or of another network.
            CryptoError: Not signed by a quorum.
            ConsensusTimeError: Outside its time bounds.
            ConsensusConflictError: Contradicts the one held.
            RejectedError: It demands newer software.
        """
        offered = SignedConsensus.decode(data, trust=self.trust)
        accepted = accept_consensus(self.held, offered, now=self._now(), software=self.software)
        if accepted is self.held:
            return False
        self._previous = self.held.consensus if self.held is not None else None
        self.held = accepted
        self.parameters = accepted.consensus.parameters
        self.cache.store(accepted)
        _log.info("consensus", valid_after=self.valid_after, nodes=len(accepted.consensus.nodes))
        for listener in self._listeners:
            listener(accepted.consensus)
        return True

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
        for consensus in (self.held.consensus if self.held else None, self._previous):
            found = consensus.by_node_id.get(node_id) if consensus is not None else None
            if found is not None and index in {None, found.index}:
                return found
        raise UnknownNodeError("node is not in the consensus", why=f"node id {node_id.hex()[:16]}…")

    def link_keys_of(self, node_id: bytes) -> tuple[bytes, ...]:
        """Link keys by which a dialling node may prove that id; empty for strangers."""
        keys = []
        for consensus in (self.held.consensus if self.held else None, self._previous):
            found = consensus.by_node_id.get(node_id) if consensus is not None else None
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
