"""What a relay takes for premium bandwidth, decided without I/O.

Cheap checks come first; pairings are gathered into batches. Whatever is worth money is stored
before anything is granted for it: the caller stores, then says so. A token that was seen before is
refused, whatever became of it. Signatures that do not hold cost whoever shows them the right to
show others for a while; what honest payers do never runs into that.

Source: docs/spec/payments.md, QN-PAY-040 to 044.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from node.circuit.payment import Refusal
from qnet.crypto.errors import HashChainError, PointError
from qnet.crypto.hash_chain import ChainMeter
from qnet.crypto.points import G1, G2
from qnet.messages.instruments import Opening, Place, Unit

PRICED_BYTES: Final = 1 << 20
"""What a price is for: a relay takes `price` units for so many bytes."""
PENDING_MAX: Final = 1024
"""Openings that wait for a pairing."""
REFUSALS_MAX: Final = 8
"""Refusals that one circuit is told of; whoever goes on is not answered."""
LINKS_MAX: Final = 65_536
"""Links whose failures are remembered; the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many bad signatures a link may bring.

    Args:
        failures: at once.
        forgive_s: seconds after which one is forgiven.
    """

    failures: int
    forgive_s: float


CLIENT_PATIENCE: Final = Patience(4, 15.0)
NODE_PATIENCE: Final = Patience(256, 0.25)
"""A node carries the circuits of many: one of its clients must not cost the others their weight."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Tell the circuit; it goes on at the weight it has."""

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
    """Give a circuit premium weight, or the free one, and tell it what is left of its units."""

    circuit: int
    premium: bool
    left_bytes: int


Action: TypeAlias = Refused | StoreToken | StoreUnit | SetWeight


@dataclass(frozen=True, slots=True)
class Issued:
    """An issuance epoch whose tokens may be taken.

    Args:
        key: the tokens' public key, whose hash is on chain.
        until_s: Unix time until which its tokens and their units are taken (`I + SPEND_S`).
    """

    key: G2
    until_s: float


@dataclass(frozen=True, slots=True)
class Pending:
    """An opening that waits for its pairing.

    Args:
        circuit: that showed it.
        link: that it came over.
        patience: what that link may bring.
        opening: the token.
        message: that was signed, 32 bytes.
        signature: of it.
    """

    circuit: int
    link: int
    patience: Patience
    opening: Opening
    message: bytes
    signature: G1


@dataclass(slots=True)
class _Paying:
    """A circuit that showed a token: how far it is spent, and bytes left of what was paid."""

    is_waiting: bool = False
    """Whether a token of it is being verified or stored."""
    is_barred: bool = False
    """Whether it showed a signature that does not hold."""
    refusals: int = 0
    epoch: int = 0
    token_id: bytes = b""
    meter: ChainMeter | None = None
    left_bytes: int = 0
    is_premium: bool = False


