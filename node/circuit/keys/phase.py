"""A node's onion keys: one X25519 key per key phase, erased one phase after its end.

Private halves exist only inside OpenSSL key objects, which wipe their memory when freed; no byte
string of them is ever made. With a phase goes its replay set, so what the node still holds opens
no setup of a dead phase.

Source: docs/spec/circuits.md, section "Key phases".
"""

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from qnet.errors import CryptoError

PHASES_AHEAD: Final = 13
"""Keys made in advance by default: a descriptor carries those of the coming consensus."""
REPLAY_CAPACITY: Final = 1 << 20
"""Setups remembered per phase; beyond, setups are refused rather than forgotten."""
PHASE_MODULUS: Final = 1 << 24


class _Phase:
    """Key and replay set of one phase."""

    __slots__ = ("private", "public", "seen")

    def __init__(self, private: X25519PrivateKey) -> None:
        self.private = private
        self.public = private.public_key().public_bytes_raw()
        self.seen: set[bytes] = set()


class PhaseKeyring:
    """Onion keys of the phases from the previous one to `ahead` in the future.

    Args:
        phase: the current phase, u24.
        ahead: phases whose keys are made in advance.
        generate: makes a fresh private key.
        replay_capacity: setups remembered per phase.
    """

    __slots__ = ("_ahead", "_generate", "_phases", "_replay_capacity", "current", "refused_full")

    def __init__(
        self,
        phase: int,
        *,
        ahead: int = PHASES_AHEAD,
        generate: Callable[[], X25519PrivateKey] = X25519PrivateKey.generate,
        replay_capacity: int = REPLAY_CAPACITY,
    ) -> None:
        self._ahead = ahead
        self._generate = generate
        self._replay_capacity = replay_capacity
        self._phases: dict[int, _Phase] = {}
        self.current = phase
        self.refused_full = 0
        self._fill()

    def advance(self, phase: int) -> None:
        """Move to `phase`: erase what ended more than one phase ago, make what is missing."""
        self.current = phase % PHASE_MODULUS
        keep = {(self.current + step) % PHASE_MODULUS for step in range(-1, self._ahead + 1)}
        for old in [number for number in self._phases if number not in keep]:
            del self._phases[old]
        self._fill()

    def _fill(self) -> None:
        for step in range(self._ahead + 1):
            number = (self.current + step) % PHASE_MODULUS
            if number not in self._phases:
                self._phases[number] = _Phase(self._generate())

    def publics(self, first: int, count: int) -> tuple[bytes, ...]:
        """Public keys (32 bytes each) of `count` phases from `first` on, for the descriptor.

        Raises:
            CryptoError: a phase is too old or too far ahead.
        """
        return tuple(self.public((first + step) % PHASE_MODULUS) for step in range(count))

    def public(self, phase: int) -> bytes:
        """Public key of one phase (32 bytes).

        Raises:
            CryptoError: no key is held for it.
        """
        held = self._phases.get(phase)
        if held is None:
            raise CryptoError
        return held.public

    def exchange(self, phase: int, peer: bytes) -> bytes:
        """Return X25519(phase key, peer), 32 bytes, for the previous, current or next phase.

        Raises:
            CryptoError: any other phase, a key already erased, or an all-zero result.
        """
        held = self._phases.get(phase)
        if held is None or (phase - self.current + 1) % PHASE_MODULUS > 2:
            raise CryptoError
        try:
            return held.private.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError as error:
            raise CryptoError from error

    def admit(self, phase: int, replay_tag: bytes) -> None:
        """Remember a setup that verified.

        Raises:
            CryptoError: it was seen before, the phase is gone, or the set is full.
        """
        held = self._phases.get(phase)
        if held is None or replay_tag in held.seen:
            raise CryptoError
        if len(held.seen) >= self._replay_capacity:
            self.refused_full += 1
            raise CryptoError
        held.seen.add(replay_tag)
