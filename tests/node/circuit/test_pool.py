import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.cell import CELL_BYTES
from node.circuit.pool import CellPool, CellQueue, PoolShare


@given(st.lists(st.one_of(st.integers(1, 5), st.integers(-5, -1)), max_size=40))
def test_a_queue_keeps_order_and_counts(steps):
    pool = CellPool(100 * CELL_BYTES)
    queue, model, number = CellQueue(pool, "owner"), [], 0
    for step in steps:
        if step > 0:
            batch = [bytes([number + index & 255]) for index in range(step)]
            number += step
            queue.push(batch)
            model += batch
        else:
            assert queue.pop(-step) == model[:-step]
            del model[:-step]
        assert len(queue) == len(model) == pool.used
    queue.clear()
    assert pool.used == 0
    assert not pool._batches


def test_the_oldest_batch_names_its_owner():
    pool = CellPool(10 * CELL_BYTES)
    first, second = CellQueue(pool, "first"), CellQueue(pool, "second")
    first.push([b"a", b"b"])
    second.push([b"c"])
    first.push([b"d"])
    assert pool.oldest() == "first"
    first.pop(1)
    assert pool.oldest() == "first"
    first.pop(1)
    assert pool.oldest() == "second"
    second.clear()
    assert pool.oldest() == "first"


def test_limits():
    pool = CellPool(4 * CELL_BYTES)
    queue = CellQueue(pool, "owner")
    queue.push([b""] * 2)
    assert not pool.is_pressed
    queue.push([b""])
    assert pool.is_pressed
    assert not pool.is_over
    queue.push([b""] * 2)
    assert pool.is_over
    pool.set_limit(100 * CELL_BYTES)
    assert not pool.is_over


def test_a_renewed_batch_is_the_youngest():
    pool = CellPool(10 * CELL_BYTES)
    share = PoolShare(pool, "stream")
    share.renew(3)
    pool.enter("other", 1)
    assert pool.oldest() == "stream"
    share.renew(2)
    assert pool.oldest() == "other"
    assert pool.used == 3
    share.renew(0)
    share.renew(0)
    assert pool.used == 1


def test_an_empty_pool_has_no_oldest():
    with pytest.raises(StopIteration):
        CellPool(1).oldest()
