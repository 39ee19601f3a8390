"""The accounts of a wallet: keystores in one folder, called by name."""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qnet.address import checksum_address
from qnet.errors import NotFoundError, UsageError
from qnet.wallet import keystore
from qnet.wallet.errors import KeyExistsError, KeystoreFormatError
from qnet.wallet.keystore import STANDARD, KeyKind, Keystore, ScryptCost

DEFAULT_HOME: Final = Path("~/.qnet/wallet")
SUFFIX: Final = ".json"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the wallet.

    Args:
        name: how it is called here.
        path: its keystore file.
        keystore: the file's content, still encrypted.
    """

    name: str
    path: Path
    keystore: Keystore

    @property
    def address(self) -> bytes:
        """20-byte address."""
        return self.keystore.public

    @property
    def address_text(self) -> str:
        """Address for people; "" if the keystore does not tell it."""
        return checksum_address(self.address) if self.address else ""


class Wallet:
    """A folder of keystores.

    Args:
        home: the folder; need not exist yet.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.home = (home or DEFAULT_HOME).expanduser()

    def accounts(self) -> list[Account]:
        """List all accounts by name.

        Raises:
            KeystoreFormatError: a file is damaged; names it.
        """
        return [self._load(path.stem, path) for path in sorted(self.home.glob(f"*{SUFFIX}"))]

    def find(self, name: str) -> Account:
        """Find an account by name, or read a keystore by its path.

        Raises:
            NotFoundError: neither exists.
        """
        for path in (self.home / f"{name}{SUFFIX}", Path(name)):
            if path.is_file():
                return self._load(path.stem, path)
        raise NotFoundError(f"no account {name!r} in {self.home}", try_=("qnet wallet list",))

    def name_of(self, address: bytes) -> str:
        """Name of the account with an address; "" if none has it."""
        return next((item.name for item in self.accounts() if item.address == address), "")

    def check_free(self, name: str) -> None:
        """Refuse a name that is taken or cannot be a file's.

        Raises:
            UsageError: not a name.
            KeyExistsError: it is taken.
        """
        if _NAME.fullmatch(name) is None:
            raise UsageError(
                f"{name!r} is no name for an account", why="use a-z, 0-9, dots and dashes"
            )
        if self._path(name).exists():
            raise KeyExistsError(f"an account {name!r} exists", try_=("choose another name",))

    def add(
        self, name: str, secret: bytes, passphrase: str, *, cost: ScryptCost = STANDARD
    ) -> Account:
        """Encrypt a secp256k1 secret (32 bytes) and keep it under a new name.

        Raises:
            UsageError: not a name.
            KeyExistsError: the name is taken.
            KeystoreFormatError: the secret is no key.
        """
        self.check_free(name)
        encrypted = keystore.encrypt(
            secret, passphrase, kind=KeyKind.SECP256K1, random=secrets.token_bytes, cost=cost
        )
        keystore.save(self._path(name), encrypted)
        return Account(name, self._path(name), encrypted)

    def change_passphrase(self, account: Account, old: str, new: str, cost: ScryptCost) -> None:
        """Encrypt an account anew; the file holds the old or the new version, never half.

        Raises:
            WrongPassphraseError: the old passphrase does not open it.
        """
        secret = account.keystore.decrypt(old)
        fresh = keystore.encrypt(
            secret, new, kind=account.keystore.kind, random=secrets.token_bytes, cost=cost
        )
        keystore.save(account.path, fresh, replace=True)

    def _path(self, name: str) -> Path:
        return self.home / f"{name}{SUFFIX}"

    @staticmethod
    def _load(name: str, path: Path) -> Account:
        try:
            return Account(name, path, keystore.load(path))
        except KeystoreFormatError as error:
            raise KeystoreFormatError(
                f"{path}: {error.message}", why=error.why, try_=error.try_
            ) from error
