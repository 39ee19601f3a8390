"""Typed wrappers of Parameters, QNetGovernor, QNetTimelock and VersionRegistry."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from qnet.chain.contract import Contract
from qnet.chain.values import BlockTag, Call
from qnet.errors import DecodeError
from qnet.parameters import NetworkParameters, parameter_key


class ProposalState(IntEnum):
    """Where a proposal stands."""

    PENDING = 0
    ACTIVE = 1
    CANCELED = 2
    DEFEATED = 3
    SUCCEEDED = 4
    QUEUED = 5
    EXPIRED = 6
    EXECUTED = 7


class Support(IntEnum):
    """What a vote says."""

    AGAINST = 0
    FOR = 1
    ABSTAIN = 2


@dataclass(frozen=True, slots=True)
class Tally:
    """Votes cast, in wei."""

    against_wei: int
    for_wei: int
    abstain_wei: int


@dataclass(frozen=True, slots=True)
class ProposalActions:
    """What a proposal does when it is executed."""

    targets: tuple[bytes, ...]
    values_wei: tuple[int, ...]
    calldatas: tuple[bytes, ...]

    @classmethod
    def from_calls(cls, calls: Sequence[Call]) -> "ProposalActions":
        """Take the calls that wrappers make; each needs a receiver."""
        return cls(
            tuple(call.to or b"" for call in calls),
            tuple(call.value_wei for call in calls),
            tuple(call.data for call in calls),
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A protocol version holders have published."""

    semver: str
    spec_hash: bytes
    artifact_hash: bytes
    minimum: bool
    activation_epoch: int
    published_at_s: int


class Parameters(Contract):
    """The on-chain twin of NetworkParameters."""

    NAME: ClassVar[str] = "Parameters"

    async def get(self, name: str, at: BlockTag = "latest") -> int:
        """Read one value.

        Raises:
            ContractError: ``UnknownParameter``.
        """
        return int(await self._read("get", parameter_key(name), at=at))

    async def bounds(self, name: str) -> tuple[int, int]:
        """Read the least and the greatest value allowed."""
        low, high = await self._read("bounds", parameter_key(name))
        return low, high

    async def all(self, at: BlockTag = "latest") -> NetworkParameters:
        """Read all values.

        Raises:
            DecodeError: the chain's parameters are not those of this version.
        """
        keys = await self._read("keys", at=at)
        values = await self._read("values", at=at)
        try:
            names = [key.rstrip(b"\0").decode("ascii") for key in keys]
        except UnicodeDecodeError as error:
            raise DecodeError("a parameter's key is not ASCII") from error
        return NetworkParameters.from_map(dict(zip(names, values, strict=True)))

    async def hash(self, at: BlockTag = "latest") -> bytes:
        """Read the hash over all keys and values, 32 bytes."""
        return bytes(await self._read("paramsHash", at=at))

    def set(self, name: str, value: int) -> Call:
        """Change a value (a proposal's action)."""
        return self._write("set", parameter_key(name), value)


