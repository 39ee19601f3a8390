"""Where a client keeps its guards between runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from node.directory.guard import GuardState
from qnet.errors import DecodeError
from qnet.files import write_atomic

MAX_BYTES: Final = 1 << 16
DAMAGED_SUFFIX: Final = ".damaged"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GuardFile:
    """A file that holds a guard state.

    Attributes:
        path: Where; None keeps nothing.
    """

    path: Path | None

    def load(self) -> GuardState:
        """The state of earlier runs; a damaged file is kept aside and a new state begun."""
        if self.path is None or not self.path.exists():
            return GuardState()
        try:
            return _read(self.path)
        except (ValueError, RecursionError, DecodeError) as error:
            kept = self.path.with_name(self.path.name + DAMAGED_SUFFIX)
            self.path.replace(kept)
            _log.warning(
                "guard file is damaged; choosing new guards", kept=kept.name, why=str(error)
            )
            return GuardState()

    def store(self, state: GuardState) -> None:
        """Keep a state; what stood before is there until the new one is complete."""
        if self.path is not None:
            write_atomic(self.path, json.dumps(state.to_json()).encode())


def _read(path: Path) -> GuardState:
    """Read a file.

    Raises:
        DecodeError: it is too long, or not a guard state.
        ValueError: it is not JSON.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DecodeError(f"guard file is longer than {MAX_BYTES} bytes")
    return GuardState.from_json(json.loads(data))
