"""Journal: what a core has to report, in order, with neighbouring data of one stream joined."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Journal(Generic[T]):
    """Collects actions or events until the driver takes them.

    Args:
        join: makes the entry for data of a stream: (circuit, stream, chunks).
    """

    __slots__ = ("_chunks", "_entries", "_join", "_key")

    def __init__(self, join: Callable[[int, int, tuple[bytes, ...]], T]) -> None:
        self._join = join
        self._entries: list[T] = []
        self._key = (0, 0)
        self._chunks: list[bytes] = []

    def add(self, entry: T) -> None:
        """Append an entry."""
        self._flush()
        self._entries.append(entry)

    def deliver(self, circuit: int, stream: int, data: bytes) -> None:
        """Append data of a stream."""
        if self._key != (circuit, stream):
            self._flush()
            self._key = (circuit, stream)
        self._chunks.append(data)

    def deliver_all(self, circuit: int, stream: int, chunks: list[bytes]) -> None:
        """Append data of a stream that came in a row."""
        if self._key != (circuit, stream):
            self._flush()
            self._key = (circuit, stream)
        self._chunks += chunks

    def drain(self) -> list[T]:
        """Return everything and start anew."""
        self._flush()
        entries, self._entries = self._entries, []
        return entries

    def _flush(self) -> None:
        if self._chunks:
            self._entries.append(self._join(*self._key, tuple(self._chunks)))
            self._chunks = []
        self._key = (0, 0)
