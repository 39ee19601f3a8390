"""Messages of ours, until they are delivered, and what opens the answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from node.client.mix.message_file import MessageFile
from node.client.mix.rows import Awaited, Outgoing, State
from node.mix.surb import ReplySecret

_KEY_BYTES: Final = 96
_OUTGOING: Final = (
    "message_id, recipient, text, replies, body, state, rounds, next_at, made_at, tried_at, why"
)


class SentMessages:
    """Messages that a client writes.

    Args:
        file: of the client's messages.
    """

    def __init__(self, file: MessageFile) -> None:
        self._file = file

    def add(self, message_id: bytes, recipient: str, text: bytes, replies: int, at: float) -> None:
        """Keep a message until it is delivered.

        Raises:
            RejectedError: too many wait.
        """
        with self._file.write() as db:
            self._file.check_room("outgoing")
            db.execute(
                "INSERT INTO outgoing (message_id, recipient, text, replies, state, next_at,"
                " made_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (message_id, recipient, text, replies, State.WAITING, at, at),
            )

    def due(self, at: float, limit: int, under_way: Sequence[bytes]) -> list[Outgoing]:
        """Messages whose round begins, oldest first.

        Args:
            at: unix time, seconds.
            limit: how many at most.
            under_way: ids of those that are being sent.
        """
        marks = ",".join("?" * len(under_way))
        found = self._file.db.execute(
            f"SELECT {_OUTGOING} FROM outgoing WHERE state = ? AND next_at <= ?"  # noqa: S608
            f" AND message_id NOT IN ({marks}) ORDER BY made_at LIMIT ?",
            (State.WAITING, at, *under_way, limit),
        )
        return [_outgoing(row) for row in found]

    def next_due(self, under_way: Sequence[bytes]) -> float | None:
        """Unix time at which the next round begins; None if nothing else waits."""
        marks = ",".join("?" * len(under_way))
        (at,) = self._file.db.execute(
            "SELECT min(next_at) FROM outgoing WHERE state = ?"  # noqa: S608
            f" AND message_id NOT IN ({marks})",
            (State.WAITING, *under_way),
        ).fetchone()
        return None if at is None else float(at)

    def begin_round(
        self, message_id: bytes, body: bytes, awaited: Sequence[Awaited], at: float
    ) -> None:
        """Keep the form in which a message is about to be sent, and what opens its answers."""
        with self._file.write() as db:
            db.execute(
                "UPDATE outgoing SET body = ?, tried_at = ?, why = '' WHERE message_id = ?",
                (body, at, message_id),
            )
            db.executemany(
                "INSERT INTO awaited VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        each.delivery_id,
                        each.secret.phase,
                        b"".join(each.secret.payload_keys),
                        each.secret.reply_key,
                        each.message_id,
                    )
                    for each in awaited
                ],
            )

    def postpone(self, message_id: bytes, next_at: float, rounds: int, why: str) -> None:
        """Try a message again at `next_at` (unix time)."""
        with self._file.write() as db:
            db.execute(
                "UPDATE outgoing SET next_at = ?, rounds = ?, why = ? WHERE message_id = ?",
                (next_at, rounds, why, message_id),
            )

    def end(self, message_id: bytes, state: State, at: float, why: str = "") -> None:
        """A message is delivered or given up; its text is forgotten."""
        with self._file.write() as db:
            db.execute(
                "UPDATE outgoing SET state = ?, ended_at = ?, why = ?, text = x'', body = x''"
                " WHERE message_id = ?",
                (state, at, why, message_id),
            )
            if state is State.FAILED:
                db.execute("DELETE FROM awaited WHERE message_id = ?", (message_id,))

    def rows(self, message_id: bytes | None = None) -> list[Outgoing]:
        """Messages of ours, newest first; or one of them."""
        where, values = ("", ()) if message_id is None else ("WHERE message_id = ?", (message_id,))
        query = f"SELECT {_OUTGOING} FROM outgoing {where} ORDER BY made_at DESC"  # noqa: S608
        return [_outgoing(row) for row in self._file.db.execute(query, values)]

    def awaited(self) -> list[Awaited]:
        """Reply blocks that were given away."""
        rows = self._file.db.execute("SELECT * FROM awaited")
        return [
            Awaited(delivery_id, ReplySecret(phase, _split(keys), reply_key), message_id)
            for delivery_id, phase, keys, reply_key, message_id in rows
        ]


def _outgoing(row: Sequence[Any]) -> Outgoing:
    values = list(row)
    values[5] = State(values[5])
    return Outgoing(*values)


def _split(keys: bytes) -> tuple[bytes, ...]:
    return tuple(keys[start : start + _KEY_BYTES] for start in range(0, len(keys), _KEY_BYTES))
