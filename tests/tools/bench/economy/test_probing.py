"""What medians make of circuits that die."""

import pytest

from ledger.domain.audits import epoch_performance
from tests.tools.bench.economy.small import SMALL
from tools.bench.economy.chance import seeded
from tools.bench.economy.probing import WICKED_MAX, Odds, draw_slots


def performance(odds, epochs=40):
    random = seeded("test", repr(odds))
    found = [epoch_performance(draw_slots(odds, SMALL, random)) for _ in range(epochs)]
    return sum(found) / len(found) / 1e6


def test_a_node_that_serves_has_p_one():
    assert performance(Odds(0.0, 0.0, 0.0)) == 1.0


def test_a_node_that_serves_nothing_has_p_zero():
    assert performance(Odds(1.0, 0.0, 0.0)) == 0.0


def test_failures_of_others_do_not_count():
    assert performance(Odds(0.0, 1.0, 0.0)) == pytest.approx(0.9)  # undecided: carried
    assert performance(Odds(1.0, 0.0, 1.0)) == pytest.approx(0.9)


def test_p_falls_with_what_dies():
    found = [performance(Odds(drop, 0.0, 0.0, probes=16)) for drop in (0.0, 0.1, 0.3, 0.6)]
    assert found == sorted(found, reverse=True)
    assert found[1] == pytest.approx(0.9, abs=0.05)


def test_five_liars_cannot_lower_the_p_of_a_node_that_serves():
    assert performance(Odds(0.0, 0.0, 0.0, wicked=WICKED_MAX)) == 1.0


def test_six_more_can():
    assert performance(Odds(0.0, 0.0, 0.0, wicked=11)) < 0.2


def test_liars_raise_the_p_of_their_own():
    alone = performance(Odds(0.6, 0.0, 0.0))
    assert performance(Odds(0.6, 0.0, 0.0, wicked=WICKED_MAX, praised=True)) > alone + 0.1
