"""Each kind of agent over some epochs."""

import pytest

from ledger.domain.state import CIRCUIT_ROLES, NodeState
from qnet.messages.descriptor import Role
from tests.tools.bench.economy.small import SHARE, SMALL, run, setting, world
from tools.bench.economy.agents import NO_ATTACK, Attack, Behaviour, coalition
from tools.bench.economy.world import World, simulate, slot_reward


def split(outcome, what):
    ours = [getattr(agent, what) for agent in outcome.agents if agent.attacks]
    rest = [getattr(agent, what) for agent in outcome.agents if not agent.attacks]
    return sum(ours) / len(ours), sum(rest) / len(rest)


def test_honest_nodes_earn_nearly_all_there_is():
    outcome = run(share=0.0)
    # own bond is a quarter of Z: (1 + 0.3 / 4) / 1.3 of a slot
    share = sum(
        slot_reward(role, SMALL) * n for role, n in zip(CIRCUIT_ROLES, (5, 5, 2), strict=True)
    )
    assert outcome.paid_wei[-1] / share == pytest.approx(1.075 / 1.3, abs=0.02)
    assert outcome.overpaid == outcome.unsplit == 0
    assert len(outcome.paid_wei) == 20


def test_the_same_seed_gives_the_same_year():
    assert run().paid_wei == run().paid_wei
    assert simulate(setting(epochs=2)).paid_wei == simulate(setting(epochs=2)).paid_wei


def test_lazy_nodes_carry_less_and_earn_less():
    outcome = run(Attack("lazy", behaviour=Behaviour(offers=0.1)), epochs=40)
    assert split(outcome, "cells")[0] < 0.3 * split(outcome, "cells")[1]
    assert split(outcome, "operator_wei")[0] < 0.8 * split(outcome, "operator_wei")[1]


def test_nodes_that_drop_nearly_all_are_jailed():
    made = world(Attack("dropping", behaviour=Behaviour(drops=0.9)), epochs=12)
    assert {agent.state for agent in coalition(made.agents)} == {NodeState.JAILED}
    assert not any(agent.slot for agent in coalition(made.agents))
    assert {a.state for a in made.agents if not a.attacks} == {NodeState.ACTIVE}


def test_jail_ends():
    made = world(Attack("dropping", behaviour=Behaviour(drops=0.9)), epochs=5)
    assert made.step(5).paid.keys() == {a.index for a in made.agents if not a.attacks}
    for agent in made.agents:
        agent.behaviour = Behaviour()
    for epoch in range(6, 13):
        made.step(epoch)
    assert made.step(13).paid.keys() == {a.index for a in made.agents}
    assert all(agent.slot for agent in made.agents)


def test_forged_receipts_do_not_make_up_for_capacity_that_is_not_there():
    """The clip follows the measured rate: forgers are credited for what they were asked for."""
    attack = Attack("forging", behaviour=Behaviour(offers=0.1), forges=True)
    outcome = run(attack, epochs=40)
    assert split(outcome, "cells")[0] < 0.3 * split(outcome, "cells")[1]
    assert all(agent.w_sum < 15_000_000 for agent in outcome.agents if agent.attacks)
    assert outcome.n_hat_excess <= 1
    assert 0 < outcome.forged_w_ppm <= 1_000_000


def test_receipts_between_nodes_of_one_owner_count_nothing():
    attack = Attack("self-dealing", behaviour=Behaviour(offers=0.1), forges=True, one_owner=True)
    outcome = run(attack, epochs=40)
    assert outcome.n_hat_excess == outcome.forged_w_ppm == 0
    assert all(agent.w_sum < 30_000_000 for agent in outcome.agents if agent.attacks)


def test_bought_traffic_is_carried():
    bought, honest = run(Attack("buying", buys=0.5)), run()
    assert split(bought, "cells")[0] > 1.5 * split(honest, "cells")[0]


def test_two_receipts_end_a_node():
    outcome = run(Attack("equivocating", equivocates_at=3), epochs=6)
    for agent in outcome.agents:
        if agent.attacks:
            assert agent.state is NodeState.TOMBSTONED
            assert agent.slashed_wei == SMALL.stake_reference_wei // 4 // 20
            assert agent.lived == 3
        else:
            assert agent.lived == 6


def test_hurting_frees_slots_for_nodes_that_wait():
    attack = Attack("hurting", hurts=0.9, waits=2)
    made = world(attack, epochs=8)
    ours = [agent for agent in coalition(made.agents) if agent.role is Role.ENTRY]
    assert len(ours) == 4
    assert all(agent.slot for agent in ours)


def test_slots_are_never_more_than_there_are():
    made = World(setting(Attack("hurting", hurts=0.9, waits=3), 1), SMALL)
    for epoch in range(25):
        made.step(epoch)
        for role, slots in zip(CIRCUIT_ROLES, (5, 5, 2), strict=True):
            assert sum(agent.slot for agent in made.agents if agent.role is role) <= slots


def test_no_attack_needs_no_share():
    assert not coalition(world(NO_ATTACK, 1, share=0.0).agents)
    assert len(coalition(world(NO_ATTACK, 1, share=SHARE).agents)) == 5
