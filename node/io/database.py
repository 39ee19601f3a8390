"""Small databases of a node: SQLite in WAL mode, on disk before a commit returns."""

import sqlite3
from pathlib import Path

from qnet.errors import LocalProtocolError

BUSY_S = 10


def open_database(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open a database that worker threads share under a lock of their owner.

    Args:
        path: File; created with its folder, mode 0600.
        schema: Statements that make the tables of a new one.
        version: Of the schema.

    Raises:
        LocalProtocolError: The file has another schema.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found == 0:
        db.executescript(f"BEGIN; {schema} PRAGMA user_version={version}; COMMIT")
    elif found != version:
        db.close()
        raise LocalProtocolError(f"{path.name} has schema {found}, expected {version}")
    return db
