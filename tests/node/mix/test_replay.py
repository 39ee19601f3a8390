import secrets

from hypothesis import given
from hypothesis import strategies as st

from node.mix.replay import CAPACITY, Admission, ReplayFilter, ReplayTable


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=40))
def test_it_says_what_a_set_says(tags):
    table, seen = ReplayTable(64), set()
    for tag in tags:
        expected = Admission.REPLAYED if tag[:8] in seen else Admission.FRESH
        assert table.admit(tag) == expected
        seen.add(tag[:8])
    assert table.count == len(seen)


def test_a_full_table_forgets_nothing():
    table = ReplayTable(16)
    tags = [secrets.token_bytes(16) for _ in range(20)]
    said = [table.admit(tag) for tag in tags]
    assert said == [Admission.FRESH] * 12 + [Admission.FULL] * 8
    assert [table.admit(tag) for tag in tags[:12]] == [Admission.REPLAYED] * 12
    assert table.admit(tags[19]) == Admission.FULL


def test_phases_are_apart_and_live_as_long_as_their_keys():
    replays, tag = ReplayFilter(16), secrets.token_bytes(16)
    for phase in (4, 5, 6):
        assert replays.admit(phase, tag) == Admission.FRESH
        assert replays.admit(phase, tag) == Admission.REPLAYED
    replays.forget_unless(lambda phase: phase > 4)
    assert [replays.count(phase) for phase in (4, 5, 6)] == [0, 1, 1]


def test_a_fresh_packet_is_hardly_ever_refused():
    assert CAPACITY / 2**64 < 1e-12
    table = ReplayTable(1 << 18)
    assert all(table.admit(secrets.token_bytes(16)) == Admission.FRESH for _ in range(100_000))
