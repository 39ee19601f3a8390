"""The report: deterministic, whole, and bound to its data."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.blob import MAX_BLOB_BYTES, EpochData
from ledger.domain.report import recompute
from ledger.domain.state import NetworkState, NodeState
from ledger.errors import BadDataError
from qnet import cbor
from qnet.crypto.keys import keccak256
from qnet.errors import DecodeError
from qnet.merkle import verify
from qnet.messages.receipt import Side
from qnet.messages.report import NO_REPORT, unpack_slot_p
from tests.ledger.domain.material import (
    CHAIN_ID,
    DEVNET,
    DOMAIN,
    ORACLE,
    QNET,
    both_sides,
    epoch_data,
    mixed_network,
    reveal,
    signed,
    small_network,
)

GOOD = dict.fromkeys(range(1, 7), (4, 4))


def full_reveals(epoch: int) -> list:
    return [
        reveal(epoch, slot, auditor, GOOD)
        for slot in range(DEVNET.slots_per_epoch)
        for auditor in range(4)
    ]


def some_receipts(epoch: int) -> list:
    pairs = ((1, 2, 900), (2, 3, 900), (4, 5, 300), (5, 6, 300), (3, 2, 4000), (2, 1, 4000))
    return [item for a, b, cells in pairs for item in both_sides(epoch, 1, a, b, cells)]


def test_a_perfect_epoch_pays_every_node_its_formula():
    result = recompute(epoch_data(some_receipts(3), full_reveals(3)).encode())
    assert [leaf.node for leaf in result.leaves] == [1, 2, 3, 4, 5, 6]
    assert all(unpack_slot_p(leaf.slot_p, 6) == (1000,) * 6 for leaf in result.leaves)
    sigma = 100_000
    pay = DEVNET.emission_wei // 4 * sigma * (10**12 + 300_000 * sigma)
    assert result.leaves[0].reward_wei == pay // (8 * 10**6 * 1_300_000 * 10**6)
    assert result.report.total_reward_wei == sum(leaf.reward_wei for leaf in result.leaves)
    assert result.report.total_reward_wei <= DEVNET.emission_wei
    assert result.after.records[1].kbps == (1 << 20) * 8000 // 400_001


def test_every_leaf_has_a_proof():
    result = recompute(epoch_data(some_receipts(3), full_reveals(3)).encode())
    for leaf in result.leaves:
        proof = result.proof(leaf.node)
        assert verify(result.report.nodes_root, leaf.hash(CHAIN_ID, ORACLE), proof)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)), st.permutations(range(24)))
def test_order_and_repetition_of_the_input_do_not_matter(order, audits):
    receipts, reveals = some_receipts(3), full_reveals(3)
    first = epoch_data(receipts, reveals).encode()
    second = epoch_data(
        [receipts[place] for place in order] + receipts[:3], [reveals[place] for place in audits]
    ).encode()
    assert first == second
    assert recompute(first).report == recompute(second).report
    assert EpochData.decode(first).encode() == first


def test_two_epochs_in_a_row_accumulate():
    first = recompute(epoch_data(some_receipts(3), full_reveals(3)).encode())
    data = epoch_data(some_receipts(4), full_reveals(4), epoch=4, before=first.after)
    second = recompute(data.encode())
    assert second.report.previous_hash == first.digest
    assert second.leaves[0].cum_operator_wei == sum(
        result.leaves[0].reward_wei for result in (first, second)
    )
    assert second.after.records[1].history_ppm == (10**6, 10**6)


def test_one_sided_differing_and_doubled_receipts_earn_nothing():
    epoch = 3
    receipts = [
        signed(epoch, 0, 1, 2, Side.SENDER, 500),
        *both_sides(epoch, 1, 1, 2, 600),
        signed(epoch, 1, 1, 2, Side.SENDER, 5000),
        signed(epoch, 2, 1, 2, Side.SENDER, 1000),
        signed(epoch, 2, 1, 2, Side.RECEIVER, 2000),
        *both_sides(epoch, 3, 1, 2, 320),
    ]
    assert recompute(epoch_data(receipts, []).encode()).matched == {(1, 2): 320}


def delegated_network():
    """Everybody has delegation; node 1 takes a cost and a margin of a half."""
    nodes = [
        replace(node, pool_start_wei=20_000 * QNET, pool_end_wei=3000 * QNET)
        for node in small_network()
    ]
    nodes[0] = replace(nodes[0], cost_wei=QNET, margin_ppm=500_000)
    return tuple(nodes)


def test_delegation_counts_and_shares_the_reward():
    nodes = delegated_network()
    result = recompute(epoch_data(some_receipts(3), full_reveals(3), nodes=nodes).encode())
    first, second = result.leaves[:2]
    assert (first.bond_wei, first.stake_wei) == (1000 * QNET, 4000 * QNET)
    plain = recompute(epoch_data(some_receipts(3), full_reveals(3)).encode()).leaves[0]
    assert first.reward_wei // 4 == plain.reward_wei
    after_cost = first.reward_wei - QNET
    rest = after_cost - after_cost // 2
    assert first.cum_operator_wei == QNET + after_cost // 2 + rest // 4
    assert first.cum_operator_wei + first.cum_pool_wei == first.reward_wei
    least = second.reward_wei * DEVNET.margin_min_ppm // 10**6
    assert second.cum_operator_wei == least + (second.reward_wei - least) // 4


def test_links_and_probes_have_leaves_and_proofs():
    result = recompute(epoch_data(some_receipts(3), full_reveals(3)).encode())
    assert [(leaf.node_from, leaf.node_to) for leaf in result.links] == [
        (1, 2), (2, 1), (2, 3), (3, 2), (4, 5), (5, 6),
    ]  # fmt: skip
    for place, link in enumerate(result.links):
        proof = result.link_proof(place)
        assert verify(result.report.evidence_root, link.hash(CHAIN_ID, ORACLE), proof)
    assert len(result.probes) == DEVNET.slots_per_epoch * 6
    for place, probe in enumerate(result.probes):
        proof = result.probe_proof(place)
        assert verify(result.report.audit_root, probe.hash(CHAIN_ID, ORACLE), proof)


def test_links_that_cannot_earn_have_no_leaf():
    receipts = both_sides(3, 0, 1, 3, 500) + both_sides(3, 0, 1, 2, 500)
    nodes = (replace(small_network()[0], state=NodeState.JAILED), *small_network()[1:])
    assert len(recompute(epoch_data(receipts, []).encode()).links) == 1
    assert recompute(epoch_data(receipts, [], nodes=nodes).encode()).links == ()


def test_another_attempt_is_another_report():
    one, two = (
        recompute(epoch_data(some_receipts(3), [], attempt=n).encode()).report for n in (0, 1)
    )
    assert (one.attempt, two.attempt) == (0, 1)
    assert one.nodes_root == two.nodes_root
    assert one.digest(DOMAIN) != two.digest(DOMAIN)


def test_slot_0_is_carried_only_from_a_node_that_took_part():
    lost = [
        reveal(3, DEVNET.slots_per_epoch - 1, auditor, dict.fromkeys(range(1, 7), (4, 2)))
        for auditor in range(4)
    ]
    out = (replace(small_network()[0], state=NodeState.JAILED), *small_network()[1:])
    for nodes, carried in ((None, 500), (out, 900)):
        before = recompute(epoch_data([], lost, nodes=nodes).encode()).after
        after = recompute(epoch_data([], [], epoch=4, before=before).encode())
        assert unpack_slot_p(after.leaves[0].slot_p, 6) == (carried,) * 6
        assert unpack_slot_p(after.leaves[1].slot_p, 6) == (500,) * 6


def test_a_node_that_registered_during_the_epoch_waits():
    nodes = list(small_network())
    nodes[5] = replace(
        nodes[5], state=NodeState.NONE, receipt_key=bytes(20), bond_start_wei=0, slot=False
    )
    result = recompute(epoch_data(some_receipts(3), full_reveals(3), nodes=tuple(nodes)).encode())
    leaf = result.leaves[5]
    assert (leaf.slot_p, leaf.w_ppm, leaf.reward_wei) == (0, 0, 0)
    assert leaf.rho_ppm == DEVNET.reputation_start_ppm
    assert result.matched.get((5, 6)) is None


def mix_receipts(epoch: int) -> list:
    """Traffic of both planes in `mixed_network`."""
    links = ((1, 2, 900), (2, 3, 900), (1, 4, 700), (4, 5, 700), (5, 6, 700), (6, 3, 400))
    return [item for a, b, cells in links for item in both_sides(epoch, 1, a, b, cells)]


def test_mixes_are_credited_and_their_links_have_no_leaf():
    """The court takes a leaf of any pair but those of circuits for a lie (QN-DSP-011)."""
    before = NetworkState(epoch=2, n_hat_cells=3000, n_hat_packets=9000)
    data = epoch_data(mix_receipts(3), [], nodes=mixed_network(), before=before)
    result = recompute(data.encode())
    assert (1, 4) in result.matched
    assert {(leaf.node_from, leaf.node_to) for leaf in result.links} == {(1, 2), (2, 3)}
    w = {leaf.node: leaf.w_ppm for leaf in result.leaves}
    assert 0 < w[4] < 10**6
    assert w[7] == 0
    assert result.after.n_hat_packets == 672 + 672 + (672 + 400) // 2
    assert result.after.n_hat_cells == 896


def test_nothing_of_the_mixes_is_lost_between_blobs():
    data = epoch_data(
        [], [], nodes=mixed_network(), before=NetworkState(epoch=2, n_hat_packets=9001)
    )
    assert EpochData.decode(data.encode()).before.n_hat_packets == 9001
    value = cbor.loads(data.encode(), max_bytes=MAX_BLOB_BYTES)
    for changed in (value | {"v": 2}, value | {"state": {**value["state"], "n_hat_mix": b""}}):
        with pytest.raises(DecodeError):
            EpochData.decode(cbor.dumps(changed))
    del value["state"]["n_hat_mix"]
    with pytest.raises(DecodeError):
        EpochData.decode(cbor.dumps(value))


def test_results_about_nobody_have_no_leaf():
    odd = [reveal(3, 0, auditor, {1: (4, 4), 7: (4, 4)}) for auditor in range(4)]
    result = recompute(epoch_data([], odd).encode())
    assert {leaf.target for leaf in result.probes} == {1}


def test_without_audits_p_is_carried_at_ninety_percent():
    result = recompute(epoch_data([], []).encode())
    assert unpack_slot_p(result.leaves[0].slot_p, 6) == (900,) * 6
    assert result.report.evidence_root == result.report.audit_root == NO_REPORT


def test_a_forged_reveal_counts_for_nothing():
    forged = [replace(item, auditor=(item.auditor + 1) % 4) for item in full_reveals(3)]
    assert recompute(epoch_data([], forged).encode()).audits == ()


def test_a_jailed_node_earns_nothing_and_keeps_its_leaf():
    nodes = (replace(small_network()[0], state=NodeState.JAILED), *small_network()[1:])
    result = recompute(epoch_data(some_receipts(3), full_reveals(3), nodes=nodes).encode())
    assert result.leaves[0].reward_wei == result.leaves[0].slot_p == result.leaves[0].w_ppm == 0
    assert result.leaves[0].rho_ppm <= DEVNET.reputation_start_ppm


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": DEVNET.with_value("alpha_ppm", 1)},
        {"beacons": (bytes(32),) * 6},
    ],
)
def test_contradictions_are_refused(change):
    with pytest.raises(BadDataError):
        recompute(replace(epoch_data([], []), **change).encode())


def test_more_contradictions_are_refused():
    data = epoch_data([], [])
    chain = (*data.beacons[:-2], bytes(32), data.beacons[-1])
    later = NetworkState(epoch=3, report_hash=bytes(32))
    for change in (
        {"beacons": chain},
        {"before": later},
        {"before": NetworkState(epoch=1, report_hash=b"\x01" * 32)},
        {"snapshot": replace(data.snapshot, nodes=())},
    ):
        with pytest.raises(BadDataError):
            recompute(replace(data, **change).encode())


def test_reveals_of_other_epochs_and_strangers_count_for_nothing():
    odd = [reveal(4, 0, 0, GOOD), replace(reveal(3, 0, 1, GOOD), auditor=9)]
    assert recompute(epoch_data([], odd).encode()).audits == ()


def test_a_node_without_stake_or_slot_earns_nothing():
    nodes = list(small_network())
    nodes[0] = replace(nodes[0], bond_end_wei=0)
    nodes[1] = replace(nodes[1], slot=False)
    result = recompute(epoch_data(some_receipts(3), full_reveals(3), nodes=tuple(nodes)).encode())
    assert [leaf.reward_wei > 0 for leaf in result.leaves] == [False, False, True, True, True, True]
    assert result.leaves[1].w_ppm == 10**6
    assert result.after.records[1].rho_ppm == DEVNET.reputation_start_ppm


def mutate(change) -> bytes:
    value = cbor.loads(
        epoch_data(some_receipts(3), full_reveals(3)[:2]).encode(), max_bytes=1 << 20
    )
    change(value)
    return cbor.dumps(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["nodes"].reverse(),
        lambda v: v["nodes"][0].pop(),
        lambda v: v["nodes"][0].__setitem__(1, b"short"),
        lambda v: v["nodes"].__setitem__(0, [True, *v["nodes"][0][1:]]),
        lambda v: v["receipts"].reverse(),
        lambda v: v["receipts"].__setitem__(0, b"short"),
        lambda v: v["state"]["records"].append([1, 2]),
        lambda v: v["state"]["records"].extend([[1, 0, 0, [], 0, bytes(32), bytes(32)]] * 2),
        lambda v: v["state"]["records"].append([1, 0, 0, [0] * 8, 0, bytes(32), bytes(32)]),
        lambda v: v["state"]["records"].append([1, 10**6 + 1, 0, [], 0, bytes(32), bytes(32)]),
        lambda v: v["nodes"][0].__setitem__(11, 1 << 32),
        lambda v: v["nodes"][0].__setitem__(8, 7),
        lambda v: v.__setitem__("v", 1),
        lambda v: v.__setitem__("attempt", -1),
        lambda v: v.__setitem__("budget", 7),
    ],
)
def test_malformed_blobs_are_decode_errors(change):
    with pytest.raises(DecodeError):
        EpochData.decode(mutate(change))


def test_a_blob_must_be_a_map():
    with pytest.raises(DecodeError):
        EpochData.decode(cbor.dumps([1]))


def test_a_blob_has_room_for_every_seat_of_the_committee():
    data = epoch_data(some_receipts(3)[:2], [])
    for seats, fits in ((256, True), (257, False)):
        members = tuple(place.to_bytes(20, "big") for place in range(1, seats + 1))
        blob = replace(data, snapshot=replace(data.snapshot, members=members)).encode()
        if fits:
            assert EpochData.decode(blob).snapshot.members == members
        else:
            with pytest.raises(DecodeError):
                EpochData.decode(blob)


def test_the_data_hash_is_the_blob():
    blob = epoch_data(some_receipts(3), []).encode()
    assert recompute(blob).report.data_hash == keccak256(blob)


@given(st.binary(max_size=300))
def test_garbage_is_a_decode_error(data):
    with pytest.raises(DecodeError):
        EpochData.decode(data)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_flipped_byte_never_crashes(data):
    blob = bytearray(epoch_data(some_receipts(3)[:2], full_reveals(3)[:1]).encode())
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    try:
        recompute(bytes(blob))
    except (DecodeError, BadDataError):
        return
