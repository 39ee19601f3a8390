from dataclasses import replace

import pytest

from qnet.crypto.keys import SigningKey
from qnet.errors import LocalProtocolError
from qnet.messages.assembly import RegistryEntry, build_consensus, check_descriptor
from qnet.messages.consensus import FLAG_MEASURED, FLAG_PAID, Consensus, decode_payload
from qnet.messages.descriptor import Role, SignedDescriptor
from qnet.messages.errors import DescriptorRefusedError
from qnet.parameters import NetworkParameters
from tests.support.signed_network import NETWORK, PARAMETERS, PERIOD, ROLES, NodeKeys

NODES = tuple(NodeKeys.make(index, role) for index, role in enumerate(ROLES, start=1))
REGISTRY = {node.index: node.entry() for node in NODES}
INTERVAL = PARAMETERS.consensus_interval_s


def build(descriptors: list[SignedDescriptor], **changes: object) -> Consensus:
    arguments: dict[str, object] = {
        "registry": REGISTRY,
        "measured_kbps": {1: 70_000},
        "parameters": PARAMETERS,
        "network": NETWORK,
        "epoch": 3,
        "weights": {node.index: 10 * node.index for node in NODES},
        "reachable": {node.index for node in NODES},
        "min_version": "0.1.0",
        **changes,
    }
    return build_consensus(PERIOD, descriptors, **arguments)


DESCRIPTORS = [node.descriptor() for node in NODES]


def test_built_consensus_is_accepted_by_its_decoder() -> None:
    consensus = build(DESCRIPTORS)
    assert decode_payload(consensus.payload) == consensus
    assert [node.index for node in consensus.nodes] == list(range(1, 9))


def counting(*clients: int) -> list[SignedDescriptor]:
    """Descriptors of all nodes; those of the entries with these counts."""
    counts = iter(clients)
    return [
        node.descriptor(clients=next(counts)) if node.role is Role.ENTRY else node.descriptor()
        for node in NODES
    ]


def test_users_are_the_entries_links_by_two_guards() -> None:
    assert build(counting(1500, 401, 98)).users == 999
    assert build(counting(1500, 401, 98)[::-1]).users == 999
    assert build(counting(5, -3, -2)).users == 0
    assert build(counting(-4, -3, -2)).users == 0


def test_only_listed_entries_count() -> None:
    assert build(counting(1500, 400, 100), reachable={1, 2, 3}).users == 750
    older = NODES[0].descriptor(published=PERIOD - 12, clients=9000)
    newer = NODES[0].descriptor(published=PERIOD - 11, clients=10)
    assert build([older, newer]).users == 5


def test_only_entries_count_clients() -> None:
    lying = NODES[1].descriptor(clients=1)
    assert refusal(lying, REGISTRY[2]) == "only entries count clients"
    assert build([lying]).nodes == ()


def test_order_of_descriptors_does_not_matter() -> None:
    assert build(DESCRIPTORS).payload == build(DESCRIPTORS[::-1]).payload


def test_measured_rates_replace_claims() -> None:
    first, second = build(DESCRIPTORS).nodes[:2]
    assert (first.bandwidth_kbps, first.flags) == (70_000, FLAG_PAID | FLAG_MEASURED)
    assert (second.bandwidth_kbps, second.flags) == (50_000, FLAG_PAID)
    unpaid = {**REGISTRY, 1: NODES[0].entry(paid_slot=False)}
    assert build(DESCRIPTORS, registry=unpaid).nodes[0].flags == FLAG_MEASURED


def test_weights_are_taken_over_and_clipped() -> None:
    consensus = build(DESCRIPTORS, weights={1: 1 << 40})
    assert consensus.nodes[0].weight == (1 << 32) - 1
    assert consensus.nodes[1].weight == 0


def test_unreachable_nodes_are_left_out() -> None:
    consensus = build(DESCRIPTORS, reachable={2, 3})
    assert [node.index for node in consensus.nodes] == [2, 3]


def test_bad_descriptors_are_left_out_alone() -> None:
    jailed = {**REGISTRY, 4: NODES[3].entry(active=False)}
    consensus = build(DESCRIPTORS, registry=jailed)
    assert [node.index for node in consensus.nodes] == [1, 2, 3, 5, 6, 7, 8]


