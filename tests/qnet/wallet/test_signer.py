import secrets

import pytest

from qnet.crypto.keys import ReceiptKey
from qnet.errors import NotFoundError
from qnet.wallet.errors import KeystoreFormatError, WrongPassphraseError
from qnet.wallet.keystore import KeyKind, ScryptCost, encrypt, save
from qnet.wallet.signer import open_signer

FAST = ScryptCost(n=2, r=8, p=1)


def store(path, secret, kind):
    save(path, encrypt(secret, "sesame", kind=kind, random=secrets.token_bytes, cost=FAST))
    return path


def test_an_opened_account_signs_transactions(tmp_path):
    key = ReceiptKey.generate()
    signer = open_signer(store(tmp_path / "a.json", key.secret, KeyKind.SECP256K1), "sesame")
    assert signer.address == key.address
    fields = {
        "type": 2,
        "chainId": 1,
        "nonce": 0,
        "gas": 21_000,
        "maxFeePerGas": 2,
        "maxPriorityFeePerGas": 1,
        "value": 1,
        "to": "0x" + "77" * 20,
    }
    from eth_account import Account

    assert bytes.fromhex(Account.recover_transaction(signer.sign_transaction(fields))[2:]) == (
        key.address
    )


def test_a_wrong_passphrase_opens_nothing(tmp_path):
    path = store(tmp_path / "a.json", ReceiptKey.generate().secret, KeyKind.SECP256K1)
    with pytest.raises(WrongPassphraseError):
        open_signer(path, "wrong")


def test_an_identity_is_no_account(tmp_path):
    path = store(tmp_path / "a.json", bytes(range(32)), KeyKind.ED25519)
    with pytest.raises(KeystoreFormatError, match="not an account"):
        open_signer(path, "sesame")


def test_a_missing_keystore(tmp_path):
    with pytest.raises(NotFoundError):
        open_signer(tmp_path / "nothing.json", "sesame")
