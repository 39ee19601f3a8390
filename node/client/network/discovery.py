"""Puts together what finds the network for a client: sources, state, committee, chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from node.client.network.bootstrap import Bootstrap
from node.client.network.causes import Causes
from node.client.network.chain_stage import ChainStage
from node.client.network.keeping import Keeping
from node.client.network.sources import Sources
from node.htx.address import HtxAddress
from node.manifests import Bundle
from qnet.messages.trust import CommitteeTrust

if TYPE_CHECKING:
    from node.client.network.chain import ChainAnchor


def trust_of(bundle: Bundle) -> CommitteeTrust:
    """The set of signers that a bundle names."""
    return CommitteeTrust(bundle.chain_id, bundle.committee, bundle.signers, bundle.quorum)


def make_bootstrap(
    bundle: Bundle,
    state: Path | None,
    sources: Sources,
    *,
    wall: Callable[[], float],
    bridges: Sequence[str] = (),
    rpc: str = "",
) -> Bootstrap:
    """Make the bootstrap of a client.

    Args:
        bundle: Whom to trust and where to start.
        state: Folder for consensus, committee and evidence; None keeps nothing.
        sources: How nodes are asked.
        wall: Unix clock in seconds.
        bridges: `htx://` lines beside those of the bundle.
        rpc: A node of the chain; "" reads nothing from the chain.
    """
    keeping = Keeping(
        state,
        trust_of(bundle).hash,
        made_at=bundle.made_at,
        checks_age=bundle.profile == "main" or bundle.made_at > 0,
    )
    causes = Causes()
    return Bootstrap(
        sources.view,
        sources,
        [HtxAddress.parse(line) for line in bundle.seeds],
        wall,
        keeping,
        bridges=[HtxAddress.parse(line) for line in (*bundle.bridges, *bridges)],
        chain=ChainStage(_anchor(bundle, rpc), sources.view, keeping, causes) if rpc else None,
        causes=causes,
    )


def _anchor(bundle: Bundle, rpc: str) -> ChainAnchor:
    from node.client.network.chain import ChainAnchor

    return ChainAnchor(rpc, chain_id=bundle.chain_id, committee=bundle.committee)
