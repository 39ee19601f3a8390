"""Building a consensus: a pure function of descriptors, registry and measurements.

Every member computes it alone; equal inputs give equal bytes.

Source: docs/spec/directory.md, sections Admission and Consensus.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from qnet.crypto.kdf import node_id_of
from qnet.epochs import consensus_phases
from qnet.errors import LocalProtocolError
from qnet.messages.consensus import FLAG_MEASURED, FLAG_PAID, MAX_NODES, Consensus, ConsensusNode
from qnet.messages.descriptor import (
    CIPHER_CHACHA20_POLY1305,
    PHASE_MODULUS,
    Descriptor,
    Role,
    SignedDescriptor,
)
from qnet.messages.errors import DescriptorRefusedError
from qnet.messages.fields import U32_MAX
from qnet.messages.freshness import SKEW_DIVISOR
from qnet.parameters import NetworkParameters

DESCRIPTOR_INTERVALS: Final = 2
"""A descriptor published longer before a period than this many intervals is not listed."""
LINKS_PER_CLIENT: Final = 2
"""A client uses two guards, so it is counted at two entries."""


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """What the chain says about a node.

    Args:
        index: registry index.
        node_id: 32 bytes.
        identity: Ed25519 key, 32 bytes.
        owner: operator's address, 20 bytes.
        role: role paid for.
        active: bonded, neither jailed nor retired.
        receipt_address: receipt key in force at the period's epoch, 20 bytes.
        paid_slot: holds one of the paid slots of its role.
    """

    index: int
    node_id: bytes
    identity: bytes
    owner: bytes
    role: Role
    active: bool
    receipt_address: bytes
    paid_slot: bool


@dataclass(frozen=True, slots=True)
class Network:
    """What stays the same from one consensus to the next.

    Args:
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
        registry: NodeRegistry contract, 20 bytes.
    """

    chain_id: int
    committee: bytes
    registry: bytes


def check_descriptor(
    signed: SignedDescriptor,
    entry: RegistryEntry | None,
    *,
    network: Network,
    period: int,
    parameters: NetworkParameters,
) -> None:
    """Refuse a descriptor that may not be listed in the consensus of `period`.

    Args:
        signed: descriptor whose signatures hold.
        entry: the registry's entry of its index, None if there is none.
        network: chain and contracts.
        period: valid_after of the consensus, unix seconds.
        parameters: the network's parameters.

    Raises:
        DescriptorRefusedError: with the rule broken.
    """
    descriptor = signed.descriptor
    rule = _registry_rule(descriptor, entry, network) or _time_rule(descriptor, period, parameters)
    if rule:
        raise DescriptorRefusedError(descriptor.index, rule)


def _registry_rule(
    descriptor: Descriptor, entry: RegistryEntry | None, network: Network
) -> str | None:
    if (descriptor.chain_id, descriptor.registry) != (network.chain_id, network.registry):
        return "it names another chain or registry"
    if entry is None:
        return "its index is not registered"
    rules = (
        (entry.active, "its node is not bonded, or jailed or retired"),
        (
            entry.identity == descriptor.identity
            and entry.node_id == node_id_of(descriptor.identity),
            "its identity key is not the registered one",
        ),
        (entry.owner == descriptor.owner, "its owner is not the registered one"),
        (entry.role is descriptor.role, "its role is not the registered one"),
        (
            entry.receipt_address == descriptor.receipt_address,
            "its receipt key is not the one in force",
        ),
        (CIPHER_CHACHA20_POLY1305 in descriptor.ciphers, "it lacks the mandatory cipher"),
        (
            descriptor.role is Role.EXIT or not descriptor.policy,
            "only exits have an exit policy",
        ),
        (
            descriptor.role is Role.ENTRY or not descriptor.clients,
            "only entries count clients",
        ),
    )
    return next((rule for holds, rule in rules if not holds), None)


def _time_rule(descriptor: Descriptor, period: int, parameters: NetworkParameters) -> str | None:
    interval = parameters.consensus_interval_s
    first, count = consensus_phases(period, interval, parameters.key_phase_s)
    rules = (
        (
            descriptor.published >= period - DESCRIPTOR_INTERVALS * interval,
            "it was published too long ago",
        ),
        (
            descriptor.published <= period + interval // SKEW_DIVISOR,
            "it was published in the future",
        ),
        (
            descriptor.online_until >= period + DESCRIPTOR_INTERVALS * interval,
            "its online key ends before the consensus does",
        ),
        (
            descriptor.tickets[0].until >= period + DESCRIPTOR_INTERVALS * interval,
            "its first ticket key ends before the consensus does",
        ),
        (_lists_phases(descriptor, first, count), "its phase keys do not cover the period"),
    )
    return next((rule for holds, rule in rules if not holds), None)


def _lists_phases(descriptor: Descriptor, first: int, count: int) -> bool:
    offset = (first - descriptor.first_phase) % PHASE_MODULUS
    return offset + count <= len(descriptor.phase_keys)


def build_consensus(
    period: int,
    descriptors: Iterable[SignedDescriptor],
    registry: Mapping[int, RegistryEntry],
    measured_kbps: Mapping[int, int],
    parameters: NetworkParameters,
    *,
    network: Network,
    epoch: int,
    weights: Mapping[int, int],
    reachable: Collection[int],
    min_version: str,
) -> Consensus:
    """Build the consensus of one period.

    Descriptors that break a rule, or whose node was not reached, are left out; of several by one
    node the last published counts, at equal times the one with the smaller digest.

    Args:
        period: valid_after, unix seconds, a multiple of the interval.
        descriptors: verified descriptors, in any order.
        registry: registry entries by index, read at one finalized block.
        measured_kbps: rate measured by the committee; the claim stands for others.
        parameters: the network's parameters.
        network: chain and contracts.
        epoch: reward epoch at `period`.
        weights: selection weight by index, 0 where missing.
        reachable: indexes that answered a probe.
        min_version: least protocol version.

    Raises:
        LocalProtocolError: `period` is not the start of a period, or too many nodes.
    """
    interval = parameters.consensus_interval_s
    if period % interval:
        raise LocalProtocolError(f"{period} is not a multiple of the interval, {interval} s")
    latest: dict[int, SignedDescriptor] = {}
    for signed in descriptors:
        index = signed.descriptor.index
        if index not in reachable:
            continue
        try:
            check_descriptor(
                signed, registry.get(index), network=network, period=period, parameters=parameters
            )
        except DescriptorRefusedError:
            continue
        if index not in latest or _precedes(latest[index], signed):
            latest[index] = signed
    if len(latest) > MAX_NODES:
        raise LocalProtocolError(f"{len(latest)} nodes exceed {MAX_NODES}")
    phases = consensus_phases(period, interval, parameters.key_phase_s)
    nodes = tuple(
        _list_node(
            latest[index].descriptor,
            phases=phases,
            weight=min(weights.get(index, 0), U32_MAX),
            kbps=measured_kbps.get(index),
            paid=registry[index].paid_slot,
        )
        for index in sorted(latest)
    )
    return Consensus(
        chain_id=network.chain_id,
        committee=network.committee,
        valid_after=period,
        interval_s=interval,
        epoch=epoch,
        parameters=parameters,
        min_version=min_version,
        users=count_users(latest[index].descriptor for index in latest),
        nodes=nodes,
    )


def count_users(descriptors: Iterable[Descriptor]) -> int:
    """Return about how many users the listed entries count together, at least 0.

    Args:
        descriptors: one for each listed node.
    """
    return max(sum(descriptor.clients for descriptor in descriptors), 0) // LINKS_PER_CLIENT


def _precedes(held: SignedDescriptor, other: SignedDescriptor) -> bool:
    """Whether `other` replaces `held`."""
    times = held.descriptor.published, other.descriptor.published
    return times[0] < times[1] or (times[0] == times[1] and other.digest < held.digest)


def _list_node(
    descriptor: Descriptor, *, phases: tuple[int, int], weight: int, kbps: int | None, paid: bool
) -> ConsensusNode:
    first, count = phases
    offset = (first - descriptor.first_phase) % PHASE_MODULUS
    daily = descriptor.tickets[0]
    flags = (FLAG_PAID if paid else 0) | (FLAG_MEASURED if kbps is not None else 0)
    return ConsensusNode(
        index=descriptor.index,
        node_id=descriptor.node_id,
        role=descriptor.role,
        host=descriptor.host,
        port=descriptor.port,
        sni=descriptor.sni,
        spki_hash=descriptor.spki_hash,
        link_key=descriptor.link_key,
        ticket_id=daily.key_id,
        ticket_key=daily.public,
        first_phase=first,
        phase_keys=descriptor.phase_keys[offset : offset + count],
        weight=weight,
        owner=descriptor.owner,
        family=descriptor.family,
        policy=descriptor.policy,
        receipt_address=descriptor.receipt_address,
        identity=descriptor.identity,
        bandwidth_kbps=min(descriptor.bandwidth_kbps if kbps is None else kbps, U32_MAX),
        ciphers=descriptor.ciphers,
        flags=flags,
        price=descriptor.price,
    )
