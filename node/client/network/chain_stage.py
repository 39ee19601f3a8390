"""The chain as a stage of the bootstrap: it names the committee and contradicts what is forged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.client.network.causes import Causes
from node.client.network.keeping import Keeping
from node.errors import Stage, StageError
from node.view import NetworkView
from qnet.messages.consensus import SignedConsensus
from qnet.messages.succession import CommitteeHistory

if TYPE_CHECKING:
    from node.client.network.chain import ChainAnchor

SOURCE = "chain"


@dataclass(slots=True)
class ChainStage:
    """What a client does with a chain, where one is configured.

    Attributes:
        anchor: The Committee contract.
        view: Whose trust it renews.
        keeping: Where that is written down.
        causes: Where failures are noted.
    """

    anchor: ChainAnchor
    view: NetworkView
    keeping: Keeping
    causes: Causes

    async def renew_trust(self) -> bool:
        """Trust the committee that the chain names now; False if the chain cannot be read."""
        try:
            found = await self.anchor.read()
        except StageError as error:
            self.causes.failed(Stage.CHAIN, SOURCE, error)
            return False
        if found.trust.hash != self.view.history.newest.hash:
            self.view.trust(CommitteeHistory(found.trust))
        self.keeping.confirmed(self.view, found.time_s, members=found.members)
        return True

    async def check_anchor(self, signed: SignedConsensus) -> None:
        """Refuse a consensus that the chain contradicts.

        Raises:
            StageError: It does.
        """
        try:
            anchor = await self.anchor.anchor_of(signed.consensus.valid_after)
        except StageError as error:
            self.causes.failed(Stage.CHAIN, SOURCE, error)
            return
        if anchor is not None and anchor != signed.hash:
            raise StageError(
                Stage.CHAIN,
                "the chain anchors another consensus of this period",
                why=f"{anchor.hex()[:16]}, not {signed.hash.hex()[:16]}",
            )
