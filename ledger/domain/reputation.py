"""Reputation and the weights by which clients choose nodes.

Source: docs/spec/rewards.md, QN-REW-010 to 014 and 060 to 061.
"""

from typing import Final

from ledger.domain.state import M, NodeRecord, NodeState
from qnet.parameters import NetworkParameters

BETA_NEW: Final = 250_000
"""β of a node that was never measured, ppm."""
WEIGHT_ONE: Final = 1_000_000_000
"""Selection weight of a perfect node."""


def stake_factor(stake_wei: int, reference_wei: int) -> int:
    """Sigma or lambda in ppm: the stake against Z, at most one (QN-REW-010)."""
    return min(stake_wei * M // reference_wei, M)


def capacity_factor(kbps: int, reference_kbps: int) -> int:
    """β in ppm from the measured rate; 0 kbit/s means never measured (QN-REW-012)."""
    if kbps == 0:
        return BETA_NEW
    return min(kbps * M // reference_kbps, M)


def selection_weight(sigma_ppm: int, mean_p_ppm: int, rho_ppm: int, beta_ppm: int) -> int:
    """Selection weight, 0 to `WEIGHT_ONE` (QN-REW-013)."""
    return WEIGHT_ONE * sigma_ppm * mean_p_ppm**4 * rho_ppm * beta_ppm // M**7


def node_weight(record: NodeRecord, stake_wei: int, parameters: NetworkParameters) -> int:
    """Weight of a node in the consensus."""
    return selection_weight(
        stake_factor(stake_wei, parameters.stake_reference_wei),
        record.mean_p_ppm,
        record.rho_ppm,
        capacity_factor(record.kbps, parameters.capacity_reference_kbps),
    )


def expected_weight(record: NodeRecord, stake_wei: int, parameters: NetworkParameters) -> int:
    """Weight with a measured-bandwidth factor of one (QN-REW-014)."""
    sigma = stake_factor(stake_wei, parameters.stake_reference_wei)
    return selection_weight(sigma, record.mean_p_ppm, record.rho_ppm, M)


def next_reputation(
    rho_ppm: int, p_ppm: int, w_ppm: int, state: NodeState, parameters: NetworkParameters
) -> int:
    """Reputation after an epoch (QN-REW-060, 061).

    Args:
        rho_ppm: before it.
        p_ppm: epoch P.
        w_ppm: W.
        state: of the node at the snapshot.
        parameters: rates and start value.
    """
    if state in {NodeState.TOMBSTONED, NodeState.RETIRED}:
        return 0
    if state is NodeState.JAILED:
        return min(rho_ppm, parameters.reputation_start_ppm)
    if state is not NodeState.ACTIVE:
        return rho_ppm
    quality = p_ppm * w_ppm // M
    if quality > rho_ppm:
        return rho_ppm + (quality - rho_ppm) // parameters.reputation_rise
    return rho_ppm - (rho_ppm - quality) // parameters.reputation_fall
