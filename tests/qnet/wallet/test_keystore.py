import contextlib
import json
import secrets
import subprocess
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto.keys import DhKey, ReceiptKey, SigningKey
from qnet.errors import NotFoundError, QnetError
from qnet.wallet.errors import (
    KeyExistsError,
    KeystoreFormatError,
    UnsafePermissionsError,
    WrongPassphraseError,
)
from qnet.wallet.keystore import (
    LIGHT,
    MAX_FILE_BYTES,
    KeyKind,
    ScryptCost,
    decode,
    encrypt,
    load,
    public_of,
    save,
)

CAST = next((Path(__file__).parents[3] / "node_modules/@foundry-rs").glob("cast-*/bin/cast"), None)
FAST = ScryptCost(n=2, r=8, p=1)
SECRET = bytes(range(1, 33))
PASSPHRASE = "correct horse ä"
# Source: Web3 Secret Storage Definition, test vectors
VECTORS = {
    "pbkdf2": {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144,
                "dklen": 32,
                "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
    "scrypt": {
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32,
                "n": 262144,
                "p": 8,
                "r": 1,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
            },
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    },
}
VECTOR_SECRET = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


def make(kind=KeyKind.SECP256K1, secret=SECRET, cost=FAST):
    return encrypt(secret, PASSPHRASE, kind=kind, random=secrets.token_bytes, cost=cost)


@pytest.mark.parametrize("kdf", VECTORS)
def test_the_vectors_of_the_definition_open(kdf):
    stored = decode(json.dumps(VECTORS[kdf]).encode())
    assert stored.decrypt("testpassword").hex() == VECTOR_SECRET
    with pytest.raises(WrongPassphraseError):
        stored.decrypt("wrong")


def test_eth_account_opens_ours():
    stored = make()
    assert bytes(Account.decrypt(json.loads(stored.encode()), PASSPHRASE)) == SECRET


@pytest.mark.parametrize(("kdf", "work"), [("scrypt", 2), ("pbkdf2", 10)])
def test_ours_opens_what_eth_account_wrote(kdf, work):
    document = Account.encrypt(SECRET, PASSPHRASE, kdf=kdf, iterations=work)
    stored = decode(json.dumps(document).encode())
    assert stored.decrypt(PASSPHRASE) == SECRET
    assert stored.public == ReceiptKey(SECRET).address


@pytest.mark.skipif(CAST is None, reason="cast is not installed")
def test_cast_opens_ours_and_we_open_cast_s(tmp_path):
    ours = tmp_path / "ours"
    save(ours, make(cost=LIGHT))
    words = ["wallet", "decrypt-keystore", "--keystore-dir", str(tmp_path)]
    done = subprocess.run(
        [CAST, *words, "ours", "--unsafe-password", PASSPHRASE],
        capture_output=True,
        check=True,
        text=True,
        timeout=30,
    )
    assert SECRET.hex() in done.stdout
    words = ["wallet", "import", "--keystore-dir", str(tmp_path), "theirs"]
    subprocess.run(
        [CAST, *words, "--private-key", SECRET.hex(), "--unsafe-password", PASSPHRASE],
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert decode((tmp_path / "theirs").read_bytes()).decrypt(PASSPHRASE) == SECRET


@pytest.mark.parametrize("kind", KeyKind)
def test_every_kind_comes_back(kind):
    stored = decode(make(kind).encode())
    assert stored.kind is kind
    assert stored.decrypt(PASSPHRASE) == SECRET
    assert stored.public == public_of(kind, SECRET)
    assert ("address" in stored.document) == (kind is KeyKind.SECP256K1)


def test_publics_are_those_of_the_keys():
    assert public_of(KeyKind.SECP256K1, SECRET) == ReceiptKey(SECRET).address
    assert public_of(KeyKind.ED25519, SECRET) == SigningKey(SECRET).public
    assert public_of(KeyKind.X25519, SECRET) == DhKey(SECRET).public


def test_no_two_files_are_alike():
    assert make().encode() != make().encode()


@settings(max_examples=30)
@given(st.binary(min_size=32, max_size=32), st.text(max_size=30))
def test_any_secret_and_passphrase_come_back(secret, passphrase):
    stored = encrypt(
        secret, passphrase, kind=KeyKind.ED25519, random=secrets.token_bytes, cost=FAST
    )
    assert decode(stored.encode()).decrypt(passphrase) == secret


@given(st.data())
def test_a_cut_file_is_told(data):
    whole = make().encode().rstrip()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(KeystoreFormatError):
        decode(whole[:cut])


@given(st.binary(max_size=500))
def test_decoding_never_crashes(data):
    with pytest.raises(KeystoreFormatError):
        decode(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("00" * 32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_any_field_may_hold_anything(data):
    """Whatever one field is replaced with: it opens, or a typed error says why not."""
    document = json.loads(make(data.draw(st.sampled_from(KeyKind))).encode())
    place = document
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[name], dict) and data.draw(st.booleans()):
            place = place[name]
            continue
        place[name] = data.draw(json_values)
        break
    with contextlib.suppress(QnetError):
        assert decode(json.dumps(document).encode()).decrypt(PASSPHRASE) == SECRET


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 1 << 30), ("n", 3), ("n", 1), ("r", 1 << 20), ("p", 17), ("dklen", 64), ("n", True)],
)
def test_a_file_cannot_ask_for_endless_work(field, value):
    document = json.loads(make().encode())
    document["crypto"]["kdfparams"][field] = value
    with pytest.raises(KeystoreFormatError):
        decode(json.dumps(document).encode()).decrypt(PASSPHRASE)


def test_a_file_that_lies_about_its_address_is_told():
    document = json.loads(make().encode())
    document["address"] = "11" * 20
    with pytest.raises(WrongPassphraseError, match="another key than it says"):
        decode(json.dumps(document).encode()).decrypt(PASSPHRASE)


def test_a_flipped_bit_of_the_key_is_told():
    document = json.loads(make().encode())
    first = int(document["crypto"]["ciphertext"][0], 16) ^ 1
    document["crypto"]["ciphertext"] = f"{first:x}" + document["crypto"]["ciphertext"][1:]
    with pytest.raises(WrongPassphraseError):
        decode(json.dumps(document).encode()).decrypt(PASSPHRASE)


def test_a_number_out_of_range_is_no_key():
    with pytest.raises(KeystoreFormatError, match="not a secp256k1 key"):
        make(secret=bytes(32))


def test_saving_makes_a_private_file_and_never_overwrites(tmp_path):
    path = tmp_path / "keys/identity.json"
    save(path, make())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(KeyExistsError):
        save(path, make())
    save(path, make(KeyKind.ED25519), replace=True)
    assert load(path).kind is KeyKind.ED25519


def test_a_file_others_may_read_is_refused(tmp_path):
    path = tmp_path / "key.json"
    save(path, make())
    path.chmod(0o640)
    with pytest.raises(UnsafePermissionsError) as raised:
        load(path)
    assert raised.value.exit_code == 6
    assert raised.value.try_ == (f"chmod 600 {path}",)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(NotFoundError):
        load(tmp_path / "nothing.json")


def test_an_endless_file_is_cut(tmp_path):
    path = tmp_path / "key.json"
    path.touch(mode=0o600)
    path.write_bytes(b"{" * (MAX_FILE_BYTES * 2))
    with pytest.raises(KeystoreFormatError, match="longer than"):
        load(path)
