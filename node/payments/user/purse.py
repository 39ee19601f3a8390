"""What circuits ask of a wallet: tokens for relays, and to be told how far they are spent.

Source: docs/spec/payments.md, QN-PAY-040 to 044 and 080.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from qnet.crypto.hash_chain import HashChain
from qnet.messages.instruments import TOKEN_UNITS, Opening, Unit
from qnet.sampling import RandomBytes, uniform_below

RETIRE_MIN: Final = 48
"""The fewest units a token ends with."""


def retiring_k(random: RandomBytes) -> int:
    """Draw the k at which a token retires, 48 to 64, before anything is known of its use.

    Source: docs/spec/payments.md, QN-PAY-043.
    """
    return RETIRE_MIN + uniform_below(TOKEN_UNITS - RETIRE_MIN + 1, random)


@dataclass(slots=True)
class Spending:
    """A token that is being spent on one circuit.

    Args:
        relay: registry index of the relay that takes it.
        opening: what the relay is shown.
        chain: preimages.
        last: k at which it retires, drawn from 48 to 64 when it was taken.
        k: how far it is spent.
    """

    relay: int
    opening: Opening
    chain: HashChain
    last: int
    k: int = 0

    @property
    def is_over(self) -> bool:
        """Whether no further unit is paid with it."""
        return self.k >= self.last

    def unit(self, k: int) -> Unit:
        """The payment of all units up to the k-th."""
        return Unit(k, self.chain.preimage(k))


class Purse(Protocol):
    """The part of a wallet that circuits see. Nothing here waits for the network."""

    def covers(self, relay: int) -> bool:
        """Whether a token for a relay is in stock."""

    async def take(self, relay: int) -> Spending | None:
        """Take a token for a relay out of the stock, stored as being spent; None without one."""

    async def spend(self, token: Spending, k: int) -> bool:
        """Store that a token is spent up to k, before its preimage leaves; sets `token.k`.

        Near the end of its time a token is spent up to where it retires at once. False when that
        end has passed: nothing is stored, and nothing may be shown.
        """

    def refused(self, token: Spending, why: str) -> None:
        """A relay did not take a token; it is not shown to it again."""
