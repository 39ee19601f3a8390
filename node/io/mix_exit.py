"""An exit for streams that come over the mixnet: tunnels on one side, connections on the other.

Connections, policy, names and limits are those of streams in circuits; a tunnel is one more circuit
to them.

Source: docs/spec/mixnet.md, section Streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from node.circuit.actions import (
    Action,
    DeliverData,
    EndStream,
    OpenStream,
    ResolveName,
    ResumeStream,
)
from node.circuit.keys.phase import PhaseKeyring
from node.exit.connector import Connector
from node.exit.streams import ExitStreams
from node.mix.live_paths import LivePaths
from node.mix.packet import Delivery
from node.mix.streams.exit import MixExit
from qnet.parameters import NetworkParameters
from qnet.sampling import RandomBytes


class Carrier(Protocol):
    """What brings deliveries and takes packets: `node.io.mixing.Mixing`."""

    live: LivePaths

    def serve_own(self, handler: Callable[[Delivery], None]) -> None:
        """Give deliveries to this node itself to `handler`."""

    def hand_in(self, first_index: int, packet: bytes) -> None:
        """Send a packet to a first mix."""


class MixExitService:
    """Joins the tunnels of an exit to its connections.

    Args:
        mixing: Brings deliveries and takes packets.
        keyring: Onion keys of this node.
        connector: Opens connections under the exit policy.
        parameters: Network parameters in force.
        spawn: Runs a coroutine in the node's task group.
        random: Source of random bytes.
        now: Clock in seconds.

    Attributes:
        core: The tunnels.
        connections: The connections.
    """

    def __init__(
        self,
        mixing: Carrier,
        *,
        keyring: PhaseKeyring,
        connector: Connector,
        parameters: Callable[[], NetworkParameters],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        random: RandomBytes,
        now: Callable[[], float],
    ) -> None:
        self._mixing = mixing
        self._keyring = keyring
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._awake = False
        self._timer: asyncio.TimerHandle | None = None
        self.core = MixExit(keyring, parameters, mixing.live.paths.begins_at, random)
        self.connections = ExitStreams(
            core=self.core,
            connector=connector,
            spawn=spawn,
            wake=self.wake,
            carry_out=self._carry_out,
            now=now,
        )
        self._steps: dict[type[Action], Callable[[Any], None]] = {
            OpenStream: self.connections.open,
            ResolveName: self.connections.resolve,
            DeliverData: self.connections.deliver,
            EndStream: self.connections.end,
            ResumeStream: self._resume,
        }
        mixing.serve_own(self._receive)

    def wake(self) -> None:
        """Move packets once, at the end of this turn of the event loop."""
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._pump)

    def tick(self) -> None:
        """Forget silent clients; call about once a second."""
        self.core.tick(self._keyring.current, self._now())
        self.wake()

    def close(self) -> None:
        """End every tunnel and connection."""
        self.core.close()
        self._carry_out(self.core.take_actions())
        self.connections.close()
        if self._timer is not None:
            self._timer.cancel()

    def _receive(self, delivery: Delivery) -> None:
        self.core.receive(delivery, self._keyring.current, self._now())
        self.wake()

    def _pump(self) -> None:
        self._awake = False
        now = self._now()
        self._carry_out(self.core.take_actions())
        for first_index, packet in self.core.packets(self._keyring.current, now):
            self._mixing.hand_in(first_index, packet)
        self._carry_out(self.core.take_actions())
        self._set_timer(now)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self.core.next_at
        if at is not None and at <= now:
            self.wake()
        elif at is not None:
            self._timer = self._loop.call_later(at - now, self.wake)

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._steps[type(action)](action)

    def _resume(self, action: ResumeStream) -> None:
        self.connections.resume(action.circuit, action.stream)
