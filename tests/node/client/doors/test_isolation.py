"""Keys of isolation: equal exactly when streams may share a circuit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.doors.isolation import DEFAULT_ISOLATION, Isolate, IsolationKey, isolation_key

STREAM = st.tuples(
    st.sampled_from(["127.0.0.1:9150", "127.0.0.1:9151"]),
    st.sampled_from([b"", b"a", b"b"]),
    st.sampled_from(["one.example", "two.example"]),
    st.sampled_from([80, 443]),
)
PLACES = {Isolate.LISTENER: 0, Isolate.LABEL: 1, Isolate.DESTINATION: 2, Isolate.PORT: 3}


@given(STREAM, STREAM, st.frozensets(st.sampled_from(Isolate)))
def test_streams_share_exactly_when_all_that_is_isolated_is_equal(left, right, isolate):
    alike = all(left[PLACES[what]] == right[PLACES[what]] for what in isolate)
    shared = isolation_key(*left, isolate=isolate) == isolation_key(*right, isolate=isolate)
    assert shared is alike


def test_listener_and_label_isolate_unless_told_otherwise():
    assert frozenset({"listener", "label"}) == DEFAULT_ISOLATION
    key = isolation_key("127.0.0.1:9150", b"x", "host.example", 443)
    assert key == IsolationKey("127.0.0.1:9150", b"x")


@pytest.mark.parametrize("spelling", ["Host.Example", "host.example.", "HOST.EXAMPLE"])
def test_one_name_has_one_key_however_it_is_spelled(spelling):
    keys = {
        isolation_key("l", b"", host, 443, isolate=["destination"])
        for host in ("host.example", spelling)
    }
    assert keys == {IsolationKey("", b"", "host.example")}
