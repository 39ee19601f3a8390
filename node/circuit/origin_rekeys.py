"""Fresh keys for every hop of a circuit, as its client asks for them.

Source: docs/spec/circuits.md, section "Ratchet and rekey".
"""

from collections.abc import Callable, Sequence

from node.circuit.layer import LayerKeys
from node.circuit.rekey import JITTER_PARTS, ClientRekey
from node.circuit.states import RekeyState
from qnet.crypto.keys import DhKey


class OriginRekeys:
    """The rekeys of all hops of one circuit.

    Args:
        random: source of secret bytes.

    Attributes:
        due_at: time of the next rekey, in seconds.
    """

    __slots__ = ("_hops", "_random", "_switches", "due_at")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._hops: list[ClientRekey] = []
        self._switches: list[int] = []
        self.due_at = 0.0

    def __len__(self) -> int:
        return len(self._hops)

    @property
    def generations(self) -> tuple[int, ...]:
        """How often each hop's keys were replaced."""
        return tuple(rekey.generation for rekey in self._hops)

    @property
    def has_switch(self) -> bool:
        """Whether a hop waits for REKEY_SWITCH."""
        return bool(self._switches)

    def begin(self, roots: Sequence[bytes]) -> None:
        """The hops that answered have these root secrets."""
        self._hops = [ClientRekey(root) for root in roots]

    def schedule(self, now: float, period_s: float) -> None:
        """Let the next rekey be due between 4/5 and 5/5 of the period from now."""
        share = int.from_bytes(self._random(2), "big") / (1 << 16)
        self.due_at = now + period_s * (1 - share / JITTER_PARTS)

    def overdue(self) -> int | None:
        """Return the position of a hop that still owes REKEYED."""
        asked = (at for at, rekey in enumerate(self._hops) if rekey.state is RekeyState.ASKED)
        return next(asked, None)

    def ask(self) -> list[tuple[int, bytes]]:
        """Return (position, data of REKEY) for every hop that is not still at it."""
        return [
            (position, rekey.ask(DhKey(self._random(32))))
            for position, rekey in enumerate(self._hops)
            if rekey.state is RekeyState.IDLE
        ]

    def rekeyed(self, position: int, data: bytes) -> LayerKeys:
        """Take REKEYED; return the keys of the hop's later backward cells.

        Raises:
            RemoteProtocolError: not expected, a wrong generation, or a low-order share.
        """
        keys = self._hops[position].handle_rekeyed(data)
        self._switches.append(position)
        return keys

    def next_switch(self) -> tuple[int, bytes]:
        """Return (position, data) of the next REKEY_SWITCH; there must be one."""
        position = self._switches.pop(0)
        return position, self._hops[position].switch_data()

    def switched(self, position: int) -> tuple[LayerKeys, int]:
        """The cell was made: return the hop's later forward keys and their generation."""
        rekey = self._hops[position]
        return rekey.sent(), rekey.generation

    def erase(self) -> None:
        """Let go of all keys."""
        self._hops = []
        self._switches.clear()
