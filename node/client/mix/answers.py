"""Answers of ours, and the reply blocks that they use up."""

from __future__ import annotations

from collections.abc import Sequence

from node.client.mix.message_file import MessageFile
from node.client.mix.received import INCOMING
from node.client.mix.rows import Answer, Incoming, State
from node.mix.surb import Surb, decode_surb
from qnet.errors import NotFoundError, RejectedError


class Answers:
    """Answers that a client writes.

    Args:
        file: of the client's messages.
    """

    def __init__(self, file: MessageFile) -> None:
        self._file = file

    def add(self, message_id: bytes, number: int, text: bytes, at: float) -> None:
        """Keep an answer until it is sent.

        Raises:
            NotFoundError: there is no message of that number.
            RejectedError: it has no reply block left, or too many answers wait.
        """
        with self._file.write() as db:
            self._file.check_room("answers")
            found = db.execute(f"{INCOMING} AND number = ?", (number,)).fetchone()
            if found is None:
                raise NotFoundError(f"no message {number}")
            if not Incoming(*found).blocks:
                raise RejectedError(
                    f"message {number} cannot be answered", why="it has no reply block left"
                )
            db.execute(
                "INSERT INTO answers (message_id, number, text, state, made_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (message_id, number, text, State.WAITING, at),
            )

    def rows(self, *, waiting: bool = False) -> list[Answer]:
        """Answers of ours, newest first; `waiting`: those to be sent, oldest first."""
        where = "WHERE state = 'waiting' ORDER BY made_at" if waiting else "ORDER BY made_at DESC"
        found = self._file.db.execute(
            f"SELECT message_id, number, text, state, made_at, why FROM answers {where}"  # noqa: S608
        ).fetchall()
        return [
            Answer(name, number, text, State(state), self._surbs_of(name), made_at, why)
            for name, number, text, state, made_at, why in found
        ]

    def free_blocks(self, number: int) -> list[Surb]:
        """Reply blocks of a message that no answer uses."""
        rows = self._file.db.execute(
            "SELECT surb FROM blocks WHERE number = ? AND answer IS NULL ORDER BY place", (number,)
        )
        return [decode_surb(surb) for (surb,) in rows]

    def take_blocks(self, answer: bytes, surbs: Sequence[Surb]) -> None:
        """Reply blocks serve an answer (by id), and nothing else from now on."""
        with self._file.write() as db:
            db.executemany(
                "UPDATE blocks SET answer = ? WHERE surb = ? AND answer IS NULL",
                [(answer, surb.encode()) for surb in surbs],
            )

    def end(self, message_id: bytes, state: State, at: float, why: str = "") -> None:
        """An answer left or failed; its text is forgotten."""
        with self._file.write() as db:
            db.execute(
                "UPDATE answers SET state = ?, ended_at = ?, why = ?, text = x''"
                " WHERE message_id = ?",
                (state, at, why, message_id),
            )

    def _surbs_of(self, answer: bytes) -> tuple[Surb, ...]:
        rows = self._file.db.execute(
            "SELECT surb FROM blocks WHERE answer = ? ORDER BY place", (answer,)
        )
        return tuple(decode_surb(surb) for (surb,) in rows)
