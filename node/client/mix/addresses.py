"""Addresses of ours, with their secrets.

Beside those that people write to there is a home at each node: an address that nobody is told.
Delivery ids belong to it, so they stay good when the link to the node is another one.
"""

from __future__ import annotations

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
        rows = self._file.db.execute("SELECT number, node, secret, text, made_at FROM addresses")
        return [
            OwnAddress(number, Mailbox(DhKey(secret), node) if secret else None, text, made_at)
            for number, node, secret, text, made_at in rows
        ]

    def mailboxes(self) -> list[Mailbox]:
        """Those that are read, newest first."""
        return [row.mailbox for row in reversed(self.rows()) if row.mailbox is not None]

    def homes(self, since: float) -> list[Mailbox]:
        """Homes at nodes that were our guard since a unix time."""
        rows = self._file.db.execute("SELECT secret, node FROM homes WHERE used_at >= ?", (since,))
        return [Mailbox(DhKey(secret), node) for secret, node in rows]

    def use_home(self, node_index: int, fresh: bytes, at: float) -> Mailbox:
        """Home at a node that is our guard now; made if there is none.

        Args:
            node_index: registry index of the node.
            fresh: secret of a new one, 32 bytes.
            at: unix time, seconds.
        """
        with self._file.write() as db:
            db.execute(
                "INSERT INTO homes VALUES (?, ?, ?)"
                " ON CONFLICT (node) DO UPDATE SET used_at = excluded.used_at",
                (node_index, fresh, at),
            )
            (secret,) = db.execute(
                "SELECT secret FROM homes WHERE node = ?", (node_index,)
            ).fetchone()
        return Mailbox(DhKey(secret), node_index)

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
            (used,) = db.execute("SELECT count(*) FROM addresses WHERE secret NOTNULL").fetchone()
            if used >= MAX_ADDRESSES:
                raise RejectedError(
                    "no further address",
                    why=f"{MAX_ADDRESSES} are in use",
                    try_=("qnet msg address --drop NUMBER",),
                )
            text = str(mailbox.address)
            cursor = db.execute(
                "INSERT INTO addresses (node, secret, text, made_at) VALUES (?, ?, ?, ?)",
                (node_index, secret, text, at),
            )
        return OwnAddress(int(cursor.lastrowid or 0), mailbox, text, at)

    def drop(self, number: int) -> None:
        """Give an address up and forget its secret.

        Raises:
            NotFoundError: there is none of that number.
        """
        with self._file.write() as db:
            gone = db.execute(
                "UPDATE addresses SET secret = NULL WHERE number = ? AND secret NOTNULL",
                (number,),
            )
        if not gone.rowcount:
            raise NotFoundError(f"no address {number}")
