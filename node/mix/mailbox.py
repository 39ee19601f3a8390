"""Delivery ids that only the mailbox node can read, so that it keeps nothing for each of them.

Source: docs/spec/mixnet.md, section Mailboxes.
"""

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from qnet.sampling import RandomBytes

KEY_BYTES: Final = 16
_SALT_BYTES: Final = 8
_ZEROS: Final = bytes(4)


class DeliveryIds:
    """Makes and reads the ids of one mailbox node.

    Args:
        key: 16 secret bytes, of this node alone.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(AES(key), ECB())  # noqa: S305 - one random block for each id

    def issue(self, slot: int, random: RandomBytes) -> bytes:
        """Make an id (16 bytes) for the client in a slot (u32)."""
        block = slot.to_bytes(4, "big") + _ZEROS + random(_SALT_BYTES)
        return self._cipher.encryptor().update(block)

    def slot_of(self, delivery_id: bytes) -> int | None:
        """Slot of an id (16 bytes); None if this node did not make it."""
        block = self._cipher.decryptor().update(delivery_id)
        return int.from_bytes(block[:4], "big") if block[4:8] == _ZEROS else None
