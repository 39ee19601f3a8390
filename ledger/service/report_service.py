"""Reports: gather the data of an epoch, propose, check and submit the report."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from ledger.domain.blob import EpochData
from ledger.domain.report import EpochResult, recompute
from ledger.domain.state import ChainSnapshot
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import BadDataError, NotReadyError, OmittedReceiptError, PeerError
from ledger.service.beacon_source import BeaconSource
from ledger.service.foundation import Foundation
from ledger.service.member import Member
from ledger.service.peers import MAX_ANSWER_BYTES, Peers
from ledger.service.states import States
from ledger.storage.repositories import chunked
from ledger.storage.results import ReportRow
from qnet import cbor
from qnet.errors import CryptoError, DecodeError, RemoteProtocolError
from qnet.messages.audit import AuditReveal
from qnet.messages.receipt import SignedReceipt

INVENTORY_PATH: Final = "/v1/peer/inventory"
FETCH_PATH: Final = "/v1/peer/fetch"
FETCH_ITEMS: Final = 2048
KEPT_EPOCHS: Final = 720
"""Receipts are deleted after 30 days of 24-hour epochs."""
KEPT_AGREEMENTS: Final = 8
"""Whole memories kept: as many as reports can be unfinished."""

_log = structlog.get_logger(__name__)


class ReportService:
    """The member's part in reports; implements `TopicHandler`.

    Args:
        member: ours.
        peers: the others.
        states: network states by report hash.
        beacon: values of the slots.
    """

    def __init__(self, member: Member, peers: Peers, states: States, beacon: BeaconSource) -> None:
        self._foundation = Foundation(member, states)
        self._member = member
        self._peers = peers
        self._states = states
        self._beacon = beacon
        self._results: dict[bytes, EpochResult] = {}

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Propose the report of an epoch.

        Raises:
            NotReadyError: the epoch is not started on chain at a final block, or not closed, or
                the report is not the next one there.
            WrongPredecessorError: the report before is provably wrong.
        """
        period = topic.period
        if self._member.now() < self._member.closes_at(period):
            raise NotReadyError(f"epoch {period} is not closed")
        snapshot = await self._snapshot(period)
        if snapshot.attempt != topic.attempt:
            raise NotReadyError(f"attempt {topic.attempt} is not open at a final block")
        await self._foundation.check_course(snapshot)
        await self._pull(period)
        async with self._member.work() as rows:
            parameters = await rows.parameters.get(snapshot.params_hash)
            receipts = [wire for _, wire in await rows.receipts.of_epoch(period)]
            reveals = [wire for _, wire, accepted in await rows.audits.reveals(period) if accepted]
        if parameters is None:
            raise NotReadyError("the parameters of the epoch are not known here")
        data = EpochData(
            snapshot=snapshot,
            parameters=parameters,
            beacons=await self._beacon.of_epoch(period, self._member.now()),
            receipts=tuple(SignedReceipt.decode(wire) for wire in receipts),
            reveals=tuple(AuditReveal.decode(wire) for wire in reveals),
            before=await self._states.after(snapshot.prev_report_hash),
        )
        document = data.encode()
        result = await asyncio.to_thread(recompute, document)
        await self._foundation.check_predecessor(data, result)
        self._foundation.vouch(result.digest)
        self._keep(result)
        return result.digest, document

    async def check(self, topic: Topic, digest: bytes, document: bytes, *, certified: bool) -> None:
        """Refuse a proposal that we would not have made from the same facts (QN-AGR-021).

        Raises:
            QnetError: with the reason.
        """
        result = await asyncio.to_thread(recompute, document)
        report = result.report
        if result.digest != digest or (report.epoch, report.attempt) != (
            topic.period,
            topic.attempt,
        ):
            raise BadDataError("the data gives another report")
        data = EpochData.decode(document)
        if not certified:
            await self._check_chain(data)
            await self._check_receipts(data)
            await self._check_reveals(data)
        await self._foundation.check_predecessor(data, result)
        if not certified:
            self._foundation.vouch(digest)
        self._keep(result)

    async def decided(self, topic: Topic, decision: Decision) -> None:
        """Store the report and note the transaction that submits it."""
        result = self._results.get(decision.digest)
        if result is None:
            result = await asyncio.to_thread(recompute, decision.document)
        if result.digest != decision.digest:
            raise RemoteProtocolError("a decided report does not follow from its data")
        period = topic.period
        oracle = self._member.reader.contracts.oracle
        call = oracle.submit(result.report, decision.bitmap, decision.signatures)
        row = ReportRow(
            digest=decision.digest,
            epoch=period,
            attempt=topic.attempt,
            data=decision.document,
            bitmap=decision.bitmap,
            signatures=decision.signatures,
        )
        delay = self._member.delay(topic)
        async with self._member.work() as rows:
            new = await rows.reports.add(result, row)
            await rows.outbox.add(
                "report",
                period,
                attempt=topic.attempt,
                target=oracle.address,
                call=call.data,
                label=f"submit the report of epoch {period}",
                not_before=self._member.now() + delay,
            )
            await rows.receipts.forget(period - KEPT_EPOCHS)
            await rows.agreements.trim(Kind.REPORT, period - KEPT_AGREEMENTS)
        self._states.keep(result)
        if new:
            _log.info(
                "report",
                epoch=period,
                attempt=topic.attempt,
                nodes=result.report.node_count,
                total_wei=str(result.report.total_reward_wei),
            )

    # ---- what others hold --------------------------------------------------------------------

    async def inventory(self, epoch: int) -> bytes:
        """Names of all receipts and accepted reveals of an epoch, for another member."""
        async with self._member.work() as rows:
            receipts = [digest for digest, _ in await rows.receipts.of_epoch(epoch)]
            reveals = [
                commitment
                for commitment, _, accepted in await rows.audits.reveals(epoch)
                if accepted
            ]
        return cbor.dumps({"receipts": b"".join(receipts), "reveals": b"".join(reveals)})

    async def pick(self, epoch: int, names: list[bytes]) -> bytes:
        """Receipts and reveals of these names, for another member."""
        async with self._member.work() as rows:
            receipts = await rows.receipts.pick(epoch, names)
            wanted = frozenset(names)
            reveals = [
                wire
                for commitment, wire, accepted in await rows.audits.reveals(epoch)
                if accepted and commitment in wanted
            ]
        return cbor.dumps({"receipts": receipts, "reveals": reveals})

    async def _pull(self, epoch: int) -> None:
        """Fetch what others have and we lack."""
        await asyncio.gather(*(self._pull_from(peer, epoch) for peer in self._peers.others))

    async def _pull_from(self, peer: int, epoch: int) -> None:
        try:
            answer = await self._peers.call(peer, INVENTORY_PATH, cbor.dumps({"epoch": epoch}))
            names = _parse_inventory(answer)
            async with self._member.work() as rows:
                known = {digest for digest, _ in await rows.receipts.of_epoch(epoch)}
                reveals = await rows.audits.reveals(epoch)
                known |= {commitment for commitment, _, accepted in reveals if accepted}
            missing = [name for name in names if name not in known]
            for part in chunked(missing, FETCH_ITEMS):
                body = cbor.dumps({"epoch": epoch, "names": b"".join(part)})
                await self._store(epoch, await self._peers.call(peer, FETCH_PATH, body))
        except (PeerError, DecodeError) as error:
            _log.debug("pull failed", member=peer, why=error.why)

    async def _store(self, epoch: int, answer: bytes) -> None:
        """Store what another member accepted, after checking every signature."""
        value = cbor.loads(answer, max_bytes=MAX_ANSWER_BYTES, max_depth=2)
        if not isinstance(value, dict):
            raise DecodeError("fetch: not a map")
        now, signers = self._member.now(), self._member.trust.signers
        receipts = [
            signed
            for wire in _octets(value.get("receipts"))
            if await self._is_signed(signed := SignedReceipt.decode(wire), epoch)
        ]
        reveals = [
            reveal
            for wire in _octets(value.get("reveals"))
            if self._is_genuine(reveal := AuditReveal.decode(wire), epoch, signers)
        ]
        async with self._member.work() as rows:
            for signed in receipts:
                await rows.receipts.add(signed, now)
            for reveal in reveals:
                await rows.audits.add_reveal(reveal, accepted=True, now=now)

    # ---- checks ------------------------------------------------------------------------------

    async def _snapshot(self, epoch: int) -> ChainSnapshot:
        block = await self._member.reader.finalized()
        return await self._member.reader.snapshot(epoch, block, clock=self._member.clock)

    async def _check_chain(self, data: EpochData) -> None:
        claimed, reader = data.snapshot, self._member.reader
        if not await reader.check_block(claimed.block_number, claimed.block_hash):
            raise BadDataError("the snapshot's block is not on our chain")
        block = await reader.contracts.client.block(claimed.block_number)
        ours = await reader.snapshot(claimed.epoch, block, clock=self._member.clock)
        if claimed != ours:
            raise BadDataError("the snapshot is not what the chain says at its block")
        await self._foundation.check_course(ours)
        if data.before != await self._states.after(ours.prev_report_hash):
            raise BadDataError("the state before is not ours")

    async def _check_receipts(self, data: EpochData) -> None:
        epoch = data.snapshot.epoch
        for signed in data.receipts:
            if not await self._is_signed(signed, epoch):
                raise BadDataError("a receipt in the data is not signed by its node")
        async with self._member.work() as rows:
            ours = {digest for digest, _ in await rows.receipts.of_epoch(epoch)}
        missing = ours - {signed.body_hash for signed in data.receipts}
        if missing:
            raise OmittedReceiptError(epoch, len(missing))

    async def _check_reveals(self, data: EpochData) -> None:
        epoch, signers = data.snapshot.epoch, data.snapshot.members
        theirs = {reveal.commitment: reveal for reveal in data.reveals}
        async with self._member.work() as rows:
            ours = await rows.audits.reveals(epoch)
        missing = {commitment for commitment, _, accepted in ours if accepted} - theirs.keys()
        if missing:
            raise OmittedReceiptError(epoch, len(missing))
        late = {commitment for commitment, _, accepted in ours if not accepted}
        for commitment, reveal in theirs.items():
            if not self._is_genuine(reveal, epoch, signers):
                raise BadDataError("a reveal in the data is not signed by its member")
            if commitment in late:
                _log.info("a reveal that was late here counts elsewhere", member=reveal.auditor)

    async def _is_signed(self, signed: SignedReceipt, epoch: int) -> bool:
        if signed.receipt.epoch != epoch:
            return False
        key = await self._member.reader.receipt_key(signed.receipt.signer, epoch)
        try:
            signed.verify(self._member.oracle_domain, key or b"")
        except CryptoError:
            return False
        return True

    def _is_genuine(self, reveal: AuditReveal, epoch: int, signers: Sequence[bytes]) -> bool:
        if reveal.epoch != epoch or reveal.auditor >= len(signers):
            return False
        try:
            reveal.verify(self._member.oracle_domain, signers[reveal.auditor])
        except CryptoError:
            return False
        return True

    def _keep(self, result: EpochResult) -> None:
        if len(self._results) >= 8:
            self._results.clear()
        self._results[result.digest] = result


def _parse_inventory(answer: bytes) -> list[bytes]:
    value = cbor.loads(answer, max_bytes=MAX_ANSWER_BYTES, max_depth=1)
    if not isinstance(value, dict):
        raise DecodeError("inventory: not a map")
    names: list[bytes] = []
    for key in ("receipts", "reveals"):
        joined = value.get(key)
        if not isinstance(joined, bytes) or len(joined) % 32:
            raise DecodeError("inventory: names are not 32 bytes each")
        names += [joined[start : start + 32] for start in range(0, len(joined), 32)]
    return names


def _octets(value: object) -> list[bytes]:
    if not isinstance(value, list) or len(value) > FETCH_ITEMS:
        raise DecodeError("fetch: not a bounded list")
    if not all(isinstance(item, bytes) for item in value):
        raise DecodeError("fetch: an item is not bytes")
    return value
