"""What a relay was paid, on disk before anything is granted for it.

One row a token, with the highest unit shown; a row is never lowered. Claims remember which member
took which part. Rows of an epoch go when nothing can be earned with them any more.

Source: docs/spec/payments.md, QN-PAY-044, 051 and 054.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.io.database import open_database
from qnet.messages.claims import SpentToken
from qnet.messages.instruments import KEY_BYTES, Opening, Unit

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE tokens (
    id BLOB PRIMARY KEY,
    epoch INTEGER NOT NULL,
    top BLOB NOT NULL,
    refund BLOB NOT NULL,
    signature BLOB NOT NULL,
    k INTEGER NOT NULL DEFAULT 0,
    preimage BLOB NOT NULL DEFAULT x''
) WITHOUT ROWID;
CREATE INDEX tokens_by_epoch ON tokens(epoch, id);
CREATE TABLE deliveries (
    epoch INTEGER NOT NULL,
    part INTEGER NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (epoch, part, member)
) WITHOUT ROWID;
CREATE TABLE settlements (
    epoch INTEGER PRIMARY KEY,
    attested_units INTEGER,
    cum_units INTEGER NOT NULL DEFAULT 0,
    redeemed_units INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE issuance_keys (
    epoch INTEGER PRIMARY KEY,
    keys BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class UnitRow:
    """How far a token is spent.

    Args:
        token_id: T, 32 bytes.
        unit: the payment.
    """

    token_id: bytes
    unit: Unit


@dataclass(frozen=True, slots=True)
class EpochRow:
    """What one issuance epoch brought.

    Args:
        epoch: issuance epoch.
        tokens: shown by payers.
        units: paid with them.
        attested_units: by the committee; None while it has not, or not to us.
        cum_units: attested in all epochs up to this one.
        redeemed_units: paid for tokens that we showed to the chain ourselves.
    """

    epoch: int
    tokens: int
    units: int
    attested_units: int | None = None
    cum_units: int = 0
    redeemed_units: int = 0


class TollStore:
    """A SQLite file in WAL mode; safe to call from worker threads.

    Args:
        path: database file; created with its folder, mode 0600.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = open_database(path, _SCHEMA, SCHEMA_VERSION)

    def write(self, openings: Sequence[Opening], units: Sequence[UnitRow]) -> None:
        """Store tokens and how far others are spent, all in one transaction."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO tokens(id, epoch, top, refund, signature) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                [
                    (shown.token_id, shown.epoch, shown.top, shown.refund, shown.signature)
                    for shown in openings
                ],
            )
            self._db.executemany(
                "UPDATE tokens SET k = ?, preimage = ? WHERE id = ? AND k < ?",
                [(row.unit.k, row.unit.preimage, row.token_id, row.unit.k) for row in units],
            )

    def known(self, since_epoch: int) -> dict[int, set[bytes]]:
        """Ids of tokens shown, by epoch, from an epoch on."""
        found: dict[int, set[bytes]] = {}
        with self._lock:
            rows = self._db.execute("SELECT epoch, id FROM tokens WHERE epoch >= ?", (since_epoch,))
            for epoch, token_id in rows:
                found.setdefault(epoch, set()).add(bytes(token_id))
        return found

    def spent(self, epoch: int) -> list[SpentToken]:
        """Tokens of an epoch with at least one unit, ascending by T."""
        with self._lock:
            rows = self._db.execute(
                "SELECT top, refund, signature, k, preimage FROM tokens "
                "WHERE epoch = ? AND k > 0 ORDER BY id",
                (epoch,),
            ).fetchall()
        return [
            SpentToken(bytes(top), bytes(refund), bytes(signature), Unit(k, bytes(preimage)))
            for top, refund, signature, k, preimage in rows
        ]

    def epochs(self) -> list[EpochRow]:
        """All epochs with tokens, ascending."""
        with self._lock:
            rows = self._db.execute(
                "SELECT t.epoch, count(*), sum(t.k), s.attested_units, "
                "coalesce(s.cum_units, 0), coalesce(s.redeemed_units, 0) FROM tokens t "
                "LEFT JOIN settlements s ON s.epoch = t.epoch GROUP BY t.epoch ORDER BY t.epoch"
            ).fetchall()
        return [EpochRow(*row) for row in rows]

    def delivered(self, epoch: int, part: int, member: str) -> None:
        """Remember that a member took a part of the claims of an epoch."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO deliveries(epoch, part, member) VALUES (?, ?, ?)",
                (epoch, part, member),
            )

    def deliveries(self, epoch: int) -> dict[str, set[int]]:
        """Parts of the claims of an epoch that each member took."""
        found: dict[str, set[int]] = {}
        with self._lock:
            rows = self._db.execute(
                "SELECT member, part FROM deliveries WHERE epoch = ?", (epoch,)
            ).fetchall()
        for member, part in rows:
            found.setdefault(member, set()).add(part)
        return found

    def attested(self, epoch: int, units: int, cum_units: int) -> None:
        """Remember what the committee attested to us, in an epoch and up to it."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO settlements(epoch, attested_units, cum_units) VALUES (?, ?, ?) "
                "ON CONFLICT(epoch) DO UPDATE SET attested_units = excluded.attested_units, "
                "cum_units = excluded.cum_units",
                (epoch, units, cum_units),
            )

    def redeemed(self, epoch: int, units: int) -> None:
        """Remember what the chain paid for tokens of an epoch that we showed it, in all."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO settlements(epoch, redeemed_units) VALUES (?, ?) "
                "ON CONFLICT(epoch) DO UPDATE SET redeemed_units = excluded.redeemed_units",
                (epoch, units),
            )

    def keep_keys(self, epoch: int, keys: bytes) -> None:
        """Keep the eight keys of an epoch, 256 bytes each, as contracts take them."""
        with self._lock, self._db:
            self._db.execute("INSERT OR IGNORE INTO issuance_keys VALUES (?, ?)", (epoch, keys))

    def keys(self, epoch: int) -> tuple[bytes, ...]:
        """The eight keys of an epoch; empty if they were never seen."""
        with self._lock:
            row = self._db.execute(
                "SELECT keys FROM issuance_keys WHERE epoch = ?", (epoch,)
            ).fetchone()
        keys = b"" if row is None else bytes(row[0])
        return tuple(keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES))

    def forget(self, before_epoch: int) -> int:
        """Drop epochs that are over; returns how many tokens went."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for table in ("deliveries", "settlements", "issuance_keys"):
                self._db.execute(f"DELETE FROM {table} WHERE epoch < ?", (before_epoch,))  # noqa: S608
            return self._db.execute("DELETE FROM tokens WHERE epoch < ?", (before_epoch,)).rowcount

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()
