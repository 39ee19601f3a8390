"""Finds the slots of blinded points that were signed for a seed, by making them again.

Slots of an epoch and class are tried in order until 64 in a row are unknown; those of tokens for
every relay they may be bound to.

Source: docs/spec/payments.md, QN-PAY-080.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from node.payments.user.blinding import Blinded
from node.payments.user.derivation import Seed, Slot
from node.payments.user.states import Blank
from qnet.messages.instruments import TOKEN_CLASS, Place

UNKNOWN_MAX: Final = 64
"""Counters in a row that belong to nothing before the search ends."""


@dataclass(slots=True)
class _Shelf:
    """Blanks of one epoch and class that were made again, by their point."""

    made: dict[bytes, Blinded] = field(default_factory=dict)
    next_counter: int = 0
    until: int = UNKNOWN_MAX


@dataclass(slots=True)
class Matching:
    """One search.

    Args:
        seed: of the wallet.
        place: chain and contract.
        relays: registry indexes that tokens may be bound to.
    """

    seed: Seed
    place: Place
    relays: Sequence[int]
    _shelves: dict[tuple[int, int], _Shelf] = field(default_factory=dict)

    def find(self, epoch: int, class_: int, point: bytes) -> Blinded | None:
        """What a compressed point (48 bytes) was made for; None if it is not of this seed."""
        shelf = self._shelves.setdefault((epoch, class_), _Shelf())
        while shelf.next_counter < shelf.until and point not in shelf.made:
            self._extend(shelf, epoch, class_)
        found = shelf.made.get(point)
        if found is not None:
            shelf.until = max(shelf.until, found.blank.slot.counter + 1 + UNKNOWN_MAX)
        return found

    def _extend(self, shelf: _Shelf, epoch: int, class_: int) -> None:
        slot = Slot(epoch, class_, shelf.next_counter)
        shelf.next_counter += 1
        for relay in self.relays if class_ == TOKEN_CLASS else (0,):
            blinded = Blinded.of(self.seed, self.place, Blank(slot, relay))
            shelf.made[blinded.point.encode()] = blinded
