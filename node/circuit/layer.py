"""Forward layers: what the client sends, authenticated at every hop at constant size.

`body = tag 16 ‖ C 2,024`: each hop opens C to P under its own key. P[0] = 1 delivers the
messages in P[1:1990]; P[0] = 0 passes on `P[1:] ‖ pad 17`. The pad is known to the client, which
forces the tail of the next hop's ciphertext to equal it, so every tag verifies at constant size.

Every 2^16 uses a key steps through a hash, unless it is new (`_since`). Counters never
go back, not even at a rekey.

Source: docs/spec/circuits.md, section "Forward cells"; RFC 8439; NIST SP
800-38D; the constant-size padding follows Danezis, Goldberg: Sphinx (2009).
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import CTR

from node.circuit.cell import CONTENT_BYTES, HEADER_BYTES, TAG_BYTES
from qnet.crypto.kdf import Label, derive_key
from qnet.errors import CryptoError, LocalProtocolError

CHACHA20_POLY1305: Final = 1
AES_256_GCM: Final = 2
CIPHERS: Final = (CHACHA20_POLY1305, AES_256_GCM)
"""Codes of forward ciphers, as descriptors list them."""

MAX_HOPS: Final = 5
PAD_BYTES: Final = 17
"""What a hop takes from the front of a forward cell (tag and flag) and appends at its end."""
DELIVER: Final = 1
"""P[0] of a cell for this hop; 0 passes on."""
MESSAGES_START: Final = 1
MESSAGES_END: Final = CONTENT_BYTES - 2 * PAD_BYTES
"""Messages of a delivered cell stand in P[1:1990]; behind may be forced bytes."""
RATCHET_CELLS: Final = 1 << 16
REST_S: Final = 2.0
"""A circuit without a cell for so long drops its ciphers (2.5 KiB each) and keeps its keys.

To make them again takes some 10 microseconds, so that a client may ask idle circuits for echoes.
"""

_RATCHET_MASK: Final = RATCHET_CELLS - 1
_BODY: Final = HEADER_BYTES + TAG_BYTES
cell_nonce: Final = struct.Struct("<4xQ").pack
_CHACHA_NONCE: Final = struct.Struct("<I4xQ").pack
_BLOCK: Final = 64
_ZEROS: Final = bytes(CONTENT_BYTES)


class Aead(Protocol):
    """The one-shot AEADs of `cryptography`."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return ciphertext ‖ tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the plaintext or raise InvalidTag."""


@dataclass(frozen=True, slots=True)
class LayerKeys:
    """Keys of one hop's layers, 32 bytes each: `forward` and `pad` one way, the others back."""

    forward: bytes = field(repr=False)
    pad: bytes = field(repr=False)
    backward: bytes = field(repr=False)
    mac: bytes = field(repr=False)
    stream: bytes = field(repr=False)


def make_aead(cipher: int, key: bytes) -> Aead:
    """Return the forward AEAD with this code.

    Raises:
        LocalProtocolError: there is none.
    """
    if cipher == CHACHA20_POLY1305:
        return ChaCha20Poly1305(key)
    if cipher == AES_256_GCM:
        return AESGCM(key)
    raise LocalProtocolError(f"unknown forward cipher {cipher}")


def ratchet(key: bytes) -> bytes:
    """Return the key that follows `key` after 2^16 uses; there is no way back."""
    return derive_key(Label.CIRCUIT_RATCHET, key)


