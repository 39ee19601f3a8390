"""Arithmetic of issuance epochs and their deadlines; times in unix seconds.

Pauses of the contract stretch the deadlines on chain only; programs then learn from the chain that
something is still possible, and never rely on its being over.

Source: docs/spec/payments.md, Constants.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Final, Literal

from qnet.epochs import EpochClock

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_QNET: Final = 10**18


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """What a deployment fixed for ever: seconds after the end of an issuance epoch, and values.

    Args:
        issuance_epochs: reward epochs in an issuance epoch.
        finish_s: members complete accepted requests.
        close_s: `closeEpoch` at the latest.
        spend_s: relays take tokens until then.
        claim_s: relays hand in claims until then.
        attest_s: `attest` at the latest; `redeem` from then on.
        redeem_s: `redeem` until then.
        token_s: tokens become inputs of swaps, and can be exited, from then on.
        exit_s: exits and disputes begin until then.
        keep_s: members keep every answer until then.
        challenge_s: for so long an exit can be refuted.
        closing_s: between `startClose` and `finalizeClose`.
        deliver_s: to answer a demand or a dispute.
        unit_wei: value of a unit.
        bond_wei: bond of a demand, an exit or a dispute.
    """

    issuance_epochs: int
    finish_s: int
    close_s: int
    spend_s: int
    claim_s: int
    attest_s: int
    redeem_s: int
    token_s: int
    exit_s: int
    keep_s: int
    challenge_s: int
    closing_s: int
    deliver_s: int
    unit_wei: int
    bond_wei: int

    @classmethod
    def profile(cls, name: Literal["main", "devnet"]) -> "PaymentTerms":
        """Terms with which a network of this kind is deployed."""
        return _PROFILES[name]

    def deadlines(self) -> tuple[int, ...]:
        """The twelve deadlines, `finish_s` to `deliver_s`, in the order of the contract."""
        return astuple(self)[1:13]

    @property
    def demand_s(self) -> int:
        """Leaves are demanded until then, and claims are paid from then on."""
        return self.attest_s + (self.redeem_s - self.attest_s - self.deliver_s) // 2


_PROFILES: Final[Mapping[str, PaymentTerms]] = {
    "main": PaymentTerms(
        issuance_epochs=7,
        finish_s=45 * 60,
        close_s=_HOUR,
        spend_s=12 * _HOUR,
        claim_s=24 * _HOUR,
        attest_s=48 * _HOUR,
        redeem_s=96 * _HOUR,
        token_s=96 * _HOUR,
        exit_s=35 * _DAY,
        keep_s=42 * _DAY,
        challenge_s=7 * _DAY,
        closing_s=9 * _DAY,
        deliver_s=24 * _HOUR,
        unit_wei=_QNET // 2000,
        bond_wei=_QNET,
    ),
    "devnet": PaymentTerms(
        issuance_epochs=2,
        finish_s=5,
        close_s=15,
        spend_s=20,
        claim_s=26,
        attest_s=46,
        redeem_s=76,
        token_s=76,
        exit_s=160,
        keep_s=280,
        challenge_s=12,
        closing_s=20,
        deliver_s=10,
        unit_wei=_QNET // 100,
        bond_wei=_QNET,
    ),
}


@dataclass(frozen=True, slots=True)
class IssuanceClock:
    """The calendar of issuance epochs.

    Args:
        rewards: calendar of the reward epochs.
        terms: of the deployment.
    """

    rewards: EpochClock
    terms: PaymentTerms

    def epoch_at(self, now: float) -> int:
        """Issuance epoch that holds `now`; negative before genesis."""
        return self.rewards.epoch_at(now) // self.terms.issuance_epochs

    def bounds(self, epoch: int) -> tuple[int, int]:
        """[start, end) of an issuance epoch."""
        length = self.terms.issuance_epochs
        start, _ = self.rewards.epoch_bounds(epoch * length)
        end, _ = self.rewards.epoch_bounds((epoch + 1) * length)
        return start, end

    def elapsed(self, epoch: int, now: float) -> float:
        """Seconds since the end of an issuance epoch; negative before it."""
        return now - self.bounds(epoch)[1]

    def kept(self, now: float) -> range:
        """Issuance epochs up to the running one whose answers members still keep."""
        newest = self.epoch_at(now)
        oldest = newest
        while oldest > 0 and self.elapsed(oldest - 1, now) < self.terms.keep_s:
            oldest -= 1
        return range(max(oldest, 0), newest + 1)
