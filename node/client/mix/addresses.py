"""Addresses of ours, with their secrets.

Beside those that people write to there is a home at each node: an address that nobody is told.
Delivery ids belong to it, so they stay good when the link to the node is another one.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from node.client.mix.message_file import MessageFile
from node.client.mix.rows import OwnAddress
from node.mix.account import Mailbox
from node.mix.mailbox_wire import MAX_CLAIMS
from qnet.crypto.keys import DhKey
from qnet.errors import NotFoundError, RejectedError

MAX_ADDRESSES: Final = MAX_CLAIMS - 1
"""That people write to; with the home a node is asked for as many as one request can name."""


class Addresses:
    """Addresses of one client.

    Args:
        file: of the client's messages.
    """

    def __init__(self, file: MessageFile) -> None:
        self._file = file

    def rows(self) -> list[OwnAddress]:
        """Those that people were given, oldest first."""
        rows = self._file.db.execute(
            "SELECT number, node, secret, text, made_at FROM addresses WHERE NOT is_home"
        )
        return [
            OwnAddress(number, Mailbox(DhKey(secret), node) if secret else None, text, made_at)
            for number, node, secret, text, made_at in rows
        ]

    def mailboxes(self) -> list[Mailbox]:
        """Those that are read, newest first."""
        return [row.mailbox for row in reversed(self.rows()) if row.mailbox is not None]

    def home(self, node_index: int) -> Mailbox | None:
        """Home at a node (registry index)."""
        row = self._file.db.execute(
            "SELECT secret FROM addresses WHERE is_home AND node = ?", (node_index,)
        ).fetchone()
        return None if row is None else Mailbox(DhKey(row[0]), node_index)

    def add_home(self, secret: bytes, node_index: int, at: float) -> Mailbox:
        """Keep a new home; for the arguments see `add`."""
        mailbox = Mailbox(DhKey(secret), node_index)
        with self._file.write() as db:
            _insert(db, mailbox, secret, at, is_home=True)
        return mailbox

    def add(self, secret: bytes, node_index: int, at: float) -> OwnAddress:
        """Keep a new address.

        Args:
            secret: of its key, 32 bytes.
            node_index: registry index of its mailbox node.
            at: unix time, seconds.

        Raises:
            RejectedError: there are as many as a node lets us claim at once.
        """
        mailbox = Mailbox(DhKey(secret), node_index)
        with self._file.write() as db:
            (used,) = db.execute(
                "SELECT count(*) FROM addresses WHERE secret NOTNULL AND NOT is_home"
            ).fetchone()
            if used >= MAX_ADDRESSES:
                raise RejectedError(
                    "no further address",
                    why=f"{MAX_ADDRESSES} are in use",
                    try_=("qnet msg address --drop NUMBER",),
                )
            number = _insert(db, mailbox, secret, at, is_home=False)
        return OwnAddress(number, mailbox, str(mailbox.address), at)

    def drop(self, number: int) -> None:
        """Give an address up and forget its secret.

        Raises:
            NotFoundError: there is none of that number.
        """
        with self._file.write() as db:
            gone = db.execute(
                "UPDATE addresses SET secret = NULL"
                " WHERE number = ? AND secret NOTNULL AND NOT is_home",
                (number,),
            )
        if not gone.rowcount:
            raise NotFoundError(f"no address {number}")


def _insert(
    db: sqlite3.Connection, mailbox: Mailbox, secret: bytes, at: float, *, is_home: bool
) -> int:
    cursor = db.execute(
        "INSERT INTO addresses (node, secret, text, made_at, is_home) VALUES (?, ?, ?, ?, ?)",
        (mailbox.node_index, secret, str(mailbox.address), at, is_home),
    )
    return int(cursor.lastrowid or 0)