class QNetGovernor(Contract):
    """Proposals and votes."""

    NAME: ClassVar[str] = "QNetGovernor"

    async def state(self, proposal_id: int, at: BlockTag = "latest") -> ProposalState:
        """Read where a proposal stands.

        Raises:
            ContractError: ``GovernorNonexistentProposal``.
        """
        return ProposalState(await self._read("state", proposal_id, at=at))

    async def tally(self, proposal_id: int, at: BlockTag = "latest") -> Tally:
        """Read the votes cast."""
        return Tally(*await self._read("proposalVotes", proposal_id, at=at))

    async def actions(self, proposal_id: int) -> tuple[ProposalActions, bytes]:
        """Read what a proposal does, and the hash of its description."""
        targets, values, calldatas, description = await self._read(
            "proposalDetails(uint256)", proposal_id
        )
        return ProposalActions(targets, values, calldatas), description

    async def snapshot_s(self, proposal_id: int) -> int:
        """Time at which voting power is read, unix seconds."""
        return int(await self._read("proposalSnapshot", proposal_id))

    async def deadline_s(self, proposal_id: int) -> int:
        """Time at which the vote ends, unix seconds."""
        return int(await self._read("proposalDeadline", proposal_id))

    async def eta_s(self, proposal_id: int) -> int:
        """Time from which a queued proposal can be executed; 0 if it is not queued."""
        return int(await self._read("proposalEta", proposal_id))

    async def proposer(self, proposal_id: int) -> bytes:
        """Who proposed, 20 bytes."""
        return bytes(await self._read("proposalProposer", proposal_id))

    async def has_voted(self, proposal_id: int, account: bytes) -> bool:
        """Whether an account has voted."""
        return bool(await self._read("hasVoted", proposal_id, account))

    async def votes(self, account: bytes, timestamp_s: int) -> int:
        """Voting power (own tokens and staked ones) at a time in the past, in wei."""
        return int(await self._read("getVotes", account, timestamp_s))

    async def quorum(self, timestamp_s: int) -> int:
        """Votes that must take part, in wei."""
        return int(await self._read("quorum", timestamp_s))

    async def proposal_threshold(self) -> int:
        """Voting power needed to propose, in wei."""
        return int(await self._read("proposalThreshold"))

    async def voting_delay_s(self) -> int:
        """Seconds between proposal and vote."""
        return int(await self._read("votingDelay"))

    async def voting_period_s(self) -> int:
        """Seconds a vote lasts."""
        return int(await self._read("votingPeriod"))

    async def latest_proposal_of(self, account: bytes) -> int:
        """Id of an account's newest proposal; 0 if it has none."""
        return int(await self._read("latestProposalOf", account))

    async def proposal_id(self, actions: ProposalActions, description_hash: bytes) -> int:
        """Id that the contract gives to a proposal."""
        return int(await self._read("getProposalId", *_parts(actions), description_hash))

    def propose(self, actions: ProposalActions, description: str) -> Call:
        """Make a proposal."""
        return self._write("propose", *_parts(actions), description)

    def cast_vote(self, proposal_id: int, support: Support, reason: str = "") -> Call:
        """Vote with all the sender's power."""
        if reason:
            return self._write("castVoteWithReason", proposal_id, int(support), reason)
        return self._write("castVote", proposal_id, int(support))

    def queue(self, actions: ProposalActions, description_hash: bytes) -> Call:
        """Hand a proposal that succeeded to the timelock."""
        return self._write(
            "queue(address[],uint256[],bytes[],bytes32)", *_parts(actions), description_hash
        )

    def execute(self, actions: ProposalActions, description_hash: bytes) -> Call:
        """Carry out a queued proposal."""
        return self._write(
            "execute(address[],uint256[],bytes[],bytes32)", *_parts(actions), description_hash
        )

    def cancel(self, actions: ProposalActions, description_hash: bytes) -> Call:
        """Take back the sender's own proposal before the vote begins."""
        return self._write(
            "cancel(address[],uint256[],bytes[],bytes32)", *_parts(actions), description_hash
        )


def _parts(actions: ProposalActions) -> tuple[list[bytes], list[int], list[bytes]]:
    return list(actions.targets), list(actions.values_wei), list(actions.calldatas)


class QNetTimelock(Contract):
    """The delay between a vote and its effect; owner of everything."""

    NAME: ClassVar[str] = "QNetTimelock"

    async def min_delay_s(self) -> int:
        """Seconds between queue and execution."""
        return int(await self._read("getMinDelay"))

    async def has_role(self, role: bytes, account: bytes) -> bool:
        """Whether an account has a role (32-byte hash of its name)."""
        return bool(await self._read("hasRole", role, account))


class VersionRegistry(Contract):
    """The protocol versions that nodes obey."""

    NAME: ClassVar[str] = "VersionRegistry"

    async def versions(self) -> list[Version]:
        """Read all versions, oldest first."""
        count = await self._read("count")
        return [Version(*await self._read("versions", index)) for index in range(count)]

    async def minimum_version(self, epoch: int) -> str:
        """Oldest version allowed in an epoch; "" if any is."""
        return str(await self._read("minimumVersion", epoch))

    def publish(
        self,
        semver: str,
        *,
        spec_hash: bytes,
        artifact_hash: bytes,
        minimum: bool,
        activation_epoch: int,
    ) -> Call:
        """Publish a version (a proposal's action)."""
        return self._write("publish", semver, spec_hash, artifact_hash, minimum, activation_epoch)
