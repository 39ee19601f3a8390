"""Where the seed of a premium wallet lies, and how it is written down.

The file is a keystore. On paper the seed is nine groups of eight hexadecimal digits; the last one
is a checksum, so that a slip of the pen is told.

Source: docs/spec/payments.md, QN-PAY-080; docs/reference/keystores.md.
"""

from pathlib import Path
from typing import Final

from node.errors import WalletMissingError
from node.payments.user.derivation import SEED_BYTES, Seed
from qnet.crypto.keys import constant_time_equal, keccak256
from qnet.errors import NotFoundError, UsageError
from qnet.sampling import RandomBytes
from qnet.wallet import keystore
from qnet.wallet.errors import KeystoreFormatError
from qnet.wallet.keystore import KeyKind, ScryptCost

SEED_FILE: Final = "seed.json"
_GROUP: Final = 8
_CHECK_BYTES: Final = 4


def payments_folder(home: Path) -> Path:
    """Folder of the premium wallet in a client's home."""
    return home / "payments"


def save_seed(
    folder: Path, secret: bytes, passphrase: str, *, random: RandomBytes, cost: ScryptCost
) -> None:
    """Write the seed's keystore.

    Raises:
        KeyExistsError: there is one.
    """
    locked = keystore.encrypt(secret, passphrase, kind=KeyKind.PAYMENTS, random=random, cost=cost)
    keystore.save(folder / SEED_FILE, locked)


def load_seed(folder: Path, passphrase: str) -> Seed:
    """Open the seed's keystore.

    Raises:
        WalletMissingError: there is none.
        KeyAccessError: permissions, damage, or a wrong passphrase.
    """
    try:
        locked = keystore.load(folder / SEED_FILE)
    except NotFoundError as error:
        raise WalletMissingError(
            f"no premium wallet in {folder}", try_=("qnet pay init",)
        ) from error
    if locked.kind is not KeyKind.PAYMENTS:
        raise KeystoreFormatError(f"the keystore holds an {locked.kind} key, not a wallet's seed")
    return Seed(locked.decrypt(passphrase))


def backup_of(secret: bytes) -> str:
    """The seed as it is written down."""
    digits = (secret + keccak256(secret)[:_CHECK_BYTES]).hex()
    return " ".join(digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP))


def read_backup(text: str) -> bytes:
    """The seed from what was written down, 32 bytes.

    Raises:
        UsageError: it is no backup, or has a slip in it.
    """
    try:
        data = bytes.fromhex("".join(text.split()))
    except ValueError:
        data = b""
    secret, check = data[:SEED_BYTES], data[SEED_BYTES:]
    whole = len(data) == SEED_BYTES + _CHECK_BYTES
    if not whole or not constant_time_equal(keccak256(secret)[:_CHECK_BYTES], check):
        raise UsageError(
            "this is not the backup of a premium wallet",
            why="nine groups of eight hexadecimal digits are expected, and the last must fit",
        )
    return secret
