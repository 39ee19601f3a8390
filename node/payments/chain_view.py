"""What a wallet reads from the chain, over a connection for each question.

Source: docs/spec/payments.md, QN-PAY-003 and 020.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qnet.issuance import PaymentTerms

if TYPE_CHECKING:
    from qnet.chain.contracts import Contracts
    from qnet.chain.payments import ChannelState


class ChainView(Protocol):
    """What a wallet asks of the chain."""

    async def terms(self) -> PaymentTerms:
        """Deadlines and values of the deployment."""

    async def channel(self, account: bytes) -> ChannelState:
        """Channel of an account; all zero if it never had one."""

    async def keys_hash(self, epoch: int) -> bytes | None:
        """Hash of an issuance epoch's keys, 32 bytes; None before they are registered."""


@dataclass(frozen=True, slots=True)
class RpcChain:
    """The chain behind an RPC address.

    Args:
        rpc: JSON-RPC of a node.
        deployment: contract manifest.
        timeout_s: deadline of one request.
    """

    rpc: str
    deployment: Path
    timeout_s: float = 10.0

    @asynccontextmanager
    async def contracts(self) -> AsyncIterator[Contracts]:
        """The contracts, for the length of a block.

        Raises:
            ChainError: the node does not answer, or serves another chain.
            ConfigError: the manifest cannot be read.
        """
        # loading web3 takes a second, in which circuits must go on
        await asyncio.to_thread(import_module, "qnet.chain.contracts")
        from qnet.chain.client import ChainClient
        from qnet.chain.contracts import Contracts
        from qnet.chain.deployment import Deployment

        manifest = Deployment.load(self.deployment)
        async with ChainClient.connect(self.rpc, timeout_s=self.timeout_s) as client:
            manifest.check_chain(client)
            yield Contracts.bind(client, manifest)

    async def terms(self) -> PaymentTerms:
        """See `ChainView`."""
        async with self.contracts() as contracts:
            return await contracts.channels.terms()

    async def channel(self, account: bytes) -> ChannelState:
        """See `ChainView`."""
        async with self.contracts() as contracts:
            return await contracts.channels.channel_of(account)

    async def keys_hash(self, epoch: int) -> bytes | None:
        """See `ChainView`."""
        async with self.contracts() as contracts:
            found = await contracts.channels.issuance_of(epoch)
        return found.keys_hash if found is not None else None
