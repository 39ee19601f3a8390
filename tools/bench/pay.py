"""`qnet bench pay`: what paying costs the wallet, the relay and a signer on one core.

Beside the figures stand those that are published of other systems; they were not measured in this
run, and each names its source. Gas comes from the committed measurements of whole transactions.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.payments.relay.tollgate import Issued, Tollgate
from node.payments.user.derivation import SEED_BYTES, Seed, Slot
from node.payments.user.purse import RETIRE_MIN
from qnet.crypto.blind import blind_with, sign_blinded, unblind
from qnet.crypto.bls import find_bad, hash_to_g1, verify
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import SecretScalar
from qnet.crypto.threshold import Committee, Polynomial, combine
from qnet.errors import CryptoError
from qnet.messages.instruments import OPENING_BYTES, TOKEN_CLASS, TOKEN_UNITS, Opening, Place, Unit
from tools.bench.machine import Figure, machine

GAS: Final = Path(__file__).resolve().parents[2] / "tests" / "forge" / "gas" / "transactions.json"
PLACE: Final = Place(31337, bytes(range(20)))
EPOCH: Final = 3
RELAY: Final = 7
FAULTS: Final = 5
BATCH: Final = 64
SLOW: Final = 10
"""Only every tenth repeat is made of what takes long."""
PAY_HEADER_BYTES: Final = 5
PAY_BYTES: Final = 33
MEAN_UNITS: Final = (RETIRE_MIN + TOKEN_UNITS) / 2
_MICROS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Anchor:
    """A figure that somebody published.

    Attributes:
        figure: name of ours that it stands beside.
        system: whose.
        value: what they say.
        source: where.
    """

    figure: str
    system: str
    value: str
    source: str


ANCHORS: Final = (
    Anchor("relay opens a token", "RLN credits", "about 6 ms a proof", "RLN benchmarks"),
    Anchor("relay opens a token", "Coconut", "about 10 ms", "Sonnino et al., NDSS 2019"),
    Anchor("relay takes a unit", "HOPR", "about 86 us a packet", "hoprnet 2.x, packet benchmark"),
    Anchor("bytes a unit", "Nym", "1,157 a ticket of 100 to 500 MB", "Nym documentation, zk-nym"),
    Anchor("units a payer risks", "Nym", "a ticket of 100 to 500 MB", "Nym documentation, zk-nym"),
    Anchor("gas of a claim alone", "HOPR", "99,949 a winning ticket", "redeemTicket, measured"),
    Anchor("gas of a claim alone", "Orchid", "85,392 a winning ticket", "claim, measured"),
    Anchor("gas of a claim in a batch", "Orchid", "33,500 a winning ticket", "claim, measured"),
    Anchor(
        "gas of a claim in a batch", "Raiden", "227,000 a channel", "raiden-contracts, gas.json"
    ),
)


class _Desk:
    """Keys of one epoch, a wallet, and a token that is not used yet."""

    def __init__(self) -> None:
        self.committee = Committee.tolerating(FAULTS)
        polynomial = Polynomial.draw(self.committee.threshold, secrets.token_bytes)
        self.public = G2.generator() * polynomial.secret
        self.shares = [
            SecretScalar(polynomial.share(index))
            for index in range(1, self.committee.threshold + 1)
        ]
        self.secret = polynomial.secret
        self.seed = Seed(secrets.token_bytes(SEED_BYTES))
        self._counter = 0

    def slot(self) -> Slot:
        """The next one."""
        self._counter += 1
        return Slot(EPOCH, TOKEN_CLASS, self._counter)

    def token(self) -> tuple[Opening, HashChain]:
        """A token for the relay, signed at once by the whole key."""
        slot = self.slot()
        chain = self.seed.chain(slot)
        message = self.seed.message(slot, PLACE, relay=RELAY)
        signature = (hash_to_g1(message) * self.secret).encode()
        return Opening(EPOCH, chain.top, self.seed.key(slot).address, signature), chain

    def gate(self) -> Tollgate:
        """A relay's tollgate that knows the key."""
        return Tollgate(PLACE, RELAY, 1, {EPOCH: Issued(self.public, time.time() + 3600)})


