"""Which streams may share a circuit.

Two streams share one only when their keys are equal: the same listener and the same label (the
SOCKS user name). Streams for different labels never meet at an exit under one circuit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IsolationKey:
    """What streams of one circuit have in common.

    Attributes:
        listener: Local address the application connected to.
        label: SOCKS user name, empty for none.
        destination: Host, when streams to different hosts are to be kept apart; else empty.
    """

    listener: str
    label: bytes = b""
    destination: str = ""
