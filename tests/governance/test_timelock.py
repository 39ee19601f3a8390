import pytest

from governance.errors import TimelockClosedError
from governance.timelock import Wait


@pytest.mark.parametrize(("eta", "now", "left"), [(0, 50, 0), (60, 50, 10), (60, 59, 1)])
def test_too_early_is_refused_and_says_how_long(eta, now, left):
    wait = Wait(eta, now)
    assert wait.left_s == left
    with pytest.raises(TimelockClosedError, match=f"in {left} s"):
        wait.check()


def test_open_at_the_second_it_says():
    Wait(60, 60).check()
    assert Wait(60, 61).is_over
