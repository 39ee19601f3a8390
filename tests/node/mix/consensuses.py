"""Consensuses with mixes, one after the other."""

from dataclasses import replace

from qnet.crypto.kdf import blake3
from qnet.messages.descriptor import Role
from tests.support.signed_network import PARAMETERS, PERIOD, make_network

INTERVAL_S = PARAMETERS.consensus_interval_s
PHASE_S = PARAMETERS.key_phase_s
START = PERIOD


def consensus(mixes):
    """With an entry, an exit and so many mixes."""
    return make_network((Role.ENTRY, Role.EXIT) + (Role.MIX,) * mixes).consensus


def later(document):
    """The next one: keys move on, and half of them are those that it listed, too."""
    steps = INTERVAL_S // PHASE_S
    nodes = tuple(
        replace(
            node,
            first_phase=node.first_phase + steps,
            phase_keys=node.phase_keys[steps:]
            + tuple(blake3(key) for key in node.phase_keys[-steps:]),
        )
        for node in document.nodes
    )
    return replace(document, valid_after=document.valid_after + INTERVAL_S, nodes=nodes)
