"""What every service of one committee member shares."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger.domain.schedule import Schedule
from ledger.domain.votes import Kind, Topic
from ledger.service.chain_reader import ChainReader, NetworkFacts
from ledger.service.unit_of_work import UnitOfWork
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.epochs import EpochClock
from qnet.messages.consensus import CommitteeTrust
from qnet.parameters import NetworkParameters


@dataclass(slots=True)
class Member:
    """One member: its key, its network, its memory and its clock.

    Args:
        index: place in the committee.
        key: signing key.
        facts: what never changes.
        reader: the chain.
        work: the database.
        parameters: in force; `refresh_parameters` keeps them up to date.
        now: unix time.
        random: fresh random bytes.
    """

    index: int
    key: ReceiptKey
    facts: NetworkFacts
    reader: ChainReader
    work: UnitOfWork
    parameters: NetworkParameters
    now: Callable[[], float]
    random: Callable[[int], bytes]

    @property
    def trust(self) -> CommitteeTrust:
        """The committee."""
        return self.facts.trust

    def set_trust(self, trust: CommitteeTrust, auditors: tuple[bytes, ...]) -> None:
        """The committee has changed; agreements under way end with the one they began with."""
        self.facts = replace(self.facts, trust=trust, auditors=auditors)

    @property
    def clock(self) -> EpochClock:
        """The calendar."""
        return self.facts.clock

    @property
    def size(self) -> int:
        """Number of members."""
        return len(self.trust.signers)

    @property
    def committee_domain(self) -> bytes:
        """EIP-712 domain of calls between members, 32 bytes."""
        return qnet_domain(self.trust.chain_id, self.trust.committee)

    @property
    def oracle_domain(self) -> bytes:
        """EIP-712 domain of receipts, audits and reports, 32 bytes."""
        return qnet_domain(self.trust.chain_id, self.facts.oracle)

    async def refresh_parameters(self, *, force: bool = False) -> None:
        """Read the parameters in force, if they changed, and remember them by their hash."""
        if not force and await self.reader.parameters_hash() == self.parameters.hash():
            return
        current = await self.reader.parameters()
        self.parameters = current
        async with self.work() as rows:
            await rows.parameters.add(current)

    def closes_at(self, epoch: int) -> int:
        """Unix time at which nothing more is taken for an epoch's report."""
        grace = max(self.parameters.receipt_grace_s, self.parameters.audit_reveal_s)
        return self.clock.epoch_bounds(epoch)[1] + grace

    def schedule(self, topic: Topic) -> Schedule:
        """Views of a topic (QN-AGR-002, 003)."""
        if topic.kind is Kind.CONSENSUS:
            number, start = topic.period // self.parameters.consensus_interval_s, topic.period
        else:
            number, start = topic.period + topic.attempt, self.closes_at(topic.period)
        timeout = self.parameters.agreement_timeout_s
        return Schedule(float(start), float(timeout), self.size, number % self.size)

    def delay(self, topic: Topic) -> float:
        """Seconds this member waits before it sends a topic's transaction (QN-AGR-041)."""
        distance = (self.index - self.schedule(topic).first_leader) % self.size
        return float(distance * self.parameters.agreement_timeout_s)
