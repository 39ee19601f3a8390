"""Shares on their way to their receivers, and a member's secrets on its own disk.

On the way: X25519 between a key of the dealer and one of the receiver, ChaCha20-Poly1305 under
what both derive from it. Members make these keys for one epoch, sign them (announcement and
dealing are signed bundles) and erase them when the keys are agreed. ECDH between the members'
signing keys would spare the announcement; but ciphertexts are public and stay in every member's
database, so whoever took a signing key later could read all shares ever sent to its member, and
erasing shares (QN-PAY-006) would erase nothing. X25519 and the cipher are those of circuits.

The derived key binds session (chain, contract, epoch, key, attempt), dealer, receiver and both
public keys, and seals one share; the tag shows that dealer or receiver made it. A dealer that
seals rubbish is found out by the complaint, which it must answer in public; so nobody else needs
to be able to judge a ciphertext.

At rest: each secret under a key of its own, derived from the member's signing key and a fresh
salt of 32 bytes, which is stored before the ciphertext.

Source: RFC 7748; RFC 8439; docs/spec/payments.md, QN-PAY-002.
"""

from dataclasses import dataclass
from typing import Final

from qnet.codec import Writer
from qnet.crypto.aead import TAG_BYTES, OpeningKey, SealingKey
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import DhKey, ReceiptKey
from qnet.crypto.scalars import SCALAR_BYTES
from qnet.errors import CryptoError
from qnet.sampling import RandomBytes

SEALED_SHARE_BYTES: Final = SCALAR_BYTES + TAG_BYTES
SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Route:
    """From whom to whom a share goes.

    Args:
        session: id of the attempt to make one key, 32 bytes.
        dealer: index of the sender.
        receiver: index of the receiver.
    """

    session: bytes
    dealer: int
    receiver: int

    def seal(self, share: bytes, *, own: DhKey, receiver: bytes) -> bytes:
        """Encrypt a share as its dealer.

        Args:
            share: 32 bytes.
            own: the dealer's key of this epoch.
            receiver: the receiver's, 32 bytes.

        Returns:
            48 bytes.

        Raises:
            CryptoError: the receiver's key is of low order.
        """
        key = self._key(own.exchange(receiver), own.public, receiver)
        return SealingKey(key).seal(share)

    def open(self, sealed: bytes, *, own: DhKey, dealer: bytes) -> bytes:
        """Decrypt a share as its receiver.

        Raises:
            CryptoError: it was not sealed for us on this route.
        """
        key = self._key(own.exchange(dealer), dealer, own.public)
        return OpeningKey(key).open(sealed)

    def _key(self, shared: bytes, dealer: bytes, receiver: bytes) -> bytes:
        writer = Writer().take(shared).take(self.session).u8(self.dealer).u8(self.receiver)
        return derive_key(Label.KEYGEN_SHARE, writer.take(dealer).take(receiver).bytes())


class Safe:
    """Seals a member's secrets for its own disk.

    Args:
        key: the member's signing key.
        domain: EIP-712 domain of PremiumChannels, 32 bytes.
        random: the operating system's source.
    """

    __slots__ = ("_domain", "_key", "_random")

    def __init__(self, key: ReceiptKey, *, domain: bytes, random: RandomBytes) -> None:
        self._key = key
        self._domain = domain
        self._random = random

    def seal(self, epoch: int, name: str, secret: bytes) -> bytes:
        """Encrypt a secret; what is stored under another name or epoch does not open."""
        salt = self._random(SALT_BYTES)
        return salt + SealingKey(self._derive(salt, epoch, name)).seal(secret)

    def open(self, epoch: int, name: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` returned.

        Raises:
            CryptoError: it was sealed by another member, or for another place.
        """
        salt, ciphertext = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
        if len(ciphertext) < TAG_BYTES:
            raise CryptoError
        return OpeningKey(self._derive(salt, epoch, name)).open(ciphertext)

    def _derive(self, salt: bytes, epoch: int, name: str) -> bytes:
        writer = Writer().take(self._key.secret).take(salt).take(self._domain)
        return derive_key(Label.KEYGEN_AT_REST, writer.u32(epoch).take(name.encode()).bytes())
