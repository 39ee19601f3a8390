"""Watches the chain: refutes exits of what was spent, delivers what is disputed, shows leaves.

Events are read once, from final blocks; what they ask is written down with the place reached.

Source: docs/spec/payments.md, QN-PAY-023, 024, 061 and 071.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog

from ledger.domain.issuance_log import decode_request
from ledger.domain.issuing import input_place
from ledger.errors import NotReadyError
from ledger.service.payments.attesting import AttestingService
from ledger.service.payments.collecting import Collecting, subject_of
from ledger.service.payments.combining import split_points
from ledger.service.payments.facts import OPAQUE, IssuingFacts
from ledger.service.unit_of_work import Work
from ledger.storage.payment_matters import Matter
from ledger.storage.payment_requests import RequestRow
from qnet import cbor
from qnet.chain.abi import SELECTOR_BYTES
from qnet.chain.confirmations import Cursor, FinalizedLogs
from qnet.chain.contract import Event
from qnet.chain.redeemer import ExitState, Stage
from qnet.chain.values import BlockMark, Call
from qnet.crypto.keys import ADDRESS_BYTES
from qnet.errors import ChainRecoverableError, DecodeError
from qnet.messages.fields import Fields
from qnet.messages.instruments import HASH_BYTES, TOKEN_UNITS, Unit, token_id_of
from qnet.messages.swap import Swap
from qnet.messages.voucher import Purchase

POLL_S: Final = 5.0
LOOKS: Final = 8
"""At least so many looks at the chain lie in the shortest time to answer."""
CURSOR: Final = "payments"
PURCHASES_MAX: Final = 1024
_CURSOR_BYTES: Final = 1 << 14
_POSITION_BYTES: Final = 4
_CURSOR_KEYS: Final = frozenset({"genesis", "marks"})

_log = structlog.get_logger(__name__)


class Watching:
    """Answers the chain.

    Args:
        facts: keys, times and chain.
        collecting: collects the vouchers of channels that close.
        attesting: has the leaves.
    """

    def __init__(
        self, facts: IssuingFacts, collecting: Collecting, attesting: AttestingService
    ) -> None:
        self._facts = facts
        self._collecting = collecting
        self._attesting = attesting
        self._logs: FinalizedLogs | None = None

    async def run(self) -> None:
        """Go on for ever; a chain that does not answer only delays."""
        terms = self._facts.clock.terms
        pause_s = min(terms.deliver_s / LOOKS, terms.challenge_s / LOOKS, POLL_S)
        while True:
            try:
                await self.step()
            except ChainRecoverableError as error:
                _log.warning("chain does not answer", error=error.message, why=error.why)
            await asyncio.sleep(pause_s)

    async def step(self) -> None:
        """Read new final blocks and do what is asked."""
        await self._read()
        async with self._facts.member.work() as rows:
            open_matters = await rows.payment_matters.all()
        for matter in open_matters:
            try:
                settled = await self._answer(matter)
            except NotReadyError as error:
                _log.debug("a matter waits", kind=matter.kind, why=error.message)
                continue
            if settled:
                async with self._facts.member.work() as rows:
                    await rows.payment_matters.settle(matter)

    # ---- events ------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read all new final blocks; what they ask is stored with the cursor."""
        contracts, member = self._facts.member.reader.contracts, self._facts.member
        if self._logs is None:
            async with member.work() as rows:
                stored = await rows.payment_matters.cursor(CURSOR)
            self._logs = self._reader(None if stored is None else _decode_cursor(stored))
        while True:
            before = self._logs.cursor
            batch = await self._logs.poll()
            if batch.cursor == before:
                return
            events = [
                event
                for log in batch.logs
                for contract in (contracts.channels, contracts.redeemer)
                if (event := contract.event(log)) is not None
            ]
            shown = [await self._redeemed(event) for event in events if event.name == "Redeemed"]
            try:
                async with member.work() as rows:
                    for event in events:
                        await self._note(rows, event)
                    for spent in (entry for part in shown for entry in part):
                        await rows.payment_claims.spent(*spent, claimed=False)
                    await rows.payment_matters.advance(CURSOR, _encode_cursor(batch.cursor))
            except BaseException:
                self._logs = None  # what was not stored is read again
                raise

    def _reader(self, cursor: Cursor | None) -> FinalizedLogs:
        contracts = self._facts.member.reader.contracts
        topics = [
            contract.abi.event(name).hash
            for contract, names in (
                (contracts.channels, ("CloseStarted", "LeafDemanded")),
                (contracts.redeemer, ("ExitStarted", "IssuanceDisputed", "Redeemed")),
            )
            for name in names
        ]
        return FinalizedLogs(
            contracts.client,
            [contracts.channels.address, contracts.redeemer.address],
            start_block=contracts.deployment.start_block,
            cursor=cursor,
            topics=topics,
        )

    async def _note(self, rows: Work, event: Event) -> None:
        said, now = event.arguments, self._facts.member.now()
        match event.name:
            case "ExitStarted":
                matter = Matter("exit", said["id"], said["epoch"], now)
            case "IssuanceDisputed":
                matter = Matter("dispute", said["id"], said["epoch"], now)
            case "LeafDemanded":
                position = said["position"].to_bytes(_POSITION_BYTES, "big")
                subject = said["epoch"].to_bytes(_POSITION_BYTES, "big") + position
                matter = Matter("demand", subject.rjust(HASH_BYTES, b"\0"), said["epoch"], now)
            case "CloseStarted":
                subject = said["channel"].rjust(HASH_BYTES, b"\0")
                matter = Matter("close", subject, self._facts.running, now)
            case _:
                return
        await rows.payment_matters.note(matter)

    async def _redeemed(self, event: Event) -> list[tuple[int, int, bytes, Unit]]:
        """Tokens that a relay redeemed; all of its tokens if a contract sent them for it."""
        epoch, relay = event.arguments["epoch"], event.arguments["relay"]
        redeemer = self._facts.redeemer
        call = await redeemer.client.sent_call(event.log.tx_hash)
        entry = redeemer.abi.function("redeem")
        selector = entry.hash[:SELECTOR_BYTES]
        if call is not None and call.to == redeemer.address and call.data.startswith(selector):
            said = entry.decode_arguments(call.data[SELECTOR_BYTES:])
            if (said["epoch"], said["relay"]) == (epoch, relay):
                return [(epoch, relay, *_spent(words)) for words in said["tokens"]]
        return [(epoch, relay, OPAQUE, Unit(TOKEN_UNITS, OPAQUE))]

    # ---- answers -----------------------------------------------------------------------------

    async def _answer(self, matter: Matter) -> bool:
        """Do what a matter asks; whether it is settled."""
        match matter.kind:
            case "exit":
                return await self._answer_exit(matter)
            case "dispute":
                return await self._answer_dispute(matter)
            case "demand":
                return await self._answer_demand(matter)
            case _:
                return await self._answer_close(matter)

    async def _answer_exit(self, matter: Matter) -> bool:
        state = await self._facts.redeemer.exit_of(matter.subject)
        over = self._is_over(matter, self._facts.clock.terms.challenge_s)
        if state.stage is not Stage.OPEN or over:
            return True
        call = await self._refutation_by_swap(matter) or await self._by_preimage(matter, state)
        if call is not None:
            share = self._facts.clock.terms.challenge_s
            await self._send("refute", matter, call, share, "refute an exit")
        return False

    async def _refutation_by_swap(self, matter: Matter) -> Call | None:
        """The swap that stands in the instrument's place, with all it was given for it."""
        facts = self._facts
        async with facts.member.work() as rows:
            standing = await rows.payments.at([input_place(matter.subject)])
            row = next(iter(await rows.payments.some(standing.values())), None)
        if row is None or row.combined is None:
            return None
        swap = decode_request(row.wire)
        assert isinstance(swap, Swap)
        messages = [entry.message(facts.place) for entry in swap.inputs]
        position, keys = messages.index(matter.subject), await self._keys(swap.epoch)
        signatures = split_points(row.combined)
        return facts.redeemer.challenge_by_swap(matter.subject, swap, position, signatures, keys)

    async def _by_preimage(self, matter: Matter, state: ExitState) -> Call | None:
        """A deeper payment than the exit of a token admits."""
        if state.relay == 0:
            return None
        token = token_id_of(state.top, state.key)
        async with self._facts.member.work() as rows:
            known = await rows.payment_claims.depths(state.epoch, state.relay, [token])
        if token not in known or known[token][0] <= TOKEN_UNITS - state.units:
            return None
        k, preimage, _ = known[token]
        return self._facts.redeemer.challenge_by_preimage(matter.subject, k, preimage)

    async def _answer_dispute(self, matter: Matter) -> bool:
        state = await self._facts.redeemer.dispute_of(matter.subject)
        terms = self._facts.clock.terms
        if state.stage is not Stage.OPEN or self._is_over(matter, terms.deliver_s):
            return True
        async with self._facts.member.work() as rows:
            named = await rows.payments.some([matter.subject])
            others = await rows.payments.of_channel(state.channel, 0, PURCHASES_MAX)
        for row in (*named, *others):
            purchase = self._delivered_for(row, state.low_wei, state.high_wei)
            if purchase is not None and row.combined is not None:
                keys = await self._keys(purchase.voucher.epoch)
                signatures = split_points(row.combined)
                call = self._facts.redeemer.deliver(matter.subject, purchase, signatures, keys)
                await self._send("deliver", matter, call, terms.deliver_s, "deliver a purchase")
                return False
        return False

    def _delivered_for(self, row: RequestRow, low_wei: int, high_wei: int) -> Purchase | None:
        """A purchase that was served for some of the money between two sums."""
        purchase = decode_request(row.wire)
        assert isinstance(purchase, Purchase)
        until = purchase.voucher.cumulative_wei
        since = until - purchase.units * self._facts.clock.terms.unit_wei
        return purchase if since < high_wei and until > low_wei else None

    async def _answer_demand(self, matter: Matter) -> bool:
        epoch = int.from_bytes(matter.subject[-2 * _POSITION_BYTES : -_POSITION_BYTES], "big")
        position = int.from_bytes(matter.subject[-_POSITION_BYTES:], "big")
        channels = self._facts.channels
        _, deadline_s = await channels.demand_of(epoch, position)
        if deadline_s == 0 or self._is_over(matter, self._facts.clock.terms.deliver_s):
            return True
        proven = await self._attesting.proven_leaf(epoch, position)
        if proven is None:
            raise NotReadyError(f"the leaves of issuance epoch {epoch} are not known here")
        share, call = self._facts.clock.terms.deliver_s, channels.answer_leaf(epoch, proven)
        what = f"show the leaf of relay {position}"
        await self._send("showleaf", matter, call, share, what, subject=position)
        return False

    async def _answer_close(self, matter: Matter) -> bool:
        """Collect what a closing channel has bought, before its deposit is paid back."""
        channel, terms = matter.subject[-ADDRESS_BYTES:], self._facts.clock.terms
        share = terms.closing_s / 4 / self._facts.member.size
        due = matter.noted_at + self._facts.turn(matter.epoch) * share
        for epoch in self._facts.clock.kept(self._facts.member.now()):
            await self._collecting.note(epoch, channel, due_s=due)
        return self._is_over(matter, terms.closing_s)

    # ---- parts -------------------------------------------------------------------------------

    def _is_over(self, matter: Matter, period_s: int) -> bool:
        """Whether its time has passed, even if the contract was paused as long again."""
        return self._facts.member.now() > matter.noted_at + 2 * period_s

    async def _keys(self, epoch: int) -> list[bytes]:
        public = await self._facts.keys.public(epoch)
        if public is None:
            raise NotReadyError(f"the keys of issuance epoch {epoch} are not known here")
        return [key.encode_eip2537() for key in public.keys]

    async def _send(
        self,
        kind: str,
        matter: Matter,
        call: Call,
        period_s: float,
        what: str,
        *,
        subject: int | None = None,
    ) -> None:
        """Note a transaction; the others wait a part of the first half each."""
        assert call.to is not None
        place = self._facts.turn(matter.epoch + matter.subject[-1])
        share = period_s / (2 * self._facts.member.size)
        async with self._facts.member.work() as rows:
            await rows.outbox.add(
                kind,
                matter.epoch,
                subject=subject_of(matter.subject) if subject is None else subject,
                target=call.to,
                call=call.data,
                label=f"{what} of issuance epoch {matter.epoch}",
                not_before=matter.noted_at + place * share,
            )


def _spent(words: Sequence[Any]) -> tuple[bytes, Unit]:
    """T and how far it was spent, of a token as the contract takes it."""
    top, refund, units, preimage, _ = words
    return token_id_of(top, refund), Unit(units, preimage)


def _encode_cursor(cursor: Cursor) -> bytes:
    marks = [[mark.number, mark.hash] for mark in cursor.marks]
    return cbor.dumps({"genesis": cursor.genesis_hash, "marks": marks})


def _decode_cursor(data: bytes) -> Cursor:
    fields = Fields(cbor.loads(data, max_bytes=_CURSOR_BYTES), _CURSOR_KEYS, "cursor")
    marks = []
    for item in fields.items("marks", 1 << 10):
        if not isinstance(item, list) or len(item) != 2:
            raise DecodeError("cursor: a mark is not a pair")
        marks.append(BlockMark(*item))
    return Cursor(fields.octets("genesis", HASH_BYTES), tuple(marks))
