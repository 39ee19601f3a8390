"""Reputation and selection weights."""

from hypothesis import given

from ledger.domain.reputation import (
    BETA_NEW,
    WEIGHT_ONE,
    capacity_factor,
    expected_weight,
    next_reputation,
    node_weight,
    selection_weight,
    stake_factor,
)
from ledger.domain.state import M, NodeRecord, NodeState
from tests.ledger.domain.material import DEVNET, QNET, ppm

START = DEVNET.reputation_start_ppm


@given(ppm, ppm, ppm)
def test_reputation_moves_towards_quality_and_never_beyond(rho, p, w):
    after = next_reputation(rho, p, w, NodeState.ACTIVE, DEVNET)
    quality = p * w // M
    assert min(rho, quality) <= after <= max(rho, quality)
    assert 0 <= after <= M


def test_it_falls_faster_than_it_rises():
    risen = next_reputation(500_000, M, M, NodeState.ACTIVE, DEVNET) - 500_000
    fallen = 500_000 - next_reputation(500_000, 0, M, NodeState.ACTIVE, DEVNET)
    assert (risen, fallen) == (500_000 // 30, 500_000 // 6)


def test_states_cap_it():
    assert next_reputation(900_000, M, M, NodeState.JAILED, DEVNET) == START
    assert next_reputation(100, M, M, NodeState.JAILED, DEVNET) == 100
    assert next_reputation(900_000, M, M, NodeState.TOMBSTONED, DEVNET) == 0
    assert next_reputation(900_000, M, M, NodeState.RETIRED, DEVNET) == 0
    assert next_reputation(900_000, 0, 0, NodeState.REGISTERED, DEVNET) == 900_000


@given(ppm, ppm, ppm, ppm)
def test_weights_are_bounded_and_fit_32_bits(sigma, mean_p, rho, beta):
    assert 0 <= selection_weight(sigma, mean_p, rho, beta) <= WEIGHT_ONE < 2**32


def test_a_perfect_node_has_the_whole_weight():
    assert selection_weight(M, M, M, M) == WEIGHT_ONE
    assert stake_factor(5 * QNET, 5 * QNET) == stake_factor(50 * QNET, 5 * QNET) == M


def test_an_unmeasured_node_gets_little_and_a_fast_one_no_more_than_one():
    assert capacity_factor(0, 100) == BETA_NEW
    assert capacity_factor(50, 100) == M // 2
    assert capacity_factor(500, 100) == M


def test_expected_weight_ignores_measured_speed():
    slow, fast = (NodeRecord(rho_ppm=M, history_ppm=(M,), kbps=kbps) for kbps in (1, 10**6))
    stake = DEVNET.stake_reference_wei
    assert expected_weight(slow, stake, DEVNET) == expected_weight(fast, stake, DEVNET)
    assert node_weight(slow, stake, DEVNET) < node_weight(fast, stake, DEVNET) == WEIGHT_ONE
