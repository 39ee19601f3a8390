"""The outbox of a node: what it signed, kept until every committee member has it.

A receipt is stored (and flushed to disk) before it leaves, under a unique key, so a node that is
killed at any point sends it again, and can never sign two different receipts for one slot and
link: the first one stored wins. Members answer idempotently, so sending twice does no harm.

States of a receipt for each member: waiting -> delivered(status). Nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from node.io.database import open_database
from qnet.errors import LocalProtocolError

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE receipts (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL,
    epoch INTEGER NOT NULL
);
CREATE TABLE deliveries (
    receipt INTEGER NOT NULL REFERENCES receipts(id) ON DELETE CASCADE,
    member TEXT NOT NULL,
    status INTEGER NOT NULL,
    PRIMARY KEY (receipt, member)
) WITHOUT ROWID;
CREATE INDEX receipts_by_epoch ON receipts(epoch);
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One receipt a member does not have yet.

    Attributes:
        row: Number in this spool.
        body: Encoded receipt.
    """

    row: int
    body: bytes


class ConflictingReceiptError(LocalProtocolError):
    """A different receipt is already stored under this key; signing both would be fraud."""


class Spool:
    """A SQLite file in WAL mode; safe to call from worker threads.

    Args:
        path: Database file; created with its folder, mode 0600.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = open_database(path, _SCHEMA, SCHEMA_VERSION)

    def put(self, key: bytes, body: bytes, epoch: int) -> bool:
        """Store a receipt durably.

        Args:
            key: What makes it unique: epoch, slot, both nodes and side.
            body: Encoded, signed receipt.
            epoch: Reward epoch, for pruning.

        Returns:
            False when exactly this receipt was stored before.

        Raises:
            ConflictingReceiptError: Another receipt stands under the key.
        """
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            cursor = self._db.execute(
                "INSERT INTO receipts(key, body, epoch) VALUES (?, ?, ?) "
                "ON CONFLICT(key) DO NOTHING",
                (key, body, epoch),
            )
            if cursor.rowcount == 1:
                return True
            (stored,) = self._db.execute(
                "SELECT body FROM receipts WHERE key = ?", (key,)
            ).fetchone()
        if stored != body:
            raise ConflictingReceiptError("a different receipt is stored for this slot and link")
        return False

    def get(self, key: bytes) -> bytes | None:
        """The receipt stored under a key."""
        with self._lock:
            found = self._db.execute("SELECT body FROM receipts WHERE key = ?", (key,)).fetchone()
        return None if found is None else bytes(found[0])

    def since(self, epoch: int) -> list[bytes]:
        """Receipts of an epoch and later ones, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT body FROM receipts WHERE epoch >= ? ORDER BY id", (epoch,)
            ).fetchall()
        return [bytes(body) for (body,) in rows]

    def note(self, name: str, value: bytes) -> None:
        """Keep one value under a name."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT OR REPLACE INTO notes(name, value) VALUES (?, ?)", (name, value)
            )

    def noted(self, name: str) -> bytes | None:
        """The value kept under a name."""
        with self._lock:
            row = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def waiting(self, member: str, limit: int) -> list[Waiting]:
        """Oldest receipts a member has not acknowledged, at most `limit`."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, body FROM receipts WHERE NOT EXISTS (SELECT 1 FROM deliveries "
                "WHERE receipt = receipts.id AND member = ?) ORDER BY id LIMIT ?",
                (member, limit),
            ).fetchall()
        return [Waiting(row, bytes(body)) for row, body in rows]

    def delivered(self, member: str, statuses: Mapping[int, int]) -> None:
        """Remember a member's answers.

        Args:
            member: Its URL.
            statuses: Answer code of each row.
        """
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO deliveries(receipt, member, status) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET status = excluded.status",
                [(row, member, status) for row, status in statuses.items()],
            )

    def counts(self, members: Iterable[str]) -> dict[str, int]:
        """How many receipts wait for each member."""
        with self._lock:
            (stored,) = self._db.execute("SELECT count(*) FROM receipts").fetchone()
            done = dict(self._db.execute("SELECT member, count(*) FROM deliveries GROUP BY member"))
        return {member: stored - done.get(member, 0) for member in members}

    def answers(self) -> dict[int, int]:
        """How often members gave each answer code."""
        with self._lock:
            return dict(self._db.execute("SELECT status, count(*) FROM deliveries GROUP BY status"))

    def prune(self, before_epoch: int) -> int:
        """Forget receipts of epochs long over.

        Returns:
            Number of receipts removed.
        """
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            return self._db.execute(
                "DELETE FROM receipts WHERE epoch < ?", (before_epoch,)
            ).rowcount

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()
