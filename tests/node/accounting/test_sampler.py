import os

from hypothesis import given, settings
from hypothesis import strategies as st

from node.accounting.sampler import (
    KEPT_TAGS,
    SAMPLE_TAGS,
    TAG_BYTES,
    TAG_OFFSET,
    TagSketch,
    sample_root,
)
from qnet.crypto.kdf import Label, derive_key, keyed
from qnet.merkle import StandardTree, standard_leaf
from qnet.messages.receipt import NO_SAMPLE

BEACON = b"\x09" * 32


def cell(tag: bytes, head: bytes = bytes(TAG_OFFSET)) -> bytes:
    return head + tag + bytes(2048 - TAG_OFFSET - TAG_BYTES)


def sketch_of(cells: list[bytes]) -> TagSketch:
    sketch = TagSketch()
    sketch.observe(cells)
    return sketch


def test_the_lowest_tags_are_kept_whatever_the_order_and_batches() -> None:
    tags = [os.urandom(TAG_BYTES) for _ in range(5 * KEPT_TAGS)]
    whole = sketch_of([cell(tag) for tag in tags])
    assert whole.tags() == sorted(tags)[:KEPT_TAGS]
    batched = TagSketch()
    for start in range(0, len(tags), 7):
        batched.observe([cell(tag) for tag in reversed(tags[start : start + 7])])
    assert batched.tags() == whole.tags()


def test_memory_is_bounded() -> None:
    sketch = TagSketch()
    for number in range(6 * KEPT_TAGS, 0, -1):  # descending: every tag is kept for a while
        sketch.observe([cell(number.to_bytes(TAG_BYTES, "big"))])
        assert len(sketch._tags) < 2 * KEPT_TAGS
    assert sketch.tags()[-1] == KEPT_TAGS.to_bytes(TAG_BYTES, "big")


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=TAG_BYTES, max_size=TAG_BYTES), max_size=80))
def test_neighbours_find_the_same_root(tags: list[bytes]) -> None:
    ours = sketch_of([cell(tag, b"circuit1") for tag in tags])
    theirs = sketch_of([memoryview(cell(tag, b"circuit1")) for tag in tags])
    assert sample_root(ours.tags(), BEACON) == sample_root(theirs.tags(), BEACON)


def test_the_beacon_picks_the_sample() -> None:
    tags = [os.urandom(TAG_BYTES) for _ in range(200)]
    key = derive_key(Label.RECEIPT_SAMPLE, BEACON)
    picked = sorted(tags, key=lambda tag: keyed(key, tag))[:SAMPLE_TAGS]
    tree = StandardTree([standard_leaf(tag + bytes(16)) for tag in picked])
    assert sample_root(tags, BEACON) == tree.root
    assert sample_root(tags, b"\x0a" * 32) != tree.root
    assert sample_root(tags[:100], BEACON) != tree.root


def test_no_cells_or_no_beacon_give_no_sample() -> None:
    assert sample_root([], BEACON) == NO_SAMPLE
    assert sample_root([bytes(TAG_BYTES)], None) == NO_SAMPLE
