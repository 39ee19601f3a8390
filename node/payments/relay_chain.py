"""What a relay that takes payment asks of the chain, and has it do.

Source: docs/spec/payments.md, QN-PAY-003, 053 and 054.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qnet.issuance import PaymentTerms
from qnet.messages.instruments import Place
from qnet.messages.settlement import NOTHING, ProvenLeaf, Redeem

if TYPE_CHECKING:
    from node.payments.chain_view import RpcChain
    from qnet.chain.sender import KeySigner


@dataclass(frozen=True, slots=True)
class Issuance:
    """What a relay needs to know of an issuance epoch on chain.

    Args:
        keys_hash: of its eight keys, 32 bytes.
        root: attested, 32 bytes; None before there is one, or after it fell.
    """

    keys_hash: bytes
    root: bytes | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a relay has shown to the chain itself for an epoch.

    Args:
        proven_units: of all tokens shown.
        credited_units: paid for them, beyond what was attested.
        last_t: first 16 bytes of the greatest T shown; those of the next must exceed them.
    """

    proven_units: int = 0
    credited_units: int = 0
    last_t: bytes = bytes(16)


class RelayChain(Protocol):
    """The chain as a relay sees it."""

    @property
    def place(self) -> Place:
        """Chain and contract."""

    @property
    def may_redeem(self) -> bool:
        """Whether the owner's key is at hand."""

    async def terms(self) -> PaymentTerms:
        """Deadlines and values of the deployment."""

    async def issuance(self, epoch: int) -> Issuance | None:
        """An issuance epoch; None before its keys, and long after it."""

    async def elapsed(self, epoch: int) -> int:
        """Seconds since the end of an issuance epoch by the newest block; 0 before it."""

    async def shown(self, epoch: int, relay: int) -> Shown:
        """What a relay has shown for an epoch."""

    async def paid_units(self, relay: int) -> int:
        """Units of attested claims that a relay was paid."""

    async def redeem(self, shown: Redeem, proven: ProvenLeaf, keys: Sequence[bytes]) -> None:
        """Show tokens to the chain, and wait until they are paid."""


@dataclass(frozen=True, slots=True)
class RelayRpc:
    """The chain behind an RPC address.

    Args:
        rpc: connection and contracts.
        place: chain and contract.
        owner: signs redemptions; None leaves them to the owner.
    """

    rpc: RpcChain
    place: Place
    owner: KeySigner | None = None

    @property
    def may_redeem(self) -> bool:
        """See `RelayChain`."""
        return self.owner is not None

    async def terms(self) -> PaymentTerms:
        """See `RelayChain`."""
        return await self.rpc.terms()

    async def issuance(self, epoch: int) -> Issuance | None:
        """See `RelayChain`."""
        async with self.rpc.contracts() as contracts:
            state = await contracts.channels.issuance_of(epoch)
        if state is None:
            return None
        return Issuance(state.keys_hash, None if state.root == NOTHING else state.root)

    async def elapsed(self, epoch: int) -> int:
        """See `RelayChain`."""
        async with self.rpc.contracts() as contracts:
            return await contracts.channels.elapsed_since(epoch)

    async def shown(self, epoch: int, relay: int) -> Shown:
        """See `RelayChain`."""
        async with self.rpc.contracts() as contracts:
            state = await contracts.redeemer.redemption_of(epoch, relay)
        return Shown(state.proven_units, state.credited_units, state.last_t)

    async def paid_units(self, relay: int) -> int:
        """See `RelayChain`."""
        async with self.rpc.contracts() as contracts:
            return await contracts.channels.paid_units_of(relay)

    async def redeem(self, shown: Redeem, proven: ProvenLeaf, keys: Sequence[bytes]) -> None:
        """See `RelayChain`."""
        from qnet.chain.sender import Sender

        assert self.owner is not None
        async with self.rpc.contracts() as contracts:
            call = contracts.redeemer.redeem(shown, proven, keys)
            await Sender(contracts.client, self.owner).send(call)
