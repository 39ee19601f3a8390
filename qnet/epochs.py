"""Arithmetic of slots, epochs, key phases and consensus periods; times in unix seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochClock:
    """The reward calendar of one network.

    Args:
        genesis_s: unix time at which epoch 0 starts.
        slot_s: length of a slot in seconds.
        slots_per_epoch: slots in an epoch (at most 24).
    """

    genesis_s: int
    slot_s: int
    slots_per_epoch: int

    @property
    def epoch_s(self) -> int:
        """Length of an epoch in seconds."""
        return self.slot_s * self.slots_per_epoch

    def slot_number_at(self, now: float) -> int:
        """Global slot number, counted from genesis; negative before it."""
        return (int(now) - self.genesis_s) // self.slot_s

    def epoch_at(self, now: float) -> int:
        """Epoch that holds `now`; negative before genesis."""
        return self.slot_number_at(now) // self.slots_per_epoch

    def slot_at(self, now: float) -> tuple[int, int]:
        """(epoch, slot within the epoch) that hold `now`."""
        return divmod(self.slot_number_at(now), self.slots_per_epoch)

    def slot_number(self, epoch: int, slot: int) -> int:
        """Global number of a slot."""
        return epoch * self.slots_per_epoch + slot

    def slot_bounds(self, epoch: int, slot: int) -> tuple[int, int]:
        """[start, end) of a slot in unix seconds."""
        start = self.genesis_s + self.slot_number(epoch, slot) * self.slot_s
        return start, start + self.slot_s

    def epoch_bounds(self, epoch: int) -> tuple[int, int]:
        """[start, end) of an epoch in unix seconds."""
        start = self.genesis_s + epoch * self.epoch_s
        return start, start + self.epoch_s


def phase_at(now: float, phase_s: int) -> int:
    """Key phase that holds `now`: unix time divided by the phase length, 24 bits."""
    return int(now) // phase_s & 0xFFFFFF


def phase_bounds(phase: int, near: float, phase_s: int) -> tuple[int, int]:
    """[start, end) of the 24-bit phase nearest to the time `near`."""
    current = int(near) // phase_s
    full = current + ((phase - current + 0x800000) & 0xFFFFFF) - 0x800000
    return full * phase_s, (full + 1) * phase_s


def consensus_period(now: float, interval_s: int) -> int:
    """`valid_after` of the consensus period that holds `now`."""
    return int(now) // interval_s * interval_s


def consensus_phases(valid_after: int, interval_s: int, phase_s: int) -> tuple[int, int]:
    """(first phase, count) that a consensus lists: one before it up to two intervals after."""
    return (valid_after // phase_s - 1) & 0xFFFFFF, 1 + 2 * interval_s // phase_s
