"""A sample of the cells that crossed a link, chosen by randomness nobody had at the time.

Both neighbours see the same cells, so both can name the same sample. While a slot runs, the
lowest cell tags are kept, a set that depends only on the cells. When the next slot's beacon is
known, it picks the sample among them; its Merkle root goes into the receipt.

Source: docs/spec/receipts.md, section Sampling.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from qnet.crypto.kdf import Label, derive_key, keyed
from qnet.merkle import StandardTree, standard_leaf
from qnet.messages.receipt import NO_SAMPLE

TAG_BYTES: Final = 16
TAG_OFFSET: Final = 8
"""Place in a cell of the 16 bytes that stand for it: the head of its encrypted body."""
KEPT_TAGS: Final = 512
"""Tags kept of one direction of a link in one slot (8 KiB)."""
SAMPLE_TAGS: Final = 32
"""Tags under one root."""
_ABOVE_ALL: Final = b"\xff" * (TAG_BYTES + 1)


class TagSketch:
    """The lowest tags of one direction of one link in one slot."""

    __slots__ = ("_limit", "_tags")

    def __init__(self) -> None:
        self._limit = _ABOVE_ALL
        self._tags: set[bytes] = set()

    def observe(self, cells: Iterable[bytes | memoryview]) -> None:
        """Look at cells of 2,048 bytes; about 0.1 microseconds each."""
        limit, tags = self._limit, self._tags
        for cell in cells:
            tag = bytes(cell[TAG_OFFSET : TAG_OFFSET + TAG_BYTES])
            if tag < limit:
                tags.add(tag)
                if len(tags) >= 2 * KEPT_TAGS:
                    limit = self._truncate()
                    tags = self._tags

    def tags(self) -> list[bytes]:
        """The kept tags, lowest first."""
        return sorted(self._tags)[:KEPT_TAGS]

    def _truncate(self) -> bytes:
        kept = self.tags()
        self._tags = set(kept)
        self._limit = kept[-1]
        return self._limit


def sample_root(tags: Sequence[bytes], beacon: bytes | None) -> bytes:
    """Merkle root over the tags that a beacon picks.

    Args:
        tags: kept tags, 16 bytes each.
        beacon: value of the slot after the one counted; None if it never became known.

    Returns:
        32 bytes; NO_SAMPLE without tags or beacon.
    """
    if not tags or beacon is None:
        return NO_SAMPLE
    key = derive_key(Label.RECEIPT_SAMPLE, beacon)
    picked = sorted(set(tags), key=lambda tag: keyed(key, tag))[:SAMPLE_TAGS]
    return StandardTree([standard_leaf(tag.ljust(32, b"\0")) for tag in picked]).root
