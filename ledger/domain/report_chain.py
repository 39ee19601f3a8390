"""A model of `ReportOracle`: which report comes next, which attempt, and what a disabling undoes.

It keeps the order and the states of reports as the contract does, for tests and simulations;
signatures, pauses and demands are left out. Errors carry the names of the contract's.

Source: docs/spec/disputes.md, QN-DSP-020 to 022.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ledger.errors import ReportRefusedError
from qnet.messages.report import NO_REPORT, EpochReport

UNFINISHED_MAX: Final = 32
"""Reports that wait to become final."""


class Status(IntEnum):
    """Where a report stands."""

    NONE = 0
    SUBMITTED = 1
    FINAL = 2
    DISABLED = 3


@dataclass(slots=True)
class Entry:
    """The latest report of an epoch.

    Args:
        status: where it stands.
        attempt: of the next report.
        hash: of the report, 32 bytes.
        previous: epoch of the report before, None for the first.
        since_s: when it was submitted.
        disabled_s: when it was disabled last; 0 if never.
    """

    status: Status = Status.NONE
    attempt: int = 0
    hash: bytes = NO_REPORT
    previous: int | None = None
    since_s: int = 0
    disabled_s: int = 0


@dataclass(slots=True)
class ReportChain:
    """All reports of a network.

    Args:
        deadline_s: `report_deadline_s`.
        window_s: `challenge_window_s`.
        epoch_s: length of an epoch; epoch 0 starts at 0.
        now: unix seconds; set it before each call.
    """

    deadline_s: int
    window_s: int
    epoch_s: int
    now: int = 0
    next: int = 0
    last: int | None = None
    final_through: int = 0
    skipped: set[int] = field(default_factory=set)
    entries: dict[int, Entry] = field(default_factory=dict)

    @property
    def next_epoch(self) -> int:
        """The epoch whose report comes next."""
        epoch = self.next
        while epoch in self.skipped:
            epoch += 1
        return epoch

    @property
    def last_hash(self) -> bytes:
        """Hash of the last live report, 32 bytes."""
        return NO_REPORT if self.last is None else self.entries[self.last].hash

    @property
    def unfinished(self) -> int:
        """Reports that wait to become final."""
        return sum(entry.status is Status.SUBMITTED for entry in self.entries.values())

    def entry(self, epoch: int) -> Entry:
        """The latest report of an epoch."""
        return self.entries.setdefault(epoch, Entry())

    def deadline(self, epoch: int) -> int:
        """Last second in which the report of an epoch is taken."""
        end = (epoch + 1) * self.epoch_s
        return max(end, self.entry(epoch).disabled_s) + self.deadline_s

    def submit(self, report: EpochReport, digest: bytes) -> None:
        """Take a report.

        Raises:
            ReportRefusedError: the oracle would not.
        """
        entry = self.entry(report.epoch)
        _refuse("EpochNotOver", when=self.now < (report.epoch + 1) * self.epoch_s)
        _refuse("AlreadyReported", when=entry.status in {Status.SUBMITTED, Status.FINAL})
        _refuse("DeadlinePassed", when=self.now > self.deadline(report.epoch))
        _refuse("ReportOutOfOrder", when=report.epoch != self.next_epoch)
        _refuse("TooManyUnfinished", when=self.unfinished >= UNFINISHED_MAX)
        _refuse("WrongPredecessor", when=report.previous_hash != self.last_hash)
        _refuse("WrongAttempt", when=report.attempt != entry.attempt)
        entry.status, entry.hash, entry.previous = Status.SUBMITTED, digest, self.last
        entry.since_s = self.now
        self.next, self.last = report.epoch + 1, report.epoch

    def finalize(self, epoch: int) -> None:
        """Make a report final after its window.

        Raises:
            ReportRefusedError: the oracle would not.
        """
        entry = self.entry(epoch)
        _refuse("WrongStatus", when=entry.status is not Status.SUBMITTED)
        _refuse("WindowOpen", when=self.now < entry.since_s + self.window_s)
        before = -1 if entry.previous is None else entry.previous
        _refuse("PredecessorNotFinal", when=before >= self.final_through)
        entry.status = Status.FINAL
        self.final_through = epoch + 1

    def disable(self, epoch: int) -> None:
        """Disable a report that is not final, and all that follow it.

        Raises:
            ReportRefusedError: the oracle would not.
        """
        _refuse("WrongStatus", when=self.entry(epoch).status is not Status.SUBMITTED)
        while self.last is not None and self.last >= epoch:
            entry = self.entries[self.last]
            entry.status, entry.disabled_s = Status.DISABLED, self.now
            entry.attempt += 1
            self.last = entry.previous
        self.next = epoch

    def skip(self, epoch: int) -> None:
        """Give up an epoch whose report did not come in time.

        Raises:
            ReportRefusedError: the oracle would not.
        """
        status = self.entry(epoch).status
        _refuse("AlreadyReported", when=status in {Status.SUBMITTED, Status.FINAL})
        _refuse("DeadlineNotPassed", when=self.now <= self.deadline(epoch))
        _refuse("ReportOutOfOrder", when=epoch != self.next_epoch)
        self.skipped.add(epoch)
        self.next = epoch + 1


def _refuse(name: str, *, when: bool) -> None:
    if when:
        raise ReportRefusedError(name)
