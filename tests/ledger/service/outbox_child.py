"""Sends an outbox and kills itself (SIGKILL) at one step: a process that tests start.

Arguments: database URL, RPC URL, manifest, member's signing key, account's key, step or "none".
"""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
from pathlib import Path

from ledger.service import settlement as settlement_module
from ledger.service.chain_reader import ChainReader
from ledger.service.member import Member
from ledger.service.peers import Peers
from ledger.service.quorum import Quorum
from ledger.service.settlement import Settlement
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from ledger.storage.results import Outbox
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.sender import KeySigner, Sender
from qnet.crypto.keys import ReceiptKey

STEPS = (
    (Sender, "prepare"),
    (Outbox, "signed"),
    (ChainClient, "broadcast"),
    (settlement_module, "final_receipt"),
    (Outbox, "finished"),
)
"""Functions at whose start and end the process can die: step 2n before, 2n + 1 after."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(step: int) -> None:
    """Wrap one function so that the process dies before or after it."""
    owner, name = STEPS[step // 2]
    inner = getattr(owner, name)

    async def lethal(*args, **kwargs):
        if step % 2 == 0:
            die()
        await inner(*args, **kwargs)
        die()

    setattr(owner, name, lethal)


async def main(database: str, rpc: str, manifest: str, signer: str, account: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(ChainClient.connect(rpc))
        engine = await stack.enter_async_context(open_database(database))
        contracts = await Contracts.open(client, Deployment.load(Path(manifest)))
        reader = ChainReader(contracts)
        member = Member(
            index=0,
            key=ReceiptKey(bytes.fromhex(signer)),
            facts=await reader.facts(),
            reader=reader,
            work=UnitOfWork(engine),
            parameters=await reader.parameters(),
            now=time.time,
            random=secrets.token_bytes,
        )
        sender = Sender(client, KeySigner(ReceiptKey(bytes.fromhex(account))))
        outbox = Settlement(member, sender, Quorum(member, Peers(member, []), {}))
        while True:
            await outbox.step()
            async with member.work() as rows:
                if not await rows.outbox.open_rows():
                    return
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[-1] != "none":
        arm(int(sys.argv[-1]))
    asyncio.run(main(*sys.argv[1:-1]))
