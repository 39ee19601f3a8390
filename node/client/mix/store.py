"""Everything that a client keeps of messages, in one file.

Nothing is sent or acknowledged before it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from node.client.mix.addresses import Addresses
from node.client.mix.answers import Answers
from node.client.mix.message_file import MessageFile
from node.client.mix.received import ReceivedMessages
from node.client.mix.sent import SentMessages

KEPT_S: Final = 7 * 86_400.0
"""Ended messages, and ids of those that were deleted, are forgotten after this time: longer than
anybody sends one again."""


class MessageStore:
    """The messages of one client.

    Args:
        path: file; made if there is none.

    Attributes:
        addresses: of ours.
        sent: messages of ours.
        received: messages that came.
        answers: to them.
    """

    def __init__(self, path: Path) -> None:
        self._file = MessageFile(path)
        self.addresses = Addresses(self._file)
        self.sent = SentMessages(self._file)
        self.received = ReceivedMessages(self._file)
        self.answers = Answers(self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def prune(self, at: float, dead: Sequence[bytes]) -> None:
        """Forget what ended long ago, and reply blocks (delivery ids) whose phase is over."""
        before = at - KEPT_S
        with self._file.write() as db:
            db.executemany("DELETE FROM awaited WHERE delivery_id = ?", [(each,) for each in dead])
            db.execute("DELETE FROM parts WHERE at < ?", (before,))
            for table in ("outgoing", "answers"):
                db.execute(f"DELETE FROM {table} WHERE ended_at < ?", (before,))  # noqa: S608
            db.execute("DELETE FROM incoming WHERE text IS NULL AND received_at < ?", (before,))
