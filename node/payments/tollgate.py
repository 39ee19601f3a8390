"""What a relay takes for premium bandwidth, decided without I/O.

Cheap checks come first; pairings are gathered into batches. Whatever is worth money is stored
before anything is granted for it: the caller stores, then says so. A token that was seen before is
refused, whatever became of it.

Source: docs/spec/payments.md, QN-PAY-040 to 044.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from qnet.crypto.errors import HashChainError, PointError
from qnet.crypto.hash_chain import ChainMeter
from qnet.crypto.points import G1, G2
from qnet.messages.instruments import Opening, Place, Unit

UNIT_BYTES: Final = 1 << 20
"""Premium traffic of one unit at a price of one."""
PENDING_MAX: Final = 1024
"""Openings that wait for a pairing."""
FAILURES_MAX: Final = 4
"""Bad signatures from one link before it has to solve a puzzle for each opening."""
LINKS_MAX: Final = 65_536
"""Links whose failures are remembered; the oldest is forgotten."""


class Refusal(StrEnum):
    """Why an opening or a payment is not taken."""

    EPOCH = "the epoch's keys are unknown, or its tokens are not taken any more"
    KNOWN = "the token was shown before"
    POINT = "the signature is no valid point"
    SIGNATURE = "the signature does not hold"
    BUSY = "too many openings wait"
    PUZZLE = "a puzzle has to be solved first"
    CHAIN = "the preimage does not fit"
    CLOSED = "no token is open on the circuit"


@dataclass(frozen=True, slots=True)
class Refused:
    """Tell the circuit; it goes on at the free weight."""

    circuit: int
    why: Refusal


@dataclass(frozen=True, slots=True)
class StoreToken:
    """Keep a token that holds, then call `stored`."""

    circuit: int
    opening: Opening


@dataclass(frozen=True, slots=True)
class StoreUnit:
    """Keep how far a token was spent, then call `paid` with what was added to it, in units."""

    circuit: int
    token_id: bytes
    unit: Unit
    added: int


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give a circuit premium weight, or take it away."""

    circuit: int
    premium: bool


Action: TypeAlias = Refused | StoreToken | StoreUnit | SetWeight


@dataclass(frozen=True, slots=True)
class Issued:
    """An issuance epoch whose tokens may be taken.

    Args:
        key: the tokens' public key, whose hash is on chain.
        until_s: Unix time at which the last is taken (`I + SPEND_S`).
    """

    key: G2
    until_s: float


@dataclass(frozen=True, slots=True)
class Pending:
    """An opening that waits for its pairing."""

    circuit: int
    link: int
    opening: Opening
    message: bytes
    signature: G1


@dataclass(slots=True)
class _Paying:
    """A circuit with a token: how far it is spent, and bytes left of what was paid."""

    token_id: bytes
    meter: ChainMeter
    left_bytes: int = 0
    is_premium: bool = False


