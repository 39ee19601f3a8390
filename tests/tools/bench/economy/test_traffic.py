"""Users' circuits follow weights, keep guards and never meet one owner twice."""

from collections import Counter

import pytest

from qnet.messages.receipt import bucket_round
from tools.bench.economy.chance import seeded
from tools.bench.economy.traffic import Flow, Lane, Users

OWNERS = {index: bytes([index]) for index in range(1, 7)}
LANES = [Lane.of({1: 10, 2: 30}), Lane.of({3: 5, 4: 5}), Lane.of({5: 1, 6: 0})]


def circuits(users, epoch=0, owners=OWNERS, failing=None):
    return users.circuits(epoch, LANES, owners, failing or {})


def entries(paths):
    found = Counter()
    for (entry, _, _), times in paths.items():
        found[entry] += times
    return found


def test_loads_follow_weights():
    paths = circuits(Users(seeded(1), 4_000))
    assert sum(paths.values()) == 4_000
    assert entries(paths)[2] / 4_000 == pytest.approx(0.75, abs=0.01)
    assert {hops[2] for hops in paths} == {5}


def test_guards_stay_and_expire():
    users = Users(seeded(2), 500)
    first = entries(circuits(users))
    assert entries(circuits(users, 1))[1] == pytest.approx(first[1], abs=15)
    held = list(users._guards)
    circuits(users, 300)
    assert users._guards != held


def test_each_node_gets_its_part_and_less_than_one_more():
    lane = Lane.of({1: 7, 2: 2, 3: 1})
    for seed in range(20):
        drawn = Counter(lane.spread(10, seeded(seed)))
        assert sum(drawn.values()) == 10
        assert (drawn[1], drawn[2], drawn[3]) == pytest.approx((7, 2, 1), abs=1)
    assert lane.spread(10, seeded(1)) != sorted(lane.spread(10, seeded(1)))


def test_users_leave_a_guard_that_fails_too_often():
    users = Users(seeded(3), 500)
    circuits(users, failing={2: 0.3})
    assert 2 in users._guards
    circuits(users, 1, failing={2: 0.31})
    circuits(users, 2)
    assert entries(circuits(users, 3))[1] > 100


def test_no_path_holds_two_nodes_of_one_owner():
    owners = {**OWNERS, 3: OWNERS[1]}
    paths = circuits(Users(seeded(4), 500), owners=owners)
    assert not any({1, 3} <= set(hops) for hops in paths)
    assert sum(paths.values()) == 500


def test_no_path_is_better_than_a_path_through_one_owner():
    owners = dict.fromkeys(OWNERS, b"same")
    assert not circuits(Users(seeded(5), 50), owners=owners)


def test_a_flow_counts_every_hop_and_both_links():
    flow = Flow()
    flow.add((2, 4, 5), 1_000_003)
    assert flow.cells == {2: 1_000_003, 4: 1_000_003, 5: 1_000_003}
    rounded = bucket_round(1_000_003)
    assert flow.receipts() == {(2, 4): rounded, (4, 5): rounded}
    assert rounded < 1_000_003


def test_the_same_seed_gives_the_same_day():
    one, other = (circuits(Users(seeded(9), 300)) for _ in range(2))
    assert one == other
