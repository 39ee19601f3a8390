"""The file of a wallet: made whole or not at all, opened by one program, refused when damaged."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final

from node.errors import WalletBusyError, WalletDamagedError
from node.payments.rows import INSTRUMENT_COLUMNS, REQUEST_COLUMNS
from qnet.errors import LocalProtocolError

SCHEMA_VERSION: Final = 1
FILE: Final = "wallet.db"
LOCK: Final = "wallet.lock"
_HEADER_BYTES: Final = 100

_SCHEMA: Final = f"""
CREATE TABLE instruments ({", ".join(INSTRUMENT_COLUMNS)}, seal,
    PRIMARY KEY (epoch, class, counter)) WITHOUT ROWID;
CREATE INDEX instruments_by_state ON instruments(state);
CREATE TABLE requests (number INTEGER PRIMARY KEY AUTOINCREMENT,
    {", ".join(name for name in REQUEST_COLUMNS if name != "number")}, seal);
CREATE UNIQUE INDEX vouchers ON requests(nonce) WHERE nonce > 0 AND state != 'failed';
CREATE TABLE receipts (nonce INTEGER PRIMARY KEY, at, epoch, credits, wei);
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


def create_file(folder: Path, owner: bytes) -> None:
    """Make an empty file; it stands whole or not at all.

    Args:
        folder: of the wallet; made if it does not exist.
        owner: address of the channel, 20 bytes.

    Raises:
        LocalProtocolError: there is one.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, fresh = folder / FILE, folder / f"{FILE}.new"
    if path.exists():
        raise LocalProtocolError(f"{path} exists")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    db = sqlite3.connect(fresh, isolation_level=None)
    db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT")
    db.execute("INSERT INTO notes VALUES ('owner', ?)", (owner,))
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    _rename(fresh, path)


def put_aside(folder: Path, suffix: str) -> Path | None:
    """Give a damaged file another name, with what belongs to it; None if there is none."""
    path = folder / FILE
    if not path.exists():
        return None
    aside = folder / f"{FILE}.{suffix}"
    for part in ("-wal", "-shm"):
        beside = folder / f"{FILE}{part}"
        if beside.exists():
            beside.rename(folder / f"{aside.name}{part}")
    _rename(path, aside)
    return aside


def _rename(old: Path, new: Path) -> None:
    old.rename(new)
    descriptor = os.open(new.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file; one that is shorter than it says is damaged.

    Raises:
        WalletDamagedError: it cannot be a whole file.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    page_bytes = int.from_bytes(header[16:18], "big") or 1
    pages = int.from_bytes(header[28:32], "big")
    size = path.stat().st_size
    whole = len(header) == _HEADER_BYTES and size >= pages * (
        page_bytes if page_bytes > 1 else 65_536
    )
    if not whole:
        raise damaged(path, f"it has {size} bytes and should have more")

    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # what it says may be damaged, too
        raise damaged(path, str(error)) from error
    return db


def damaged(path: Path, why: str) -> WalletDamagedError:
    """What is raised for a damaged file."""
    return WalletDamagedError(
        f"the premium wallet {path} is damaged", why=why, try_=("qnet pay recover",)
    )


def take_lock(folder: Path) -> int:
    """Take the folder's lock, which the system gives back when this process ends.

    Raises:
        WalletBusyError: another program has it.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise WalletBusyError(
            "another program has the premium wallet open",
            why=f"it holds {folder / LOCK}",
            try_=("qnet client down",),
        ) from error
    return descriptor
