"""Integer rewards against exact fractions, and what must hold for every network."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.rewards import (
    Pair,
    measure_work,
    reward,
    role_budget,
    role_slots,
    split,
)
from ledger.domain.state import (
    LOOP_PASSAGES,
    MIX_LAYERS,
    M,
    NetworkState,
    NodeRecord,
    NodeState,
)
from node.io.mix_role import LOOPS
from node.mix.packet import LAYERS
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters
from tests.ledger.domain import reference
from tests.ledger.domain.material import (
    DEVNET,
    MAIN,
    QNET,
    mixed_network,
    networks,
    ppm,
    small_network,
    traffic,
    view,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "rewards"
stakes = st.integers(0, 200_000 * QNET)
profiles = st.sampled_from([DEVNET, MAIN])


@given(stakes, stakes, ppm, ppm, st.sampled_from(list(Role)), profiles)
def test_reward_equals_exact_fractions(stake, bond, p, w, role, parameters):
    budget = role_budget(parameters.emission_wei, role, parameters)
    slots = role_slots(role, parameters)
    got = reward(budget, slots, stake, bond, p, w, parameters)
    assert got == reference.reward(budget, slots, stake, bond, p, w, parameters)
    assert 0 <= got <= budget // slots


@given(stakes, ppm, ppm, profiles, st.integers(0, QNET * 1000))
def test_reward_is_monotone_in_everything(stake, p, w, parameters, more):
    def pay(stake_wei: int, bond_wei: int, p_ppm: int, w_ppm: int) -> int:
        return reward(10**24, 100, stake_wei, bond_wei, p_ppm, w_ppm, parameters)

    base = pay(stake, stake, p, w)
    assert base <= pay(stake + more, stake, p, w)
    assert base <= pay(stake, stake + more, p, w)
    assert base <= pay(stake, stake, min(M, p + more % M), w)
    assert base <= pay(stake, stake, p, min(M, w + more % M))


@given(profiles, st.data())
def test_splitting_a_stake_below_z_never_profits(parameters, data):
    whole = data.draw(st.integers(2, parameters.stake_reference_wei))
    part = data.draw(st.integers(1, whole - 1))
    p, w = data.draw(ppm), data.draw(ppm)

    def pay(stake: int) -> int:
        return reward(10**24, 100, stake, stake, p, w, parameters)

    assert pay(part) + pay(whole - part) <= pay(whole)


terms = st.tuples(st.integers(0, 100 * QNET), st.integers(0, 2 * M))


@given(st.integers(0, 10**22), ppm, ppm, terms, stakes, st.integers(1, 10**24), profiles)
def test_split_equals_exact_fractions_and_loses_nothing(whole, p, w, own, bond, more, parameters):
    got = split(whole, p, w, *own, bond, bond + more, parameters)
    assert got == reference.split(whole, p, w, *own, bond, bond + more, parameters)
    assert sum(got) == whole
    assert min(got) >= 0
    assert got[0] >= whole * parameters.margin_min_ppm // M


def test_without_delegation_the_operator_gets_all():
    assert split(10**20, M, M, 0, 0, 10**21, 10**21, DEVNET) == (10**20, 0)
    assert split(0, M, M, 5, M, 0, 0, DEVNET) == (0, 0)


@given(profiles, st.data())
def test_splitting_a_node_with_delegation_never_profits_its_operator(parameters, data):
    """SplitNoProfit: two nodes of one operator, each with its part of bond and pool, below Z."""
    z = parameters.stake_reference_wei
    bond = data.draw(st.integers(2, z // 10))
    pool = data.draw(st.integers(0, z - bond))
    part = data.draw(st.integers(1, bond - 1))
    delegated = data.draw(st.integers(0, pool))
    p, w = data.draw(ppm), data.draw(ppm)

    def pay(bond_wei: int, pool_wei: int) -> int:
        return reward(10**24, 100, bond_wei + pool_wei, bond_wei, p, w, parameters)

    whole = pay(bond, pool)
    assert pay(part, delegated) + pay(bond - part, pool - delegated) <= whole


@settings(max_examples=200)
@given(networks(), st.data())
def test_work_equals_exact_fractions(network, data):
    nodes, state = network
    matched = data.draw(traffic(len(nodes)))
    work = measure_work(nodes, matched, state, DEVNET)
    credited, factor, n_hat, n_hat_mix = reference.work(nodes, matched, state, DEVNET)
    assert dict(work.credited) == credited
    assert dict(work.work_ppm) == factor
    assert (work.n_hat_cells, work.n_hat_packets) == (n_hat, n_hat_mix)


@given(networks(), st.data())
def test_more_traffic_never_lowers_a_credit(network, data):
    nodes, state = network
    matched = data.draw(traffic(len(nodes)))
    if not matched:
        return
    pair = data.draw(st.sampled_from(sorted(matched)))
    more = {**matched, pair: matched[pair] + data.draw(st.integers(1, 10**6))}
    before, after = (measure_work(nodes, cells, state, DEVNET) for cells in (matched, more))
    assert all(before.work_ppm[index] <= after.work_ppm[index] for index in before.work_ppm)


def test_a_colluding_pair_moves_n_hat_by_at_most_its_shares():
    nodes = small_network()
    state = NetworkState(epoch=0, n_hat_cells=100_000)
    honest: dict[Pair, int] = {(1, 2): 50_000, (2, 3): 50_000, (4, 5): 50_000, (5, 6): 50_000}
    base = measure_work(nodes, honest, state, DEVNET).n_hat_cells
    lying = measure_work(nodes, {**honest, (1, 5): 10**15}, state, DEVNET).n_hat_cells
    assert base == 100_000
    assert lying - base <= 100_000 * 3 // 2 // 2


def test_nodes_of_one_owner_do_not_credit_each_other():
    nodes = [view(1, Role.ENTRY), view(2, Role.RELAY, owner=b"\x01" * 20)]
    assert measure_work(nodes, {(1, 2): 50}, NetworkState(), DEVNET).credited == {1: 0, 2: 0}


# the plane of mixes: 1 entry, 2 relay, 3 exit, 4 to 7 mixes

N_MIX = 600_000
HONEST: dict[Pair, int] = {
    (1, 2): 100_000,
    (2, 3): 100_000,
    **{(1, mix): 50_000 for mix in (4, 5, 6, 7)},
    **{(3, mix): 50_000 for mix in (4, 5, 6, 7)},
    (4, 5): 100_000,
    (5, 6): 100_000,
    (6, 7): 100_000,
    (4, 7): 100_000,
}
"""Each mix carries 150,000 packets, a quarter of N̂_mix."""


def mixes_state(**changes: int) -> NetworkState:
    return NetworkState(
        **{"epoch": 0, "n_hat_cells": 100_000, "n_hat_packets": N_MIX, **changes}  # type: ignore[arg-type]
    )


def test_mixes_earn_what_passed_them():
    work = measure_work(mixed_network(), HONEST, mixes_state(), DEVNET)
    assert [work.credited[mix] for mix in (4, 5, 6, 7)] == [150_000] * 4
    assert [work.work_ppm[mix] for mix in (4, 5, 6, 7)] == [M] * 4
    assert work.n_hat_packets == N_MIX


def test_a_mix_that_drops_what_comes_gets_half():
    lossy = {pair: cells for pair, cells in HONEST.items() if pair not in {(6, 7), (3, 7), (1, 7)}}
    work = measure_work(
        mixed_network(), {**lossy, (1, 7): 150_000 - 100_000}, mixes_state(), DEVNET
    )
    assert work.credited[7] == 75_000
    assert work.work_ppm[7] < M


def test_packets_raise_no_credit_of_entries_and_exits():
    flooded = {**HONEST, (1, 4): 10**12, (3, 5): 10**12}
    before = measure_work(mixed_network(), HONEST, mixes_state(), DEVNET)
    after = measure_work(mixed_network(), flooded, mixes_state(), DEVNET)
    for index in (1, 2, 3):
        assert before.credited[index] == after.credited[index]
        assert before.work_ppm[index] == after.work_ppm[index]


@given(networks(), st.data())
def test_no_plane_moves_the_other(network, data):
    """Whatever is signed, and known, of one plane: credits, W and N̂ of the other stay."""
    nodes, state = network
    roles = {node.index: node.role for node in nodes}
    base, other = data.draw(traffic(len(nodes))), data.draw(traffic(len(nodes)))
    is_mix = {pair: Role.MIX in (roles[pair[0]], roles[pair[1]]) for pair in (*base, *other)}
    for mixes in (False, True):
        changed = {p: c for p, c in base.items() if is_mix[p] is not mixes}
        changed |= {p: c for p, c in other.items() if is_mix[p] is mixes}
        moved = {"n_hat_packets" if mixes else "n_hat_cells": data.draw(st.integers(0, 10**12))}
        one = measure_work(nodes, base, state, DEVNET)
        two = measure_work(nodes, changed, replace(state, **moved), DEVNET)
        for node in nodes:
            if node.takes_part and (node.role is Role.MIX) is not mixes:
                assert one.credited[node.index] == two.credited[node.index]
                assert one.work_ppm[node.index] == two.work_ppm[node.index]
        if mixes:
            assert one.n_hat_cells == two.n_hat_cells
        else:
            assert one.n_hat_packets == two.n_hat_packets


def test_colluding_mixes_move_n_hat_by_at_most_their_shares():
    lying = {**HONEST, (4, 5): 10**15}
    work = measure_work(mixed_network(), lying, mixes_state(), DEVNET)
    share = N_MIX * 3 // 2 // 4
    assert [work.credited[mix] for mix in (4, 5)] == [share, share]
    assert work.n_hat_packets - N_MIX <= 2 * share - 300_000
    assert max(work.work_ppm.values()) == M


def test_mixes_that_lie_for_ever_are_bounded():
    """QN-REW-034: N̂_mix tends to (1 - a) T / (1 - 1.5 a), a = 1/4."""
    volume = N_MIX
    honest = {pair: cells for pair, cells in HONEST.items() if 4 not in pair}
    honest |= {(1, 5): 100_000, (3, 6): 50_000, (3, 7): 100_000}
    base = measure_work(mixed_network(), honest, mixes_state(), DEVNET)
    rest = sum(base.credited[mix] for mix in (5, 6, 7))
    for _ in range(60):
        lying = {**honest, (1, 4): 10**15}
        work = measure_work(mixed_network(), lying, mixes_state(n_hat_packets=volume), DEVNET)
        volume = work.n_hat_packets
    assert volume <= rest * 8 // 5 + 1  # 1 / (1 - 1.5 / 4)


def test_mixes_of_one_owner_relays_and_strangers_do_not_credit_a_mix():
    own = (view(1, Role.MIX), view(2, Role.MIX, owner=b"\x01" * 20), view(3, Role.RELAY))
    idle = view(4, Role.MIX, state=NodeState.JAILED)
    matched = {(1, 2): 500, (1, 3): 500, (1, 4): 500, (1, 9): 500}
    work = measure_work((*own, idle), matched, NetworkState(), DEVNET)
    assert not any(work.credited.values())
    assert work.matched == {}


def test_the_floor_of_mixes_is_theirs():
    loops = 16 * 4 * DEVNET.slots_per_epoch * DEVNET.slot_s
    floor = 3 * DEVNET.traffic_floor_cells + loops
    below = measure_work(mixed_network(), {}, mixes_state(n_hat_packets=floor - 1), DEVNET)
    at = measure_work(mixed_network(), {}, mixes_state(n_hat_packets=floor), DEVNET)
    assert [below.work_ppm[mix] for mix in (4, 5, 6, 7)] == [M] * 4
    assert [at.work_ppm[mix] for mix in (4, 5, 6, 7)] == [0] * 4
    assert below.work_ppm[2] == at.work_ppm[2] == 0


def test_figures_of_the_mixnet_are_the_mixnets():
    assert MIX_LAYERS == LAYERS
    assert 4 * 4 * LOOPS.hz == LOOP_PASSAGES


def test_mixes_without_a_paid_slot_do_not_raise_the_floor():
    """Else many cheap ones would make W = 1 for everybody."""
    crowd = [view(index, Role.MIX, slot=False) for index in range(8, 250)]
    floor = 3 * DEVNET.traffic_floor_cells + 16 * 4 * DEVNET.slots_per_epoch * DEVNET.slot_s
    state = mixes_state(n_hat_packets=floor)
    work = measure_work((*mixed_network(), *crowd), {}, state, DEVNET)
    assert work.work_ppm[4] == 0


def test_a_heavy_mix_is_not_blamed_for_the_loops_of_others():
    """A quarter of the packets are loops, from all alike; the rest goes by weight."""
    light = [view(index, Role.MIX, 100 * QNET) for index in range(2, 12)]
    nodes = [view(1, Role.MIX, 10_000 * QNET), *light, view(12, Role.ENTRY)]
    seconds = DEVNET.slots_per_epoch * DEVNET.slot_s
    loops, share = 11 * seconds, 10_000 / 11_000
    everything = 16 * loops
    carried = int(share * (everything - 4 * loops) + 2 * seconds + 2 * share * loops)
    parameters = replace(DEVNET, traffic_floor_cells=0)
    state = mixes_state(n_hat_packets=everything)
    work = measure_work(nodes, {(1, 12): 2 * carried}, state, parameters)
    assert work.work_ppm[1] == M


@pytest.mark.parametrize("profile", ["main", "devnet"])
def test_a_full_house_earns_at_most_the_budget(profile):
    parameters = NetworkParameters.profile(profile)
    total = sum(
        role_slots(role, parameters)
        * reward(
            role_budget(parameters.emission_wei, role, parameters),
            role_slots(role, parameters),
            10**30,
            10**30,
            M,
            M,
            parameters,
        )
        for role in Role
    )
    assert total <= parameters.emission_wei
    assert total > parameters.emission_wei * 999 // 1000


def test_vectors():
    for case in json.loads((VECTORS / "reward.json").read_text())["cases"]:
        parameters = NetworkParameters.profile(case["profile"])
        numbers = {key: int(case[key]) for key in case if key not in {"profile", "reward_wei"}}
        assert reward(**numbers, parameters=parameters) == int(case["reward_wei"])


def test_split_vectors():
    for case in json.loads((VECTORS / "split.json").read_text())["cases"]:
        parameters = NetworkParameters.profile(case["profile"])
        names = ("reward_wei", "p_ppm", "w_ppm", "cost_wei", "margin_ppm", "bond_wei", "stake_wei")
        got = split(*(int(case[name]) for name in names), parameters)
        assert got == (int(case["operator_wei"]), int(case["pool_wei"]))


def test_work_vectors():
    for case in json.loads((VECTORS / "work.json").read_text())["cases"]:
        nodes = [
            view(index, Role[role], int(bond))
            for index, (role, bond) in enumerate(case["nodes"], start=1)
        ]
        records = {
            int(index): NodeRecord(rho_ppm=rho, history_ppm=tuple(history), kbps=kbps)
            for index, (rho, history, kbps) in case["records"].items()
        }
        state = NetworkState(
            epoch=0, n_hat_cells=case["n_hat"], n_hat_packets=case["n_hat_mix"], records=records
        )
        matched = {(a, b): cells for a, b, cells in case["matched"]}
        work = measure_work(nodes, matched, state, DEVNET)
        assert [work.credited[node.index] for node in nodes] == case["credited"]
        assert [work.work_ppm[node.index] for node in nodes] == case["w_ppm"]
        assert work.n_hat_cells == case["next_n_hat"]
        assert work.n_hat_packets == case["next_n_hat_mix"]
