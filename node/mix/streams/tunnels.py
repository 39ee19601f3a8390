"""All tunnels of a client: what its schedule sends of them, and the answers by reply blocks.

Source: docs/spec/mixnet.md, section Streams.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from node.circuit.actions import Event
from node.circuit.origin_streams import new_events
from node.errors import StageError
from node.mix.account import Account
from node.mix.address import MailAddress
from node.mix.carried import Packet
from node.mix.envelope import seal_frame
from node.mix.packet import Delivery
from node.mix.paths import Paths
from node.mix.route import build_packet
from node.mix.streams.tunnel import Tunnel
from node.mix.streams.wire import TUNNEL_BYTES, TunnelFrame, decode_tunnel_reply
from node.mix.surb import MAX_WAITING, ReplyBook, Surb, make_surb
from qnet.errors import DecodeError, LocalProtocolError
from qnet.sampling import RandomBytes

MAX_TUNNELS: Final = 64
LINGER_S: Final = 60.0
"""A tunnel without streams is kept so long for the next one."""

STALL_S: Final = 10.0
"""After so long without a turn it was we who were away: no exit is blamed for its silence."""


class Ignored(StrEnum):
    """Why a reply was not taken; the metric label."""

    CHANGED = "changed"
    MALFORMED = "malformed"
    LATE = "late"


class Tunnels:
    """The tunnels of one client; `MixClient` carries them.

    Args:
        account: who the client is now.
        paths: draws routes.
        exit_key: onion key (32 bytes) of a node (registry index) in a key phase (u24); raises
            StageError if there is none.
        random: source of random bytes.
        on_events: called when there are events to take.

    Attributes:
        ignored: replies that were not taken, by cause.
        forgotten: reply blocks given up for newer ones.
        without_ids: turns in which there was no delivery id for a block that was needed.
    """

    def __init__(
        self,
        account: Callable[[], Account],
        paths: Paths,
        exit_key: Callable[[int, int], bytes],
        random: RandomBytes,
        on_events: Callable[[], None],
    ) -> None:
        self._account = account
        self._paths = paths
        self._exit_key = exit_key
        self._random = random
        self._on_events = on_events
        self._events = new_events()
        self._book: ReplyBook[int] = ReplyBook()
        self._tunnels: dict[int, Tunnel] = {}
        self._turns: deque[int] = deque()
        self._last = 0
        self._phase = -1
        self._guard = 0
        self._turn_at = 0.0
        self.ignored: Counter[Ignored] = Counter()
        self.forgotten = 0
        self.without_ids = 0

    def __len__(self) -> int:
        return len(self._tunnels)

    def open(self, exit_index: int, now: float) -> Tunnel:
        """Begin a tunnel to an exit; nothing is sent before it has a stream.

        If there are too many, one without streams gives way.

        Args:
            exit_index: registry index of the exit.
            now: seconds.

        Raises:
            LocalProtocolError: all of them have streams.
        """
        if len(self._tunnels) >= MAX_TUNNELS:
            unused = next((each for each in self._tunnels.values() if not len(each)), None)
            if unused is None:
                raise LocalProtocolError(f"a client has at most {MAX_TUNNELS} tunnels")
            unused.is_over = True
            self._reap(now)
        self._last += 1
        tunnel_id = self._random(TUNNEL_BYTES)
        tunnel = Tunnel(self._last, tunnel_id, exit_index, self._events, now)
        self._tunnels[tunnel.handle] = tunnel
        self._turns.append(tunnel.handle)
        return tunnel

    def take_events(self) -> list[Event]:
        """What happened to streams since the last call; their circuit id is the tunnel's handle."""
        return self._events.drain()

    # --- Carried --------------------------------------------------------------------------------

    def payload(self, phase: int, now: float) -> Packet | None:
        """The packet of a tunnel that has something to send; they take turns.

        Args:
            phase: current key phase, u24.
            now: seconds.

        Raises:
            StageError: no route.
        """
        self._follow(phase, self._account().mailbox_node, now)
        try:
            for _ in range(len(self._turns)):
                self._turns.rotate(-1)
                packet = self._packet(self._tunnels[self._turns[-1]], phase, now)
                if packet is not None:
                    return packet
            return None
        finally:
            self._reap(now)
            self._on_events()

    def receive(self, delivery: Delivery, now: float) -> bool:
        """Take a delivery at `now` (seconds) if it answers a tunnel."""
        if delivery.delivery_id not in self._book:
            return False
        returned = self._book.take(delivery)
        assert returned is not None  # it waits
        tunnel = self._tunnels.get(returned.purpose)
        if tunnel is None or tunnel.is_over:
            self.ignored[Ignored.LATE] += 1
        elif returned.frame is None:
            self.ignored[Ignored.CHANGED] += 1
        else:
            self._reply(tunnel, returned.frame, now)
        return True

    # --- inside ---------------------------------------------------------------------------------

    def _follow(self, phase: int, guard: int, now: float) -> None:
        """Blocks die with their phases, and with the guard that they lead to."""
        if now > self._turn_at + STALL_S:
            for tunnel in self._tunnels.values():
                tunnel.resume(now)
        self._turn_at = now
        if (phase, guard) == (self._phase, self._guard):
            return
        self._book.advance(phase)
        for tunnel in self._tunnels.values():
            tunnel.refresh(new_guard=guard != self._guard)
        self._phase, self._guard = phase, guard

    def _reply(self, tunnel: Tunnel, frame: bytes, now: float) -> None:
        try:
            reply = decode_tunnel_reply(frame)
        except DecodeError:
            self.ignored[Ignored.MALFORMED] += 1
            tunnel.lose("the exit sent a malformed frame")
        else:
            tunnel.receive(reply, now)
        self._on_events()

    def _packet(self, tunnel: Tunnel, phase: int, now: float) -> Packet | None:
        try:
            key = self._exit_key(tunnel.exit_index, phase)
        except StageError as error:
            tunnel.lose(error.message)
            return None
        frame = tunnel.next_frame(now)
        if frame is None:
            return None
        frame = self._with_blocks(tunnel, frame, phase, now)
        address = MailAddress(tunnel.exit_index, key)
        route = self._paths.route(phase, address.node_index, address.delivery_id(phase))
        payload = seal_frame(frame.encode(), address.key, self._random)
        return route.hops[0].index, build_packet(route, payload, self._random)

    def _with_blocks(
        self, tunnel: Tunnel, frame: TunnelFrame, phase: int, now: float
    ) -> TunnelFrame:
        """Put reply blocks into a frame, as many as there are delivery ids for."""
        wanted = tunnel.blocks_for(frame)
        blocks: list[Surb] = []
        while len(blocks) < wanted and (surb := self._block(tunnel, phase)) is not None:
            blocks.append(surb)
        self.without_ids += wanted > 0 and not blocks
        tunnel.blocks_sent(len(blocks), now)
        return replace(frame, blocks=blocks)

    def _block(self, tunnel: Tunnel, phase: int) -> Surb | None:
        account = self._account()
        delivery_id = account.new_id()
        if delivery_id is None:
            return None
        route = self._paths.route(phase, account.mailbox_node, delivery_id)
        surb, secret = make_surb(route, self._random)
        if len(self._book) >= MAX_WAITING:
            self._book.forget_oldest()
            self.forgotten += 1
        self._book.remember(delivery_id, secret, tunnel.handle)
        return surb

    def _reap(self, now: float) -> None:
        """Leave tunnels that nobody uses, and forget those that are over."""
        for tunnel in list(self._tunnels.values()):
            if tunnel.is_over:
                del self._tunnels[tunnel.handle]
                self._turns.remove(tunnel.handle)
            elif not len(tunnel) and now > tunnel.used_at + LINGER_S:
                tunnel.leave()
