"""Budgets of circuit setups: what one peer may ask of a node, whatever it pays for asking.

A setup costs its sender 2 KB and the node an exchange of keys and a place in the replay set of the
phase, which refuses when it is full. The budget keeps any one peer far from filling it.

Source: docs/spec/circuits.md, QN-CIR-013.
"""

from dataclasses import dataclass
from typing import Final

CLIENT_START: Final = 24
"""Setups a client may ask for at once on a new link."""
CLIENT_BURST: Final = 256
"""Most setups a client can save up."""
CLIENT_PER_S: Final = 16
"""Setups a second that a client earns."""
NODE_BURST: Final = 4096
"""Most setups a node can save up; it carries the circuits of many."""
NODE_PER_S: Final = 64
"""Setups a second that a node earns."""
MAX_NODES_KNOWN: Final = 4096
"""Budgets of nodes kept before those that are whole again are forgotten."""


@dataclass(slots=True)
class Bucket:
    """A token bucket.

    Args:
        per_s: earned a second.
        burst: most that can be saved up.
        level: what is left.
        at: time of `level`, in seconds.
    """

    per_s: int
    burst: int
    level: float
    at: float

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self._earn(now)
        if self.level < 1:
            return False
        self.level -= 1
        return True

    def is_whole(self, now: float) -> bool:
        """Whether nothing is spent."""
        self._earn(now)
        return self.level >= self.burst

    def _earn(self, now: float) -> None:
        self.level = min(self.burst, self.level + max(0.0, now - self.at) * self.per_s)
        self.at = now


class SetupBudgets:
    """The budgets of all links.

    A client's lasts as long as its link. A node's belongs to its id, so that a new link brings
    nothing.
    """

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes: dict[bytes, Bucket] = {}

    def open(self, now: float, *, client: bool, node_id: bytes | None) -> Bucket:
        """Return the budget of a new link.

        Args:
            now: time in seconds.
            client: whether the peer did not prove to be a node.
            node_id: the id it proved.
        """
        if client:
            return Bucket(CLIENT_PER_S, CLIENT_BURST, CLIENT_START, now)
        found = self._nodes.get(node_id) if node_id is not None else None
        if found is None:
            found = Bucket(NODE_PER_S, NODE_BURST, NODE_BURST, now)
            if node_id is not None:
                self._remember(node_id, found, now)
        return found

    def _remember(self, node_id: bytes, budget: Bucket, now: float) -> None:
        if len(self._nodes) >= MAX_NODES_KNOWN:
            self._nodes = {
                known: kept for known, kept in self._nodes.items() if not kept.is_whole(now)
            }
        self._nodes[node_id] = budget
