"""Why there is no consensus: which source failed, at which stage, and how."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from node.errors import Stage
from qnet.errors import CryptoError, QnetError

MAX_CAUSES: Final = 64

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cause:
    """How one source failed last.

    Attributes:
        stage: Where on the way to a consensus.
        source: Which one.
        error: What happened.
        count: How often in a row.
    """

    stage: Stage
    source: str
    error: QnetError
    count: int = 1

    @property
    def text(self) -> str:
        """For people."""
        why = f" ({self.error.why})" if self.error.why else ""
        return f"{self.stage} {self.source}: {self.error.message}{why}"


@dataclass(slots=True)
class Causes:
    """The last failure of each source, at most `MAX_CAUSES`.

    Attributes:
        problem: Why the last fetch failed; empty when it did not.
        by_source: Failures that no success has followed.
    """

    problem: str = ""
    by_source: OrderedDict[str, Cause] = field(default_factory=OrderedDict)

    def failed(self, stage: Stage, source: str, error: QnetError) -> None:
        """A source failed."""
        before = self.by_source.pop(source, None)
        cause = Cause(stage, source, error, before.count + 1 if before is not None else 1)
        self.by_source[source] = cause
        if len(self.by_source) > MAX_CAUSES:
            self.by_source.popitem(last=False)
        self.problem = cause.text
        _log.info("no consensus", stage=stage, cause=cause.text)

    def passed(self, source: str) -> None:
        """A source did what it should."""
        self.by_source.pop(source, None)
        self.problem = ""

    def note(self, problem: str) -> None:
        """What stands in the way, whoever is to blame."""
        self.problem = problem

    def has_forgeries(self, stage: Stage) -> bool:
        """Whether a source of a stage gave something that is not signed by those we trust."""
        return any(
            cause.stage is stage and isinstance(cause.error, CryptoError)
            for cause in self.by_source.values()
        )

    @property
    def last_stage(self) -> Stage:
        """Stage of the last failure."""
        return next((cause.stage for cause in reversed(self.by_source.values())), Stage.SEED)

    @property
    def text(self) -> str:
        """Every cause once."""
        return "; ".join(sorted({cause.text for cause in self.by_source.values()}))

    def rows(self) -> list[dict[str, Any]]:
        """For status."""
        return [
            {
                "stage": cause.stage,
                "source": cause.source,
                "cause": cause.text,
                "count": cause.count,
            }
            for cause in self.by_source.values()
        ]
