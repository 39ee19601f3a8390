"""Encrypted keys in the JSON v3 format, which geth and cast open too.

A key of the chain (secp256k1) carries its address, as geth writes it. Ed25519 and X25519 seeds, and
those of premium wallets, use the same envelope without an address and say in a field of their own
what they are.

Source: Web3 Secret Storage Definition, version 3.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from Crypto.Protocol.KDF import scrypt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import DhKey, ReceiptKey, SigningKey, keccak256
from qnet.errors import CryptoError, NotFoundError
from qnet.files import PRIVATE_MODE, write_atomic
from qnet.wallet.errors import (
    KeyExistsError,
    KeystoreFormatError,
    UnsafePermissionsError,
    WrongPassphraseError,
)

VERSION: Final = 3
SECRET_BYTES: Final = 32
SALT_BYTES: Final = 32
IV_BYTES: Final = 16
DERIVED_BYTES: Final = 32
MAX_FILE_BYTES: Final = 16 << 10
MAX_SCRYPT_BYTES: Final = 512 << 20
"""Memory that a keystore may ask for; geth's standard needs 256 MiB."""
MAX_SCRYPT_R: Final = 32
MAX_SCRYPT_P: Final = 16
MAX_PBKDF2_ROUNDS: Final = 10_000_000
_EXTENSION: Final = "qnet"


class KeyKind(StrEnum):
    """What a keystore holds."""

    SECP256K1 = "secp256k1"
    ED25519 = "ed25519"
    X25519 = "x25519"
    PAYMENTS = "payments"


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """Work of guessing a passphrase: memory is 128 · n · r bytes."""

    n: int
    r: int
    p: int


STANDARD: Final = ScryptCost(n=1 << 18, r=8, p=1)
"""geth's default: 256 MiB, about a second."""
LIGHT: Final = ScryptCost(n=1 << 12, r=8, p=6)
"""geth's ``--lightkdf``: 4 MiB; for keys of a devnet, which are worth nothing."""


@dataclass(frozen=True, slots=True)
class Keystore:
    """One encrypted key, parsed and bounded but not opened.

    Args:
        kind: what the secret is.
        public: 20-byte address (secp256k1) or 32-byte public key; empty where a foreign file
            leaves it out.
        document: the JSON object.
    """

    kind: KeyKind
    public: bytes
    document: dict[str, Any]

    def decrypt(self, passphrase: str) -> bytes:
        """Return the 32-byte secret.

        Raises:
            WrongPassphraseError: the passphrase is wrong or the file was changed.
            KeystoreFormatError: the parameters are missing or out of bounds.
        """
        crypto = _object(self.document, "crypto")
        ciphertext = _hex(crypto, "ciphertext", SECRET_BYTES)
        iv = _hex(_object(crypto, "cipherparams"), "iv", IV_BYTES)
        derived = _derive(crypto, passphrase)
        mac = keccak256(derived[16:32] + ciphertext)
        if not hmac.compare_digest(mac, _hex(crypto, "mac", 32)):
            raise WrongPassphraseError("the passphrase does not open the keystore")
        secret = _aes_ctr(derived[:16], iv, ciphertext)
        if self.public and not hmac.compare_digest(public_of(self.kind, secret), self.public):
            raise WrongPassphraseError("the keystore holds another key than it says")
        return secret

    def encode(self) -> bytes:
        """Write the JSON document."""
        return json.dumps(self.document, indent=2).encode() + b"\n"


def public_of(kind: KeyKind, secret: bytes) -> bytes:
    """Return the address (secp256k1) or public key of a 32-byte secret.

    Raises:
        KeystoreFormatError: the secret is no key of that kind.
    """
    try:
        match kind:
            case KeyKind.SECP256K1:
                return ReceiptKey(secret).address
            case KeyKind.ED25519:
                return SigningKey(secret).public
            case KeyKind.X25519:
                return DhKey(secret).public
            case KeyKind.PAYMENTS:
                return derive_key(Label.PAYMENT_SEED_NAME, secret)
    except CryptoError as error:
        raise KeystoreFormatError(f"not a {kind} key") from error


def encrypt(
    secret: bytes,
    passphrase: str,
    *,
    kind: KeyKind,
    random: Callable[[int], bytes],
    cost: ScryptCost = STANDARD,
) -> Keystore:
    """Encrypt a key.

    Args:
        secret: 32 bytes.
        passphrase: what opens it again.
        kind: what the secret is.
        random: source of salt, initialisation vector and id.
        cost: work of guessing the passphrase.

    Raises:
        KeystoreFormatError: the secret is no key of that kind.
    """
    public = public_of(kind, secret)
    salt, iv = random(SALT_BYTES), random(IV_BYTES)
    kdf_parameters = {
        "dklen": DERIVED_BYTES,
        "n": cost.n,
        "r": cost.r,
        "p": cost.p,
        "salt": salt.hex(),
    }
    derived = _scrypt(passphrase, kdf_parameters)
    ciphertext = _aes_ctr(derived[:16], iv, secret)
    document: dict[str, Any] = {
        "version": VERSION,
        "id": str(uuid.UUID(bytes=random(16), version=4)),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": kdf_parameters,
            "mac": keccak256(derived[16:32] + ciphertext).hex(),
        },
    }
    if kind is KeyKind.SECP256K1:
        document["address"] = public.hex()
    else:
        document[_EXTENSION] = {"kind": kind.value, "public": public.hex()}
    return Keystore(kind, public, document)


