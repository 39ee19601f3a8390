"""Packets for the mix under test, made before the measured time, and how the results are judged.

Only the layer of the mix under test is sealed: what it passes on is opaque to it, so the rest is
random bytes that begin with a mark. A packet takes one exchange of keys instead of three, and what
must come out of the mix is known.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from node.mix.packet import (
    HEADER_BYTES,
    LAYER_BYTES,
    LAYERS,
    PAYLOAD_BYTES,
    PAYLOAD_START,
    PREFIX_BYTES,
    Routing,
    binding,
    hop_keys,
    prefix,
)
from node.mix.poisson import draw_delay_ms
from node.mix.wide_block import wrap_block
from qnet.crypto.aead import TAG_BYTES
from qnet.crypto.kdf import blake3
from qnet.crypto.keys import DhKey

MARK: Final = b"qnetload"
NAME_BYTES: Final = 16
DIGEST_BYTES: Final = 16
_NONCE: Final = bytes(12)


@dataclass(frozen=True, slots=True)
class Target:
    """The mix under test, in one key phase.

    Attributes:
        node_id: 32 bytes.
        phase_key: Its onion key, 32 bytes.
        phase: u24.
        layer: Where it stands, 1 to 3.
        sink: Registry index of the node that its packets go to.
    """

    node_id: bytes
    phase_key: bytes
    phase: int
    layer: int
    sink: int

    @property
    def alive_bytes(self) -> int:
        """Bytes behind version and phase that the mix passes on as they were sealed."""
        return (LAYERS - self.layer) * LAYER_BYTES or NAME_BYTES


@dataclass(frozen=True, slots=True)
class Made:
    """One packet of the load.

    Attributes:
        packet: 2,308 bytes.
        delay_ms: How long the mix shall hold it.
        name: First 16 bytes behind version and phase in what it passes on.
        digest: Of everything in it that is not random.
    """

    packet: bytes
    delay_ms: int
    name: bytes
    digest: bytes


def make_packets(target: Target, count: int, workers: int = 2) -> list[Made]:
    """Make packets in processes of their own."""
    share = -(-count // workers)
    with ProcessPoolExecutor(workers) as pool:
        parts = pool.map(partial(_make, target), [share] * workers)
        return [made for part in parts for made in part][:count]


def judge(packet: bytes, alive_bytes: int) -> tuple[bytes, bytes]:
    """Name and digest of a packet that came out of the mix."""
    alive = packet[PREFIX_BYTES : PREFIX_BYTES + alive_bytes]
    return alive[:NAME_BYTES], _digest(packet[1:PREFIX_BYTES], alive, packet[PAYLOAD_START:])


def _make(target: Target, count: int) -> Sequence[Made]:
    bound = binding(target.node_id, target.phase, target.layer)
    return [_one(target, bound) for _ in range(count)]


def _one(target: Target, bound: bytes) -> Made:
    alive = MARK + secrets.token_bytes(target.alive_bytes - len(MARK))
    delay_ms = draw_delay_ms(secrets.token_bytes)
    last = target.layer == LAYERS
    routing = Routing(target.sink, delay_ms, alive if last else b"")
    plain = routing.encode() + (b"" if last else alive)
    key = DhKey(secrets.token_bytes(32))
    keys = hop_keys(key.exchange(target.phase_key), key.public, bound)
    sealed = ChaCha20Poly1305(keys.header).encrypt(_NONCE, plain, None)
    header = key.public + sealed[-TAG_BYTES:] + sealed[:-TAG_BYTES]
    padding = secrets.token_bytes(HEADER_BYTES - len(header))
    payload = secrets.token_bytes(PAYLOAD_BYTES)
    head = prefix(target.phase)
    packet = head + header + padding + wrap_block(keys.payload, payload)
    return Made(packet, delay_ms, alive[:NAME_BYTES], _digest(head[1:], alive, payload))


def _digest(phase: bytes, alive: bytes, payload: bytes) -> bytes:
    return blake3(phase + alive + payload)[:DIGEST_BYTES]
