"""Which streams may share a circuit.

Two streams share one only when their keys are equal. What goes into a key is set per listener:
the listener itself, the label (the SOCKS user name), the destination host, its port. Streams with
different keys never meet at an exit under one circuit.

Source: docs/spec/exits-and-clients.md, QN-CLI-002.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Isolate(StrEnum):
    """What a listener may keep apart."""

    LISTENER = "listener"
    LABEL = "label"
    DESTINATION = "destination"
    PORT = "port"


DEFAULT_ISOLATION: Final = frozenset({Isolate.LISTENER, Isolate.LABEL})


@dataclass(frozen=True, slots=True)
class IsolationKey:
    """What streams of one circuit have in common.

    Attributes:
        listener: Local address the application connected to; empty when listeners share.
        label: SOCKS user name, empty for none or when labels share.
        destination: Host, when streams to different hosts are kept apart; else empty.
        port: Port of the destination, when those are kept apart; else 0.
    """

    listener: str
    label: bytes = b""
    destination: str = ""
    port: int = 0


def isolation_key(
    listener: str,
    label: bytes,
    host: str,
    port: int,
    *,
    isolate: Collection[str] = DEFAULT_ISOLATION,
) -> IsolationKey:
    """The key of one stream; the only place where keys are made.

    Args:
        listener: Local address the application connected to.
        label: What the application calls itself (SOCKS user name), empty for none.
        host: Destination name or address.
        port: Destination port.
        isolate: What the listener keeps apart, values of :class:`Isolate`.
    """
    return IsolationKey(
        listener=listener if Isolate.LISTENER in isolate else "",
        label=label if Isolate.LABEL in isolate else b"",
        destination=_same_name(host) if Isolate.DESTINATION in isolate else "",
        port=port if Isolate.PORT in isolate else 0,
    )


def _same_name(host: str) -> str:
    """One spelling for one name, so that an upper-case letter opens no further circuit."""
    return host.rstrip(".").lower()
