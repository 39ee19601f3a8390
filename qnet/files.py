"""Files that a crash never leaves half written."""

import os
import secrets
from pathlib import Path
from typing import Final

PRIVATE_MODE: Final = 0o600


def write_atomic(path: Path, data: bytes, *, mode: int = PRIVATE_MODE) -> None:
    """Write a whole file: afterwards it holds either what it held before or all of `data`.

    The data goes to a new file beside it, reaches the disk, and takes the name.

    Args:
        path: its folder must exist.
        data: new content.
        mode: permissions of the file.

    Raises:
        OSError: the disk or the permissions do not allow it; `path` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