@dataclass(slots=True)
class Tollgate:
    """All paid circuits of a relay.

    Args:
        place: chain and contract.
        relay: our registry index.
        price: units a MiB, at least 1.
        issued: epochs by number; the caller keeps it up to date.
        known: ids of tokens by epoch, those stored in an earlier life included.
        pending: openings that wait for their pairing.
        refused: how many, by reason.
    """

    place: Place
    relay: int
    price: int
    issued: Mapping[int, Issued]
    known: dict[int, set[bytes]] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    refused: dict[Refusal, int] = field(default_factory=dict)
    _paying: dict[int, _Paying] = field(default_factory=dict)
    _failures: OrderedDict[int, int] = field(default_factory=OrderedDict)

    def open(
        self, circuit: int, link: int, opening: Opening, now: float, *, solved: bool = False
    ) -> list[Action]:
        """Take a token into the queue of those to verify, unless something cheap speaks against it.

        Args:
            circuit: ours.
            link: that it came over.
            opening: the token.
            now: Unix time.
            solved: whether a puzzle was solved for it.
        """
        issued = self.issued.get(opening.epoch)
        if issued is None or now >= issued.until_s:
            return self._refuse(circuit, Refusal.EPOCH)
        token_id = opening.token_id
        if token_id in self.known.get(opening.epoch, ()):
            return self._refuse(circuit, Refusal.KNOWN)
        if len(self.pending) >= PENDING_MAX:
            return self._refuse(circuit, Refusal.BUSY)
        if not solved and self._failures.get(link, 0) >= FAILURES_MAX:
            return self._refuse(circuit, Refusal.PUZZLE)
        try:
            signature = G1.decode(opening.signature)
        except PointError:
            self._failed(link)
            return self._refuse(circuit, Refusal.POINT)
        # from now on nobody else can show it: the first to come has it until it fails
        self.known.setdefault(opening.epoch, set()).add(token_id)
        message = self.place.token(opening.epoch, self.relay, token_id)
        self.pending.append(Pending(circuit, link, opening, message, signature))
        return []

    def batches(self) -> dict[int, list[Pending]]:
        """Take what waits, by epoch; the caller verifies each batch under `issued[epoch].key`."""
        found: dict[int, list[Pending]] = {}
        for pending in self.pending:
            found.setdefault(pending.opening.epoch, []).append(pending)
        self.pending.clear()
        return found

    def judged(self, batch: Sequence[Pending], bad: Sequence[int]) -> list[Action]:
        """What follows from a batch, given the places of signatures that do not hold."""
        actions: list[Action] = []
        wrong = frozenset(bad)
        for place, pending in enumerate(batch):
            if place in wrong:
                self.known[pending.opening.epoch].discard(pending.opening.token_id)
                self._failed(pending.link)
                actions += self._refuse(pending.circuit, Refusal.SIGNATURE)
            else:
                actions.append(StoreToken(pending.circuit, pending.opening))
        return actions

    def stored(self, circuit: int, opening: Opening) -> None:
        """A token is safe: payments of it count. One that was open on the circuit is over."""
        left = self._paying[circuit].left_bytes if circuit in self._paying else 0
        premium = circuit in self._paying and self._paying[circuit].is_premium
        meter = ChainMeter(opening.top)
        self._paying[circuit] = _Paying(opening.token_id, meter, left, premium)

    def pay(self, circuit: int, unit: Unit) -> list[Action]:
        """Check a payment; nothing is granted before it is stored."""
        paying = self._paying.get(circuit)
        if paying is None:
            return self._refuse(circuit, Refusal.CLOSED)
        try:
            added = paying.meter.accept(unit.k, unit.preimage)
        except HashChainError:
            return self._refuse(circuit, Refusal.CHAIN)
        return [StoreUnit(circuit, paying.token_id, unit, added)]

    def paid(self, circuit: int, units: int) -> list[Action]:
        """Units are safe: let the circuit carry what they are worth at our price."""
        paying = self._paying.get(circuit)
        if paying is None:
            return []
        paying.left_bytes += units * UNIT_BYTES // self.price
        return self._weigh(circuit, paying)

    def used(self, circuit: int, size: int) -> list[Action]:
        """A circuit carried so many bytes of premium traffic, both directions."""
        paying = self._paying.get(circuit)
        if paying is None:
            return []
        paying.left_bytes = max(0, paying.left_bytes - size)
        return self._weigh(circuit, paying)

    def closed(self, circuit: int) -> None:
        """Forget a circuit. What it paid stays stored, and its token stays known."""
        self._paying.pop(circuit, None)

    def forget(self, epoch: int) -> None:
        """Drop what is known of an epoch whose tokens nobody can show any more."""
        self.known.pop(epoch, None)

    def _weigh(self, circuit: int, paying: _Paying) -> list[Action]:
        premium = paying.left_bytes > 0
        if premium is paying.is_premium:
            return []
        paying.is_premium = premium
        return [SetWeight(circuit, premium)]

    def _failed(self, link: int) -> None:
        self._failures[link] = self._failures.pop(link, 0) + 1
        if len(self._failures) > LINKS_MAX:
            self._failures.popitem(last=False)

    def _refuse(self, circuit: int, why: Refusal) -> list[Action]:
        self.refused[why] = self.refused.get(why, 0) + 1
        return [Refused(circuit, why)]
