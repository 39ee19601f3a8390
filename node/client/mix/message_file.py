"""The file of a client's messages: its tables, and writing all or nothing.

Whoever opens it sees all of it: the running client and `qnet msg` write to it side by side.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from node.io.database import open_database
from qnet.errors import RejectedError

FILE: Final = Path("messages") / "messages.db"
MAX_WAITING: Final = 4_096
"""Messages, and answers, of ours that wait."""
_SCHEMA: Final = """
CREATE TABLE addresses (number INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL,
    secret BLOB, text TEXT NOT NULL UNIQUE, made_at REAL NOT NULL);
CREATE TABLE homes (node INTEGER PRIMARY KEY, secret BLOB NOT NULL, used_at REAL NOT NULL);
CREATE TABLE outgoing (message_id BLOB PRIMARY KEY, recipient TEXT NOT NULL, text BLOB NOT NULL,
    replies INTEGER NOT NULL, body BLOB NOT NULL DEFAULT x'', state TEXT NOT NULL,
    rounds INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL, made_at REAL NOT NULL,
    tried_at REAL NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', ended_at REAL);
CREATE INDEX outgoing_by_state ON outgoing(state, next_at);
CREATE TABLE awaited (delivery_id BLOB PRIMARY KEY, phase INTEGER NOT NULL, keys BLOB NOT NULL,
    reply_key BLOB NOT NULL, message_id BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE parts (message_id BLOB NOT NULL, place INTEGER NOT NULL, count INTEGER NOT NULL,
    data BLOB NOT NULL, about BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (message_id, place));
CREATE TABLE incoming (number INTEGER PRIMARY KEY AUTOINCREMENT, source BLOB NOT NULL,
    message_id BLOB NOT NULL, address TEXT NOT NULL, about BLOB NOT NULL, text BLOB,
    received_at REAL NOT NULL, read_at REAL, UNIQUE (source, message_id));
CREATE TABLE blocks (number INTEGER NOT NULL REFERENCES incoming ON DELETE CASCADE,
    place INTEGER NOT NULL, surb BLOB NOT NULL UNIQUE, answer BLOB, PRIMARY KEY (number, place));
CREATE TABLE answers (message_id BLOB PRIMARY KEY,
    number INTEGER NOT NULL REFERENCES incoming ON DELETE CASCADE, text BLOB NOT NULL,
    state TEXT NOT NULL, made_at REAL NOT NULL, why TEXT NOT NULL DEFAULT '', ended_at REAL);
"""


class MessageFile:
    """The file.

    Args:
        path: where; made if there is none.
    """

    def __init__(self, path: Path) -> None:
        self.db = open_database(path, _SCHEMA, 1)
        self.db.execute("PRAGMA secure_delete = ON")
        self._lock = Lock()

    def close(self) -> None:
        """Close it."""
        self.db.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on disk when the context ends; one thread at a time."""
        with self._lock:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def check_room(self, table: str) -> None:
        """Check that one more message may wait in a table.

        Raises:
            RejectedError: too many do.
        """
        (waiting,) = self.db.execute(
            f"SELECT count(*) FROM {table} WHERE state = 'waiting'"  # noqa: S608
        ).fetchone()
        if waiting >= MAX_WAITING:
            raise RejectedError("too many messages wait", why=f"{MAX_WAITING} at most")
