"""Opens the premium wallet of a client's home, with or without a running client.

Without one there are no circuits: what needs them stays stored until a client runs.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from node.config import ClientConfig, PaymentsSection
from node.errors import NodeConfigError
from node.manifests import load_bundle, load_deployment
from node.payments.chain_view import RpcChain
from node.payments.user.derivation import Seed
from node.payments.user.routes import (
    SILENCE,
    Answer,
    CircuitRoute,
    DirectRoute,
    FreshRoute,
    OwnCircuit,
)
from node.payments.user.seed_file import load_seed, payments_folder
from node.payments.user.store import Store
from node.payments.user.surroundings import Surroundings
from node.payments.user.wallet import Wallet
from qnet.epochs import EpochClock
from qnet.messages.instruments import Place
from qnet.wallet.passphrase import read_file

if TYPE_CHECKING:
    from node.client.session import Session

CONTRACT = "PremiumChannels"


class NoRoute:
    """A `Route` that leads nowhere."""

    async def ask(self, member: str, method: str, path: str, body: bytes = b"") -> Answer:
        """Silence."""
        del member, method, path, body
        return SILENCE


@dataclass(frozen=True, slots=True)
class Premises:
    """A client's home as far as its wallet is concerned.

    Args:
        home: its folder.
        config: `client.toml`.
    """

    home: Path
    config: ClientConfig

    @property
    def folder(self) -> Path:
        """Where seed and file of the wallet are."""
        return payments_folder(self.home)

    @property
    def section(self) -> PaymentsSection:
        """`[payments]`.

        Raises:
            NodeConfigError: there is none.
        """
        if self.config.payments is None:
            raise NodeConfigError(
                "client.toml has no [payments]", try_=("see docs/how-to/pay.md, Set up",)
            )
        return self.config.payments

    @property
    def chain(self) -> RpcChain:
        """The chain.

        Raises:
            NodeConfigError: no RPC address is configured.
        """
        if self.config.chain is None:
            raise NodeConfigError("client.toml has no [chain]", try_=("add rpc = …",))
        return RpcChain(self.config.chain.rpc, self.section.deployment)

    def seed(self) -> Seed:
        """The wallet's seed.

        Raises:
            WalletMissingError: there is none.
            KeyAccessError: passphrase or file stand in the way.
        """
        return load_seed(self.folder, read_file(self.section.passphrase_file))

    def open(self, direct: DirectRoute, session: Session | None) -> Wallet:
        """Open the wallet.

        Raises:
            WalletMissingError: there is none.
            WalletBusyError: another program has it open.
            WalletDamagedError: its file is damaged.
            ConfigError: the configuration does not suffice.
            KeyAccessError: passphrase or seed stand in the way.
        """
        seed = self.seed()
        return Wallet(
            seed, Store(self.folder, seed.channel.address), self.surroundings(direct, session)
        )

    def surroundings(self, direct: DirectRoute, session: Session | None) -> Surroundings:
        """What the wallet needs from outside."""
        bundle = load_bundle(self.config.network.bundle)
        deployment = load_deployment(self.section.deployment)
        if CONTRACT not in deployment.contracts:
            raise NodeConfigError("the network of the manifest has no premium payments")
        parameters = bundle.parameters()
        fresh: FreshRoute = NoRoute
        if session is not None:
            running = session

            def fresh() -> CircuitRoute:
                return CircuitRoute(OwnCircuit(running))

        return Surroundings(
            place=Place(deployment.chain_id, deployment.contracts[CONTRACT]),
            rewards=EpochClock(deployment.genesis_s, parameters.slot_s, parameters.slots_per_epoch),
            chain=self.chain,
            members=self.section.members,
            direct=direct,
            fresh=fresh,
            wall=time.time,
            random=secrets.token_bytes,
        )
