"""Payloads: 2,064 bytes that only their receiver can tell from random ones.

Source: docs/spec/mixnet.md, QN-MIX-071, 080 and 081.
"""

from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from node.mix.elligator import REPRESENTATIVE_BYTES, draw_share, share_of
from node.mix.packet import PAYLOAD_BYTES
from qnet.crypto.aead import TAG_BYTES
from qnet.crypto.kdf import Label, derive_key
from qnet.errors import CryptoError, LocalProtocolError
from qnet.sampling import RandomBytes

FRAME_BYTES: Final = PAYLOAD_BYTES - REPRESENTATIVE_BYTES - TAG_BYTES
REPLY_KEY_BYTES: Final = 32

_NONCE: Final = bytes(12)
_REPLY_PADDING: Final = bytes(PAYLOAD_BYTES - TAG_BYTES - FRAME_BYTES)


class OpeningKey(Protocol):
    """An X25519 key that payloads are sealed to: of an address, or of a node in a key phase."""

    @property
    def public(self) -> bytes:
        """Public half, 32 bytes."""

    def exchange(self, peer: bytes, /) -> bytes:
        """X25519 with a public key; raises CryptoError if the result is zero."""


def seal_frame(frame: bytes, key: bytes, random: RandomBytes) -> bytes:
    """Seal a frame to the key of an address.

    Args:
        frame: 2,016 bytes.
        key: X25519 public key, 32 bytes.
        random: source of random bytes.

    Raises:
        CryptoError: the key has low order.
        LocalProtocolError: another size.
    """
    _check(frame)
    ephemeral, representative = draw_share(random)
    seal = _seal_key(ephemeral.exchange(key), representative, key)
    return representative + ChaCha20Poly1305(seal).encrypt(_NONCE, frame, None)


def open_frame(payload: bytes, key: OpeningKey) -> bytes:
    """Open a payload that was sealed to an address.

    Args:
        payload: 2,064 bytes.
        key: of the address.

    Raises:
        CryptoError: it was changed, or is for somebody else.
    """
    representative = payload[:REPRESENTATIVE_BYTES]
    seal = _seal_key(key.exchange(share_of(representative)), representative, key.public)
    return _open(seal, payload[REPRESENTATIVE_BYTES:])


def seal_reply(frame: bytes, reply_key: bytes) -> bytes:
    """Seal a frame to the maker of a reply block; its key (32 bytes) seals once.

    Raises:
        LocalProtocolError: another size.
    """
    _check(frame)
    return ChaCha20Poly1305(reply_key).encrypt(_NONCE, frame + _REPLY_PADDING, None)


def open_reply(payload: bytes, reply_key: bytes) -> bytes:
    """Open a reply after the mixes' layers were undone; returns the frame.

    Raises:
        CryptoError: it was changed.
    """
    return _open(reply_key, payload)[:FRAME_BYTES]


def _seal_key(shared: bytes, representative: bytes, key: bytes) -> bytes:
    return derive_key(Label.MIX_SEAL, shared + representative + key)


def _check(frame: bytes) -> None:
    if len(frame) != FRAME_BYTES:
        raise LocalProtocolError(f"a frame has {FRAME_BYTES} bytes")


def _open(key: bytes, sealed: bytes) -> bytes:
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, sealed, None)
    except InvalidTag:
        raise CryptoError from None
