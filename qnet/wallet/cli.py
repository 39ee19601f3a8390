"""`qnet wallet`: keys, balances and transfers."""

from pathlib import Path
from typing import Any

import rich_click as click

from qnet.cli.output import confirm, emit, say
from qnet.crypto.keys import ReceiptKey
from qnet.errors import KeyAccessError, UsageError
from qnet.files import write_atomic
from qnet.wallet import keystore
from qnet.wallet.accounts import Account
from qnet.wallet.errors import KeyExistsError
from qnet.wallet.keystore import LIGHT, MAX_FILE_BYTES, STANDARD
from qnet.wallet.options import light_option, passphrase_options, wallet_of_command
from qnet.wallet.passphrase import PassphraseSource
from qnet.wallet.signer import unlock_key
from qnet.wallet.transfers import balance, send

_HEX_SECRET_DIGITS = 64
_FILE = click.Path(path_type=Path)


@click.group()
def wallet() -> None:
    """Keys, balances and transfers."""


def _describe(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "address": account.address_text,
        "kind": account.keystore.kind.value,
        "file": str(account.path),
    }


@wallet.command()
@click.argument("name")
@light_option
@passphrase_options()
def create(name: str, *, light: bool, passphrase: PassphraseSource) -> None:
    """Make a new account and keep it encrypted."""
    home = wallet_of_command()
    home.check_free(name)
    chosen = passphrase.read(what=f"new passphrase of {name}", confirm=True)
    secret = ReceiptKey.generate().secret
    account = home.add(name, secret, chosen, cost=LIGHT if light else STANDARD)
    emit("qnet.wallet.account/1", _describe(account))
    say(f"back up {account.path} and its passphrase: without both the account is lost")


@wallet.command(name="import")
@click.argument("name")
@click.argument("source", type=_FILE)
@light_option
@passphrase_options()
def import_(name: str, source: Path, *, light: bool, passphrase: PassphraseSource) -> None:
    """Take over a key from SOURCE: a JSON v3 keystore (geth, cast) or 64 hexadecimal digits.

    A keystore keeps its passphrase; a bare key gets a new one.
    """
    home = wallet_of_command()
    home.check_free(name)
    data = _read_source(source)
    if data.lstrip().startswith(b"{"):
        opener = passphrase.read(what=f"passphrase of {source}")
        secret = unlock_key(keystore.decode(data), opener).secret
    else:
        secret = _bare_secret(data, source)
        opener = passphrase.read(what=f"new passphrase of {name}", confirm=True)
    account = home.add(name, secret, opener, cost=LIGHT if light else STANDARD)
    emit("qnet.wallet.account/1", _describe(account))


def _read_source(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyAccessError(f"cannot read {source}", why=str(error)) from error


def _bare_secret(data: bytes, source: Path) -> bytes:
    """Read a secret written in hexadecimal, without ever showing it."""
    try:
        digits = data.decode("ascii").strip().removeprefix("0x")
        secret = bytes.fromhex(digits) if len(digits) == _HEX_SECRET_DIGITS else b""
    except (UnicodeDecodeError, ValueError):
        secret = b""
    if not secret:
        raise UsageError(
            f"{source} holds neither a keystore nor a key",
            why="expected JSON v3 or 64 hexadecimal digits",
        )
    return secret


@wallet.command(name="list")
def list_() -> None:
    """List the accounts of this wallet."""
    rows = [_describe(account) for account in wallet_of_command().accounts()]
    emit("qnet.wallet.list/1", rows, rows=rows)


@wallet.command()
@click.argument("name")
def show(name: str) -> None:
    """Show an account; needs no passphrase."""
    emit("qnet.wallet.account/1", _describe(wallet_of_command().find(name)))


@wallet.command()
@click.argument("name")
@passphrase_options()
def verify(name: str, passphrase: PassphraseSource) -> None:
    """Prove that the keystore is whole and the passphrase opens it."""
    account = wallet_of_command().find(name)
    secret = account.keystore.decrypt(passphrase.read(what=f"passphrase of {name}"))
    public = keystore.public_of(account.keystore.kind, secret)
    emit(
        "qnet.wallet.verify/1",
        {**_describe(account), "opens": True, "public": "0x" + public.hex()},
        text=f"{name}: the passphrase opens the key of {account.address_text or public.hex()}",
    )


@wallet.command()
@click.argument("name")
@click.argument("target", type=_FILE)
@click.option("--plain", is_flag=True, help="Write the bare key, not encrypted.")
@passphrase_options()
def export(name: str, target: Path, *, plain: bool, passphrase: PassphraseSource) -> None:
    """Write a copy of an account's keystore to TARGET (mode 0600), for geth, cast or a backup."""
    account = wallet_of_command().find(name)
    if target.exists():
        raise KeyExistsError(f"{target} exists", why="nothing is overwritten")
    form = "its bare key, which anybody who reads it can use" if plain else "its keystore"
    if not confirm([f"account  {name} {account.address_text}", f"write    {form}", f"to {target}"]):
        return
    content = account.keystore.encode()
    if plain:
        secret = account.keystore.decrypt(passphrase.read(what=f"passphrase of {name}"))
        content = secret.hex().encode() + b"\n"
    try:
        write_atomic(target, content)
    except OSError as error:
        raise KeyAccessError(f"cannot write {target}", why=str(error)) from error
    emit("qnet.wallet.export/1", {**_describe(account), "target": str(target), "plain": plain})


@wallet.command()
@click.argument("name")
@light_option
@passphrase_options()
@passphrase_options("new-", "New passphrase")
def passwd(
    name: str, *, light: bool, passphrase: PassphraseSource, new_passphrase: PassphraseSource
) -> None:
    """Change the passphrase of an account."""
    home = wallet_of_command()
    account = home.find(name)
    old = passphrase.read(what=f"passphrase of {name}")
    account.keystore.decrypt(old)
    new = new_passphrase.read(what=f"new passphrase of {name}", confirm=True)
    if not confirm([f"account  {name} {account.address_text}", "change   its passphrase"]):
        return
    home.change_passphrase(account, old, new, LIGHT if light else STANDARD)
    emit("qnet.wallet.account/1", _describe(account))
    say("copies made before still open with the old passphrase")


wallet.add_command(balance)
wallet.add_command(send)
