from dataclasses import replace

import pytest

from qnet.messages.errors import ConsensusTimeError, TimeBound
from qnet.messages.freshness import Freshness
from qnet.parameters import NetworkParameters
from tests.support.signed_network import PERIOD, make_network

DEVNET = make_network().consensus
MAIN = replace(DEVNET, interval_s=NetworkParameters.profile("main").consensus_interval_s)


def test_bounds_of_the_main_network() -> None:
    bounds = Freshness.of(MAIN)
    assert bounds.usable_from == PERIOD - 300
    assert bounds.circuits_until == PERIOD + 7200
    assert bounds.refresh_until == PERIOD + 10_800


def test_bounds_scale_with_the_interval() -> None:
    bounds = Freshness.of(DEVNET)
    interval = DEVNET.interval_s
    assert bounds.usable_from == PERIOD - interval // 12
    assert bounds.circuits_until == PERIOD + 2 * interval
    assert bounds.refresh_until == PERIOD + 3 * interval


def test_both_uses_inside_the_bounds() -> None:
    bounds = Freshness.of(MAIN)
    for now in (bounds.usable_from, PERIOD, bounds.circuits_until):
        bounds.check_circuits(now)
    bounds.check_refresh(bounds.refresh_until)


@pytest.mark.parametrize(
    ("offset", "bound", "limit"),
    [
        (-301, TimeBound.FUTURE, PERIOD - 300),
        (7201, TimeBound.CIRCUITS, PERIOD + 7200),
        (10_801, TimeBound.REFRESH, PERIOD + 10_800),
    ],
)
def test_errors_name_the_bound(offset: int, bound: TimeBound, limit: int) -> None:
    with pytest.raises(ConsensusTimeError) as caught:
        Freshness.of(MAIN).check_circuits(PERIOD + offset)
    error = caught.value
    assert (error.bound, error.limit, error.now) == (bound, limit, PERIOD + offset)
    assert bound.value in error.message
    assert str(limit) in error.why
    assert "check the clock of this machine" in error.try_
