"""Addresses that an exit found for a name: none of them may point into the user's own network.

An application may connect by itself to what a look-up returned. A hostile exit that answers with a
private address would turn that against the user's router or machine, so such answers are dropped.

Source: docs/spec/exits-and-clients.md, section "Detection".
"""

from __future__ import annotations

from ipaddress import ip_address

from node.circuit.messages import Answer
from node.exit.address import is_private
from qnet.parameters import DEVNET_CHAIN_ID


def admitted_answers(answers: tuple[Answer, ...], *, chain_id: int) -> tuple[Answer, ...]:
    """The answers with an ordinary public address; on a development network all of them.

    Args:
        answers: What an exit said.
        chain_id: The chain of the network.
    """
    if chain_id == DEVNET_CHAIN_ID:
        return answers
    return tuple(answer for answer in answers if not is_private(ip_address(answer.address)))
