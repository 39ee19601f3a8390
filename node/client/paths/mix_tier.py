"""Streams over the mixnet: tunnels to exits, one or more for each isolation key.

Source: docs/spec/mixnet.md, section Streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from statistics import median
from typing import Any, Final

import structlog

from node.circuit.cell import CELL_BYTES
from node.circuit.messages import Answer
from node.client.doors.isolation import IsolationKey
from node.client.paths.exits import exit_allows
from node.client.paths.path_circuit import AGED, RENEWED
from node.client.paths.tunnel_streams import TunnelStreams
from node.directory.path import Path
from node.directory.wishes import Position, Wishes
from node.errors import Stage, StageError
from node.mix.account import Account
from node.mix.live_paths import LivePaths
from node.mix.packet import LAYERS
from node.mix.rates import STREAMS
from node.mix.streams.tunnels import Tunnels
from node.mix.streams.wire import BACKWARD_BYTES, FORWARD_BYTES, MAX_BLOCKS
from qnet.parameters import NetworkParameters
from qnet.sampling import RandomBytes

CONNECT_MARGIN_S: Final = 25.0
"""What the mixnet may add to the time that an exit takes to connect."""
REACH_S: Final = 20.0
"""A stream waits so long for the first turn of the client's schedule."""
AVOIDED_S: Final = 300.0
"""An exit that did not answer is not asked again for so long, if there are others."""
SET_PER_PACKET: Final = 6.34
"""Effective set over load and mean delay, for who sees both ends: docs/explanation/anonymity.md."""
_MS: Final = 1000

_log = structlog.get_logger(__name__)


