"""Views of an agreement as a function of time.

Source: docs/spec/agreement.md, QN-AGR-002 and 003.
"""

from dataclasses import dataclass
from typing import Final

GROWTH_MAX: Final = 8
"""Views grow by one timeout after every full rotation of leaders, up to this factor."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Views as a function of time, so that members need no message to agree on one.

    Args:
        start_s: unix time at which view 0 starts.
        timeout_s: length of the first views.
        members: number of members.
        first_leader: leader of view 0.
    """

    start_s: float
    timeout_s: float
    members: int
    first_leader: int

    def leader(self, view: int) -> int:
        """Member that leads a view."""
        return (self.first_leader + view) % self.members

    def view_at(self, now: float) -> int:
        """View that holds `now`; 0 before the start."""
        left = now - self.start_s
        view = 0
        for factor in range(1, GROWTH_MAX):
            length = factor * self.timeout_s
            if left < self.members * length:
                return view + max(0, int(left // length))
            left -= self.members * length
            view += self.members
        return view + int(left // (GROWTH_MAX * self.timeout_s))
