"""Noise XK with and without the hybrid forward-secrecy extension, generic over hash, DH and KEM.

QNet speaks `Noise_XKhfs_25519+MLKEM768_ChaChaPoly_BLAKE3`; plain XK exists so that published
vectors run against the same code. Nothing here draws randomness: ephemeral keys come in.
Source: The Noise Protocol Framework, revision 34; Noise HFS extension, revision 1.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from blake3 import blake3 as _blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from qnet.crypto import kem
from qnet.crypto.aead import TAG_BYTES, counter_nonce
from qnet.errors import CryptoError, LocalProtocolError

DH_BYTES: Final = 32
MAX_MESSAGE_BYTES: Final = 65_535


class DhPair(Protocol):
    """A Diffie-Hellman key pair; `qnet.crypto.keys.DhKey` is one."""

    @property
    def public(self) -> bytes:
        """The public half, `DH_BYTES` long."""

    def exchange(self, peer: bytes) -> bytes:
        """Return the shared secret, or raise CryptoError for a point of low order."""


class KemPair(Protocol):
    """A decapsulation key; `qnet.crypto.kem.KemKey` is one."""

    @property
    def public(self) -> bytes:
        """The encapsulation key."""

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the shared secret."""


@dataclass(frozen=True, slots=True)
class HashFunction:
    """A hash as Noise wants it.

    Attributes:
        name: as it stands in protocol names.
        digest: the function.
        size: HASHLEN, bytes.
        block: BLOCKLEN, bytes, for HMAC.
    """

    name: str
    digest: Callable[[bytes], bytes]
    size: int
    block: int

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """HMAC (RFC 2104)."""
        padded = (self.digest(key) if len(key) > self.block else key).ljust(self.block, b"\x00")
        inner = self.digest(padded.translate(_INNER_PAD) + data)
        return self.digest(padded.translate(_OUTER_PAD) + inner)

    def hkdf(self, chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
        """HKDF with two outputs (Noise, section 4.3)."""
        secret = self.hmac(chaining_key, material)
        first = self.hmac(secret, b"\x01")
        return first, self.hmac(secret, first + b"\x02")


_INNER_PAD: Final = bytes(value ^ 0x36 for value in range(256))
_OUTER_PAD: Final = bytes(value ^ 0x5C for value in range(256))

SHA256: Final = HashFunction("SHA256", lambda data: hashlib.sha256(data).digest(), 32, 64)
SHA512: Final = HashFunction("SHA512", lambda data: hashlib.sha512(data).digest(), 64, 128)
BLAKE2S: Final = HashFunction("BLAKE2s", lambda data: hashlib.blake2s(data).digest(), 32, 64)
BLAKE2B: Final = HashFunction("BLAKE2b", lambda data: hashlib.blake2b(data).digest(), 64, 128)
BLAKE3: Final = HashFunction("BLAKE3", lambda data: _blake3(data).digest(), 32, 64)


@dataclass(frozen=True, slots=True)
class KemFunction:
    """A key encapsulation mechanism for the hybrid extension.

    Attributes:
        name: as it stands in protocol names.
        public_bytes: size of an encapsulation key.
        ciphertext_bytes: size of a ciphertext.
        encapsulate: public key → (shared secret, ciphertext).
    """

    name: str
    public_bytes: int
    ciphertext_bytes: int
    encapsulate: Callable[[bytes], tuple[bytes, bytes]]


MLKEM768: Final = KemFunction("MLKEM768", kem.PUBLIC_BYTES, kem.CIPHERTEXT_BYTES, kem.encapsulate)


class Token(Enum):
    """A word of a message pattern; DH words name the initiator's key first."""

    E = "e"
    S = "s"
    EE = "ee"
    ES = "es"
    SE = "se"
    E1 = "e1"
    EKEM1 = "ekem1"


Pattern = tuple[tuple[Token, ...], ...]
# the responder's static key is known beforehand: pattern XK
_XK: Final[Pattern] = ((Token.E, Token.ES), (Token.E, Token.EE), (Token.S, Token.SE))
_XKHFS: Final[Pattern] = (
    (Token.E, Token.ES, Token.E1),
    (Token.E, Token.EE, Token.EKEM1),
    (Token.S, Token.SE),
)


@dataclass(frozen=True, slots=True)
class Suite:
    """A Noise XK protocol: hash and, for the hybrid extension, a KEM."""

    hash: HashFunction
    kem: KemFunction | None = None

    @property
    def name(self) -> bytes:
        """Protocol name, ASCII."""
        if self.kem is None:
            return f"Noise_XK_25519_ChaChaPoly_{self.hash.name}".encode()
        return f"Noise_XKhfs_25519+{self.kem.name}_ChaChaPoly_{self.hash.name}".encode()

    @property
    def messages(self) -> Pattern:
        """Tokens of the three messages."""
        return _XK if self.kem is None else _XKHFS


QNET_SUITE: Final = Suite(BLAKE3, MLKEM768)


class CipherState:
    """The AEAD of the handshake: one key, one counter for both directions, never told a nonce."""

    __slots__ = ("_cipher", "_counter")

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._counter = 0

    def _nonce(self) -> bytes:
        nonce = counter_nonce(self._counter)
        self._counter += 1
        return nonce

    def encrypt(self, associated: bytes, plaintext: bytes) -> bytes:
        """Return ciphertext ‖ tag under the next counter."""
        return self._cipher.encrypt(self._nonce(), plaintext, associated)

    def decrypt(self, associated: bytes, ciphertext: bytes) -> bytes:
        """Return the plaintext under the next counter.

        Raises:
            CryptoError: the tag does not verify; the handshake is over.
        """
        try:
            return self._cipher.decrypt(self._nonce(), ciphertext, associated)
        except InvalidTag:
            raise CryptoError from None


class SymmetricState:
    """Chaining key, transcript hash and cipher (Noise, section 5.2)."""

    __slots__ = ("_cipher", "_hash", "chaining_key", "transcript")

    def __init__(self, suite: Suite) -> None:
        self._hash = suite.hash
        name = suite.name
        fits = len(name) <= self._hash.size
        self.transcript = name.ljust(self._hash.size, b"\x00") if fits else self._hash.digest(name)
        self.chaining_key = self.transcript
        self._cipher: CipherState | None = None

    def mix_hash(self, data: bytes) -> None:
        """Bind data to the transcript."""
        self.transcript = self._hash.digest(self.transcript + data)

    def mix_key(self, material: bytes) -> None:
        """Bind a secret; what follows is encrypted under a new key."""
        self.chaining_key, key = self._hash.hkdf(self.chaining_key, material)
        self._cipher = CipherState(key[:32])

    @property
    def tag_bytes(self) -> int:
        """Bytes that encryption adds now."""
        return TAG_BYTES if self._cipher else 0

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Encrypt once there is a key, and bind the result."""
        cipher = self._cipher
        data = cipher.encrypt(self.transcript, plaintext) if cipher else plaintext
        self.mix_hash(data)
        return data

    def decrypt_and_hash(self, data: bytes) -> bytes:
        """Reverse of `encrypt_and_hash`.

        Raises:
            CryptoError: the tag does not verify.
        """
        cipher = self._cipher
        plaintext = cipher.decrypt(self.transcript, data) if cipher else data
        self.mix_hash(data)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """Two 32-byte keys: initiator to responder, responder to initiator."""
        first, second = self._hash.hkdf(self.chaining_key, b"")
        return first[:32], second[:32]


@dataclass(slots=True)
class Handshake:
    """One side of a handshake of three messages.

    Attributes:
        suite: protocol spoken.
        initiator: whether this side sends the first message.
        prologue: data both sides must agree on.
        static: own static key pair.
        ephemeral: own fresh key pair, for this handshake only.
        remote_static: the peer's static key; the initiator knows it beforehand.
        ephemeral_kem: the initiator's fresh KEM key, for the hybrid extension.
    """

    suite: Suite
    initiator: bool
    prologue: bytes
    static: DhPair = field(repr=False)
    ephemeral: DhPair = field(repr=False)
    remote_static: bytes = b""
    ephemeral_kem: KemPair | None = field(default=None, repr=False)
    _state: SymmetricState = field(init=False, repr=False)
    _remote_ephemeral: bytes = field(default=b"", init=False)
    _remote_kem: bytes = field(default=b"", init=False)
    _step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Hash the prologue and the responder's static key, which are known beforehand."""
        if self.initiator and (
            len(self.remote_static) != DH_BYTES
            or (self.suite.kem is not None and self.ephemeral_kem is None)
        ):
            raise LocalProtocolError("the initiator needs the responder's key and its own KEM key")
        self._state = SymmetricState(self.suite)
        self._state.mix_hash(self.prologue)
        self._state.mix_hash(self.remote_static if self.initiator else self.static.public)

    @property
    def finished(self) -> bool:
        """Whether all messages were exchanged."""
        return self._step == len(self.suite.messages)

    @property
    def transcript(self) -> bytes:
        """The handshake hash h."""
        return self._state.transcript

    @property
    def chaining_key(self) -> bytes:
        """The chaining key ck; secret."""
        return self._state.chaining_key

    def split(self) -> tuple[bytes, bytes]:
        """Noise's own transport keys; QNet derives its keys from ck and h instead."""
        return self._state.split()

    def write_message(self, payload: bytes) -> bytes:
        """Return the next message.

        Raises:
            LocalProtocolError: it is the peer's turn, or the message would be too long.
            CryptoError: a key of the peer cannot be used.
        """
        tokens = self._turn(sending=True)
        parts = [self._write_token(token) for token in tokens]
        parts.append(self._state.encrypt_and_hash(payload))
        message = b"".join(parts)
        if len(message) > MAX_MESSAGE_BYTES:
            raise LocalProtocolError("the handshake message is too long")
        return message

    def read_message(self, message: bytes) -> bytes:
        """Return the payload of the peer's next message.

        Raises:
            LocalProtocolError: it is our turn.
            CryptoError: the message is short, or a key or tag in it is not valid.
        """
        tokens = self._turn(sending=False)
        rest = message
        for token in tokens:
            rest = self._read_token(token, rest)
        return self._state.decrypt_and_hash(rest)

    def _turn(self, *, sending: bool) -> tuple[Token, ...]:
        if self.finished or (self._step % 2 == 0) != (self.initiator == sending):
            raise LocalProtocolError("no handshake message is due on this side")
        tokens = self.suite.messages[self._step]
        self._step += 1
        return tokens

    def _write_token(self, token: Token) -> bytes:
        if token is Token.E:
            self._state.mix_hash(self.ephemeral.public)
            return self.ephemeral.public
        if token is Token.S:
            return self._state.encrypt_and_hash(self.static.public)
        if token is Token.E1 and self.ephemeral_kem is not None:
            return self._state.encrypt_and_hash(self.ephemeral_kem.public)
        if token is Token.EKEM1 and self.suite.kem is not None:
            shared, ciphertext = self.suite.kem.encapsulate(self._remote_kem)
            sealed = self._state.encrypt_and_hash(ciphertext)
            self._state.mix_key(shared)
            return sealed
        self._mix_dh(token)
        return b""

    def _read_token(self, token: Token, data: bytes) -> bytes:
        """Take one token off the front of a message and return the rest."""
        if token is Token.E:
            self._remote_ephemeral, rest = _cut(data, DH_BYTES)
            self._state.mix_hash(self._remote_ephemeral)
            return rest
        if token is Token.S:
            sealed, rest = _cut(data, DH_BYTES + self._state.tag_bytes)
            self.remote_static = self._state.decrypt_and_hash(sealed)
            return rest
        if token is Token.E1 and self.suite.kem is not None:
            sealed, rest = _cut(data, self.suite.kem.public_bytes + self._state.tag_bytes)
            self._remote_kem = self._state.decrypt_and_hash(sealed)
            return rest
        if token is Token.EKEM1 and self.suite.kem is not None and self.ephemeral_kem is not None:
            sealed, rest = _cut(data, self.suite.kem.ciphertext_bytes + self._state.tag_bytes)
            ciphertext = self._state.decrypt_and_hash(sealed)
            self._state.mix_key(self.ephemeral_kem.decapsulate(ciphertext))
            return rest
        self._mix_dh(token)
        return data

    def _mix_dh(self, token: Token) -> None:
        initiator_static, responder_static = token is Token.SE, token is Token.ES
        own_static = initiator_static if self.initiator else responder_static
        peer_static = responder_static if self.initiator else initiator_static
        pair = self.static if own_static else self.ephemeral
        remote = self.remote_static if peer_static else self._remote_ephemeral
        self._state.mix_key(pair.exchange(remote))


def _cut(data: bytes, size: int) -> tuple[bytes, bytes]:
    if len(data) < size:
        raise CryptoError
    return data[:size], data[size:]