def test_the_last_published_counts_in_any_order() -> None:
    older = NODES[0].descriptor(published=PERIOD - 12)
    newer = NODES[0].descriptor(published=PERIOD - 11)
    for pair in ([older, newer], [newer, older]):
        listed = build(pair).nodes[0]
        assert listed.phase_keys == newer.descriptor.phase_keys


def test_equal_times_are_settled_by_digest() -> None:
    twins = [NODES[0].descriptor(), NODES[0].descriptor()]
    expected = min(twins, key=lambda signed: signed.digest).descriptor.phase_keys
    for pair in (twins, twins[::-1]):
        assert build(pair).nodes[0].phase_keys == expected


def test_a_descriptor_of_the_period_before_serves_if_its_phases_suffice() -> None:
    early = NODES[0].descriptor(period=PERIOD - INTERVAL, published=PERIOD - INTERVAL)
    longer = replace(
        early.descriptor,
        phase_keys=early.descriptor.phase_keys
        + tuple(bytes([i]) * 32 for i in range(INTERVAL // PARAMETERS.key_phase_s)),
    ).sign(NODES[0].online)
    assert build([early]).nodes == ()
    listed = build([longer]).nodes[0]
    assert listed.first_phase == DESCRIPTORS[0].descriptor.first_phase
    assert len(listed.phase_keys) == len(DESCRIPTORS[0].descriptor.phase_keys)


def test_only_the_start_of_a_period_is_built() -> None:
    with pytest.raises(LocalProtocolError):
        build_consensus(
            PERIOD + 1,
            [],
            {},
            {},
            PARAMETERS,
            network=NETWORK,
            epoch=0,
            weights={},
            reachable=(),
            min_version="0.1.0",
        )


def test_more_nodes_than_fit_are_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnet.messages.assembly.MAX_NODES", 7)
    with pytest.raises(LocalProtocolError, match="8 nodes exceed 7"):
        build(DESCRIPTORS)


def refusal(
    signed: SignedDescriptor,
    entry: RegistryEntry | None = REGISTRY[1],
    *,
    parameters: NetworkParameters = PARAMETERS,
) -> str:
    with pytest.raises(DescriptorRefusedError) as caught:
        check_descriptor(signed, entry, network=NETWORK, period=PERIOD, parameters=parameters)
    assert caught.value.index == signed.descriptor.index
    return caught.value.rule


def test_a_good_descriptor_is_admitted() -> None:
    check_descriptor(
        DESCRIPTORS[0], REGISTRY[1], network=NETWORK, period=PERIOD, parameters=PARAMETERS
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"active": False}, "not bonded"),
        ({"identity": SigningKey(b"\1" * 32).public}, "identity key"),
        ({"node_id": b"\0" * 32}, "identity key"),
        ({"owner": b"\0" * 20}, "owner"),
        ({"role": Role.MIX}, "role"),
        ({"receipt_address": b"\0" * 20}, "receipt key"),
    ],
)
def test_registry_rules(change: dict[str, object], words: str) -> None:
    assert words in refusal(DESCRIPTORS[0], NODES[0].entry(**change))


def test_unregistered_and_foreign_descriptors() -> None:
    assert "not registered" in refusal(DESCRIPTORS[0], None)
    foreign = replace(NETWORK, registry=b"\0" * 20)
    with pytest.raises(DescriptorRefusedError, match="node 1"):
        check_descriptor(
            DESCRIPTORS[0], REGISTRY[1], network=foreign, period=PERIOD, parameters=PARAMETERS
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ciphers": (2,)}, "mandatory cipher"),
        ({"policy": "accept *:*"}, "only exits"),
        ({"published": PERIOD - 2 * INTERVAL - 1}, "too long ago"),
        ({"published": PERIOD + INTERVAL // 12 + 1}, "in the future"),
        ({"online_until": PERIOD + 2 * INTERVAL - 1}, "online key"),
        ({"ticket_until": PERIOD + 2 * INTERVAL - 1}, "ticket key"),
        ({"period": PERIOD + INTERVAL}, "phase keys"),
        ({"period": PERIOD - INTERVAL}, "phase keys"),
    ],
)
def test_rules_of_content_and_time(change: dict[str, object], words: str) -> None:
    assert words in refusal(NODES[0].descriptor(**change))
