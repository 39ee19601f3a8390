"""One mix, put together: opens packets, holds them, and watches its own loops.

The owner hands over what came from links, sends what is due, and sends loops at Poisson times.

Source: docs/spec/mixnet.md, sections Packet, Delays and the pool of a mix, Loops of mixes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from node.mix.holding import Holding
from node.mix.loops import LoopReport, LoopWatch
from node.mix.packet import ID_BYTES, PAYLOAD_BYTES
from node.mix.paths import Paths
from node.mix.poisson import exponential
from node.mix.route import build_header, wrap_payload
from node.mix.unwrap import Deliver, Dropped, Forward, Unwrapper
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes

Outgoing: TypeAlias = Forward | Deliver

_MS: Final = 1000
_MAX_LOOPS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """How a mix sends loops.

    Args:
        hz: mean number in a second.
        allowance_s: for the network, added to the delays on the way here.
    """

    hz: float
    allowance_s: float


@dataclass(slots=True)
class MixRelay:
    """A mix.

    Args:
        index: registry index of this node.
        unwrapper: opens packets.
        paths: routes for its loops.
        layer_of: its layer (1 to 3) in a key phase (u24); 0 for none.
        plan: of its loops.
        random: source of random bytes.
        now: seconds, on the clock of all later calls.
    """

    index: int
    unwrapper: Unwrapper
    paths: Paths
    layer_of: Callable[[int], int]
    plan: LoopPlan
    random: RandomBytes
    now: float
    holding: Holding[Outgoing] = field(default_factory=Holding)
    watch: LoopWatch = field(default_factory=LoopWatch)
    next_loop_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.next_loop_at = self.now + exponential(1 / self.plan.hz, self.random)

    @property
    def next_at(self) -> float:
        """When there is something to send or to judge, in seconds."""
        held = None if self.watch.is_alarmed else self.holding.next_at
        times = (held, self.watch.next_at, self.next_loop_at)
        return min(at for at in times if at is not None)

    def receive(self, packets: Sequence[bytes], now: float) -> None:
        """Open packets at `now` (seconds) and hold what is to go on; the rest is counted."""
        for result in self.unwrapper.unwrap(packets):
            if isinstance(result, Dropped):
                continue
            self.watch.passed(result.replay_tag)
            self.holding.insert(now, result.delay_ms, result)

    def due(self, now: float) -> list[Outgoing]:
        """Return what is to be sent at `now` (seconds); nothing while loops are missing."""
        return [] if self.report(now).alarm else self.holding.due(now)

    def report(self, now: float) -> LoopReport:
        """What its loops say at `now` (seconds)."""
        return self.watch.report(now)

    def loops(self, phase: int, now: float) -> list[tuple[int, bytes]]:
        """Return the loops to hand to an entry node at `now` (seconds): first mix and packet.

        Not to the first mix at once: that may be this one, whose links the loop must come in by.

        Args:
            phase: current key phase, u24.
            now: seconds.

        Raises:
            StageError: no route.
        """
        return [self.loop(phase, now) for _ in range(self.loops_due(now))]

    def loops_due(self, now: float) -> int:
        """How many loops to send at `now` (seconds); after a stall, some are skipped."""
        due = 0
        while self.next_loop_at <= now:
            self.next_loop_at += exponential(1 / self.plan.hz, self.random)
            due += 1
        return min(due, _MAX_LOOPS_AT_ONCE)

    def loop(self, phase: int, now: float) -> tuple[int, bytes]:
        """Make one loop and wait for it; arguments and result as in `loops`.

        Raises:
            StageError: no route.
            LocalProtocolError: this node has no layer.
        """
        layer = self.layer_of(phase)
        if not layer:
            raise LocalProtocolError("this node is no mix in this epoch")
        route = self.paths.route(phase, self.index, self.random(ID_BYTES), through=self.index)
        built = build_header(route, self.random)
        before_ms = sum(hop.delay_ms for hop in route.hops[: layer - 1])
        deadline = now + before_ms / _MS + self.plan.allowance_s
        self.watch.expect(built.keys[layer - 1].replay_tag, deadline)
        payload = wrap_payload(built.payload_keys, self.random(PAYLOAD_BYTES))
        return route.hops[0].index, built.prefix + built.header + payload
