"""Claims on the reward code itself."""

import pytest

from tests.tools.bench.economy.small import SMALL
from tools.bench.economy.exact import SPLITS, one_sided_lie, split_pays, two_receipts


@pytest.mark.parametrize(("parts", "percent"), SPLITS.items())
def test_split_stakes_earn_what_the_specification_says(parts, percent):
    assert round(100 * split_pays(parts, SMALL)) == percent


@pytest.mark.parametrize("sender_lies", [True, False])
def test_a_lie_of_one_side_earns_nothing_or_the_truth(sender_lies):
    truth = one_sided_lie(1000, 1000, sender_lies=sender_lies)
    assert truth > 950
    assert one_sided_lie(1000, 1040, sender_lies=sender_lies) == truth
    assert one_sided_lie(1000, 2000, sender_lies=sender_lies) == 0


def test_two_receipts_for_one_tuple_earn_nothing():
    assert two_receipts(1000, 1000) > 0
    assert two_receipts(1000, 2000) == 0
