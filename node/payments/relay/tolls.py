"""All of a node's premium payments: the booth, the keys, the settlement, put together.

Source: docs/spec/payments.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.circuit.payment import Refusal
from node.config import NodeConfig
from node.errors import NodeConfigError
from node.manifests import load_deployment
from node.payments.chain_view import RpcChain
from node.payments.relay.claiming import Claiming, Members
from node.payments.relay.earnings import earnings_of, earnings_rows
from node.payments.relay.relay_chain import RelayChain, RelayRpc
from node.payments.relay.toll_booth import Circuits, TollBooth
from node.payments.relay.toll_keys import TollKeys
from node.payments.relay.toll_store import TollStore
from node.payments.relay.tollgate import Tollgate
from qnet.crypto.keys import ReceiptKey
from qnet.epochs import EpochClock
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import Place
from qnet.wallet.passphrase import read_file
from qnet.wallet.signer import open_signer

if TYPE_CHECKING:
    from node.io.ledger_client import LedgerClient
    from qnet.chain.sender import KeySigner

STORE_NAME = "tolls.db"


def relay_chain_of(config: NodeConfig, owner: KeySigner | None = None) -> RelayChain:
    """The chain of `node.toml`.

    Args:
        config: Of the node.
        owner: Signs redemptions; by default the key of `[payments]`, if there is one.

    Raises:
        NodeConfigError: There is no chain, or no contract for payments on it.
        KeyAccessError: The owner's key cannot be opened.
    """
    if config.chain is None:
        raise NodeConfigError("[node] price needs [chain]: payments are settled there")
    deployment = load_deployment(config.chain.deployment)
    channels = deployment.contracts.get("PremiumChannels")
    if channels is None:
        raise NodeConfigError("the deployment has no PremiumChannels", why="it is too old")
    wanted = config.payments
    if owner is None and wanted.owner_keystore is not None and wanted.passphrase_file is not None:
        owner = open_signer(wanted.owner_keystore, read_file(wanted.passphrase_file))
    rpc = RpcChain(config.chain.rpc, config.chain.deployment)
    return RelayRpc(rpc, Place(deployment.chain_id, channels), owner)


async def claiming_of(
    *,
    relay: int,
    key: ReceiptKey,
    quorum: int,
    rewards: EpochClock,
    chain: RelayChain,
    ledger: LedgerClient,
    store: TollStore,
    now: Callable[[], float],
) -> Claiming:
    """What settles a relay's earnings.

    Raises:
        ChainError: The chain does not answer.
    """
    clock = IssuanceClock(rewards, await chain.terms())
    keys = TollKeys(chain, clock, len(ledger.members), ledger.issuance_keys, now, store.keep_keys)
    members: Members = ledger
    return Claiming(relay, key, quorum, store, keys, chain, members, clock, now)


async def earnings(claiming: Claiming) -> list[dict[str, Any]]:
    """What `qnet node earnings` shows.

    Raises:
        ChainError: The chain does not answer.
    """
    rows = await asyncio.to_thread(claiming.store.epochs)
    claimed = {row.epoch: await claiming.takers(row.epoch) for row in rows}
    paid = await claiming.chain.paid_units(claiming.relay)
    unit_wei = claiming.clock.terms.unit_wei
    return earnings_rows(earnings_of(rows, claimed, paid), unit_wei, claiming.problems)


@dataclass(slots=True)
class Tolls:
    """Premium payments of a running node.

    Attributes:
        booth: Takes them.
        claiming: Settles them.
    """

    booth: TollBooth
    claiming: Claiming

    @classmethod
    def over(
        cls, claiming: Claiming, price: int, circuits: Circuits, wake: Callable[[], None]
    ) -> Tolls:
        """Take payments for the circuits of a core.

        Args:
            claiming: Settles them.
            price: Units a MiB.
            circuits: The core.
            wake: Lets the driver send what there is to say.
        """
        clock, now = claiming.clock, claiming.now
        known = claiming.store.known(max(clock.epoch_at(now()) - 1, 0))
        gate = Tollgate(
            claiming.chain.place, claiming.relay, price, claiming.keys.issued, known=known
        )
        return cls(TollBooth(gate, claiming.store, circuits, wake, now), claiming)

    async def run(self) -> None:
        """Take and settle for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.booth.run())
            group.create_task(self.claiming.keys.follow())
            group.create_task(self.claiming.run())
            group.create_task(self._forget())

    async def _forget(self) -> None:
        """Drop ids of tokens that nobody can show any more."""
        clock, gate = self.claiming.clock, self.booth.gate
        while True:
            now = self.claiming.now()
            for epoch in list(gate.known):
                if clock.elapsed(epoch, now) >= clock.terms.claim_s:
                    gate.forget(epoch)
            await asyncio.sleep(self.claiming.keys.pause_s)

    def status(self) -> dict[str, Any]:
        """What `qnet node status` shows."""
        gate, stats = self.booth.gate, self.booth.stats
        return {
            "price": gate.price,
            "epochs": sorted(gate.issued),
            "tokens": stats.tokens,
            "units": stats.units,
            "premium_bytes": stats.used_bytes,
            "refused": {why.name.lower(): count for why, count in gate.refused.items()},
            "problems": {str(epoch): why for epoch, why in self.claiming.problems.items()},
        }

    def results(self) -> dict[str, float]:
        """Tokens by what became of them, for metrics."""
        refused = self.booth.gate.refused
        return {"taken": float(self.booth.stats.tokens)} | {
            why.name.lower(): float(refused.get(why, 0)) for why in Refusal
        }