class KeyStream:
    """The bare key stream of a forward AEAD, at any place.

    Args:
        cipher: code of the AEAD.
        key: its key, 32 bytes.
    """

    __slots__ = ("_context", "_nonce")

    def __init__(self, cipher: int, key: bytes) -> None:
        self._nonce = _chacha_nonce if cipher == CHACHA20_POLY1305 else _gcm_nonce
        algorithm = (
            Cipher(ChaCha20(key, bytes(16)), mode=None)
            if cipher == CHACHA20_POLY1305
            else Cipher(AES(key), CTR(bytes(16)))
        )
        self._context: CipherContext = algorithm.encryptor()

    def apply(self, counter: int, offset: int, data: bytes) -> bytes:
        """XOR `data` with the key stream that message `counter` has from byte `offset` on."""
        skip = offset % _BLOCK
        self._context.reset_nonce(self._nonce(counter, offset // _BLOCK))
        return self._context.update(_ZEROS[:skip] + data)[skip:]


def _chacha_nonce(counter: int, block: int) -> bytes:
    """Start of a 64-byte block: RFC 8439 begins its data at block 1."""
    return _CHACHA_NONCE(1 + block, counter)


def _gcm_nonce(counter: int, block: int) -> bytes:
    """Start of a 64-byte block: GCM begins its data at counter block 2, of 16 bytes."""
    return cell_nonce(counter) + (2 + 4 * block).to_bytes(4, "big")


class ForwardOpener:
    """A hop's side of forward cells.

    Args:
        cipher: code of the AEAD.
        keys: the hop's keys.
        counter: number of the next cell.
    """

    __slots__ = ("_aead", "_cipher", "_key", "_pad", "_since", "counter")

    def __init__(self, cipher: int, keys: LayerKeys, counter: int = 0) -> None:
        self._cipher = cipher
        self.counter = counter
        self.set_keys(keys)

    def set_keys(self, keys: LayerKeys) -> None:
        """Go on under fresh keys."""
        self._set(keys.forward, keys.pad)

    def _set(self, key: bytes, pad: bytes) -> None:
        self._since = self.counter
        self._key = key
        self._pad = pad
        self.rest()

    def rest(self) -> None:
        """Drop the cipher until it is used again; keys and counter stay."""
        self._aead: Aead | None = None

    def _wake(self) -> Aead:
        """Make the cipher of the next cell, whose keys may be the next in line."""
        counter = self.counter
        if not counter & _RATCHET_MASK and counter != self._since:
            self._set(ratchet(self._key), ratchet(self._pad))
        self._aead = aead = make_aead(self._cipher, self._key)
        return aead

    def open(self, cell: bytes) -> bytes:
        """Return P (2,024 bytes) of the next cell.

        Raises:
            CryptoError: the tag does not verify; the circuit must be destroyed.
        """
        plain = self.pass_on(iter((cell,)), b"", [])
        assert plain is not None  # without a next hop every cell stops here
        return plain

    def pass_on(self, cells: Iterator[bytes], header: bytes, onward: list[bytes]) -> bytes | None:
        """Open cells until one is not to be passed on.

        Args:
            cells: cells of the circuit, in order; what is opened is taken out.
            header: header of cells for the next hop, empty at the last hop.
            onward: where cells for the next hop are appended.

        Returns:
            P of the cell that stops here (2,024 bytes), None if all were passed on.

        Raises:
            CryptoError: a tag does not verify; the circuit must be destroyed.
        """
        aead = self._aead
        for cell in cells:
            counter = self.counter
            if aead is None or not counter & _RATCHET_MASK:
                aead = self._wake()
            nonce = cell_nonce(counter)
            try:
                plain = aead.decrypt(nonce, cell[_BODY:] + cell[HEADER_BYTES:_BODY], None)
            except InvalidTag:
                raise CryptoError from None
            self.counter = counter + 1
            if plain[0] or not header:
                return plain
            pad = blake3(nonce, key=self._pad).digest(PAD_BYTES)
            onward.append(header + plain[1:] + pad)
        return None


class ForwardSealer:
    """The client's side of one hop's forward layer.

    Args:
        cipher: code of the AEAD.
        keys: the hop's keys.
        counter: number of the next cell.
    """

    __slots__ = ("_aead", "_cipher", "_key", "_keystream", "_pad", "_since", "counter")

    def __init__(self, cipher: int, keys: LayerKeys, counter: int = 0) -> None:
        self._cipher = cipher
        self.counter = counter
        self.set_keys(keys)

    def set_keys(self, keys: LayerKeys) -> None:
        """Go on under fresh keys."""
        self._set(keys.forward, keys.pad)

    def _set(self, key: bytes, pad: bytes) -> None:
        self._since = self.counter
        self._key = key
        self._pad = pad
        self.rest()

    def rest(self) -> None:
        """Drop the ciphers until they are used again; keys and counter stay."""
        self._aead: Aead | None = None
        self._keystream: KeyStream | None = None

    def begin(self) -> None:
        """Prepare a cell; call once for each, before anything else."""
        counter = self.counter
        if not counter & _RATCHET_MASK and counter != self._since:
            self._set(ratchet(self._key), ratchet(self._pad))

    def extend(self, tail: bytes) -> bytes:
        """Return the forced tail of the next hop's ciphertext.

        Args:
            tail: forced tail of this hop's ciphertext.
        """
        pad = blake3(cell_nonce(self.counter), key=self._pad).digest(PAD_BYTES)
        return self.unmask(tail) + pad if tail else pad

    def unmask(self, tail: bytes) -> bytes:
        """Return the plaintext whose ciphertext ends with `tail`."""
        keystream = self._keystream
        if keystream is None:
            self._keystream = keystream = KeyStream(self._cipher, self._key)
        return keystream.apply(self.counter, CONTENT_BYTES - len(tail), tail)

    def seal(self, plain: bytes) -> bytes:
        """Return ciphertext ‖ tag of P and step the counter."""
        aead = self._aead
        if aead is None:
            self._aead = aead = make_aead(self._cipher, self._key)
        counter = self.counter
        self.counter = counter + 1
        return aead.encrypt(cell_nonce(counter), plain, None)


class Filler:
    """Random bytes that fill cells, as a key stream from a secret of the client.

    Args:
        random: source of secret bytes.
    """

    __slots__ = ("_context", "_random")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self.rest()

    def rest(self) -> None:
        """Forget the secret; the next bytes come from another one."""
        self._context: CipherContext | None = None

    def take(self, count: int) -> bytes:
        """Return `count` (≤ 2,024) bytes that look random to everybody else."""
        context = self._context
        if context is None:
            random = self._random
            self._context = context = Cipher(AES(random(32)), CTR(random(16))).encryptor()
        return context.update(_ZEROS[:count])


def messages_room(position: int) -> int:
    """Bytes of messages in a forward cell for the hop at `position` (0 = entry).

    From the fourth hop on, forced bytes reach into P[1:1990]: room is left for them and for the
    type 0 that hides them.
    """
    if position < 3:
        return MESSAGES_END - MESSAGES_START
    return CONTENT_BYTES - PAD_BYTES * position - 2


def build_forward(
    sealers: Sequence[ForwardSealer], messages: bytes, filler: Filler, header: bytes
) -> bytes:
    """Return a cell that delivers `messages` at the last of `sealers`.

    Args:
        sealers: layers of the hops from the entry to the one that is to receive.
        messages: encoded messages, at most `messages_room` bytes.
        filler: random bytes for the rest.
        header: first 8 bytes of the cell.
    """
    tail = b""
    for sealer in sealers:
        sealer.begin()
    for sealer in sealers[:-1]:
        tail = sealer.extend(tail)
    last = sealers[-1]
    gap = CONTENT_BYTES - 1 - len(messages) - len(tail)
    if MESSAGES_START + len(messages) < MESSAGES_END:
        rest = b"\x00" + filler.take(gap - 1)
    else:
        rest = filler.take(gap)
    plain = b"\x01" + messages + rest + (last.unmask(tail) if tail else b"")
    sealed = last.seal(plain)
    for sealer in reversed(sealers[:-1]):
        sealed = sealer.seal(b"\x00" + sealed[CONTENT_BYTES:] + sealed[: CONTENT_BYTES - PAD_BYTES])
    return header + sealed[CONTENT_BYTES:] + sealed[:CONTENT_BYTES]
