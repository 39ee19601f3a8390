"""Messages and answers that came, with the reply blocks of those that can be answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.client.mix.message_file import MessageFile
from node.client.mix.rows import Incoming
from node.mix.account import MailReceived, ReplyPart, ReplyReceived
from node.mix.frame import Fragment
from qnet.errors import NotFoundError

MAX_INCOMING: Final = 65_536
MAX_INCOMING_BYTES: Final = 256 << 20
"""Of messages kept; beyond, new ones are not taken, and their senders learn it by our silence."""
INCOMING: Final = """SELECT number, address, about, text, received_at,
    (SELECT count(*) FROM blocks WHERE blocks.number = incoming.number AND answer IS NULL)
    FROM incoming WHERE text IS NOT NULL"""


class ReceivedMessages:
    """Messages that came to a client.

    Args:
        file: of the client's messages.
    """

    def __init__(self, file: MessageFile) -> None:
        self._file = file

    def add_mail(self, received: MailReceived, at: float) -> bool:
        """Keep a message that came; false if it is known."""
        address = str(received.address)
        surbs = [surb.encode() for surb in received.mail.replies]
        return self._add(
            address.encode(), received.message_id, address, b"", received.mail.text, surbs, at
        )

    def add_part(self, part: ReplyPart, at: float) -> None:
        """Keep a part of an answer that is not complete."""
        fragment = part.fragment
        with self._file.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO parts VALUES (?, ?, ?, ?, ?, ?)",
                (
                    fragment.message_id,
                    fragment.index,
                    fragment.count,
                    fragment.data,
                    part.about,
                    at,
                ),
            )

    def add_reply(self, reply: ReplyReceived, at: float) -> bool:
        """Keep an answer that came; false if it is known."""
        is_new = self._add(reply.about, reply.message_id, "", reply.about, reply.text, (), at)
        with self._file.write() as db:
            db.execute("DELETE FROM parts WHERE message_id = ?", (reply.message_id,))
        return is_new

    def parts(self) -> list[ReplyPart]:
        """Parts of answers that are not complete."""
        rows = self._file.db.execute("SELECT message_id, place, count, data, about FROM parts")
        return [
            ReplyPart(about, Fragment(message_id, place, count, data))
            for message_id, place, count, data, about in rows
        ]

    @property
    def has_room(self) -> bool:
        """Whether messages that come can be kept."""
        count, size = self._file.db.execute(
            "SELECT count(*), coalesce(sum(length(text)), 0) FROM incoming"
        ).fetchone()
        return bool(count < MAX_INCOMING and size < MAX_INCOMING_BYTES)

    def unread(self, limit: int) -> list[Incoming]:
        """Messages that nobody has read, oldest first."""
        query = f"{INCOMING} AND read_at IS NULL ORDER BY number LIMIT ?"
        return [Incoming(*row) for row in self._file.db.execute(query, (limit,))]

    def after(self, number: int, limit: int) -> list[Incoming]:
        """Messages with a number above `number`, oldest first."""
        query = f"{INCOMING} AND number > ? ORDER BY number LIMIT ?"
        return [Incoming(*row) for row in self._file.db.execute(query, (number, limit))]

    def mark_read(self, numbers: Sequence[int], at: float) -> None:
        """Messages were read at a unix time."""
        with self._file.write() as db:
            db.executemany(
                "UPDATE incoming SET read_at = ? WHERE number = ?", [(at, each) for each in numbers]
            )

    def delete(self, number: int, at: float) -> None:
        """Delete a message; only that it came is remembered for a while.

        Raises:
            NotFoundError: there is none of that number.
        """
        with self._file.write() as db:
            gone = db.execute(
                "UPDATE incoming SET text = NULL, address = '', read_at = ?"
                " WHERE number = ? AND text NOTNULL",
                (at, number),
            )
            db.execute("DELETE FROM blocks WHERE number = ? AND answer IS NULL", (number,))
        if not gone.rowcount:
            raise NotFoundError(f"no message {number}")

    def _add(
        self,
        source: bytes,
        message_id: bytes,
        address: str,
        about: bytes,
        text: bytes,
        surbs: Sequence[bytes],
        at: float,
    ) -> bool:
        with self._file.write() as db:
            added = db.execute(
                "INSERT OR IGNORE INTO incoming"
                " (source, message_id, address, about, text, received_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (source, message_id, address, about, text, at),
            )
            if not added.rowcount:
                return False
            db.executemany(
                # a block that came before must not be used twice, so it counts once
                "INSERT OR IGNORE INTO blocks (number, place, surb) VALUES (?, ?, ?)",
                [(added.lastrowid, place, surb) for place, surb in enumerate(surbs)],
            )
        return True
