"""The seed is opened by its passphrase alone, and comes back from paper unless there is a slip."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import WalletMissingError
from node.payments.user.derivation import Seed, Slot
from node.payments.user.seed_file import SEED_FILE, backup_of, load_seed, read_backup, save_seed
from qnet.errors import UsageError
from qnet.wallet import keystore
from qnet.wallet.errors import KeyExistsError, KeystoreFormatError, WrongPassphraseError
from qnet.wallet.keystore import KeyKind, ScryptCost

FAST = ScryptCost(n=2, r=8, p=1)
SECRET = bytes(range(32))


def saved(folder, secret=SECRET):
    save_seed(folder, secret, "sesame", random=secrets.token_bytes, cost=FAST)


@given(st.binary(min_size=32, max_size=32))
def test_what_was_written_down_is_read(secret):
    text = backup_of(secret)
    assert read_backup(text) == secret
    assert read_backup(f" {text.upper()}\n") == secret


@given(st.integers(0, 71), st.sampled_from("0123456789abcdef"))
def test_one_wrong_digit_is_noticed(place, digit):
    digits = backup_of(SECRET).replace(" ", "")
    if digits[place] == digit:
        return
    with pytest.raises(UsageError):
        read_backup(digits[:place] + digit + digits[place + 1 :])


@pytest.mark.parametrize("text", ["", "zz", SECRET.hex(), backup_of(SECRET) + " 00000000"])
def test_other_texts_are_no_backups(text):
    with pytest.raises(UsageError):
        read_backup(text)


def test_the_passphrase_opens_the_seed(tmp_path):
    saved(tmp_path)
    assert load_seed(tmp_path, "sesame").channel.address == Seed(SECRET).channel.address
    with pytest.raises(WrongPassphraseError):
        load_seed(tmp_path, "open")


def test_a_seed_is_never_overwritten(tmp_path):
    saved(tmp_path)
    with pytest.raises(KeyExistsError):
        saved(tmp_path, bytes(32))


def test_another_kind_of_key_is_no_seed(tmp_path):
    locked = keystore.encrypt(
        SECRET, "sesame", kind=KeyKind.ED25519, random=secrets.token_bytes, cost=FAST
    )
    keystore.save(tmp_path / SEED_FILE, locked)
    with pytest.raises(KeystoreFormatError):
        load_seed(tmp_path, "sesame")


def test_no_seed_is_told(tmp_path):
    with pytest.raises(WalletMissingError):
        load_seed(tmp_path, "sesame")


def test_the_channels_account_is_none_of_the_instruments():
    seed = Seed(SECRET)
    keys = {seed.key(Slot(0, class_, counter)).address for class_ in range(8) for counter in (0, 1)}
    assert seed.channel.address not in keys
