"""Serves one purchase and kills itself (SIGKILL) at one step: a process that tests start.

Arguments: database URL, RPC URL, manifest, member's signing key, file of keys, unix time, the
purchase in hexadecimal, step or "none". Prints the answer in hexadecimal, or the refusal.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

from ledger.domain.keygen import EpochKeys
from ledger.errors import IssuingRefusedError
from ledger.service.chain_reader import ChainReader
from ledger.service.member import Member
from ledger.service.payments.desk import Desk
from ledger.service.payments.facts import IssuingFacts
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from ledger.storage.payment_requests import PaymentRequests
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.crypto.keys import ReceiptKey
from qnet.crypto.scalars import SecretScalar, decode_scalar
from qnet.issuance import IssuanceClock
from qnet.messages.voucher import Purchase

STEPS: tuple[tuple[Any, str], ...] = (
    (Desk, "_shares"),
    (PaymentRequests, "take"),
    (PaymentRequests, "add"),
    (Desk, "_write"),
)
"""Functions at whose start and end the process can die: step 2n before, 2n + 1 after."""


class FileKeys:
    """Keys and our shares from a file."""

    def __init__(self, path: Path) -> None:
        found = json.loads(path.read_text())
        self._public = EpochKeys.decode(bytes.fromhex(found["public"]))
        self._shares = tuple(
            SecretScalar(decode_scalar(bytes.fromhex(share))) for share in found["shares"]
        )

    async def public(self, epoch: int) -> EpochKeys | None:
        return self._public if epoch == self._public.epoch else None

    async def shares(self, epoch: int) -> tuple[SecretScalar, ...] | None:
        return self._shares if epoch == self._public.epoch else None

    async def erase(self, epoch: int) -> None:
        del epoch


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(step: int) -> None:
    """Wrap one function so that the process dies before or after it."""
    owner, name = STEPS[step // 2]
    inner = getattr(owner, name)

    async def lethal(*args: object, **kwargs: object) -> None:
        if step % 2 == 0:
            die()
        await inner(*args, **kwargs)
        die()

    setattr(owner, name, lethal)


async def main(
    database: str, rpc: str, manifest: str, signer: str, keys: str, now: str, purchase: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(ChainClient.connect(rpc))
        engine = await stack.enter_async_context(open_database(database))
        contracts = await Contracts.open(client, Deployment.load(Path(manifest)))
        reader = ChainReader(contracts)
        facts = await reader.facts()
        member = Member(
            index=0,
            key=ReceiptKey(bytes.fromhex(signer)),
            facts=facts,
            reader=reader,
            work=UnitOfWork(engine),
            parameters=await reader.parameters(),
            now=lambda: float(now),
            random=secrets.token_bytes,
        )
        clock = IssuanceClock(facts.clock, await contracts.channels.terms())
        desk = Desk(IssuingFacts(member, FileKeys(Path(keys)), clock))
        try:
            answer = await desk.serve(Purchase.decode(bytes.fromhex(purchase)))
        except IssuingRefusedError as error:
            sys.stdout.write(f"refused: {error.why}\n")
        else:
            sys.stdout.write(answer.hex() + "\n")


if __name__ == "__main__":
    if sys.argv[-1] != "none":
        arm(int(sys.argv[-1]))
    asyncio.run(main(*sys.argv[1:-1]))
