"""Accepted tickets on disk: one append-only file per hour, so that a restart forgets nothing."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from node.htx.gate import DIGEST_BYTES

_PREFIX: Final = "tickets-"


class FileTicketStore:
    """A `TicketStore` in a folder.

    Args:
        folder: made if it is missing; nobody else writes there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._files: dict[int, int] = {}

    def load(self) -> Iterable[tuple[int, bytes]]:
        """Return all tickets kept; an incomplete last entry was never accepted and is skipped."""
        for path in self._folder.glob(f"{_PREFIX}*"):
            hour = path.name.removeprefix(_PREFIX)
            if not hour.isdigit():
                continue
            data = path.read_bytes()
            whole = len(data) - len(data) % DIGEST_BYTES
            if whole != len(data):
                os.truncate(path, whole)
            for at in range(0, whole, DIGEST_BYTES):
                yield int(hour), data[at : at + DIGEST_BYTES]

    def append(self, hour: int, digest: bytes) -> None:
        """Write one ticket through to the operating system.

        Raises:
            OSError: it was not written; the file is as before.
        """
        file = self._files.get(hour)
        if file is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            file = os.open(self._folder / f"{_PREFIX}{hour}", flags, 0o600)
            self._files[hour] = file
        written = os.write(file, digest)
        if written != len(digest):  # or all later entries would be read askew
            os.ftruncate(file, os.fstat(file).st_size - written)
            raise OSError(errno.ENOSPC, "a ticket was not kept")

    def drop_before(self, hour: int) -> None:
        """Delete the files of earlier hours."""
        for path in self._folder.glob(f"{_PREFIX}*"):
            past = path.name.removeprefix(_PREFIX)
            if past.isdigit() and int(past) < hour:
                file = self._files.pop(int(past), None)
                if file is not None:
                    os.close(file)
                path.unlink()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()
