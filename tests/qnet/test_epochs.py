from hypothesis import given
from hypothesis import strategies as st

from qnet.epochs import (
    EpochClock,
    consensus_period,
    consensus_phases,
    phase_at,
    phase_bounds,
)

clocks = st.builds(
    EpochClock,
    genesis_s=st.integers(0, 2**32),
    slot_s=st.integers(1, 86_400),
    slots_per_epoch=st.integers(1, 24),
)


@given(clocks, st.integers(0, 10**9))
def test_every_second_lies_in_its_slot_and_epoch(clock, offset):
    now = clock.genesis_s + offset
    epoch, slot = clock.slot_at(now)
    start, end = clock.slot_bounds(epoch, slot)
    assert start <= now < end
    first, last = clock.epoch_bounds(epoch)
    assert first <= start < end <= last
    assert clock.epoch_at(now) == epoch
    assert clock.slot_number(epoch, slot) == clock.slot_number_at(now)


@given(st.integers(0, 2**36), st.integers(5, 3600), st.integers(-1000, 1000))
def test_phase_bounds_hold_their_times(now, phase_s, shift):
    later = max(0, now + shift * phase_s)
    start, end = phase_bounds(phase_at(later, phase_s), now, phase_s)
    assert start <= later < end


def test_a_consensus_lists_thirteen_phases_on_the_main_network():
    valid_after = consensus_period(1_800_000_123, 3600)
    first, count = consensus_phases(valid_after, 3600, 600)
    assert count == 13
    assert first == phase_at(valid_after - 600, 600)
    assert (first + count - 1) & 0xFFFFFF == phase_at(valid_after + 7200 - 1, 600)