@dataclass(slots=True)
class _Failures:
    """Bad signatures of a link, some of them forgiven."""

    level: float
    at: float

    def now(self, patience: Patience, now: float) -> float:
        """How many count still."""
        self.level = max(0.0, self.level - (now - self.at) / patience.forgive_s)
        self.at = now
        return self.level


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
    _failures: OrderedDict[int, _Failures] = field(default_factory=OrderedDict)

    def open(
        self,
        circuit: int,
        link: int,
        opening: Opening,
        now: float,
        *,
        patience: Patience = CLIENT_PATIENCE,
    ) -> list[Action]:
        """Take a token into the queue of those to verify, unless something cheap speaks against it.

        Args:
            circuit: ours.
            link: that it came over.
            opening: the token.
            now: Unix time.
            patience: what the link may bring.
        """
        paying = self._paying.setdefault(circuit, _Paying())
        if not self._is_current(opening.epoch, now):
            return self._refuse(circuit, Refusal.EPOCH)
        token_id = opening.token_id
        if token_id in self.known.get(opening.epoch, ()):
            return self._refuse(circuit, Refusal.KNOWN)
        if paying.is_waiting or len(self.pending) >= PENDING_MAX:
            return self._refuse(circuit, Refusal.BUSY)
        failed = self._failures.get(link)
        too_many = failed is not None and failed.now(patience, now) > patience.failures - 1
        if paying.is_barred or too_many:
            return self._refuse(circuit, Refusal.FAILURES)
        try:
            signature = G1.decode(opening.signature)
        except PointError:
            self._failed(circuit, link, now)
            return self._refuse(circuit, Refusal.POINT)
        # from now on nobody else can show it: the first to come has it until it fails
        self.known.setdefault(opening.epoch, set()).add(token_id)
        paying.is_waiting = True
        message = self.place.token(opening.epoch, self.relay, token_id)
        self.pending.append(Pending(circuit, link, patience, opening, message, signature))
        return []

    def batches(self) -> dict[int, list[Pending]]:
        """Take what waits, by epoch; the caller verifies each batch under `issued[epoch].key`."""
        found: dict[int, list[Pending]] = {}
        for pending in self.pending:
            found.setdefault(pending.opening.epoch, []).append(pending)
        self.pending.clear()
        return found

    def judged(self, batch: Sequence[Pending], bad: Sequence[int], now: float) -> list[Action]:
        """What follows from a batch, given the places of signatures that do not hold."""
        actions: list[Action] = []
        wrong = frozenset(bad)
        for place, pending in enumerate(batch):
            if place in wrong:
                self.known[pending.opening.epoch].discard(pending.opening.token_id)
                self._failed(pending.circuit, pending.link, now)
                actions += self._refuse(pending.circuit, Refusal.SIGNATURE)
            else:
                actions.append(StoreToken(pending.circuit, pending.opening))
        return actions

    def stored(self, circuit: int, opening: Opening) -> list[Action]:
        """A token is safe: payments of it count. One that was open on the circuit is over."""
        paying = self._paying.get(circuit)
        if paying is None:
            return []  # the circuit went meanwhile
        paying.is_waiting = False
        paying.epoch, paying.token_id = opening.epoch, opening.token_id
        paying.meter = ChainMeter(opening.top)
        return [SetWeight(circuit, paying.is_premium, paying.left_bytes)]

    def pay(self, circuit: int, unit: Unit, now: float) -> list[Action]:
        """Check a payment; nothing is granted before it is stored."""
        paying = self._paying.get(circuit)
        if paying is None or paying.meter is None:
            return self._refuse(circuit, Refusal.CLOSED)
        if not self._is_current(paying.epoch, now):
            return self._refuse(circuit, Refusal.EPOCH)
        try:
            added = paying.meter.accept(unit.k, unit.preimage)
        except HashChainError:
            paying.meter = None  # whoever sends a wrong one has no right one: hash no more
            return self._refuse(circuit, Refusal.CHAIN)
        return [StoreUnit(circuit, paying.token_id, unit, added)]

    def paid(self, circuit: int, units: int) -> list[Action]:
        """Units are safe: let the circuit carry what they are worth at our price."""
        paying = self._paying.get(circuit)
        if paying is None:
            return []
        paying.left_bytes += units * PRICED_BYTES // self.price
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

    def _is_current(self, epoch: int, now: float) -> bool:
        issued = self.issued.get(epoch)
        return issued is not None and now < issued.until_s

    def _weigh(self, circuit: int, paying: _Paying) -> list[Action]:
        premium = paying.left_bytes > 0
        if premium is paying.is_premium:
            return []
        paying.is_premium = premium
        return [SetWeight(circuit, premium, paying.left_bytes)]

    def _failed(self, circuit: int, link: int, now: float) -> None:
        paying = self._paying.get(circuit)
        if paying is not None:
            paying.is_barred, paying.is_waiting = True, False
        failed = self._failures.pop(link, None) or _Failures(0.0, now)
        failed.level += 1
        self._failures[link] = failed
        if len(self._failures) > LINKS_MAX:
            self._failures.popitem(last=False)

    def _refuse(self, circuit: int, why: Refusal) -> list[Action]:
        self.refused[why] = self.refused.get(why, 0) + 1
        paying = self._paying.get(circuit)
        if paying is None or paying.refusals >= REFUSALS_MAX:
            return []
        paying.refusals += 1
        return [Refused(circuit, why)]
