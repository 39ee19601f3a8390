"""Where a passphrase may come from: a file, a descriptor, a command, or the person asked.

It never stands in the arguments of a command, where every user of the machine could read it.
"""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from qnet.errors import KeyAccessError, UsageError
from qnet.wallet.errors import PassphraseMissingError
from qnet.wallet.keystore import check_private

MAX_PASSPHRASE_BYTES: Final = 1024
COMMAND_TIMEOUT_S: Final = 30


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """What the options say; at most one field is set.

    Args:
        file: a file of mode 0600.
        descriptor: an open file descriptor.
        command: a program that prints it.
        may_ask: whether the person at the terminal may be asked.
    """

    file: Path | None = None
    descriptor: int | None = None
    command: str | None = None
    may_ask: bool = True

    def read(self, *, what: str = "passphrase", confirm: bool = False) -> str:
        """Return the passphrase without its line end.

        Args:
            what: how to call it when asking.
            confirm: ask twice, for a new one.

        Raises:
            UsageError: more than one source is given.
            PassphraseMissingError: none is given and nobody can be asked.
            KeyAccessError: the source fails or is empty.
        """
        given = [self.file is not None, self.descriptor is not None, self.command is not None]
        if sum(given) > 1:
            raise UsageError("give one of --passphrase-file, --passphrase-fd, --passphrase-cmd")
        if self.file is not None:
            return read_file(self.file)
        if self.descriptor is not None:
            return _clean(_read_descriptor(self.descriptor), f"descriptor {self.descriptor}")
        if self.command is not None:
            return _clean(_run(self.command), "the passphrase command")
        if not self.may_ask or not sys.stdin.isatty():
            raise PassphraseMissingError(
                f"a {what} is needed", try_=("add --passphrase-file FILE (mode 0600)",)
            )
        return str(click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True))


def read_file(path: Path) -> str:
    """Read a passphrase file.

    Raises:
        UnsafePermissionsError: others may read it.
        KeyAccessError: it is missing, empty or too long.
    """
    try:
        check_private(path)
        with path.open("rb") as file:
            return _clean(file.read(MAX_PASSPHRASE_BYTES + 2), str(path))
    except OSError as error:
        raise KeyAccessError(f"cannot read the passphrase in {path}", why=str(error)) from error


def _read_descriptor(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_PASSPHRASE_BYTES + 2)
    except OSError as error:
        raise KeyAccessError(
            f"cannot read the passphrase from descriptor {descriptor}", why=str(error)
        ) from error


def _run(command: str) -> bytes:
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, check=True, timeout=COMMAND_TIMEOUT_S
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise KeyAccessError("the passphrase command failed", why=type(error).__name__) from error
    return done.stdout


def _clean(data: bytes, source: str) -> str:
    """Strip one line end; refuse what cannot be a passphrase, without showing it."""
    stripped = data.removesuffix(b"\n").removesuffix(b"\r")
    if not stripped or len(stripped) > MAX_PASSPHRASE_BYTES:
        raise KeyAccessError(f"the passphrase from {source} is empty or too long")
    try:
        return stripped.decode()
    except UnicodeDecodeError as error:
        raise KeyAccessError(f"the passphrase from {source} is not UTF-8") from error
