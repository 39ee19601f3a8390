"""Certificates of committee changes: the members before a change sign who comes after it.

The contract says long before a change when it takes effect, and never alters what has taken
effect. So the set before and the set after follow from any later block: every member computes the
same statement, signs it once that block is final, and a quorum of the old set is the certificate.

Source: docs/spec/directory.md, section Trust.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from ledger.errors import BadDataError
from ledger.service.member import Member
from ledger.service.peers import Peers
from qnet import cbor
from qnet.chain.reporting import CommitteeMember
from qnet.crypto.keys import EVM_SIGNATURE_BYTES, recover
from qnet.errors import ChainRecoverableError, CryptoError
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.fields import U64_MAX, Fields
from qnet.messages.succession import (
    CommitteeChange,
    CommitteeHistory,
    SignedChange,
    change_times,
    sign_change,
)
from qnet.messages.trust import CommitteeTrust, join_signatures

CHANGE_PATH: Final = "/v1/peer/committee"
POLL_S: Final = 5.0
MAX_CALL_BYTES: Final = 256
_KEYS: Final = frozenset({"from", "sig", "ask"})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SeatsTrust:
    """The committee of any time that has passed, as the contract lists its seats.

    Args:
        member: ours.
        seats: every seat.
    """

    member: Member
    seats: list[CommitteeMember]

    @property
    def chain_id(self) -> int:
        """EVM chain id."""
        return self.member.trust.chain_id

    @property
    def committee(self) -> bytes:
        """Committee contract, 20 bytes."""
        return self.member.trust.committee

    def at(self, period: int) -> CommitteeTrust:
        """The set that signs the consensus of a period."""
        return self.member.reader.set_of(self.seats, period)


@dataclass(slots=True)
class _Pending:
    """A change that is not certified yet."""

    change: CommitteeChange
    before: CommitteeTrust
    signatures: dict[int, bytes] = field(default_factory=dict)

    def own(self, address: bytes) -> bytes | None:
        """Signature of the member with an address, if it was in the old set."""
        signers = self.before.signers
        return self.signatures.get(signers.index(address)) if address in signers else None


class Succession:
    """Signs and collects certificates; judges evidence.

    Args:
        member: ours.
        peers: the others.
    """

    def __init__(self, member: Member, peers: Peers) -> None:
        self._member = member
        self._peers = peers
        self._pending: dict[int, _Pending] = {}
        self._waiting: dict[tuple[int, int], bytes] = {}

    async def run(self) -> None:
        """Look for changes, for ever; a chain that does not answer only delays."""
        while True:
            try:
                await self.step()
            except ChainRecoverableError as error:
                _log.warning("chain does not answer", error=error.message, why=error.why)
            await asyncio.sleep(POLL_S)

    async def step(self) -> None:
        """Sign and collect for every change that has taken effect and is not certified."""
        reader = self._member.reader
        block = await reader.finalized()
        seats = await reader.seats(block)
        async with self._member.work() as rows:
            known = {signed.change.valid_from for signed in await rows.changes.all()}
        for time in change_times(seats, block.timestamp):
            if time not in known or time not in self._pending:
                await self._sign(seats, time, asks=time not in known)
        self._follow(seats, block.timestamp)

    async def receive(self, sender: int, body: bytes) -> None:
        """Take a member's signature of a change.

        Raises:
            DecodeError: malformed.
            BadDataError: it is not the member's signature of what the chain says.
        """
        fields = Fields(cbor.loads(body, max_bytes=MAX_CALL_BYTES, max_depth=1), _KEYS, "change")
        time, asks = fields.uint("from", U64_MAX >> 1), fields.uint("ask", 1)
        signature = fields.octets("sig", EVM_SIGNATURE_BYTES)
        pending = self._pending.get(time)
        if pending is None:
            if len(self._waiting) < 4 * self._member.size:
                self._waiting[time, sender] = signature  # our chain may lag behind theirs
            return
        if not _is_signature(pending, sender, signature):
            raise BadDataError("not a member's signature of this committee change")
        pending.signatures[sender] = signature
        own = pending.own(self._member.key.address)
        if asks and own is not None:
            self._peers.post(sender, CHANGE_PATH, _call(time, own, asks=False))
        await self._complete(time, pending)

    async def changes(self) -> list[SignedChange]:
        """Every certified change in order."""
        async with self._member.work() as rows:
            return await rows.changes.all()

    async def submit_evidence(self, data: bytes) -> bool:
        """Store a proof of a double consensus; False if it is known.

        Raises:
            DecodeError: malformed, or of another network.
            CryptoError: it proves nothing.
        """
        proof = DoubleConsensus.decode(data)
        block = await self._member.reader.finalized()
        proof.verify(SeatsTrust(self._member, await self._member.reader.seats(block)))
        async with self._member.work() as rows:
            new = await rows.evidence.add(proof, self._member.now())
        if new:
            _log.warning("double consensus", period=proof.period, signed_by=proof.culprits)
        return new

    async def evidence(self) -> list[bytes]:
        """The newest proofs."""
        async with self._member.work() as rows:
            return await rows.evidence.newest()

    async def _sign(self, seats: list[CommitteeMember], time: int, *, asks: bool) -> None:
        reader, member = self._member.reader, self._member
        before, after = reader.set_of(seats, time - 1), reader.set_of(seats, time)
        change = CommitteeChange(
            chain_id=after.chain_id,
            committee=after.committee,
            valid_from=time,
            previous=before.hash,
            signers=after.signers,
            quorum=after.quorum,
        )
        pending = self._pending.setdefault(time, _Pending(change, before))
        if member.key.address in before.signers:
            place = before.signers.index(member.key.address)
            pending.signatures[place] = sign_change(change, member.key)
            if asks:
                body = _call(time, pending.signatures[place], asks=True)
                self._peers.post(None, CHANGE_PATH, body)
        for sender in range(len(before.signers)):
            signature = self._waiting.pop((time, sender), None)
            if signature is not None and _is_signature(pending, sender, signature):
                pending.signatures[sender] = signature
        await self._complete(time, pending)

    async def _complete(self, time: int, pending: _Pending) -> None:
        if len(pending.signatures) < pending.before.quorum:
            return
        bitmap, signatures = join_signatures(pending.signatures)
        signed = SignedChange(pending.change, bitmap, signatures)
        CommitteeHistory(pending.before).extended(signed)
        async with self._member.work() as rows:
            new = await rows.changes.add(signed)
        if new:
            _log.info("committee change certified", valid_from=time)

    def _follow(self, seats: list[CommitteeMember], time: int) -> None:
        """Let removals, suspensions and bonds take effect; a new seat needs its URL: a restart."""
        reader, facts = self._member.reader, self._member.facts
        now, auditors = reader.live_set(seats, time), reader.set_of(seats, time).signers
        if (now, auditors) == (facts.trust, facts.auditors):
            return
        if len(auditors) == len(facts.auditors):
            self._member.set_trust(now, auditors)
            _log.warning("the committee has changed", quorum=now.quorum)
        else:
            _log.warning(
                "the committee has new seats: add their URLs to member.peers and start again",
                seats=len(now.signers),
            )


def _call(time: int, signature: bytes, *, asks: bool) -> bytes:
    return cbor.dumps({"from": time, "sig": signature, "ask": int(asks)})


def _is_signature(pending: _Pending, sender: int, signature: bytes) -> bool:
    if sender >= len(pending.before.signers):
        return False
    try:
        return recover(pending.change.digest, signature) == pending.before.signers[sender]
    except CryptoError:
        return False
