"""The consensus follows from a proposal and the chain, byte for byte."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.directory import DirectoryInput, DirectoryView, assemble, serves_circuits
from ledger.domain.state import NetworkState, NodeRecord
from qnet.errors import DecodeError
from tests.ledger.domain.material import DEVNET, QNET
from tests.support.signed_network import NETWORK, PERIOD, NodeKeys, Role

NODES = [
    NodeKeys.make(index, role)
    for index, role in enumerate((Role.ENTRY, Role.RELAY, Role.EXIT, Role.RELAY), start=1)
]
VIEW = DirectoryView(
    block_number=9,
    block_hash=b"\x09" * 32,
    parameters=DEVNET,
    report_hash=bytes(32),
    min_version="0.1.0",
    registry={node.index: node.entry() for node in NODES},
    stakes_wei={node.index: 1000 * node.index * QNET for node in NODES},
)
PROPOSAL = DirectoryInput(
    PERIOD,
    9,
    b"\x09" * 32,
    tuple(node.descriptor().encode() for node in NODES),
    (1, 2, 3, 4),
)


def build(proposal=PROPOSAL, view=VIEW, state=None):
    return assemble(proposal, view, state or NetworkState(), network=NETWORK, epoch=5)


def test_order_of_descriptors_does_not_matter():
    turned = replace(PROPOSAL, descriptors=PROPOSAL.descriptors[::-1])
    assert build().payload == build(turned).payload
    assert DirectoryInput.decode(PROPOSAL.encode()) == PROPOSAL


def test_weights_follow_stake_reputation_and_measured_speed():
    weights = {node.index: node.weight for node in build().nodes}
    assert weights[2] * 2 == pytest.approx(weights[4], abs=2)
    known = NodeRecord(rho_ppm=10**6, history_ppm=(10**6,), kbps=DEVNET.capacity_reference_kbps)
    after = build(state=NetworkState(epoch=1, records={2: known}))
    assert after.by_index[2].weight == 10**9 // 5
    assert after.by_index[2].bandwidth_kbps == DEVNET.capacity_reference_kbps


def test_unreachable_and_inactive_nodes_are_left_out():
    assert [n.index for n in build(replace(PROPOSAL, reachable=(1, 2, 3))).nodes] == [1, 2, 3]
    jailed = {**VIEW.registry, 2: NODES[1].entry(active=False)}
    assert [n.index for n in build(view=replace(VIEW, registry=jailed)).nodes] == [1, 3, 4]
    assert VIEW.active == {1, 2, 3, 4}


def test_circuits_need_every_position():
    assert serves_circuits(build())
    assert not serves_circuits(build(replace(PROPOSAL, reachable=(1, 2, 4))))
    assert not serves_circuits(build(replace(PROPOSAL, reachable=(1, 3))))


@given(st.binary(max_size=200))
def test_garbage_is_a_decode_error(data):
    with pytest.raises(DecodeError):
        DirectoryInput.decode(data)


def test_descriptors_must_be_bytes():
    bad = replace(PROPOSAL, descriptors=("text",))  # type: ignore[arg-type]
    with pytest.raises(DecodeError):
        DirectoryInput.decode(bad.encode())