class MixTier:
    """The tunnels of a client, and which one a stream takes.

    Args:
        account: Who the client is in the mixnet now.
        live: Layers and routes.
        choose: Draws a path; its exit is used, which is independent of the guard.
        parameters: Network parameters in force.
        admits: Which of an exit's answers applications may hear.
        random: Source of random bytes.
        now: Monotonic clock in seconds.

    Attributes:
        tunnels: What `MixClient` carries.
        opened: Tunnels so far.
        failed: Tunnels that were given up.
    """

    def __init__(
        self,
        account: Callable[[], Account],
        live: LivePaths,
        *,
        choose: Callable[[Wishes], Path],
        parameters: Callable[[], NetworkParameters],
        admits: Callable[[tuple[Answer, ...]], tuple[Answer, ...]],
        random: RandomBytes,
        now: Callable[[], float],
    ) -> None:
        self._account = account
        self._live = live
        self._choose = choose
        self._parameters = parameters
        self._admits = admits
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._is_telling = False
        self._reached = asyncio.Event()
        self._open: dict[int, TunnelStreams] = {}
        self._avoided: dict[int, float] = {}
        self.tunnels = Tunnels(account, live.paths, live.phase_key, random, self._wake)
        self.opened = 0
        self.failed = 0

    async def circuit_for(self, key: IsolationKey, host: str, port: int) -> TunnelStreams:
        """A tunnel for a stream: one of the key's own, or a new one.

        Raises:
            StageError: The mixnet is not reached, or no exit can be used; names the rule.
            LocalProtocolError: There are too many tunnels.
        """
        await self._reach()
        self._retire()
        for made in self._open.values():
            if made.key == key and not made.retired and self._fits(made, host, port):
                return made
        return self._new(key, Wishes(host=host, port=port))

    def renew(self) -> int:
        """Let no new stream use a tunnel that stands; returns how many there were."""
        standing = [made for made in self._open.values() if not made.retired]
        for made in standing:
            made.retired = RENEWED
        return len(standing)

    def status(self, users: int) -> dict[str, Any]:
        """What streams can expect here, and what was measured.

        Args:
            users: About how many are active, from the consensus.
        """
        delay_s = self._live.paths.mean_delay_ms / _MS
        trips = [made.tunnel.round_trip_s for made in self._open.values()]
        connects = [seconds for made in self._open.values() for seconds in made.connects]
        crowd = round(SET_PER_PACKET * users * STREAMS.total_hz * delay_s)
        return {
            "connect_ms": _median_ms(connects),
            "round_trip_ms": _median_ms([trip for trip in trips if trip is not None]),
            "round_trip_ms_expected": round(_MS * (2 * LAYERS * delay_s + 1 / STREAMS.payload_hz)),
            "down_bytes_s_at_most": round(STREAMS.payload_hz * MAX_BLOCKS * BACKWARD_BYTES),
            "up_bytes_s_at_most": round(STREAMS.payload_hz * FORWARD_BYTES),
            "packets_s": STREAMS.total_hz,
            "crowd_at_most": min(users, crowd),
            "tunnels": {"open": len(self._open), "opened": self.opened, "failed": self.failed},
            "refused": dict(self.tunnels.ignored),
            "paths": [made.row() for made in self._open.values()],
        }

    # inside

    async def _reach(self) -> None:
        """Wait until the client's schedule runs, which it does once a guard was reached."""
        try:
            async with asyncio.timeout(REACH_S):
                await self._reached.wait()
        except TimeoutError:
            self._account()  # says why
            raise StageError(Stage.LINK, "the mixnet is not reached yet") from None

    def _fits(self, made: TunnelStreams, host: str, port: int) -> bool:
        if len(made.streams) >= self._parameters().streams_per_circuit_max:
            return False
        try:
            return exit_allows(self._live.node(made.tunnel.exit_index), host, port)
        except StageError:
            return False

    def _new(self, key: IsolationKey, wishes: Wishes) -> TunnelStreams:
        parameters = self._parameters()
        now = self._now()
        tunnel = self.tunnels.open(self._exit_for(wishes), now)
        made = TunnelStreams(
            tunnel, key, parameters.stream_window_cells * CELL_BYTES, self._now, self._admits
        )
        self._open[tunnel.handle] = made
        self.opened += 1
        return made

    def _exit_for(self, wishes: Wishes) -> int:
        """Registry index of an exit that shares nothing with the guard."""
        now = self._now()
        self._avoided = {exit_: until for exit_, until in self._avoided.items() if until > now}
        pinned = {Position.ENTRY: self._account().mailbox_node}
        try:
            avoiding = Wishes(
                wishes.host, wishes.port, pinned=pinned, excluded=frozenset(self._avoided)
            )
            return self._choose(avoiding).exit.index
        except StageError:
            if not self._avoided:
                raise
        return self._choose(Wishes(wishes.host, wishes.port, pinned=pinned)).exit.index

    def _retire(self) -> None:
        """Give tunnels that are old or gone no new streams."""
        oldest = self._now() - self._parameters().circuit_max_age_s
        for made in list(self._open.values()):
            if made.tunnel.is_over:
                del self._open[made.tunnel.handle]
            elif not made.tunnel.is_usable or made.tunnel.opened_at < oldest:
                made.retired = made.retired or AGED

    def _wake(self) -> None:
        """Tell streams at the end of this turn of the event loop, not from inside the schedule."""
        if not self._is_telling:
            self._is_telling = True
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._is_telling = False
        self._reached.set()
        for event in self.tunnels.take_events():
            made = self._open.get(event.circuit_id)
            if made is not None:
                made.happened(event)
        for handle in [handle for handle, made in self._open.items() if made.tunnel.is_over]:
            self._gone(self._open.pop(handle))

    def _gone(self, made: TunnelStreams) -> None:
        tunnel = made.tunnel
        if tunnel.failure:
            self.failed += 1
            self._avoided[tunnel.exit_index] = self._now() + AVOIDED_S
            _log.info("tunnel given up", exit=tunnel.exit_index, cause=tunnel.failure)


def _median_ms(seconds: list[float]) -> int | None:
    return round(_MS * median(seconds)) if seconds else None
