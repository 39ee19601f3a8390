"""Premium payments for one machine: keys of a whole committee in one hand, and no chain.

Tokens are made with real threshold keys as a committee makes them, but at once and for whoever
asks, so that benches and tests can pay real nodes. The chain's part is played by a file.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from node.payments.keys import ShownKeys
from node.payments.purse import Spending
from node.payments.relay_chain import Issuance, Shown
from qnet.crypto.bls import hash_to_g1
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.points import G2
from qnet.crypto.scalars import Scalar, random_scalar
from qnet.crypto.threshold import Committee, Polynomial, combine
from qnet.errors import LocalProtocolError
from qnet.issuance import PaymentTerms
from qnet.messages.instruments import KEYS, TOKEN_CLASS, TOKEN_UNITS, Opening, Place, token_id_of
from qnet.messages.settlement import ProvenLeaf, Redeem
from qnet.parameters import DEVNET_CHAIN_ID
from qnet.sampling import uniform_below

FILE_NAME: Final = "issuer.json"
CHANNELS: Final = bytes.fromhex("9c" * 20)
COMMITTEE: Final = Committee.tolerating(1)
RETIRE_MIN: Final = 48
SECRET_BYTES: Final = 32


@dataclass(frozen=True)
class LocalIssuer:
    """All shares of the keys of every issuance epoch.

    Attributes:
        coefficients: Of the eight polynomials, constant terms first.
    """

    coefficients: tuple[tuple[int, ...], ...]

    @classmethod
    def draw(cls) -> Self:
        """Keys nobody else has."""
        drawn = [random_scalar(secrets.token_bytes) for _ in range(KEYS * COMMITTEE.threshold)]
        each = COMMITTEE.threshold
        return cls(
            tuple(
                tuple(int(one) for one in drawn[start : start + each])
                for start in range(0, len(drawn), each)
            )
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        rows = json.loads((folder / FILE_NAME).read_text())
        return cls(tuple(tuple(int(one) for one in row) for row in rows))

    def save(self, folder: Path) -> None:
        """Write the keys for other processes of this bench."""
        rows = [[str(one) for one in row] for row in self.coefficients]
        (folder / FILE_NAME).write_text(json.dumps(rows))

    @property
    def place(self) -> Place:
        """Where its tokens are valid."""
        return Place(DEVNET_CHAIN_ID, CHANNELS)

    @cached_property
    def polynomials(self) -> list[Polynomial]:
        """One for each key."""
        return [Polynomial(Scalar(one) for one in row) for row in self.coefficients]

    @cached_property
    def shown(self) -> ShownKeys:
        """What members answer."""
        generator = G2.generator()
        return ShownKeys(
            tuple((generator * one.secret).encode_eip2537() for one in self.polynomials),
            tuple(
                tuple((generator * one.share(index)).encode() for index in COMMITTEE.indices)
                for one in self.polynomials
            ),
            COMMITTEE.threshold,
        )

    def token(self, relay: int, epoch: int = 0) -> Spending:
        """A fresh token, signed by as many members as are needed."""
        chain, refund = HashChain(secrets.token_bytes(32)), secrets.token_bytes(20)
        message = self.place.token(epoch, relay, token_id_of(chain.top, refund))
        point, key = hash_to_g1(message), self.polynomials[TOKEN_CLASS]
        partials = {index: point * key.share(index) for index in COMMITTEE.indices}
        signature = combine(partials, COMMITTEE.threshold).encode()
        last = RETIRE_MIN + uniform_below(TOKEN_UNITS + 1 - RETIRE_MIN, secrets.token_bytes)
        return Spending(relay, Opening(epoch, chain.top, refund, signature), chain, last)


@dataclass(slots=True)
class LocalPurse:
    """A purse that is never empty.

    Attributes:
        issuer: Makes tokens.
        relays: Those it has tokens for; empty for all.
        taken: All tokens taken.
        refusals: Why tokens came back.
    """

    issuer: LocalIssuer
    relays: frozenset[int] = frozenset()
    taken: list[Spending] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def covers(self, relay: int) -> bool:
        """See `Purse`."""
        return not self.relays or relay in self.relays

    async def take(self, relay: int) -> Spending | None:
        """See `Purse`."""
        if not self.covers(relay):
            return None
        self.taken.append(self.issuer.token(relay))
        return self.taken[-1]

    async def spend(self, token: Spending, k: int) -> bool:
        """See `Purse`."""
        token.k = k
        return True

    def refused(self, token: Spending, why: str) -> None:
        """See `Purse`."""
        del token
        self.refusals.append(why)


@dataclass(slots=True)
class LocalChain:
    """What nodes ask of a chain; nothing is ever attested on it.

    Attributes:
        issuer: Whose keys stand on it.
        profile: Terms of the deployment.
    """

    issuer: LocalIssuer
    profile: PaymentTerms = field(default_factory=lambda: PaymentTerms.profile("main"))
    may_redeem: bool = False

    @property
    def place(self) -> Place:
        """See `RelayChain`."""
        return self.issuer.place

    async def terms(self) -> PaymentTerms:
        """See `RelayChain`."""
        return self.profile

    async def issuance(self, epoch: int) -> Issuance | None:
        """See `RelayChain`."""
        return Issuance(self.place.keys_hash(epoch, self.issuer.shown.encoded))

    async def elapsed(self, epoch: int) -> int:
        """See `RelayChain`."""
        del epoch
        return 0

    async def shown(self, epoch: int, relay: int) -> Shown:
        """See `RelayChain`."""
        del epoch, relay
        return Shown()

    async def paid_units(self, relay: int) -> int:
        """See `RelayChain`."""
        del relay
        return 0

    async def redeem(self, shown: Redeem, proven: ProvenLeaf, keys: Sequence[bytes]) -> None:
        """See `RelayChain`."""
        del shown, proven, keys
        raise LocalProtocolError("there is no chain to redeem on")
