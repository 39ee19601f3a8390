"""The accounts of a local network: fresh keys, one passphrase, all worth nothing elsewhere."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from qnet.address import checksum_address
from qnet.crypto.keys import ReceiptKey
from qnet.files import write_atomic
from qnet.wallet.keystore import LIGHT, KeyKind, encrypt, load, save
from qnet.wallet.passphrase import read_file
from tools.devnet.state import Account

FOLDER = "accounts"
PASSPHRASE_BYTES = 16


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """An account with its key in memory."""

    record: Account
    key: ReceiptKey

    @property
    def name(self) -> str:
        """Its name within the network."""
        return self.record.name

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self.key.address


def make_passphrase(file: Path) -> str:
    """Draw the network's passphrase and write it to `file` (0600)."""
    passphrase = secrets.token_hex(PASSPHRASE_BYTES)
    write_atomic(file, passphrase.encode() + b"\n")
    return passphrase


def make_accounts(home: Path, names: Iterable[str], passphrase: str) -> dict[str, OpenAccount]:
    """Draw a key for each name and write its keystore."""
    accounts: dict[str, OpenAccount] = {}
    for name in names:
        key = ReceiptKey.generate()
        stored = encrypt(
            key.secret,
            passphrase,
            kind=KeyKind.SECP256K1,
            random=secrets.token_bytes,
            cost=LIGHT,
        )
        path = home / FOLDER / f"{name}.json"
        save(path, stored)
        accounts[name] = OpenAccount(Account(name, checksum_address(key.address), str(path)), key)
    return accounts


def open_account(record: Account, passphrase_file: Path) -> OpenAccount:
    """Open the keystore of an account of this network."""
    secret = load(Path(record.keystore)).decrypt(read_file(passphrase_file))
    return OpenAccount(record, ReceiptKey(secret))
