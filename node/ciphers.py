"""Which ciphers this machine offers: AES-256-GCM only where it is the faster one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from node.circuit.layer import AES_256_GCM, CHACHA20_POLY1305
from node.htx.handshake import AES_RECORDS

CELL = bytes(2_024)
ROUNDS = 64
TRIES = 3
_NONCE = bytes(12)
_KEY = bytes(32)


@cache
def offered_ciphers() -> tuple[int, ...]:
    """Codes for the descriptor, ascending; the mandatory ChaCha20-Poly1305 is always there.

    Machines without instructions for AES would carry half the traffic under it; a millisecond of
    measuring tells.
    """
    if _fastest(AESGCM(_KEY).encrypt) <= _fastest(ChaCha20Poly1305(_KEY).encrypt):
        return CHACHA20_POLY1305, AES_256_GCM
    return (CHACHA20_POLY1305,)


def link_features() -> int:
    """Feature bits of links: records under AES-256-GCM where circuits have it, too."""
    return AES_RECORDS if AES_256_GCM in offered_ciphers() else 0


def _fastest(encrypt: Callable[[bytes, bytes, bytes | None], bytes]) -> float:
    """Least seconds for a number of cells; the key and nonce protect nothing."""
    took = []
    for _ in range(TRIES):
        started = time.perf_counter()
        for _ in range(ROUNDS):
            encrypt(_NONCE, CELL, None)
        took.append(time.perf_counter() - started)
    return min(took)
