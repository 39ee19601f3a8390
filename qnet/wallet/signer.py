"""From a keystore and a passphrase to something that signs transactions."""

from pathlib import Path
from typing import TYPE_CHECKING

from qnet.crypto.keys import ReceiptKey
from qnet.wallet import keystore
from qnet.wallet.errors import KeystoreFormatError
from qnet.wallet.keystore import KeyKind, Keystore

if TYPE_CHECKING:
    from qnet.chain.sender import KeySigner


def unlock_key(locked: Keystore, passphrase: str) -> ReceiptKey:
    """Open a keystore that holds an account of the chain.

    Raises:
        KeystoreFormatError: it holds another kind of key.
        WrongPassphraseError: the passphrase does not open it.
    """
    if locked.kind is not KeyKind.SECP256K1:
        raise KeystoreFormatError(f"the keystore holds an {locked.kind} key, not an account")
    return ReceiptKey(locked.decrypt(passphrase))


def open_signer(path: Path, passphrase: str) -> "KeySigner":
    """Read a keystore file and open it for signing.

    Raises:
        NotFoundError: there is no such file.
        KeyAccessError: permissions, damage or a wrong passphrase.
    """
    from qnet.chain.sender import KeySigner

    return KeySigner(unlock_key(keystore.load(path), passphrase))
