"""`qnet pay init`: the lines of client.toml, the seed, and an empty wallet."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, Final

from node.config import ClientConfig
from node.errors import NodeConfigError
from node.payments.user.derivation import SEED_BYTES, Seed
from node.payments.user.seed_file import (
    SEED_FILE,
    backup_of,
    payments_folder,
    read_backup,
    save_seed,
)
from node.payments.user.wallet_file import create_file
from qnet.address import checksum_address
from qnet.cli.output import confirm
from qnet.config import load_toml
from qnet.errors import KeyAccessError, UsageError
from qnet.files import write_atomic
from qnet.wallet.errors import KeyExistsError
from qnet.wallet.keystore import LIGHT, STANDARD, check_private
from qnet.wallet.passphrase import PassphraseSource

MAX_BACKUP_BYTES: Final = 1_024


def configure_payments(
    home: Path,
    members: tuple[str, ...],
    deployment: Path | None,
    passphrase_file: Path | None,
    rpc: str,
) -> None:
    """Add `[payments]`, and `[chain]`, to client.toml; what stands there stays.

    Raises:
        NodeConfigError: there is no client.toml.
        UsageError: something is missing for a section that is not there yet.
    """
    path = home / "client.toml"
    if not path.exists():
        raise NodeConfigError(f"no {path}", try_=("qnet client up --bundle network.json",))
    config = load_toml(path, ClientConfig)
    text = path.read_text()
    if config.payments is None:
        if not members or deployment is None or passphrase_file is None:
            raise UsageError(
                "client.toml has no [payments]",
                try_=("qnet pay init --member URL … --deployment FILE --passphrase-file FILE",),
            )
        text += (
            f"\n[payments]\nmembers = {json.dumps(list(members))}\n"
            f"deployment = {json.dumps(str(deployment.absolute()))}\n"
            f"passphrase_file = {json.dumps(str(passphrase_file.absolute()))}\n"
        )
    if config.chain is None:
        if not rpc:
            raise UsageError("client.toml has no [chain]", try_=("add --rpc URL",))
        text += f"\n[chain]\nrpc = {json.dumps(rpc)}\n"
    if text != path.read_text():
        write_atomic(path, text.encode())


def make_wallet(
    home: Path, restore: Path | None, passphrase: PassphraseSource, *, is_light: bool
) -> dict[str, Any] | None:
    """Make the seed, or take it from a backup, and an empty wallet.

    Returns:
        Its account and its backup ("" after a restore); None after --dry-run.

    Raises:
        KeyExistsError: there is a seed.
        UsageError: the backup has a slip in it.
        KeyAccessError: a file cannot be read, or others may read it.
    """
    folder = payments_folder(home)
    if (folder / SEED_FILE).exists():
        raise KeyExistsError(f"a premium wallet exists in {folder}", try_=("qnet pay status",))
    section = load_toml(home / "client.toml", ClientConfig).payments
    assert section is not None
    opener = PassphraseSource(file=section.passphrase_file).read()
    if passphrase.file is not None and passphrase.read() != opener:
        raise UsageError("client.toml names another passphrase file")
    secret = secrets.token_bytes(SEED_BYTES) if restore is None else _restored(restore)
    account = checksum_address(Seed(secret).channel.address)
    if not confirm([f"make   a premium wallet in {folder}", f"account {account}"]):
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cost = LIGHT if is_light else STANDARD
    save_seed(folder, secret, opener, random=secrets.token_bytes, cost=cost)
    create_file(folder, Seed(secret).channel.address)
    return {"account": account, "backup": backup_of(secret) if restore is None else ""}


def _restored(path: Path) -> bytes:
    try:
        check_private(path)
        with path.open("rb") as file:
            return read_backup(file.read(MAX_BACKUP_BYTES).decode("ascii", "replace"))
    except OSError as error:
        raise KeyAccessError(f"cannot read {path}", why=str(error)) from error
