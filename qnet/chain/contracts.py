"""All contracts of a deployment, typed, in one object."""

from dataclasses import dataclass
from typing import Self

from qnet.chain.client import ChainClient
from qnet.chain.contract import Contract, Event
from qnet.chain.deployment import Deployment
from qnet.chain.disputes import DisputeCourt, Slasher
from qnet.chain.governing import Parameters, QNetGovernor, QNetTimelock, VersionRegistry
from qnet.chain.hub import StakeHub
from qnet.chain.layout import made_address
from qnet.chain.payments import PremiumChannels
from qnet.chain.redeemer import Redeemer
from qnet.chain.reporting import Committee, Epochs, ReportOracle, RewardVault
from qnet.chain.staking import NodeRegistry
from qnet.chain.token import QNetToken
from qnet.chain.values import Log


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts of one network; make it with `open` or, unchecked, with `bind`."""

    client: ChainClient
    deployment: Deployment
    token: QNetToken
    parameters: Parameters
    timelock: QNetTimelock
    governor: QNetGovernor
    registry: NodeRegistry
    hub: StakeHub
    epochs: Epochs
    committee: Committee
    oracle: ReportOracle
    vault: RewardVault
    versions: VersionRegistry
    slasher: Slasher
    court: DisputeCourt
    channels: PremiumChannels
    redeemer: Redeemer

    @classmethod
    async def open(cls, client: ChainClient, deployment: Deployment) -> Self:
        """Bind the contracts after checking that they stand on this chain.

        Raises:
            WrongChainError: another chain id.
            ChainRestartedError: the chain began anew since.
            DeploymentMismatchError: a contract is missing or has other code.
        """
        await deployment.check(client)
        return cls.bind(client, deployment)

    @classmethod
    def bind(cls, client: ChainClient, deployment: Deployment) -> Self:
        """Bind the contracts without looking at the chain."""
        channels = deployment.address("PremiumChannels")
        return cls(
            client=client,
            deployment=deployment,
            token=QNetToken(client, deployment.address("QNetToken")),
            parameters=Parameters(client, deployment.address("Parameters")),
            timelock=QNetTimelock(client, deployment.address("QNetTimelock")),
            governor=QNetGovernor(client, deployment.address("QNetGovernor")),
            registry=NodeRegistry(client, deployment.address("NodeRegistry")),
            hub=StakeHub(client, deployment.address("StakeHub")),
            epochs=Epochs(client, deployment.address("Epochs")),
            committee=Committee(client, deployment.address("Committee")),
            oracle=ReportOracle(client, deployment.address("ReportOracle")),
            vault=RewardVault(client, deployment.address("RewardVault")),
            versions=VersionRegistry(client, deployment.address("VersionRegistry")),
            slasher=Slasher(client, deployment.address("Slasher")),
            court=DisputeCourt(client, deployment.address("DisputeCourt")),
            channels=PremiumChannels(client, channels),
            redeemer=Redeemer(client, made_address(channels)),
        )

    def all(self) -> tuple[Contract, ...]:
        """Every contract of the manifest."""
        return (
            self.token,
            self.parameters,
            self.timelock,
            self.governor,
            self.registry,
            self.hub,
            self.epochs,
            self.committee,
            self.oracle,
            self.vault,
            self.versions,
            self.slasher,
            self.court,
            self.channels,
        )

    def decode(self, log: Log) -> Event | None:
        """Decode a log of any of the contracts; None for events of others."""
        for contract in (*self.all(), self.redeemer):
            event = contract.event(log)
            if event is not None:
                return event
        return None
