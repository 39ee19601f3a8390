"""Audits of this member: assignments out, findings in, commitment and reveal to the others."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import Field

from ledger.domain.audits import Assignment, Probe, assignments_of, summarise
from ledger.errors import NoConsensusError, NotReadyError
from ledger.service.beacon_source import BeaconSource
from ledger.service.member import Member
from ledger.service.peers import Peers
from ledger.storage.repositories import CommitRow, Finding
from qnet import cbor
from qnet.codec import Reader, Writer
from qnet.config import ConfigModel
from qnet.crypto.keys import EVM_SIGNATURE_BYTES, recover
from qnet.errors import CryptoError, DecodeError, RejectedError, RemoteProtocolError
from qnet.messages.audit import (
    MAX_TARGETS,
    SALT_BYTES,
    AuditCommit,
    AuditReveal,
    CapacityResult,
    SignedCapacityResult,
)
from qnet.messages.consensus import Consensus, decode_payload, payload_of
from qnet.messages.receipt import MAX_SLOTS_PER_EPOCH

COMMIT_PATH: Final = "/v1/peer/audit/commit"
REVEAL_PATH: Final = "/v1/peer/audit/reveal"
PROBES_MAX: Final = 64
POLL_S: Final = 0.2

_log = structlog.get_logger(__name__)


class ProbeBody(ConfigModel):
    """One probe as the auditor posts it."""

    micros: int | None = Field(default=None, ge=0, lt=2**32)
    control_ok: bool | None = None


class TargetBody(ConfigModel):
    """Probes of one target."""

    target: int = Field(ge=1, lt=2**32)
    probes: tuple[ProbeBody, ...] = Field(min_length=1, max_length=PROBES_MAX)


class BurstBody(ConfigModel):
    """One burst."""

    target: int = Field(ge=1, lt=2**32)
    bytes: int = Field(ge=1, lt=2**40)
    micros: int = Field(ge=1, lt=2**40)


class ResultsBody(ConfigModel):
    """What the auditor posts after a slot."""

    epoch: int = Field(ge=0, lt=2**32)
    slot: int = Field(ge=0, lt=MAX_SLOTS_PER_EPOCH)
    results: tuple[TargetBody, ...] = Field(default=(), max_length=MAX_TARGETS)
    capacity: tuple[BurstBody, ...] = Field(default=(), max_length=MAX_TARGETS)


@dataclass(frozen=True, slots=True)
class SlotWork:
    """What our auditor has to do in a slot."""

    epoch: int
    slot: int
    ends_at: int
    targets: tuple[Assignment, ...]
    roles: dict[int, str]
    capacity: tuple[int, ...]
    burst_bytes: int


class AuditService:
    """The member's part in audits.

    Args:
        member: ours.
        peers: the others.
        beacon: values of the slots.
    """

    def __init__(self, member: Member, peers: Peers, beacon: BeaconSource) -> None:
        self._member = member
        self._peers = peers
        self._beacon = beacon
        self._consensus: tuple[int, Consensus] | None = None
        self._complete: dict[tuple[int, int], asyncio.Event] = {}

    # ---- the auditor's side ------------------------------------------------------------------

    async def assignments(self) -> SlotWork:
        """What to probe in the current slot.

        Raises:
            NotReadyError: before genesis, or the beacon is not known.
            NoConsensusError: there is no consensus yet.
        """
        member, now = self._member, self._member.now()
        epoch, slot = member.clock.slot_at(now)
        if epoch < 0:
            raise NotReadyError("the network has not begun")
        beacon = await self._beacon.value(member.clock.slot_number(epoch, slot), now)
        consensus = await self._latest()
        nodes = consensus.by_index
        targets = assignments_of(
            member.index,
            {index: int(node.role) for index, node in nodes.items()},
            beacon,
            member.facts.auditors,
            member.parameters.audits_per_slot,
        )
        return SlotWork(
            epoch=epoch,
            slot=slot,
            ends_at=member.clock.slot_bounds(epoch, slot)[1],
            targets=tuple(targets),
            roles={index: node.role.name.lower() for index, node in nodes.items()},
            capacity=await self._capacity_targets(epoch, slot, sorted(nodes)),
            burst_bytes=member.parameters.capacity_burst_bytes,
        )

    async def _capacity_targets(self, epoch: int, slot: int, nodes: list[int]) -> tuple[int, ...]:
        """Every member measures every node once an epoch, at most one member at a time."""
        slots = self._member.clock.slots_per_epoch
        async with self._member.work() as rows:
            measured = await rows.audits.measured_targets(epoch)
        due = [index for index in nodes if (index + self._member.index) % slots == slot]
        return tuple(index for index in due if index not in measured)

    async def take_results(self, body: ResultsBody) -> None:
        """Store what our auditor found.

        Raises:
            RejectedError: the slot is over for long, or has not begun.
        """
        member, now = self._member, self._member.now()
        start, end = member.clock.slot_bounds(body.epoch, body.slot)
        if not start <= now < end + member.parameters.audit_commit_s / 2:
            raise RejectedError(
                "results are taken during their slot and shortly after",
                why=f"slot {body.slot} of epoch {body.epoch} ended at {end}, now is {now:.1f}",
            )
        found = [
            Finding(
                "probes", item.target, cbor.dumps([[p.micros, p.control_ok] for p in item.probes])
            )
            for item in body.results
        ]
        found += [
            Finding("burst", item.target, cbor.dumps([item.bytes, item.micros]))
            for item in body.capacity
        ]
        async with member.work() as rows:
            for finding in found:
                await rows.audits.add_finding(body.epoch, body.slot, finding)

    # ---- the members' side -------------------------------------------------------------------

    async def run(self) -> None:
        """Commit and reveal after every slot."""
        async with asyncio.TaskGroup() as tasks:
            handled = self._member.clock.slot_number_at(self._member.now()) - 1
            while True:
                current = self._member.clock.slot_number_at(self._member.now())
                for number in range(max(handled + 1, 0), current):
                    tasks.create_task(self._close_slot(number))
                handled = max(handled, current - 1)
                await asyncio.sleep(POLL_S)

    async def _close_slot(self, number: int) -> None:
        member = self._member
        epoch, slot = divmod(number, member.clock.slots_per_epoch)
        end = member.clock.slot_bounds(epoch, slot)[1]
        await self._sleep_until(end + member.parameters.audit_commit_s / 2)
        reveal = await self._commit(epoch, slot)
        if reveal is None:
            return
        everybody = self._complete.setdefault((epoch, slot), asyncio.Event())
        left = end + member.parameters.audit_commit_s - member.now()
        with contextlib.suppress(TimeoutError):
            if not await self._all_committed(epoch, slot):
                await asyncio.wait_for(everybody.wait(), max(left, 0))
        self._complete.pop((epoch, slot), None)
        self._peers.post(None, REVEAL_PATH, reveal.encode())

    async def _commit(self, epoch: int, slot: int) -> AuditReveal | None:
        """Fix our results on disk, then tell the others their hash."""
        member = self._member
        async with member.work() as rows:
            stored = await rows.audits.own_reveal(epoch, slot, member.index)
            findings = await rows.audits.findings(epoch, slot)
            if stored is not None:
                reveal = AuditReveal.decode(stored)
            elif not findings:
                return None
            else:
                reveal = self._make_reveal(epoch, slot, findings)
                now = member.now()
                await rows.audits.add_reveal(reveal, accepted=True, now=now)
            commit = AuditCommit(epoch, slot, member.index, reveal.commitment)
            signature = member.key.sign(commit.digest(member.oracle_domain))
            row = CommitRow(member.index, reveal.commitment, signature)
            await rows.audits.add_commit(epoch, slot, row, member.now())
        self._peers.post(None, COMMIT_PATH, encode_commit(commit, signature))
        return reveal

    def _make_reveal(self, epoch: int, slot: int, findings: list[Finding]) -> AuditReveal:
        member = self._member
        results, bursts = [], []
        for finding in findings:
            value = cbor.loads(finding.payload, max_bytes=1 << 16)
            if not isinstance(value, list):
                raise DecodeError("a stored finding is malformed")
            if finding.kind == "burst":
                size, micros = value
                body = CapacityResult(epoch, member.index, finding.target, size, micros)
                bursts.append(body.sign(member.key, member.oracle_domain))
                continue
            probes = [Probe(micros, control_ok) for micros, control_ok in value]
            result = summarise(epoch, slot, member.index, finding.target, probes)
            if result is not None:
                results.append(result.sign(member.key, member.oracle_domain))
        capacities: tuple[SignedCapacityResult, ...] = tuple(bursts)
        salt = member.random(SALT_BYTES)
        return AuditReveal(epoch, slot, member.index, salt, tuple(results), capacities)

    async def take_commit(self, sender: int, body: bytes) -> None:
        """Take another member's commitment.

        Raises:
            RemoteProtocolError: malformed, not signed by the sender, or out of time.
        """
        commit, signature = decode_commit(body)
        member, now = self._member, self._member.now()
        end = member.clock.slot_bounds(commit.epoch, commit.slot)[1]
        if commit.auditor != sender:
            raise RemoteProtocolError("a commitment in another member's name")
        if recover(commit.digest(member.oracle_domain), signature) != member.trust.signers[sender]:
            raise CryptoError
        if not end <= now <= end + member.parameters.audit_commit_s:
            raise RemoteProtocolError("a commitment out of time")
        row = CommitRow(sender, commit.commitment, signature)
        async with member.work() as rows:
            await rows.audits.add_commit(commit.epoch, commit.slot, row, now)
        waiting = self._complete.get((commit.epoch, commit.slot))
        if waiting is not None and await self._all_committed(commit.epoch, commit.slot):
            waiting.set()

    async def take_reveal(self, sender: int, body: bytes) -> None:
        """Take another member's reveal; without a commitment in time it is kept, not counted.

        Raises:
            RemoteProtocolError: malformed or not signed by the sender.
        """
        reveal = AuditReveal.decode(body)
        member, now = self._member, self._member.now()
        if reveal.auditor != sender:
            raise RemoteProtocolError("a reveal in another member's name")
        reveal.verify(member.oracle_domain, member.trust.signers[sender])
        end = member.clock.slot_bounds(reveal.epoch, reveal.slot)[1]
        async with member.work() as rows:
            commits = await rows.audits.commits(reveal.epoch, reveal.slot)
            promised = any(
                row.auditor == sender and row.commitment == reveal.commitment for row in commits
            )
            in_time = end <= now <= end + member.parameters.audit_reveal_s
            await rows.audits.add_reveal(reveal, accepted=promised and in_time, now=now)

    async def _all_committed(self, epoch: int, slot: int) -> bool:
        async with self._member.work() as rows:
            commits = await rows.audits.commits(epoch, slot)
        return len({row.auditor for row in commits}) == self._member.size

    async def _latest(self) -> Consensus:
        async with self._member.work() as rows:
            found = await rows.consensuses.get()
        if found is None:
            raise NoConsensusError("there is no consensus yet")
        if self._consensus is None or self._consensus[0] != found[0]:
            # verified before it was stored; whoever signed it may not count any more
            self._consensus = (found[0], decode_payload(payload_of(found[1])))
        return self._consensus[1]

    async def _sleep_until(self, moment: float) -> None:
        await asyncio.sleep(max(moment - self._member.now(), 0))


def _pack_probes(probes: Sequence[ProbeBody]) -> bytes:
    return cbor.dumps([[probe.micros, probe.control_ok] for probe in probes])


def encode_commit(commit: AuditCommit, signature: bytes) -> bytes:
    """Wire form of a commitment between members."""
    return (
        Writer()
        .u32(commit.epoch)
        .u16(commit.slot)
        .u32(commit.auditor)
        .take(commit.commitment)
        .take(signature)
        .bytes()
    )


def decode_commit(data: bytes) -> tuple[AuditCommit, bytes]:
    """Read a commitment and its signature.

    Raises:
        DecodeError: malformed.
    """
    reader = Reader(data)
    epoch, slot, auditor = reader.u32(), reader.u16(), reader.u32()
    commit = AuditCommit(epoch, slot, auditor, reader.take(32))
    signature = reader.take(EVM_SIGNATURE_BYTES)
    reader.finish()
    if slot >= MAX_SLOTS_PER_EPOCH:
        raise DecodeError("commitment: slot out of bounds")
    return commit, signature
