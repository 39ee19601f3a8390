"""What runs, and against what."""

import pytest

from tools.bench.economy import sweep
from tools.bench.economy.agents import NO_ATTACK
from tools.bench.economy.sweep import Plan, all_settings, cases, honest_setting, run_all

PLAN = Plan(epochs=2, runs=2, circuits=60, shares=(0.1, 0.2), processes=1)


def test_every_attack_runs_at_every_share():
    found = cases(PLAN)
    assert len(found) == len(set(found))
    for attack in sweep.SWEPT:
        assert {share for other, share in found if other == attack} >= {0.1, 0.2}


def test_most_attacks_share_their_honest_runs():
    lazy, forging = (PLAN.setting(a, 0.2, 1) for a in (sweep.LAZY, sweep.FORGING))
    assert honest_setting(lazy) == honest_setting(forging) == PLAN.setting(NO_ATTACK, 0.0, 1)
    split = honest_setting(PLAN.setting(sweep.SPLITTING[0], 0.2, 1))
    assert (split.share, split.attack.self_bonded, split.attack.parts) == (0.2, True, 1)


def test_honest_runs_are_among_all():
    settings = all_settings(PLAN)
    assert {honest_setting(one) for one in settings if one.attack.name != "honest"} <= set(settings)


@pytest.mark.timeout(300)
def test_a_run_happens_once_and_is_the_same_in_another_process():
    settings = [PLAN.setting(NO_ATTACK, 0.0, seed) for seed in (1, 2, 1)]
    alone, apart = run_all(settings, 1), run_all(settings, 2)
    assert list(alone) == list(apart) == settings[:2]
    for setting in alone:
        assert alone[setting].paid_wei == apart[setting].paid_wei
