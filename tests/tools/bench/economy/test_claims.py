"""The claims at small size, and that each can fail."""

from dataclasses import replace

import pytest

from tools.bench.economy import claims, sweep
from tools.bench.economy.account import Comparison, Interval
from tools.bench.economy.claims import CHECKS, Evidence, concessions, judge
from tools.bench.economy.run import gather
from tools.bench.economy.sweep import Plan
from tools.bench.economy.world import Setting

PLAN = Plan(epochs=36, runs=2, circuits=120, shares=(0.1, 0.3), processes=1)
HELD = {
    "EmissionWithinBudget",
    "SplitConserves",
    "VolumeMintsNothing",
    "OneSidedLiePaysNothing",
    "AuditorMinorityBlamesNobody",
    "EquivocationLoses",
    "SaturationBounds",
    "VisitorsGainNothing",
}
"""Those that so few circuits and epochs show."""


@pytest.fixture(scope="module")
def evidence():
    return gather(PLAN)


@pytest.mark.timeout(300)
def test_claims_hold_at_small_size(evidence):
    found = {claim.name: claim for claim in judge(evidence)}
    assert len(found) == len(CHECKS)
    for name in HELD:
        assert found[name].holds, found[name].found


@pytest.mark.timeout(300)
def test_concessions_are_told_in_figures(evidence):
    told = concessions(evidence)
    assert len(told) == 5
    assert all(any(letter.isdigit() for letter in row["found"]) for row in told)


def worse(evidence, attack, mean):
    """The evidence with an attack that gains."""
    made = {
        key: replace(found, profit=Interval(mean, 0.01), income=Interval(mean, 0.01))
        if key[0] == attack
        else found
        for key, found in evidence.comparisons.items()
    }
    return replace(evidence, comparisons=made)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("check", "attack"),
    [
        (claims.splitting_never_pays, sweep.SPLITTING[1]),
        (claims.hurting_pays_nothing, sweep.HURTING),
        (claims.lazy_loses, sweep.LAZY),
        (claims.dropping_loses, sweep.DROPPING),
        (claims.self_dealing_pays_nothing, sweep.BUYING),
        (claims.forgers_earn_what_honest_earn, sweep.FORGING),
        (claims.faking_pays_nothing, sweep.FORGING),
        (claims.minority_of_auditors_gains_nothing, sweep.AUDITORS),
        (claims.equivocation_loses, sweep.EQUIVOCATING),
    ],
)
def test_a_claim_fails_when_its_attack_pays(evidence, check, attack):
    assert not check(worse(evidence, attack, 0.2)).holds


@pytest.mark.timeout(300)
def test_a_claim_fails_when_too_much_is_paid(evidence):
    outcomes = [replace(one, overpaid=1, unsplit=1) for one in evidence.outcomes]
    spoilt = replace(evidence, outcomes=outcomes)
    assert not claims.emission_within_budget(spoilt).holds
    assert not claims.split_conserves(spoilt).holds
    busy = [replace(one, paid_wei=[2 * wei for wei in one.paid_wei]) for one in evidence.busy]
    assert not claims.volume_mints_nothing(replace(evidence, busy=busy)).holds
    markets = [replace(one, slots_kept=False, visitor_gain_wei=1) for one in evidence.markets]
    assert not claims.saturation_bounds(replace(evidence, markets=markets)).holds
    assert not claims.visitors_gain_nothing(replace(evidence, markets=markets)).holds


def test_a_verdict_needs_more_than_chance():
    setting = Setting(sweep.LAZY, 0.1, 0, 1)

    def found(mean, half):
        one = Interval(mean, half)
        return Comparison(setting, one, one, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0).verdict

    assert [found(-1, 0.5), found(-1, 2), found(1, 0.5)] == ["loses", "even", "gains"]


def test_nothing_is_said_of_what_did_not_run():
    empty = Evidence({}, [], [], [], [])
    assert "nothing ran" in claims.equivocation_loses(empty).found