def decode(data: bytes) -> Keystore:
    """Parse a keystore file.

    Raises:
        KeystoreFormatError: too long, cut off, not JSON v3, or of an unknown kind.
    """
    if len(data) > MAX_FILE_BYTES:
        raise KeystoreFormatError(f"the keystore is longer than {MAX_FILE_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KeystoreFormatError(
            "the keystore is damaged",
            why="it is not complete JSON",
            try_=("restore it from its backup",),
        ) from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise KeystoreFormatError("the file is not a keystore of version 3")
    if "crypto" not in document and "Crypto" in document:  # old geth versions wrote a capital
        document["crypto"] = document.pop("Crypto")
    crypto = _object(document, "crypto")
    if crypto.get("cipher") != "aes-128-ctr":
        raise KeystoreFormatError("the keystore's cipher is not aes-128-ctr")
    if _EXTENSION not in document:
        return Keystore(KeyKind.SECP256K1, _address(document), document)
    extension = _object(document, _EXTENSION)
    try:
        kind = KeyKind(str(extension.get("kind")))
    except ValueError as error:
        raise KeystoreFormatError("the keystore holds a kind of key we do not know") from error
    return Keystore(kind, _hex(extension, "public", 32), document)


def load(path: Path) -> Keystore:
    """Read a keystore of our own from disk.

    Raises:
        NotFoundError: there is no such file.
        UnsafePermissionsError: others may read it.
        KeystoreFormatError: it is damaged.
    """
    try:
        check_private(path)
        with path.open("rb") as file:
            return decode(file.read(MAX_FILE_BYTES + 1))
    except FileNotFoundError as error:
        raise NotFoundError(f"no keystore {path}") from error


def check_private(path: Path) -> None:
    """Refuse a secret file that others may read.

    Raises:
        UnsafePermissionsError: its mode lets the group or others in.
        FileNotFoundError: there is no such file.
    """
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise UnsafePermissionsError(
            f"others may read {path}", why=f"its mode is {mode:04o}", try_=(f"chmod 600 {path}",)
        )


def save(path: Path, keystore: Keystore, *, replace: bool = False) -> None:
    """Write a keystore, mode 0600, never half.

    Raises:
        KeyExistsError: the file exists and `replace` is not set.
    """
    if not replace and path.exists():
        raise KeyExistsError(f"{path} exists", why="a key is never overwritten")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, keystore.encode(), mode=PRIVATE_MODE)


def _aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    cipher = Cipher(AES(key), CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _derive(crypto: dict[str, Any], passphrase: str) -> bytes:
    parameters = _object(crypto, "kdfparams")
    match crypto.get("kdf"):
        case "scrypt":
            return _scrypt(passphrase, parameters)
        case "pbkdf2":
            return _pbkdf2(passphrase, parameters)
        case _:
            raise KeystoreFormatError("the keystore's key derivation is not one we know")


def _scrypt(passphrase: str, parameters: dict[str, Any]) -> bytes:
    n, r, p = (_integer(parameters, name) for name in ("n", "r", "p"))
    memory_bytes = 128 * r * (n + p)
    if (
        n < 2
        or n & (n - 1)
        or memory_bytes > MAX_SCRYPT_BYTES
        or r > MAX_SCRYPT_R
        or p > MAX_SCRYPT_P
    ):
        raise KeystoreFormatError("the keystore asks for too much work")
    salt, size = _hex(parameters, "salt"), _derived_size(parameters)
    # hashlib's would refuse n >= 2^(16 r), which the definition's own vector has
    return bytes(
        scrypt(passphrase.encode(), salt, size, N=n, r=r, p=p)  # type: ignore[arg-type]
    )


def _pbkdf2(passphrase: str, parameters: dict[str, Any]) -> bytes:
    rounds = _integer(parameters, "c")
    if parameters.get("prf") != "hmac-sha256" or rounds > MAX_PBKDF2_ROUNDS:
        raise KeystoreFormatError("the keystore's key derivation is not one we know")
    salt = _hex(parameters, "salt")
    size = _derived_size(parameters)
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, rounds, size)


def _derived_size(parameters: dict[str, Any]) -> int:
    size = _integer(parameters, "dklen")
    if size != DERIVED_BYTES:
        raise KeystoreFormatError(f"the keystore derives {size} bytes, not {DERIVED_BYTES}")
    return size


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise KeystoreFormatError(f"the keystore lacks {name!r}")
    return value


def _integer(parent: dict[str, Any], name: str) -> int:
    value = parent.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 31:
        raise KeystoreFormatError(f"the keystore's {name!r} is no positive number")
    return value


def _hex(parent: dict[str, Any], name: str, size: int | None = None) -> bytes:
    value = parent.get(name)
    try:
        decoded = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else b""
    except ValueError as error:
        raise KeystoreFormatError(f"the keystore's {name!r} is not hexadecimal") from error
    if not decoded or (size is not None and len(decoded) != size):
        raise KeystoreFormatError(f"the keystore's {name!r} has a wrong size")
    return decoded


def _address(document: dict[str, Any]) -> bytes:
    """Read the address that geth writes and cast leaves out."""
    return _hex(document, "address", 20) if document.get("address") else b""
