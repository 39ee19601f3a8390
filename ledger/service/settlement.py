"""The outbox: every transaction of this member, one at a time, each carried out once.

Before a signed transaction leaves, its bytes are on disk; after a restart the same bytes are sent
again, which a chain mines at most once. What the chain shows already is done, whoever sent it.
"""

import asyncio
from typing import Final

import structlog

from ledger.service.effects import has_effect, is_outdated
from ledger.service.endorsements import Endorsements
from ledger.service.member import Member
from ledger.service.quorum import Quorum
from ledger.storage.results import OutboxRow
from qnet.chain.confirmations import final_receipt
from qnet.chain.errors import (
    ChainRestartedError,
    ContractError,
    NonceSpentError,
    WrongChainError,
)
from qnet.chain.sender import Sender
from qnet.chain.values import Call
from qnet.errors import ChainRecoverableError, ChainUnrecoverableError, FundsError

POLL_S: Final = 0.3
RETRY_S: Final = 2.0
GIVE_UP: Final = frozenset(
    {"DeadlinePassed", "AlreadyAnchored", "ReportOutOfOrder", "WrongPredecessor", "EmptyHash"}
    | {"WrongAttempt", "NotDemanded", "DemandOver"}
    | {"NotOpen", "WrongTime", "WrongCommitment", "StaleEvidence", "NoContradiction"}
    | {"NotActiveThen", "TooLate", "AlreadyDone"}
    | {"UnknownIssuance", "WrongLog", "InvalidProof"}
    | {"WrongStatus", "NotDeeper", "NoConflict", "NotAnInput"}
)
"""Refusals of contracts that no waiting changes."""
NOT_SIGNED: Final = frozenset({"BadSignature", "BadQuorum"})
"""Refusals because a signer does not count (any more)."""

_log = structlog.get_logger(__name__)


class Settlement:
    """Sends the outbox.

    Args:
        member: ours.
        sender: owner of our account's nonces; nobody else uses the account.
        quorum: our agreements, whose signatures the outbox sends.
    """

    def __init__(self, member: Member, sender: Sender, quorum: Quorum) -> None:
        self._member = member
        self._sender = sender
        self._endorsements = Endorsements(member, quorum)

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            try:
                busy = await self.step()
            except ChainRecoverableError as error:
                _log.warning("chain does not answer", error=error.message, why=error.why)
                busy = False
            if not busy:
                await asyncio.sleep(POLL_S)

    async def step(self) -> bool:
        """Carry the next transaction one step further; False if there is nothing to do.

        Raises:
            ChainRestartedError: the chain began anew; nothing is sent to it.
        """
        async with self._member.work() as rows:
            row = await rows.outbox.next(self._member.now())
        if row is None:
            return False
        await self._member.reader.check_chain()
        if row.state == "waiting":
            await self._prepare(row)
            return True
        return await self._follow(row)

    async def _prepare(self, row: OutboxRow) -> None:
        """Sign and write down, unless the work is done, without use, or refused."""
        if await is_outdated(self._member.reader.contracts, row):
            await self._finish(row, done=False, note="the report was disabled")
            return
        if await self.is_done(row):
            await self._finish(row, done=True, note="seen on chain")
            return
        call = Call(row.target, row.call, label=row.label)
        try:
            prepared = await self._sender.prepare(call)
        except ContractError as error:
            await self._refused(row, error)
            return
        except (ChainRestartedError, WrongChainError):
            raise
        except (FundsError, ChainUnrecoverableError) as error:
            _log.error("a transaction cannot be made", what=row.label, error=error.message)
            await self._postpone(row, error.message)
            return
        async with self._member.work() as rows:
            await rows.outbox.signed(row.row_id, prepared.raw, prepared.tx_hash)
        await self._broadcast(row, prepared.raw)

    async def _follow(self, row: OutboxRow) -> bool:
        """Send again what was signed, or close it when its block is final."""
        client = self._member.reader.contracts.client
        if row.raw is None or row.tx_hash is None:
            await self._postpone(row, "nothing was signed")
            return True
        mined = await final_receipt(client, row.tx_hash)
        if mined is not None:
            if mined.succeeded:
                await self._finish(row, done=True, note=f"block {mined.block_number}")
            elif await self.is_done(row):
                await self._finish(row, done=True, note="another member was faster")
            else:
                await self._postpone(row, "reverted")
            return True
        if await client.tx_receipt(row.tx_hash) is None:
            await self._broadcast(row, row.raw)
        return False

    async def _broadcast(self, row: OutboxRow, raw: bytes) -> None:
        client = self._member.reader.contracts.client
        try:
            await client.broadcast(raw)
        except NonceSpentError:
            if row.tx_hash is not None and await client.tx_receipt(row.tx_hash) is None:
                await self._postpone(row, "another transaction took the nonce")
        except FundsError as error:
            _log.error("our account cannot pay", what=row.label, why=error.why)

    async def _refused(self, row: OutboxRow, error: ContractError) -> None:
        if await self.is_done(row):
            await self._finish(row, done=True, note="seen on chain")
        elif error.confirmed and error.name in GIVE_UP:
            await self._finish(row, done=False, note=error.message)
        elif error.name in NOT_SIGNED and (call := await self._endorsements.rejoin(row)):
            async with self._member.work() as rows:
                await rows.outbox.rewritten(row.row_id, call)
            _log.warning("signed again by those who count", what=row.label, why=error.message)
        else:
            await self._postpone(row, error.message)

    async def is_done(self, row: OutboxRow) -> bool:
        """Whether the chain shows the effect already."""
        return await has_effect(self._member.reader.contracts, row)

    async def _finish(self, row: OutboxRow, *, done: bool, note: str) -> None:
        async with self._member.work() as rows:
            await rows.outbox.finished(row.row_id, done=done, note=note)
        _log.info("transaction", what=row.label, done=done, note=note)

    async def _postpone(self, row: OutboxRow, note: str) -> None:
        later = self._member.now() + RETRY_S
        async with self._member.work() as rows:
            await rows.outbox.unsigned(row.row_id, later, note)
        _log.debug("transaction waits", what=row.label, note=note)