def run(repeats: int = 200) -> dict[str, Any]:
    """Measure.

    Args:
        repeats: samples of each step; slow steps have a tenth.

    Raises:
        CryptoError: something that was measured did not give the right result.
    """
    desk = _Desk()
    slow = max(2, repeats // SLOW)
    figures = [*_wallet(desk, repeats, slow), *_signers(desk, repeats, slow)]
    figures += _relay(desk, repeats, slow)
    rows = [figure.row() for figure in figures] + _sizes() + _gas()
    return {
        "machine": machine(),
        "results": rows,
        "anchors": [_beside(anchor, rows) for anchor in ANCHORS],
    }


def _time(name: str, repeats: int, work: Callable[[], object], count: int = 1) -> Figure:
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        samples.append((time.perf_counter() - start) / count * _MICROS)
    return Figure(name, "us", samples)


def _wallet(desk: _Desk, repeats: int, slow: int) -> list[Figure]:
    """Prepare a token, and take the answer."""
    slot = desk.slot()
    message = desk.seed.message(slot, PLACE, relay=RELAY)
    factor = desk.seed.factor(slot, message)
    blinded = blind_with(message, factor)
    partials = {
        index: sign_blinded(share, blinded, secrets.token_bytes)
        for index, share in enumerate(desk.shares, 1)
    }
    signed = combine(partials, desk.committee.threshold)
    return [
        _time("wallet derives a token", repeats, lambda: _derive(desk)),
        _time("wallet blinds it", repeats, lambda: blind_with(message, factor)),
        _time(
            "wallet combines 11 answers",
            slow,
            lambda: combine(partials, desk.committee.threshold),
        ),
        _time(
            "wallet unblinds and verifies",
            slow,
            lambda: unblind(message, factor, signed, desk.public),
        ),
    ]


def _derive(desk: _Desk) -> None:
    desk.seed.message(desk.slot(), PLACE, relay=RELAY)


def _signers(desk: _Desk, repeats: int, slow: int) -> list[Figure]:
    """What a member does for one point."""
    opening, _ = desk.token()
    message = PLACE.token(EPOCH, RELAY, opening.token_id)
    wire = blind_with(message, desk.seed.factor(desk.slot(), message)).encode()
    point = G1.decode(wire)
    signature = G1.decode(opening.signature)
    return [
        _time("member reads a point", repeats, lambda: G1.decode(wire)),
        _time(
            "member signs a point",
            repeats,
            lambda: sign_blinded(desk.shares[0], point, secrets.token_bytes),
        ),
        _time("member verifies an input", slow, lambda: verify(desk.public, message, signature)),
    ]


def _relay(desk: _Desk, repeats: int, slow: int) -> list[Figure]:
    """Open tokens alone and in batches, and take units."""
    alone: list[float] = []
    for _ in range(slow):
        alone += _open(desk, 1)
    batched: list[float] = []
    for _ in range(max(2, slow // SLOW)):
        batched += _open(desk, BATCH)
    return [
        Figure("relay opens a token", "us", alone),
        Figure(f"relay opens a token, {BATCH} together", "us", batched),
        Figure("relay takes a unit", "us", _pay(desk, max(1, repeats // SLOW))),
    ]


def _open(desk: _Desk, count: int) -> list[float]:
    gate, tokens = desk.gate(), [desk.token()[0] for _ in range(count)]
    start = time.perf_counter()
    for circuit, opening in enumerate(tokens):
        gate.open(circuit, 1, opening, time.time())
    (batch,) = gate.batches().values()
    bad = find_bad(
        [(pending.message, pending.signature) for pending in batch],
        desk.public,
        secrets.token_bytes,
    )
    gate.judged(batch, bad, time.time())
    taken = (time.perf_counter() - start) / count * _MICROS
    if bad or gate.refused:
        raise CryptoError
    return [taken]


def _pay(desk: _Desk, tokens: int) -> list[float]:
    """Every unit of some tokens: decode, check, account."""
    gate, now = desk.gate(), time.time()
    samples: list[float] = []
    for circuit in range(tokens):
        opening, chain = desk.token()
        gate.open(circuit, 1, opening, now)
        for batch in gate.batches().values():
            gate.judged(batch, (), now)
        gate.stored(circuit, opening)
        wires = [Unit(k, chain.preimage(k)).encode() for k in range(1, TOKEN_UNITS + 1)]
        start = time.perf_counter()
        for wire in wires:
            gate.pay(circuit, Unit.decode(wire), now)
            gate.paid(circuit, 1)
        samples.append((time.perf_counter() - start) / TOKEN_UNITS * _MICROS)
    if gate.refused:
        raise CryptoError
    return samples


def _sizes() -> list[dict[str, Any]]:
    a_unit = PAY_HEADER_BYTES + PAY_BYTES + OPENING_BYTES / MEAN_UNITS
    return [_fact("bytes a unit", "B", a_unit), _fact("units a payer risks", "", 1)]


def _gas() -> list[dict[str, Any]]:
    """Committed figures; none outside a checkout."""
    if not GAS.exists():
        return []
    told = json.loads(GAS.read_text())
    names = {
        "gas of a claim alone": "premium claim",
        "gas of a claim in a batch": "premium claim, batched",
        "gas of redeeming a token, 64 together": "premium redeem, a token of 64",
    }
    return [_fact(name, "gas", told[key]) for name, key in names.items() if key in told]


def _fact(name: str, unit: str, value: float) -> dict[str, Any]:
    row = Figure(name, unit, [value]).row()
    return row | {"qnet": round(value, 1)}


def _beside(anchor: Anchor, rows: list[dict[str, Any]]) -> dict[str, Any]:
    ours = next((row for row in rows if row["name"] == anchor.figure), None)
    told = "" if ours is None else f"{ours['qnet']:,g} {ours['unit']}".strip()
    return {
        "figure": anchor.figure,
        "QNet": told,
        "system": anchor.system,
        "published": anchor.value,
        "source": anchor.source,
    }
