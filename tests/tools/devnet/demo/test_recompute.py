"""The demo's own reckoning against the committee's, on generated epochs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.report import recompute as committee_recompute
from ledger.domain.state import NodeState
from qnet.messages.receipt import Side
from tests.ledger.domain.material import (
    CHAIN_ID,
    DEVNET,
    ORACLE,
    QNET,
    both_sides,
    epoch_data,
    mixed_network,
    reveal,
    signed,
    small_network,
    view,
)
from tools.devnet.demo.evidence import Verifier, read_evidence, report_signers
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.recompute import Memory, bucket_number, buckets_between, recompute

CONTRACTS = SimpleNamespace(
    client=SimpleNamespace(chain_id=CHAIN_ID), oracle=SimpleNamespace(address=ORACLE)
)
ROLES = [node.role for node in small_network()]
MIXED = [node.role for node in mixed_network()[:6]]
links = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(0, 40_000), st.booleans()).filter(
        lambda link: link[0] != link[1]
    ),
    max_size=8,
)
probes = st.dictionaries(
    st.integers(1, 6), st.tuples(st.just(4), st.integers(0, 4)), min_size=1, max_size=6
)
reveals = st.dictionaries(st.tuples(st.integers(0, 5), st.integers(0, 3)), probes, max_size=10)
amount = st.integers(0, 15_000 * QNET)
stakes = st.fixed_dictionaries(
    {
        "bond_start_wei": amount,
        "bond_end_wei": amount,
        "pool_start_wei": st.just(0) | amount,
        "pool_end_wei": st.just(0) | amount,
        "cost_wei": st.integers(0, 60 * QNET),
        "margin_ppm": st.integers(0, 10**6),
        "state": st.sampled_from([NodeState.ACTIVE] * 6 + list(NodeState)[1:]),
        "slot": st.sampled_from([True, True, True, False]),
    }
)
networks = st.lists(stakes, min_size=6, max_size=6)


def build(epoch, network, link_list, reveal_map, before, roles=ROLES, parameters=DEVNET):
    nodes = tuple(
        view(index, role, **stake)
        for index, (role, stake) in enumerate(zip(roles, network, strict=True), start=1)
    )
    receipts = []
    for a, b, cells, complete in link_list:
        one = [signed(epoch, 1, a, b, Side.SENDER, cells)]
        receipts += both_sides(epoch, 1, a, b, cells) if complete else one
    shown = [reveal(epoch, slot, who, found) for (slot, who), found in reveal_map.items()]
    return epoch_data(
        receipts, shown, epoch=epoch, before=before, nodes=nodes, parameters=parameters
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(networks, links, reveals), min_size=2, max_size=3),
    st.sampled_from([ROLES, MIXED]),
)
def test_every_wei_agrees_over_several_epochs(epochs, roles):
    parameters = replace(DEVNET, weight_mix_ppm=100_000, traffic_floor_cells=100)
    before, memory = None, Memory()
    sums = dict.fromkeys(range(1, 7), (0, 0))
    for number, (network, link_list, reveal_map) in enumerate(epochs, start=3):
        blob = build(number, network, link_list, reveal_map, before, roles, parameters).encode()
        theirs = committee_recompute(blob)
        evidence, _ = read_evidence(blob, CONTRACTS)
        ours = recompute(evidence.facts, memory)
        assert {leaf.node: leaf.reward_wei for leaf in theirs.leaves} == {
            index: outcome.reward for index, outcome in ours.items()
        }
        sums = {
            index: (operator + ours[index].operator, pool + ours[index].pool)
            for index, (operator, pool) in sums.items()
        }
        assert sums == {
            leaf.node: (leaf.cum_operator_wei, leaf.cum_pool_wei) for leaf in theirs.leaves
        }
        assert memory.n_hat == theirs.after.n_hat_cells
        assert memory.n_hat_mix == theirs.after.n_hat_packets
        before = theirs.after


def test_forged_receipts_count_for_nothing():
    good = both_sides(3, 1, 1, 2, 900)
    forged = [
        signed(3, 1, 2, 3, Side.SENDER, 900),
        type(good[0])(signed(3, 1, 2, 3, Side.RECEIVER, 900).receipt, good[0].signature),
    ]
    blob = epoch_data([*good, *forged], []).encode()
    evidence, _ = read_evidence(blob, CONTRACTS)
    assert (evidence.receipts, evidence.both) == (3, 1)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_bucket_numbers_rise_with_counts(a, b):
    assert (bucket_number(a) <= bucket_number(b)) or a > b
    assert buckets_between(a, a) == 0


def test_report_signatures_are_recovered_independently():
    from tests.ledger.domain.material import DOMAIN, MEMBERS, SIGNERS

    result = committee_recompute(epoch_data([], []).encode())
    digest = result.report.digest(DOMAIN)
    joined = b"".join(MEMBERS[index].sign(digest) for index in (0, 2, 3))
    document = {"report": result.report.to_json(), "bitmap": 0b1101, "signatures": joined.hex()}
    verifier = Verifier(CHAIN_ID, ORACLE)
    assert report_signers(document, SIGNERS, verifier) == {0, 2, 3}
    with pytest.raises(CheckFailedError):
        report_signers({**document, "bitmap": 0b0111}, SIGNERS, verifier)
