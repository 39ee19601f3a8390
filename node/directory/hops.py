"""From nodes of the consensus to the hops of a circuit: onion key of the phase, cipher.

Source: docs/spec/directory.md, section Path selection; docs/spec/circuits.md.
"""

from collections.abc import Sequence
from typing import Final

from node.circuit.layer import AES_256_GCM, CHACHA20_POLY1305
from node.circuit.setup import HopInfo
from node.errors import Stage, StageError
from qnet.messages.consensus import ConsensusNode

PREFERRED: Final = (AES_256_GCM, CHACHA20_POLY1305)
"""Every client chooses alike, so that the choice says nothing about it."""


def hops_of(nodes: Sequence[ConsensusNode], phase: int) -> list[HopInfo]:
    """What a circuit needs to know of its hops.

    Args:
        nodes: the path, entry first.
        phase: key phase whose onion keys the circuit uses.

    Raises:
        StageError: a node has no onion key of that phase, or no cipher that we speak.
    """
    hops = []
    for node in nodes:
        key = node.phase_key(phase)
        if key is None:
            raise StageError(Stage.PATH, f"node {node.index} has no key for this phase")
        hops.append(HopInfo(node.index, node.node_id, key, cipher_of(node)))
    return hops


def cipher_of(node: ConsensusNode) -> int:
    """The layer cipher to use with a node: the first of our preference that it offers.

    Raises:
        StageError: it offers none that we speak.
    """
    for cipher in PREFERRED:
        if cipher in node.ciphers:
            return cipher
    raise StageError(Stage.PATH, f"node {node.index} offers no cipher that this version speaks")
