"""What a client reads from the chain, where one is configured: the committee and its anchors.

Only `bootstrap` uses it, and only where `client.toml` names an RPC: such a client talks to a node
of the chain outside the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.errors import Stage, StageError
from qnet.chain.client import ChainClient
from qnet.chain.reporting import Committee
from qnet.errors import ChainError
from qnet.messages.succession import set_at
from qnet.messages.trust import CommitteeTrust

CHAIN_TIMEOUT_S: Final = 5.0
"""Deadline of one request."""


@dataclass(frozen=True, slots=True)
class ChainView:
    """What the chain says now.

    Attributes:
        trust: The members whose signatures count.
        members: Base URLs of those members.
        time_s: Time of the newest block, unix seconds: a lower bound of the time now.
    """

    trust: CommitteeTrust
    members: tuple[str, ...]
    time_s: int


class ChainAnchor:
    """The Committee contract, read through one RPC.

    Args:
        rpc: `http(s)://` address of a node of the chain.
        chain_id: EVM chain id it must serve.
        committee: Committee contract, 20 bytes.
    """

    def __init__(self, rpc: str, *, chain_id: int, committee: bytes) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self._committee = committee

    async def read(self) -> ChainView:
        """The committee of now.

        Raises:
            StageError: The chain cannot be read; the cause.
        """
        try:
            async with ChainClient.connect(
                self._rpc, expected_chain_id=self._chain_id, timeout_s=CHAIN_TIMEOUT_S
            ) as client:
                block = await client.block("latest")
                seats = await Committee(client, self._committee).members(block.number)
        except ChainError as error:
            raise _failed(error) from error
        return ChainView(
            set_at(seats, block.timestamp, chain_id=self._chain_id, committee=self._committee),
            tuple(seat.url for seat in seats if seat.active),
            block.timestamp,
        )

    async def anchor_of(self, period: int) -> bytes | None:
        """Hash of the consensus anchored for a period, 32 bytes; None if there is none yet.

        Raises:
            StageError: The chain cannot be read; the cause.
        """
        try:
            async with ChainClient.connect(
                self._rpc, expected_chain_id=self._chain_id, timeout_s=CHAIN_TIMEOUT_S
            ) as client:
                found = await Committee(client, self._committee).anchor_of(period)
        except ChainError as error:
            raise _failed(error) from error
        return found if any(found) else None


def _failed(error: ChainError) -> StageError:
    return StageError(
        Stage.CHAIN, "the chain cannot be read", why=f"{error.message} {error.why}".strip()
    )
