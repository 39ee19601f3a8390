"""Who stands where, with whose stake."""

import pytest

from ledger.domain.state import CIRCUIT_ROLES
from qnet.messages.descriptor import Role
from tests.tools.bench.economy.small import SHARE, SMALL
from tools.bench.economy.agents import (
    NO_ATTACK,
    Attack,
    coalition,
    operators_of,
    populate,
    role_counts,
)


def test_every_slot_of_every_role_is_taken():
    agents = populate(NO_ATTACK, 0.0, SMALL)
    assert [agent.index for agent in agents] == list(range(1, 13))
    for role in CIRCUIT_ROLES:
        count = sum(agent.role is role for agent in agents)
        assert count == role_counts(SMALL)[role]
    assert not coalition(agents)
    assert len({agent.owner for agent in agents}) == 12
    for agent in agents:
        assert agent.bond_wei + agent.pool.assets_wei == SMALL.stake_reference_wei


def test_a_share_is_at_least_one_operator():
    assert [operators_of(share, 10) for share in (0, 0.01, 0.1, 0.26, 1)] == [0, 1, 1, 3, 10]


@pytest.mark.parametrize("parts", [2, 4, 10])
def test_parts_share_one_bond_and_one_owner(parts):
    agents = populate(Attack("splitting", parts=parts, self_bonded=True), SHARE, SMALL)
    ours = [agent for agent in coalition(agents) if agent.role is Role.EXIT]
    assert len(ours) == parts
    assert len({agent.owner for agent in ours}) == 1
    assert sum(agent.bond_wei for agent in ours) == SMALL.stake_reference_wei
    assert not any(agent.pool.assets_wei for agent in ours)


def test_one_owner_for_all():
    ours = coalition(populate(Attack("self-dealing", one_owner=True), SHARE, SMALL))
    assert len(ours) == 5
    assert len({agent.owner for agent in ours}) == 1


def test_nodes_that_wait_have_no_slot():
    agents = populate(Attack("hurting", hurts=0.5, waits=2), SHARE, SMALL)
    waiting = [agent for agent in agents if not agent.slot]
    assert len(waiting) == 6
    assert all(agent.attacks and not agent.behaviour.drops for agent in waiting)
    assert all(agent.behaviour.drops == 0.5 for agent in agents if not agent.attacks)


def test_the_counterpart_has_the_same_stake():
    attack = Attack("splitting", parts=4, self_bonded=True, waits=1)
    assert attack.counterpart == Attack("honest", self_bonded=True)
    assert Attack("lazy").counterpart == NO_ATTACK
